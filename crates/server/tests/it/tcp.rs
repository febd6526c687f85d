//! Loopback TCP: a key always, a port without a race, and a taken port by its number.

use crate::setup::{failure, place, start};
use llamatelemetry_api::{Address, ApiError, Endpoints as _, blocking};
use llamatelemetry_server::{ExitClass, Listen, ServerError};
use std::net::TcpListener;

#[test]
fn a_tcp_server_asks_for_a_key_that_nobody_else_can_see() {
    let place = place();
    let mut spec = place.real();
    spec.listen = Listen::Loopback(0);
    let server = start(&spec);
    let Address::Tcp(address) = server.address() else {
        panic!("{} is no port", server.address());
    };
    assert!(address.ip().is_loopback());
    assert_ne!(address.port(), 0);
    let key = server.key().expect("a key").clone();
    assert_eq!(key.expose().len(), 64);

    let with = blocking::Client::new(server.address().clone(), Some(key.clone()));
    with.and_then(|client| client.props()).expect("an answer");
    let without = blocking::Client::new(server.address().clone(), None);
    let refused = without.and_then(|client| client.props());
    assert!(
        matches!(refused, Err(ApiError::Refused { status: 401, .. })),
        "{refused:?}"
    );

    let read = |name: &str| {
        let file = format!("/proc/{}/{name}", server.pid());
        String::from_utf8_lossy(&std::fs::read(file).expect(name)).into_owned()
    };
    assert!(!read("cmdline").contains(key.expose()));
    assert!(!read("environ").contains(key.expose()));
    assert!(!format!("{server:?}").contains(key.expose()));
    for line in server.log_tail() {
        assert!(!line.text.contains(key.expose()), "{}", line.text);
    }
    let files = place.launch_files().join(" ");
    assert!(!files.contains(".key"), "{files}");
}

#[test]
fn a_taken_port_is_named() {
    let place = place();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its number").port();
    let mut spec = place.stub("exit 77");
    spec.listen = Listen::Loopback(port);
    assert_eq!(
        failure(&spec).to_string(),
        format!("port {port} on 127.0.0.1 is already in use")
    );
}

/// The port may be taken after we looked: then the server itself finds out.
#[test]
fn a_port_that_the_server_finds_taken_is_named_too() {
    let place = place();
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("its number").port();
    drop(free);
    let mut spec = place.stub(&format!(
        "echo \"srv  start: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: {port}\"\n\
         exit 1"
    ));
    spec.listen = Listen::Loopback(port);
    let error = failure(&spec);
    assert!(
        matches!(error, ServerError::AddressInUse { port: named } if named == port),
        "{error}"
    );
}

#[test]
fn the_real_server_says_so_when_its_port_is_taken() {
    let place = place();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its number").port();
    // The check before the start is got round by changing the port on the way.
    let script = format!(
        "for word; do shift; [ \"$word\" = 0 ] && word={port}; set -- \"$@\" \"$word\"; done"
    );
    let mut spec = place.real_behind(&script);
    spec.listen = Listen::Loopback(0);
    let ServerError::Exited(exit) = failure(&spec) else {
        panic!("another error");
    };
    assert_eq!(exit.class, ExitClass::AddressInUse);
}
