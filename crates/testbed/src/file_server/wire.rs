//! The server's side of a connection: reading requests, answering them well or badly.

use super::{Seen, Served, Shared};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.is_stopping() {
            return;
        }
        let Ok(stream) = stream else { continue };
        if let Ok(copy) = stream.try_clone() {
            shared.lock().connections.push(copy);
        }
        let shared = Arc::clone(shared);
        let serving = std::thread::Builder::new()
            .name("file-server-connection".to_owned())
            .spawn(move || {
                // A client that goes away is the usual end.
                let _gone = serve(&stream, &shared);
                let _closed = stream.shutdown(Shutdown::Both);
            });
        drop(serving);
    }
}

/// Serves one connection until it ends.
fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(seen) = read_request(&mut reader)? {
        let path = seen.path.split('?').next().unwrap_or_default().to_owned();
        let connect = seen.method == "CONNECT";
        let number = {
            let mut state = shared.lock();
            state.seen.push(seen.clone());
            state.seen.len() - 1
        };
        shared.changed.notify_all();
        if connect {
            // As a proxy it leads every tunnel to itself.
            note(shared, number, 200, 0);
            (&mut &*stream).write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            continue;
        }
        let file = take_turn(shared, &path);
        let call = Call {
            stream,
            shared,
            number,
            seen: &seen,
        };
        if !call.answer(file)? {
            return Ok(());
        }
    }
    Ok(())
}

/// The file for one request, with the faults that it uses up.
fn take_turn(shared: &Shared, path: &str) -> Option<Served> {
    let mut state = shared.lock();
    let file = state.files.get_mut(path)?;
    if let Some((after, _)) = &mut file.faults.becomes {
        if *after == 0 {
            if let Some((_, next)) = file.faults.becomes.take() {
                *file = *next;
            }
        } else {
            *after -= 1;
        }
    }
    let turn = file.clone();
    if file.faults.hang_ups > 0 {
        file.faults.hang_ups -= 1;
    } else if !file.faults.statuses.is_empty() {
        file.faults.statuses.remove(0);
    } else if let Some((bodies, _)) = &mut file.faults.drops {
        *bodies = bodies.saturating_sub(1);
        if *bodies == 0 {
            file.faults.drops = None;
        }
    }
    Some(turn)
}

fn read_request(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<Seen>> {
    let mut line = String::new();
    if reader.by_ref().take(16 << 10).read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.by_ref().take(16 << 10).read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let range = headers.get("range").and_then(|text| {
        let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()))
    });
    Ok(Some(Seen {
        method: method.to_owned(),
        path: path.to_owned(),
        range,
        headers,
        status: 0,
        sent: 0,
    }))
}

fn note(shared: &Shared, number: usize, status: u16, more: u64) {
    if let Some(seen) = shared.lock().seen.get_mut(number) {
        seen.status = status;
        seen.sent += more;
    }
    shared.changed.notify_all();
}

/// One request being answered.
struct Call<'a> {
    stream: &'a TcpStream,
    shared: &'a Shared,
    number: usize,
    seen: &'a Seen,
}

/// The shape of an answer with a body.
struct Shape {
    status: u16,
    first: u64,
    end: u64,
    head: String,
    chunked: bool,
}

impl Call<'_> {
    /// Answers. False: the connection ends.
    fn answer(&self, file: Option<Served>) -> io::Result<bool> {
        let Some(file) = file else {
            return self.short(404, "", "not here\n");
        };
        let faults = &file.faults;
        if faults.hang_ups > 0 {
            return Ok(false);
        }
        if faults.silent {
            // Until the client or the server goes.
            let mut stream = self.stream;
            let _gone = stream.read(&mut [0; 1])?;
            return Ok(false);
        }
        std::thread::sleep(faults.delay);
        if let Some(status) = faults.statuses.first() {
            return self.short(*status, "", &format!("status {status} on purpose\n"));
        }
        let mut headers = String::new();
        for (name, value) in &file.headers {
            push(&mut headers, name, value);
        }
        if let Some(location) = &faults.redirect {
            push(&mut headers, "location", location);
            return self.short(302, &headers, "");
        }
        let Some(mut shape) = self.shape(&file) else {
            let size = faults.claimed_size.unwrap_or(file.bytes.len() as u64);
            push(&mut headers, "content-range", &format!("bytes */{size}"));
            return self.short(416, &headers, "");
        };
        for (name, value) in [("etag", &file.etag), ("last-modified", &file.last_modified)] {
            if let Some(value) = value {
                push(&mut headers, name, value);
            }
        }
        shape.head.push_str(&headers);
        shape.head.push_str("\r\n");
        note(self.shared, self.number, shape.status, 0);
        let mut stream = self.stream;
        stream.write_all(shape.head.as_bytes())?;
        if self.seen.method == "HEAD" {
            return Ok(true);
        }
        let whole = self.send(&file, &shape)?;
        // A claim of more than was sent can only be met by ending.
        let size = file.bytes.len() as u64;
        let honest = faults.claimed_size.is_none_or(|claimed| claimed <= size);
        Ok(whole && (honest || shape.chunked || shape.status == 206))
    }

    /// An answer without a file.
    fn short(&self, status: u16, headers: &str, body: &str) -> io::Result<bool> {
        note(self.shared, self.number, status, 0);
        let length = body.len();
        let text = format!("HTTP/1.1 {status} Short\r\n{headers}content-length: {length}\r\n\r\n");
        let mut stream = self.stream;
        stream.write_all(text.as_bytes())?;
        if self.seen.method != "HEAD" {
            stream.write_all(body.as_bytes())?;
        }
        Ok(true)
    }

    /// What part of a file is sent, and how it is announced. `None`: no such part.
    fn shape(&self, file: &Served) -> Option<Shape> {
        let faults = &file.faults;
        let size = file.bytes.len() as u64;
        let claimed = faults.claimed_size.unwrap_or(size);
        let valid = self.seen.headers.get("if-range").is_none_or(|validator| {
            Some(validator) == file.etag.as_ref() || Some(validator) == file.last_modified.as_ref()
        });
        let range = self.seen.range.filter(|_| valid && !faults.ignore_ranges);
        if let Some((first, last)) = range {
            if first >= size {
                return None;
            }
            let end = last.map_or(size, |last| size.min(last.saturating_add(1)));
            let mut head = "HTTP/1.1 206 Partial Content\r\n".to_owned();
            let place = format!("bytes {first}-{}/{claimed}", end - 1);
            push(&mut head, "content-range", &place);
            push(&mut head, "content-length", &(end - first).to_string());
            return Some(Shape {
                status: 206,
                first,
                end,
                head,
                chunked: false,
            });
        }
        let mut head = "HTTP/1.1 200 OK\r\n".to_owned();
        if faults.chunked {
            push(&mut head, "transfer-encoding", "chunked");
        } else {
            push(&mut head, "content-length", &claimed.to_string());
        }
        Some(Shape {
            status: 200,
            first: 0,
            end: if faults.chunked {
                size
            } else {
                size.min(claimed)
            },
            head,
            chunked: faults.chunked,
        })
    }

    /// Sends a part of the file. False: it broke off on purpose.
    fn send(&self, file: &Served, shape: &Shape) -> io::Result<bool> {
        let faults = &file.faults;
        let broken = faults
            .drops
            .map_or(shape.end, |(_, bytes)| shape.end.min(shape.first + bytes));
        let step = faults
            .throttle
            .map_or(64 << 10, |rate| (rate / 50).clamp(1, 64 << 10));
        let place = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
        let begun = Instant::now();
        let mut stream = self.stream;
        let mut at = shape.first;
        while at < broken && !self.shared.is_stopping() {
            let until = broken.min(at + step);
            let mut bytes = file.bytes[place(at)..place(until)].to_vec();
            if let Some(wrong) = faults.wrong_byte
                && (at..until).contains(&wrong)
            {
                bytes[place(wrong - at)] ^= 0xff;
            }
            if shape.chunked {
                bytes.splice(0..0, format!("{:x}\r\n", until - at).into_bytes());
                bytes.extend(b"\r\n");
            }
            stream.write_all(&bytes)?;
            note(self.shared, self.number, shape.status, until - at);
            at = until;
            if let Some(rate) = faults.throttle {
                let due = Duration::from_secs_f64((at - shape.first) as f64 / rate as f64);
                std::thread::sleep(due.saturating_sub(begun.elapsed()));
            }
        }
        if shape.chunked && at == shape.end {
            stream.write_all(b"0\r\n\r\n")?;
        }
        Ok(at == shape.end)
    }
}

fn push(head: &mut String, name: &str, value: &str) {
    write!(head, "{name}: {value}\r\n").expect("a string takes everything");
}
