//! A server does not outlive its owner, however that ends.

use crate::owner::{Role, launch};
use crate::setup::{is_dead, signal, until_dead};
use std::time::Duration;

/// The promise: no server is left after so long.
const LIMIT: Duration = Duration::from_secs(1);

fn kill_owner(role: Role, stopped: bool) {
    let mut owner = launch(role);
    let server = owner.server;
    // The server must live on its own: an owner's thread that ends is no reason to die.
    std::thread::sleep(Duration::from_millis(50));
    assert!(!is_dead(server), "{role:?}");
    if stopped {
        signal("STOP", server);
    }
    owner.process.kill().expect("kill -9");
    until_dead(server, LIMIT);
}

#[test]
fn a_real_server_dies_with_its_killed_owner() {
    for from_ended_thread in [false, true] {
        for stopped in [false, true] {
            let role = Role {
                real: true,
                from_ended_thread,
            };
            kill_owner(role, stopped);
        }
    }
}

/// This server takes no notice of the end of its input: the kernel's signal alone must do.
#[test]
fn a_deaf_server_dies_with_its_killed_owner() {
    for from_ended_thread in [false, true] {
        for stopped in [false, true] {
            let role = Role {
                real: false,
                from_ended_thread,
            };
            kill_owner(role, stopped);
        }
    }
}

/// Ctrl-C in a terminal reaches every process of the terminal's group: the owner decides.
#[test]
fn a_server_is_out_of_reach_of_the_terminal() {
    let role = Role {
        real: false,
        from_ended_thread: false,
    };
    let owner = launch(role);
    let server = owner.server;
    let group = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("its state");
        let fields = stat.rsplit(')').next().expect("fields").to_owned();
        let field = |at: usize| fields.split_whitespace().nth(at).expect("it").to_owned();
        (field(2), field(3))
    };
    assert_eq!(group(server), (server.to_string(), server.to_string()));
    assert_ne!(group(server), group(owner.process.id()));
    drop(owner);
    until_dead(server, LIMIT);
}
