//! An HTTP file server on the loopback that misbehaves on request, and remembers what it was asked.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A file and how it is served.
#[derive(Debug, Clone, Default)]
pub struct Served {
    /// Its bytes.
    pub bytes: Arc<[u8]>,
    /// Its `ETag`, quotes included.
    pub etag: Option<String>,
    /// Its `Last-Modified`.
    pub last_modified: Option<String>,
    /// Further headers of a good answer.
    pub headers: Vec<(String, String)>,
    /// What goes wrong.
    pub faults: Faults,
}

/// What goes wrong with a file. The default is nothing.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Bytes a second on each connection.
    pub throttle: Option<u64>,
    /// Statuses that the next requests get instead of the file, first to last.
    pub statuses: Vec<u16>,
    /// The next so many bodies break off after so many bytes: (bodies, bytes).
    pub drops: Option<(usize, u64)>,
    /// The next so many requests are dropped without an answer.
    pub hang_ups: usize,
    /// Ranges are ignored: everything is sent, with status 200.
    pub ignore_ranges: bool,
    /// The byte at this place is sent wrong.
    pub wrong_byte: Option<u64>,
    /// The size that is claimed, in `Content-Range` or for a whole answer in `Content-Length`.
    pub claimed_size: Option<u64>,
    /// Sent before the status line.
    pub delay: Duration,
    /// No answer ever, but an open connection.
    pub silent: bool,
    /// Everything is answered by a redirect to this address.
    pub redirect: Option<String>,
    /// The whole is sent in chunks of unknown total length.
    pub chunked: bool,
    /// After so many requests the file becomes this one.
    pub becomes: Option<(usize, Box<Served>)>,
}

impl Served {
    /// A well-behaved file with a tag made from its bytes.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        let sum = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        });
        Self {
            etag: Some(format!("\"{sum:016x}\"")),
            bytes,
            ..Self::default()
        }
    }

    /// The same file with faults.
    #[must_use]
    pub fn with(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }
}

/// A request as it came, and what was sent.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `GET`, `HEAD`, `CONNECT`.
    pub method: String,
    /// The path with its query; for `CONNECT` the host and port.
    pub path: String,
    /// The range asked for: first byte, and last byte if given.
    pub range: Option<(u64, Option<u64>)>,
    /// All headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The status answered; 0 until then.
    pub status: u16,
    /// Body bytes sent so far.
    pub sent: u64,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Served>,
    seen: Vec<Seen>,
    connections: Vec<TcpStream>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    stopping: AtomicBool,
}

/// The server. Dropping it ends it and all its connections.
pub struct FileServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for FileServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FileServer").field(&self.address).finish()
    }
}

impl FileServer {
    /// Starts a server without files on a free port of 127.0.0.1.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let accepting = std::thread::Builder::new()
            .name("file-server".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || accept(&listener, &shared)
            })?;
        Ok(Self {
            address,
            shared,
            accepting: Some(accepting),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of a path, by number.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The address of a path by another name of the same machine.
    pub fn url_by_name(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.address.port())
    }

    /// Serves a file at a path from now on.
    pub fn put(&self, path: &str, file: Served) {
        self.lock().files.insert(path.to_owned(), file);
    }

    /// Changes what goes wrong with a file.
    pub fn set_faults(&self, path: &str, faults: Faults) {
        if let Some(file) = self.lock().files.get_mut(path) {
            file.faults = faults;
        }
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        self.lock().seen.clear();
    }

    /// Body bytes sent in all requests that are remembered.
    pub fn sent(&self) -> u64 {
        self.lock().seen.iter().map(|seen| seen.sent).sum()
    }

    /// Waits until the requests so far satisfy a condition; false if they do not in time.
    pub fn wait(&self, within: Duration, condition: impl Fn(&[Seen]) -> bool) -> bool {
        let waited = self
            .shared
            .changed
            .wait_timeout_while(self.lock(), within, |state| !condition(&state.seen))
            .unwrap_or_else(PoisonError::into_inner);
        !waited.1.timed_out()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        // Wakes the accepting thread; if that fails it is not waiting.
        let _woken = TcpStream::connect(self.address);
        for connection in self.lock().connections.drain(..) {
            let _closed = connection.shutdown(Shutdown::Both);
        }
        if let Some(accepting) = self.accepting.take() {
            let _ended = accepting.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
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
        if !answer(stream, shared, number, &seen, file)? {
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

/// Answers one request. False: the connection ends.
fn answer(
    mut stream: &TcpStream,
    shared: &Shared,
    number: usize,
    seen: &Seen,
    file: Option<Served>,
) -> io::Result<bool> {
    let Some(file) = file else {
        note(shared, number, 404, 0);
        stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\nnot here\n")?;
        return Ok(true);
    };
    let faults = &file.faults;
    if faults.hang_ups > 0 {
        return Ok(false);
    }
    if faults.silent {
        // Until the client or the server goes.
        stream.read(&mut [0; 1])?;
        return Ok(false);
    }
    std::thread::sleep(faults.delay);
    if let Some(status) = faults.statuses.first() {
        note(shared, number, *status, 0);
        let text = format!("status {status} on purpose\n");
        let head = format!(
            "HTTP/1.1 {status} Fault\r\ncontent-length: {}\r\n\r\n",
            text.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(text.as_bytes())?;
        return Ok(true);
    }
    if let Some(location) = &faults.redirect {
        note(shared, number, 302, 0);
        let mut head = format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\n");
        for (name, value) in &file.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("content-length: 0\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        return Ok(true);
    }
    let size = file.bytes.len() as u64;
    let claimed = faults.claimed_size.unwrap_or(size);
    let valid = seen.headers.get("if-range").is_none_or(|validator| {
        Some(validator) == file.etag.as_ref() || Some(validator) == file.last_modified.as_ref()
    });
    let range = seen.range.filter(|_| valid && !faults.ignore_ranges);
    let (status, first, end, mut head) = match range {
        Some((first, _)) if first >= size => {
            note(shared, number, 416, 0);
            let head = format!(
                "HTTP/1.1 416 Range Not Satisfiable\r\ncontent-range: bytes */{claimed}\r\ncontent-length: 0\r\n\r\n"
            );
            stream.write_all(head.as_bytes())?;
            return Ok(true);
        }
        Some((first, last)) => {
            let end = last.map_or(size, |last| size.min(last.saturating_add(1)));
            let head = format!(
                "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes {first}-{}/{claimed}\r\ncontent-length: {}\r\n",
                end - 1,
                end - first
            );
            (206, first, end, head)
        }
        None if faults.chunked => {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n".to_owned();
            (200, 0, size, head)
        }
        None => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {claimed}\r\n");
            (200, 0, size.min(claimed), head)
        }
    };
    let validators = [("etag", &file.etag), ("last-modified", &file.last_modified)];
    for (name, value) in validators {
        if let Some(value) = value {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    for (name, value) in &file.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    note(shared, number, status, 0);
    stream.write_all(head.as_bytes())?;
    if seen.method == "HEAD" {
        return Ok(true);
    }
    let chunked = faults.chunked && status == 200;
    let whole = send(stream, shared, number, &file, (first, end), chunked)?;
    // A claim of more than was sent can only be met by ending.
    Ok(whole && (status == 206 || chunked || claimed <= size))
}

/// Sends a range of the body. False: it broke off on purpose.
fn send(
    mut stream: &TcpStream,
    shared: &Shared,
    number: usize,
    file: &Served,
    (first, end): (u64, u64),
    chunked: bool,
) -> io::Result<bool> {
    let faults = &file.faults;
    let broken = faults
        .drops
        .map_or(end, |(_, bytes)| end.min(first + bytes));
    let status = shared.lock().seen.get(number).map_or(0, |seen| seen.status);
    let step = faults
        .throttle
        .map_or(64 << 10, |rate| (rate / 50).clamp(1, 64 << 10));
    let begun = Instant::now();
    let mut at = first;
    while at < broken && !shared.is_stopping() {
        let until = broken.min(at + step);
        let place = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
        let mut bytes = file.bytes[place(at)..place(until)].to_vec();
        if let Some(wrong) = faults.wrong_byte
            && (at..until).contains(&wrong)
        {
            bytes[place(wrong - at)] ^= 0xff;
        }
        if chunked {
            bytes.splice(0..0, format!("{:x}\r\n", until - at).into_bytes());
            bytes.extend(b"\r\n");
        }
        stream.write_all(&bytes)?;
        note(shared, number, status, until - at);
        at = until;
        if let Some(rate) = faults.throttle {
            let due = Duration::from_secs_f64((at - first) as f64 / rate as f64);
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
        }
    }
    if chunked && at == end {
        stream.write_all(b"0\r\n\r\n")?;
    }
    Ok(at == end)
}
