//! Many models behind one gateway.

use crate::letters::{
    Kept, add_model, ask, client, expected, models, question, settings, start, until,
};
use crate::wire;
use llamatelemetry_api::ApiError;
use llamatelemetry_record::{UnloadReason, WaitCause, What};
use llamatelemetry_settings::{ByteSize, KeepAlive};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const DRAIN: Duration = Duration::from_secs(10);

fn bytes(models: &[Value]) -> u64 {
    let measured = models
        .iter()
        .filter_map(|model| model["memory_bytes"].as_u64());
    measured.sum()
}

fn in_state(models: &[Value], state: &str) -> usize {
    models
        .iter()
        .filter(|model| model["state"] == state)
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_launch_serves_all_who_wait() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings();
    let name = add_model(&mut settings, folder.path(), 1);
    add_model(&mut settings, folder.path(), 2);
    let sink = Arc::new(Kept::default());
    let gateway = start(settings, &sink).await;
    let client = client(&gateway);
    assert_eq!(in_state(&models(&client).await, "unloaded"), 2);
    let mut asking = tokio::task::JoinSet::new();
    for letter in 'a'..='p' {
        let (client, name) = (client.clone(), name.clone());
        asking.spawn(async move {
            assert_eq!(ask(&client, &name, letter, 5).await, expected(1, letter, 5));
        });
    }
    while let Some(asked) = asking.join_next().await {
        asked.unwrap();
    }
    let now = models(&client).await;
    assert_eq!(
        (now[0]["state"].as_str(), in_state(&now, "ready")),
        (Some("ready"), 1)
    );
    assert_eq!(now[0]["status"]["value"], "loaded");
    assert!(
        now[0]["meta"]["n_params"].is_u64(),
        "the server's own entry"
    );
    let happenings = sink.happenings();
    let loads = happenings
        .iter()
        .filter(|what| matches!(what.what, What::ModelLoad { .. }));
    let loads: Vec<_> = loads.collect();
    assert_eq!(loads.len(), 1, "{happenings:#?}");
    // The load is part of the trace of the request that caused it, and known to all who waited.
    let records = sink.await_records(16).await;
    assert!(
        records
            .iter()
            .any(|record| record.trace_id == loads[0].trace_id)
    );
    let waited = records.iter().filter(|record| {
        record.waits.iter().any(|wait| {
            wait.cause == WaitCause::ModelLoad
                && wait
                    .span
                    .is_some_and(|span| span.span_id == loads[0].span_id)
        })
    });
    assert!(waited.count() > 1);
    gateway.drain(DRAIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_models_share_the_memory_of_two() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings();
    let names = [1, 2, 3].map(|places| add_model(&mut settings, folder.path(), places));
    // What one and two of them take here.
    let sink = Arc::new(Kept::default());
    let gateway = start(settings.clone(), &sink).await;
    let (one, two) = {
        let client = client(&gateway);
        ask(&client, &names[0], 'a', 1).await;
        until(&client, "the first one measured", |models| {
            bytes(models) > 0
        })
        .await;
        let one = bytes(&models(&client).await);
        ask(&client, &names[1], 'a', 1).await;
        until(&client, "the second one measured", |models| {
            models[1]["memory_bytes"].is_u64()
        })
        .await;
        (
            one,
            models(&client).await[1]["memory_bytes"].as_u64().unwrap(),
        )
    };
    gateway.drain(DRAIN).await;
    settings.serve.memory_budget = Some(ByteSize(one + two + two / 4));
    let gateway = start(settings, &sink).await;
    let before = 2;
    let client = client(&gateway);
    let mut asking = tokio::task::JoinSet::new();
    for asker in 0..6 {
        let (client, names) = (client.clone(), names.clone());
        asking.spawn(async move {
            for round in 0..6 {
                let places = (asker + round) % 3 + 1;
                let letter = char::from(b'a' + u8::try_from(asker * 4 + round).unwrap());
                let text = ask(&client, &names[places - 1], letter, 30).await;
                assert_eq!(text, expected(places, letter, 30), "model {places}");
            }
        });
    }
    while let Some(asked) = asking.join_next().await {
        asked.unwrap();
    }
    let now = models(&client).await;
    assert!(in_state(&now, "ready") <= 2, "{now:#?}");
    let happenings = sink.happenings();
    let unloads = happenings.iter().filter(|what| {
        matches!(
            what.what,
            What::ModelUnload {
                reason: UnloadReason::Room,
                freed_bytes: Some(_),
                ..
            }
        )
    });
    assert!(unloads.count() >= 1, "{happenings:#?}");
    let loads = happenings
        .iter()
        .filter(|what| matches!(what.what, What::ModelLoad { .. }));
    assert!(loads.count() >= 2 + 4, "one model at the least came twice");
    let records = sink.await_records(before + 36).await;
    assert!(records.iter().all(|record| record.failure.is_none()));
    gateway.drain(DRAIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_asks_is_unloaded_unless_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings();
    let names = [1, 2].map(|places| add_model(&mut settings, folder.path(), places));
    settings.serve.idle = KeepAlive::For(Duration::from_millis(300));
    let pinned = settings.serve.models.get_mut(&names[1]).unwrap();
    pinned.pin = true;
    pinned.preload = true;
    pinned.aliases = vec!["two".into()];
    let sink = Arc::new(Kept::default());
    let gateway = start(settings, &sink).await;
    let client = client(&gateway);
    assert_eq!(in_state(&models(&client).await, "ready"), 1, "preloaded");
    assert_eq!(ask(&client, "two", 'a', 3).await, expected(2, 'a', 3));
    ask(&client, &names[0], 'a', 3).await;
    until(&client, "the idle one unloaded", |models| {
        models[0]["state"] == "unloaded" && models[1]["state"] == "ready"
    })
    .await;
    let idle = sink.happenings().iter().any(|what| {
        matches!(
            &what.what,
            What::ModelUnload {
                reason: UnloadReason::Idle,
                ..
            }
        )
    });
    assert!(idle);
    // It comes back.
    assert_eq!(ask(&client, &names[0], 'x', 4).await, expected(1, 'x', 4));
    gateway.drain(DRAIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_the_requests() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings();
    let name = add_model(&mut settings, folder.path(), 1);
    settings.serve.models.get_mut(&name).unwrap().replicas = Some(2);
    let sink = Arc::new(Kept::default());
    let gateway = start(settings, &sink).await;
    let client = client(&gateway);
    let model = models(&client).await.remove(0);
    assert_eq!(model["pids"].as_array().unwrap().len(), 2);
    for letter in 'a'..='d' {
        let text = ask(&client, "any name", letter, 3).await;
        assert_eq!(text, expected(1, letter, 3));
    }
    let loads = sink.happenings().into_iter();
    let loads = loads.filter(|what| matches!(what.what, What::ModelLoad { .. }));
    assert_eq!(loads.count(), 2);
    gateway.drain(DRAIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_in_vain_is_told_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings();
    let name = add_model(&mut settings, folder.path(), 1);
    add_model(&mut settings, folder.path(), 2);
    let sink = Arc::new(Kept::default());
    let gateway = start(settings, &sink).await;
    let address = gateway.address();
    let body = question(&name, 'a', 1, false).to_string();
    // No model is loaded in so short a time.
    let refused = wire::send(
        address,
        &format!(
            "POST /v1/completions HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             X-Request-Timeout: 1ms\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    );
    assert_eq!(refused.status, 503, "{}", refused.body);
    let record = sink.await_records(1).await[0].clone();
    let waits: Vec<_> = record.waits.iter().map(|wait| wait.cause).collect();
    assert_eq!(waits, [WaitCause::ModelLoad]);
    assert!(record.waits[0].duration > Duration::ZERO);
    gateway.drain(DRAIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_nothing_that_is_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings();
    let name = add_model(&mut settings, folder.path(), 1);
    let broken = folder.path().join("broken.gguf");
    std::fs::write(&broken, b"GGUF and nothing else").unwrap();
    let model = llamatelemetry_settings::ServedModel {
        model: Some(broken.to_string_lossy().into_owned()),
        ..llamatelemetry_settings::ServedModel::default()
    };
    settings.serve.models.insert("broken".into(), model);
    let sink = Arc::new(Kept::default());
    let gateway = start(settings, &sink).await;
    let client = client(&gateway);
    let asked = |body: Value| {
        let client = client.clone();
        async move {
            let path = "/v1/completions";
            match client.call(http::Method::POST, path, Some(&body)).await {
                Err(ApiError::Refused {
                    status, complaint, ..
                }) => (status, complaint.message),
                other => panic!("{other:?}"),
            }
        }
    };
    let (status, message) = asked(json!({ "model": "other", "prompt": "a" })).await;
    assert_eq!(status, 404);
    assert!(message.contains(&name), "{message}");
    assert_eq!(asked(json!({ "prompt": "a" })).await.0, 400);
    let (status, message) = asked(json!({ "model": "broken", "prompt": "a" })).await;
    assert_eq!(status, 503);
    assert!(message.contains("broken"), "{message}");
    let entry = models(&client).await.remove(0);
    assert_eq!(
        (entry["id"].as_str(), entry["state"].as_str()),
        (Some("broken"), Some("failed"))
    );
    assert_eq!(entry["status"]["failed"], true);
    assert!(entry["reason"].is_string());
    gateway.drain(DRAIN).await;
}
