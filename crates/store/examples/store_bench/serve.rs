//! The store behind the least of HTTP: what a receiver adds is not measured.

use llamatelemetry_store::{Signal, Writer};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;

/// Says where it listens and answers until its standard input ends.
pub(crate) fn serve(folder: &Path) {
    let writer: &'static Writer = Box::leak(Box::new(Writer::open(folder).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap());
    let accept = move || {
        for stream in listener.incoming() {
            thread::Builder::new()
                .name("connection".to_owned())
                .spawn(move || answer(writer, &stream.unwrap()))
                .unwrap();
        }
    };
    thread::Builder::new()
        .name("accept".to_owned())
        .spawn(accept)
        .unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    writer.seal().unwrap();
}

/// One request after the other, until the connection is closed.
fn answer(writer: &Writer, stream: &TcpStream) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        writer.append(Signal::Traces, body).unwrap();
        let mut stream = stream;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
    }
}
