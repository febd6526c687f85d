//! What a request had to wait for, and what became of those that ran when the server died.

use crate::{Kept, engine, engine_of, greedy, kill_server, run};
use llamatelemetry::InferenceEngine;
use llamatelemetry_record::{Happening, MarkKind, RequestRecord, TraceContext, WaitCause, What};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A restart's happening and the load's, found by their spans.
fn restart_and_load(kept: &Kept, record: &RequestRecord) -> (Happening, Happening) {
    let happening = |span: Option<TraceContext>| {
        let span = span.expect("a wait names its span");
        let mut happenings = kept.happenings().into_iter();
        happenings
            .find(|happening| happening.span_id == span.span_id)
            .expect("what was waited for has happened")
    };
    (
        happening(record.waits[0].span),
        happening(record.waits[1].span),
    )
}

/// Asks a server that has just been killed; returns the record and the caller's wall time.
async fn ask_after_a_kill(engine: &InferenceEngine, kept: &Kept) -> (Arc<RequestRecord>, Duration) {
    let live = engine.server().live().await.unwrap();
    kill_server(engine).await;
    live.process()
        .wait_exit(Duration::from_secs(10))
        .expect("it is dead");
    let called = Instant::now();
    let mut stream = engine.stream("One, two,", &greedy(4)).await.unwrap();
    while stream.next().await.unwrap().is_some() {}
    let wall = called.elapsed();
    stream.finish().await.unwrap();
    (kept.records().last().unwrap().clone(), wall)
}

#[test]
fn a_request_that_waits_for_a_restart_says_so() {
    run(async {
        let (engine, kept) = engine().await;
        let mut seen = Vec::new();
        // A busy machine delays what is seen here: one answer whose times agree shows that they do.
        let agreed = loop {
            let (record, wall) = ask_after_a_kill(&engine, &kept).await;
            let causes: Vec<WaitCause> = record.waits.iter().map(|wait| wait.cause).collect();
            assert_eq!(causes, [WaitCause::Restart, WaitCause::ModelLoad]);
            let exit = record.waits[0].exit.clone().expect("how it ended");
            assert_eq!((exit.class.as_str(), exit.signal), ("killed", Some(9)));
            assert!(!exit.log_tail.is_empty());
            let ends = record.waits[0].started_at + record.waits[0].duration;
            assert_eq!(ends, record.waits[1].started_at, "without a gap");
            let ends = ends + record.waits[1].duration;
            assert_eq!(ends, record.started_at, "without a gap");
            let phases = record.phases;
            let sum = phases.queue.unwrap() + phases.prefill.unwrap() + phases.decode.unwrap();
            assert_eq!(sum, phases.total);
            let waited: Duration = record.waits.iter().map(|wait| wait.duration).sum();
            assert!(waited > Duration::from_millis(100), "{waited:?}");
            assert!(
                phases.ttft().unwrap() + waited < wall,
                "waits are not in it"
            );
            println!("wall {wall:?}, waits {waited:?}, phases {sum:?}");
            if wall.abs_diff(waited + sum) <= Duration::from_millis(1) {
                break record;
            }
            seen.push((wall, waited, sum));
            assert!(seen.len() < 4, "{seen:?}");
        };
        let (restart, load) = restart_and_load(&kept, &agreed);
        let restarts = engine.server().restarts();
        let What::Restart {
            exit,
            restarts: told,
            ..
        } = &restart.what
        else {
            panic!("{restart:?}");
        };
        assert_eq!((exit.signal, *told), (Some(9), restarts));
        let What::ModelLoad {
            quantization,
            model,
            ..
        } = &load.what
        else {
            panic!("{load:?}");
        };
        assert_eq!(
            (model.as_str(), quantization.as_deref()),
            ("smollm2", Some("Q4_1"))
        );
        assert_eq!(
            load.parent.map(|parent| parent.span_id),
            Some(restart.span_id)
        );
        let end = |happening: &Happening| happening.started_at + happening.duration;
        assert_eq!(
            end(&restart),
            end(&load),
            "the load is a part of the restart"
        );
        let first = &kept.happenings()[0];
        assert!(matches!(first.what, What::ModelLoad { .. }), "{first:?}");
        assert_eq!(first.failure, None);
        engine.unload().await;
    });
}

#[test]
fn a_request_cut_off_by_the_servers_death_keeps_what_was_seen() {
    run(async {
        let (engine, kept) = engine().await;
        let mut stream = engine.stream("Count: 1, 2,", &greedy(4000)).await.unwrap();
        for _ in 0..3 {
            stream.next().await.unwrap().expect("the answer begins");
        }
        let request = stream.trace_context();
        kill_server(&engine).await;
        let error = loop {
            match stream.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the answer cannot be whole"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.trace_context(), Some(request));
        let record = kept.records()[0].clone();
        assert_eq!(record.failure.as_ref().unwrap().kind, "server_killed");
        assert!(record.deltas >= 3);
        assert!(
            record.usage.completion_tokens >= Some(3),
            "{:?}",
            record.usage
        );
        let ended = record.marks.last().expect("a mark of the end");
        let MarkKind::ServerEnded(exit) = &ended.kind else {
            panic!("{ended:?}");
        };
        assert_eq!(exit.signal, Some(9));
        assert!((1..=10).contains(&exit.log_tail.len()));
        engine.infer("One, two,", &greedy(1)).await.unwrap();
        let links: Vec<TraceContext> = kept
            .happenings()
            .into_iter()
            .filter(|happening| matches!(happening.what, What::Restart { .. }))
            .flat_map(|happening| happening.links)
            .collect();
        assert_eq!(links, [request], "the restart names what it cut off");
        engine.unload().await;
    });
}

#[test]
fn a_server_that_cannot_come_back_fails_requests_with_the_reason() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        std::fs::copy(llamatelemetry_testbed::smollm2().path, &path).unwrap();
        let (engine, kept) = engine_of(&path.display().to_string(), |_| ()).await;
        // A file of another kind takes the model's place; the old one stays mapped.
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "no model").unwrap();
        let process = engine.server().live().await.unwrap().process().clone();
        kill_server(&engine).await;
        process
            .wait_exit(Duration::from_secs(10))
            .expect("it is dead");
        let error = engine.infer("One,", &greedy(1)).await.unwrap_err();
        assert!(error.trace_context().is_some());
        let record = kept.records()[0].clone();
        assert_eq!(record.failure.as_ref().unwrap().kind, "server_bad_model");
        assert_eq!(record.phases.queue, None, "it was never sent");
        let [wait] = &record.waits[..] else {
            panic!("{:?}", record.waits);
        };
        assert_eq!(wait.cause, WaitCause::Restart);
        assert_eq!(wait.exit.as_ref().unwrap().signal, Some(9));
        let restart = kept.happenings().pop().unwrap();
        assert!(matches!(restart.what, What::Restart { .. }), "{restart:?}");
        assert_eq!(restart.failure.unwrap().kind, "server_bad_model");
        assert_eq!(wait.span.map(|span| span.span_id), Some(restart.span_id));
        engine.unload().await;
    });
}
