use super::*;

const LIMIT: Duration = Duration::from_secs(10);

fn slots(busy: bool, evaluated: u64, generated: u64) -> Vec<SlotState> {
    vec![SlotState {
        busy,
        task: Some(1),
        evaluated: Some(evaluated),
        generated: Some(generated),
    }]
}

/// Looks every two seconds, for a minute, at what `seen` gives for the number of the look. Returns
/// the second of the verdict.
fn stalled_after(seen: impl Fn(u64) -> Seen) -> Option<u64> {
    let start = Instant::now();
    let mut watch = Watch::new(LIMIT);
    (1..=30).find_map(|look| {
        let now = start + Duration::from_secs(2 * look);
        let verdict = watch.look(now, start, &seen(look));
        (verdict == Verdict::Stalled).then_some(2 * look)
    })
}

fn idle(slots: impl Into<Option<Vec<SlotState>>>) -> Seen {
    Seen {
        slots: slots.into(),
        processor_time: Some(Duration::from_secs(7)),
    }
}

#[test]
fn a_server_that_answers_nothing_and_computes_nothing_is_stalled() {
    assert_eq!(stalled_after(|_| idle(None)), Some(10));
    // Where processor time is not known either, as well.
    assert_eq!(stalled_after(|_| Seen::default()), Some(10));
}

#[test]
fn a_slot_that_does_not_move_is_stalled() {
    // The first look only shows where it is.
    assert_eq!(stalled_after(|_| idle(slots(true, 5, 0))), Some(12));
}

#[test]
fn a_long_prompt_is_progress() {
    assert_eq!(stalled_after(|look| idle(slots(true, look * 512, 0))), None);
    assert_eq!(stalled_after(|look| idle(slots(true, 5, look))), None);
}

#[test]
fn a_long_batch_has_longer() {
    let computing = |look: u64| Seen {
        slots: None,
        processor_time: Some(Duration::from_secs(2 * look)),
    };
    assert_eq!(stalled_after(computing), Some(50));
}

#[test]
fn a_server_without_work_that_answers_is_fine() {
    assert_eq!(stalled_after(|_| idle(slots(false, 5, 5))), None);
}

#[test]
fn what_a_slot_tells_is_read() {
    let slot: Slot = serde_json::from_value(serde_json::json!({
        "id": 0, "n_ctx": 1024, "is_processing": true, "id_task": 3,
        "n_prompt_tokens_processed": 17,
        "next_token": [{ "n_decoded": 4 }],
    }))
    .unwrap();
    let state = SlotState::of(&slot);
    assert_eq!(state.evaluated, Some(17));
    assert_eq!(state.generated, Some(4));
    assert_eq!((state.busy, state.task), (true, Some(3)));
}
