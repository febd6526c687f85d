//! The one thread that launches children and never ends.

use std::io;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// A program file that another thread's child still holds open for writing cannot be executed for
/// a moment. It is tried so often again.
const BUSY_TRIES: u32 = 20;
const BUSY_PAUSE: Duration = Duration::from_millis(5);

struct Order {
    command: Command,
    reply: SyncSender<io::Result<Child>>,
}

struct Launcher {
    /// The process that the thread runs in: after a `fork` there is no such thread.
    process: u32,
    orders: SyncSender<Order>,
}

/// Launches a command from the immortal thread. `make` is called once a try.
pub(super) fn launch(make: impl Fn() -> Command) -> io::Result<Child> {
    let mut tries = 0;
    loop {
        tries += 1;
        match order(make()) {
            Err(error)
                if error.kind() == io::ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES =>
            {
                std::thread::sleep(BUSY_PAUSE);
            }
            result => return result,
        }
    }
}

fn order(command: Command) -> io::Result<Child> {
    let launcher = launcher()?;
    let (reply, answer) = sync_channel(1);
    launcher
        .orders
        .send(Order { command, reply })
        .map_err(io::Error::other)?;
    answer.recv().map_err(io::Error::other)?
}

fn launcher() -> io::Result<&'static Launcher> {
    static LAUNCHER: OnceLock<Result<Launcher, io::ErrorKind>> = OnceLock::new();
    let started = LAUNCHER.get_or_init(|| {
        // One order waits while one is carried out; a third caller waits for room.
        let (orders, inbox) = sync_channel(1);
        std::thread::Builder::new()
            .name("llama-launcher".into())
            .spawn(move || work(&inbox))
            .map(|_| Launcher {
                process: std::process::id(),
                orders,
            })
            .map_err(|error| error.kind())
    });
    match started {
        Ok(launcher) if launcher.process == std::process::id() => Ok(launcher),
        Ok(_) => Err(io::Error::other(
            "this process was forked from one that had started a server; start servers before \
             the fork or in a process of their own",
        )),
        Err(kind) => Err(io::Error::from(*kind)),
    }
}

fn work(inbox: &Receiver<Order>) {
    // The sender is never dropped, so this never ends.
    for Order { mut command, reply } in inbox {
        if let Err(unwanted) = reply.send(command.spawn())
            && let Ok(mut child) = unwanted.0
        {
            // Whoever ordered it is gone. Both calls fail only where the child has ended already.
            drop(child.kill());
            drop(child.wait());
        }
    }
}
