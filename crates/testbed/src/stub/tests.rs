use super::*;
use crate::until;
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::time::Duration;

const REQUEST: &[u8] =
    b"POST /completion HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}";

fn ask(stub: &StubServer) -> (Stream, String) {
    let mut stream = Stream::connect(stub.address()).expect("the stub listens");
    stream.write_all(REQUEST).expect("the request leaves");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("the answer comes");
    (stream, answer)
}

#[test]
fn answers_on_both_kinds_of_socket_and_remembers_the_request() {
    let handler = |request: &StubRequest, reply: &mut StubReply| {
        reply.json(200, &json!({ "got": request.json()["a"] }))?;
        reply.close();
        Ok(())
    };
    for stub in [StubServer::tcp(handler), StubServer::unix(handler)] {
        let (_, answer) = ask(&stub);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\n{\"got\":1}"), "{answer}");
        let requests = stub.requests();
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].method, "POST");
        assert_eq!(requests[0].path, "/completion");
        assert_eq!(requests[0].header("host"), Some("x"));
    }
}

#[test]
fn ends_at_an_exact_byte_in_mid_event() {
    let stub = StubServer::unix(|_, reply| {
        reply.stream()?;
        reply.event(&json!({ "content": "one" }))?;
        reply.raw(b"1b\r\ndata: {\"conte")?;
        reply.close();
        Ok(())
    });
    let (_, answer) = ask(&stub);
    assert!(answer.ends_with("1b\r\ndata: {\"conte"), "{answer}");
}

#[test]
fn keeps_a_connection_alive_and_closes_it_when_told() {
    let stub = StubServer::tcp(|_, reply| reply.json(200, &json!({})));
    let mut stream = Stream::connect(stub.address()).expect("the stub listens");
    for number in 1..=2 {
        stream.write_all(REQUEST).expect("the request leaves");
        until("an answered request", Duration::from_secs(5), || {
            (stub.requests().len() == number).then_some(())
        });
    }
    assert_eq!(stub.connections(), 1);
    stub.close_connections();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).expect("an orderly end");
    assert_eq!(rest.matches("HTTP/1.1 200").count(), 2);
}

#[test]
fn sees_the_client_go() {
    let (told, gone) = std::sync::mpsc::sync_channel(1);
    let stub = StubServer::unix(move |_, reply| {
        reply.stream()?;
        told.send(reply.client_gone_within(Duration::from_secs(5))?)
            .expect("the test waits");
        Ok(())
    });
    let mut stream = Stream::connect(stub.address()).expect("the stub listens");
    stream.write_all(REQUEST).expect("the request leaves");
    let mut first = [0; 12];
    stream.read_exact(&mut first).expect("the head comes");
    drop(stream);
    assert_eq!(gone.recv_timeout(Duration::from_secs(6)), Ok(true));
}
