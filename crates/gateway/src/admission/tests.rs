//! Requests that come, wait and go.

use super::*;
use llamatelemetry_settings::ByteSize;
use std::task::Poll;

fn admission(queue: usize) -> Admission {
    let folder = std::path::Path::new("/nowhere");
    let environment =
        llamatelemetry_settings::Environment::from_pairs([("LLAMATELEMETRY_HOME", folder)]);
    let flags = llamatelemetry_settings::Flags::default();
    let mut settings = llamatelemetry_settings::resolve(environment, &flags)
        .unwrap()
        .settings
        .serve;
    settings.queue = queue;
    settings.body_limit = ByteSize(10);
    settings.body_memory = ByteSize(15);
    settings.patience = Duration::from_millis(50);
    let admission = Admission::new(&settings);
    admission.set_slots("m", 1);
    admission
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn cost(tokens: usize) -> Cost<'static> {
    Cost {
        model: "m",
        work: Work::Slot,
        tokens: tokens as u64,
    }
}

/// Runs a future until it waits.
async fn begin<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

fn holder(id: u64) -> Principal {
    Principal::holder_of(Arc::new(Key::numbered(id, None, None)))
}

#[tokio::test]
async fn a_slot_goes_from_hand_to_hand() {
    let admission = admission(8);
    let anyone = Principal::anyone();
    let first = admission.enter(&anyone, cost(1), soon()).await.unwrap();
    let mut second = Box::pin(admission.enter(&anyone, cost(1), soon()));
    assert!(begin(second.as_mut()).await.is_none());
    // What takes no slot does not wait.
    let light = Cost {
        work: Work::Light,
        ..cost(1)
    };
    admission.enter(&anyone, light, soon()).await.unwrap();
    drop(first);
    let second = second.await.unwrap();
    let load = admission.loads()[0].1;
    assert_eq!((load.running, load.waiting), (1, 0));
    drop(second);
    assert_eq!(admission.loads()[0].1.running, 0);
}

#[tokio::test]
async fn who_goes_away_leaves_the_queue() {
    let admission = admission(8);
    let anyone = Principal::anyone();
    let first = admission.enter(&anyone, cost(1), soon()).await.unwrap();
    let mut gone = Box::pin(admission.enter(&anyone, cost(1), soon()));
    let mut called = Box::pin(admission.enter(&anyone, cost(1), soon()));
    assert!(begin(gone.as_mut()).await.is_none());
    assert!(begin(called.as_mut()).await.is_none());
    drop(gone);
    assert_eq!(admission.loads()[0].1.waiting, 1);
    drop(first);
    // Called, and gone before it heard: the slot is free again.
    drop(called);
    let load = admission.loads()[0].1;
    assert_eq!((load.running, load.waiting), (0, 0));
}

#[tokio::test]
async fn a_full_queue_refuses_and_so_does_a_deadline() {
    let admission = admission(1);
    let anyone = Principal::anyone();
    let _first = admission.enter(&anyone, cost(1), soon()).await.unwrap();
    let mut second = Box::pin(admission.enter(&anyone, cost(1), soon()));
    assert!(begin(second.as_mut()).await.is_none());
    let full = admission.enter(&anyone, cost(1), soon()).await.unwrap_err();
    assert_eq!(full.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(full.retry_after.is_some());
    drop(second);
    let late = admission.enter(&anyone, cost(1), Instant::now()).await;
    assert!(late.unwrap_err().message.contains("no slot"));
    assert_eq!(admission.loads()[0].1.waiting, 0);
}

#[tokio::test]
async fn one_key_cannot_fill_the_queue_for_others() {
    let admission = admission(3);
    let (greedy, modest) = (holder(1), holder(2));
    let first = admission.enter(&greedy, cost(1), soon()).await.unwrap();
    let mut waiting: Vec<_> = (0..3)
        .map(|_| Box::pin(admission.enter(&greedy, cost(1), soon())))
        .collect();
    for one in &mut waiting {
        assert!(begin(one.as_mut()).await.is_none());
    }
    let mut other = Box::pin(admission.enter(&modest, cost(1), soon()));
    assert!(begin(other.as_mut()).await.is_none());
    // The newest of the greedy one was sent away.
    let sent_away = waiting.pop().unwrap().await.unwrap_err();
    assert_eq!(sent_away.status, StatusCode::SERVICE_UNAVAILABLE);
    drop(first);
    // Both have taken nothing so far; the greedy one is further along the line.
    other.await.unwrap();
}

#[tokio::test]
async fn a_key_beyond_its_limit_is_told_when_to_come_again() {
    let admission = admission(8);
    let key = Arc::new(Key::numbered(1, Some(1), None));
    let principal = Principal::holder_of(key);
    admission.enter(&principal, cost(1), soon()).await.unwrap();
    let refused = admission.enter(&principal, cost(1), soon()).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let pause = refused.retry_after.unwrap();
    assert!(pause > Duration::from_secs(55) && pause <= Duration::from_secs(60));
}

#[tokio::test]
async fn bodies_have_limits_alone_and_together() {
    let admission = admission(8);
    let read = |size: usize| admission.read(Body::from(vec![b' '; size]), soon());
    assert_eq!(
        read(11).await.unwrap_err().status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let first = read(10).await.unwrap();
    let refused = read(10).await.unwrap_err();
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(admission.held_bytes(), 10);
    let kept = first.slice(3..);
    drop(first);
    assert_eq!(admission.held_bytes(), 10);
    drop(kept);
    assert_eq!(admission.held_bytes(), 0);
    read(10).await.unwrap();
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up() {
    let admission = admission(8);
    let refused = admission.read(Body::new(Silent), soon()).await.unwrap_err();
    assert_eq!(refused.status, StatusCode::REQUEST_TIMEOUT);
}

/// A body that never comes.
struct Silent;

impl http_body::Body for Silent {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        Poll::Pending
    }
}
