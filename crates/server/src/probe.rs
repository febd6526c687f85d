//! Asking a server how it is, in bounded time and from any thread.

use llamatelemetry_api::{Address, ApiError, Endpoints as _, Props, blocking};
use llamatelemetry_settings::Secret;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// One health question takes at most so long.
const LIMIT: Duration = Duration::from_millis(500);

/// Whether the server answers `/health` with 200. Not reachable yet counts as no.
///
/// Only the status matters and the answer must not take longer than the limit, so this speaks the
/// one line of HTTP itself.
pub(crate) fn is_healthy(address: &Address) -> bool {
    match address {
        Address::Unix(path) => UnixStream::connect(path).and_then(|stream| {
            stream.set_read_timeout(Some(LIMIT))?;
            stream.set_write_timeout(Some(LIMIT))?;
            ask(stream)
        }),
        Address::Tcp(address) => TcpStream::connect_timeout(address, LIMIT).and_then(|stream| {
            stream.set_read_timeout(Some(LIMIT))?;
            stream.set_write_timeout(Some(LIMIT))?;
            ask(stream)
        }),
    }
    .unwrap_or(false)
}

fn ask(mut stream: impl Read + Write) -> io::Result<bool> {
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut status = [0; 12];
    stream.read_exact(&mut status)?;
    Ok(status.starts_with(b"HTTP/1.") && status.ends_with(b" 200"))
}

/// What the server runs.
///
/// The client waits on a runtime of its own, which must not happen on a thread that drives one:
/// hence the thread.
pub(crate) fn props(address: &Address, key: Option<&Secret>) -> Result<Props, ApiError> {
    let ask = || blocking::Client::new(address.clone(), key.cloned())?.props();
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("llama-props".into())
            .spawn_scoped(scope, ask)
            .map_err(ApiError::Runtime)?
            .join()
            .unwrap_or_else(|_| Err(ApiError::Runtime(io::Error::other("the thread panicked"))))
    })
}
