//! Streams that the server keeps.

use super::place::{PATIENCE, Place, alphabet, refusal};
use llamatelemetry_api::{Completion, CompletionRequest, Endpoints as _, Generation};
use llamatelemetry_testbed::until;

/// What the alphabet's model continues at length.
fn long(tokens: u64) -> CompletionRequest {
    CompletionRequest {
        prompt: "abc".into(),
        max_tokens: Some(tokens),
        temperature: Some(0.0),
        generation: Generation {
            ignore_eos: Some(true),
            ..Generation::default()
        },
        ..CompletionRequest::default()
    }
}

fn text(events: impl IntoIterator<Item = Completion>) -> String {
    events.into_iter().map(|event| event.content).collect()
}

/// Begins an answer, drops it after a few events, and waits until the server has made all of it.
fn dropped(server: &Place, conversation: &str) {
    let client = server.in_conversation(conversation);
    let mut stream = client.completion_events(&long(60)).unwrap();
    stream.next().unwrap().unwrap();
    drop(stream);
    until("the whole answer", PATIENCE, || {
        let kept = server.streams(&[conversation]).unwrap();
        kept[0].is_done.then_some(())
    });
}

#[test]
fn resume() {
    let server = alphabet(&[]);
    dropped(&server, "letters/1");
    let whole = server.completion(&long(60)).unwrap().remove(0).content;
    let replay = server.resume::<Completion>("letters/1", 0).unwrap();
    assert_eq!(text(replay.map(Result::unwrap)), whole);
    // From anywhere on: the client's own place after the first event.
    let bytes = server.streams(&["letters/1"]).unwrap()[0].total_bytes;
    assert_eq!(
        server
            .resume::<Completion>("letters/1", bytes)
            .unwrap()
            .count(),
        1
    );
    assert_eq!(refusal(server.resume::<Completion>("nobody", 0)).0, 404);
}

/// A connection that breaks in the middle: the stream goes on where it broke.
#[test]
fn resume_cut() {
    let server = alphabet(&[]);
    let client = server.in_conversation("letters/2");
    let mut stream = client.completion_events(&long(60)).unwrap();
    let mut seen: Vec<_> = stream.by_ref().take(3).map(Result::unwrap).collect();
    stream.resume(&client, "letters/2").unwrap();
    seen.extend(stream.by_ref().map(Result::unwrap));
    let whole = server.completion(&long(60)).unwrap().remove(0).content;
    assert_eq!(text(seen), whole);
    assert_eq!(stream.observed().usage.completion_tokens, Some(60));

    // A replay that is dropped leaves the answer to its maker.
    let mut replay = server.resume::<Completion>("letters/2", 0).unwrap();
    replay.next().unwrap().unwrap();
    drop(replay);
    server.until_idle();
    assert!(server.streams(&["letters/2"]).unwrap()[0].is_done);
}

#[test]
fn streams() {
    let server = alphabet(&[]);
    assert_eq!(server.streams(&["letters/3"]).unwrap(), []);
    dropped(&server, "letters/3");
    let kept = server.streams(&["letters/3", "nobody"]).unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].conversation_id, "letters/3");
    assert!(kept[0].total_bytes > 0 && kept[0].completed_at >= kept[0].started_at);
}

#[test]
fn stop_stream() {
    let server = alphabet(&[]);
    let client = server.in_conversation("letters/4");
    let mut stream = client.completion_events(&long(1900)).unwrap();
    stream.next().unwrap().unwrap();
    drop(stream);
    assert!(
        server.is_busy(),
        "kept streams are worked on after they are dropped"
    );
    server.stop_stream("letters/4").unwrap();
    server.until_idle();
    assert_eq!(server.streams(&["letters/4"]).unwrap(), []);
    server.stop_stream("letters/4").unwrap();
}
