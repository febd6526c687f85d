//! What systemd is told: that requests are taken, that settings are read anew, that it ends, and
//! now and then that it is alive. Its protocol is a datagram of lines to a socket.

use llamatelemetry_settings::Environment;
use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior};

/// The way to whoever started this program, if it wants to be told.
#[derive(Debug, Default)]
pub(super) struct Notify {
    socket: Option<UnixDatagram>,
    watchdog: Option<Interval>,
}

impl Notify {
    /// What the environment asks for. Must be called within an async runtime.
    pub(super) fn from_environment(environment: &Environment) -> Self {
        let Some(name) = environment.get("NOTIFY_SOCKET") else {
            return Self::default();
        };
        let socket = match connect(name) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::warn!(%error, "NOTIFY_SOCKET cannot be used");
                return Self::default();
            }
        };
        // The variables may have come down from a parent that they were meant for.
        let own = environment
            .get("WATCHDOG_PID")
            .is_none_or(|pid| pid == std::process::id().to_string());
        let limit = environment
            .get("WATCHDOG_USEC")
            .filter(|_| own)
            .and_then(|limit| limit.parse().ok())
            .filter(|limit: &u64| *limit > 1);
        Self {
            socket: Some(socket),
            watchdog: limit.map(|limit| {
                let mut every = tokio::time::interval(Duration::from_micros(limit / 2));
                every.set_missed_tick_behavior(MissedTickBehavior::Delay);
                every
            }),
        }
    }

    pub(super) fn ready(&self) {
        self.tell("READY=1");
    }

    pub(super) fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Says again and again that this program is alive; never returns. That it runs at all says
    /// that the tasks of this program run.
    pub(super) async fn alive(&mut self) {
        let Some(every) = &mut self.watchdog else {
            return std::future::pending().await;
        };
        loop {
            every.tick().await;
            tell(self.socket.as_ref(), "WATCHDOG=1");
        }
    }

    fn tell(&self, what: &str) {
        tell(self.socket.as_ref(), what);
    }
}

fn tell(socket: Option<&UnixDatagram>, what: &str) {
    if let Some(Err(error)) = socket.map(|socket| socket.send(what.as_bytes())) {
        tracing::debug!(%error, "systemd was not told");
    }
}

fn connect(name: &str) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    // Nobody is waited for.
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address(name)?)?;
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn address(name: &str) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;
    match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    }
}

#[cfg(not(target_os = "linux"))]
fn address(name: &str) -> io::Result<SocketAddr> {
    SocketAddr::from_pathname(name)
}
