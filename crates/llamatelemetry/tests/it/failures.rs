//! What a bad day looks like.

use crate::{engine, engine_with, greedy, kill_server, run};
use llamatelemetry::{ChatMessage, ErrorKind, FinishReason, GenerateOptions};
use std::time::Duration;

#[test]
fn a_killed_server_is_an_error_that_shows_its_last_lines() {
    run(async {
        let (engine, kept) = engine().await;
        let options = GenerateOptions {
            max_tokens: Some(4000),
            ..GenerateOptions::default()
        };
        let mut stream = engine
            .stream("Count to a million: 1, 2,", &options)
            .await
            .unwrap();
        stream.next().await.unwrap().expect("the answer begins");
        kill_server(&engine).await;
        let error = loop {
            match stream.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the answer cannot be whole"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Server);
        assert!(error.to_string().contains("killed"), "{error}");
        assert!(!error.server_log().is_empty());
        let failure = kept.records()[0]
            .failure
            .clone()
            .expect("the record says that it failed");
        assert_eq!(failure.kind, "server_killed");
        let unfinished = stream.finish().await.unwrap_err();
        assert_eq!(
            unfinished.kind(),
            ErrorKind::Request,
            "half an answer is no result"
        );
        assert_eq!(kept.records().len(), 1, "a request leaves one record");
        let again = engine.infer("One, two,", &greedy(2)).await.unwrap();
        assert_eq!(again.usage.completion_tokens, Some(2), "the server is back");
        assert_eq!(engine.server().restarts(), 1);
        engine.unload().await;
    });
}

#[test]
fn a_refused_request_keeps_the_servers_words() {
    run(async {
        let (engine, kept) = engine().await;
        let mut options = GenerateOptions::default();
        options
            .extra
            .insert("grammar".into(), "this is no grammar".into());
        let question = [ChatMessage::user("hi")];
        let error = engine.chat(&question, &options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Request);
        assert!(error.to_string().contains("with 400: "), "{error}");
        assert!(kept.records()[0].failure.is_some());
        engine.unload().await;
    });
}

#[test]
fn a_request_given_up_while_it_waits_for_a_slot_leaves_a_record() {
    run(async {
        let (engine, kept) = engine_with(|settings| settings.server.parallel = Some(1)).await;
        let mut first = engine.stream("Count: 1, 2,", &greedy(4000)).await.unwrap();
        first
            .next()
            .await
            .unwrap()
            .expect("the only slot is at work");
        let options = greedy(4);
        let second = engine.stream("One, two,", &options);
        let waited = tokio::time::timeout(Duration::from_millis(50), second).await;
        assert!(waited.is_err(), "there is no slot for it");
        let record = kept.records()[0].clone();
        assert_eq!(record.finish_reason, Some(FinishReason::Cancelled));
        assert_eq!((record.phases.queue, record.phases.decode), (None, None));
        assert!(record.phases.total >= Duration::from_millis(50));
        drop(first);
        engine.unload().await;
    });
}
