use super::*;
use llamatelemetry_record::{Severity, TraceId};
use std::time::SystemTime;

const PID: u32 = 7;

fn request(id: u8) -> TraceContext {
    TraceContext {
        trace_id: TraceId([id; 16]),
        span_id: SpanId([id; 8]),
        sampled: true,
    }
}

/// A clock of a request whose headers and first delta came so many milliseconds after it was sent.
fn clock(headers: u64, first_delta: u64) -> PhaseClock {
    let mut clock = PhaseClock::start();
    let sent = clock.sent();
    clock.headers(sent + Duration::from_millis(headers));
    clock.delta(sent + Duration::from_millis(first_delta));
    clock
}

/// The spans of the lines that come out when this line arrives, written so many milliseconds after
/// the request was sent.
fn says(tasks: &Tasks, clock: &PhaseClock, after: u64, text: &str) -> Vec<Option<SpanId>> {
    let line = LoggedLine {
        at: SystemTime::UNIX_EPOCH,
        severity: Severity::Info,
        source: "llama_server".into(),
        text: text.to_owned(),
        context: None,
        fields: Vec::new(),
    };
    let at = clock.sent() + Duration::from_millis(after);
    spans(tasks.logged(PID, at, text, line))
}

fn spans(lines: Vec<LoggedLine>) -> Vec<Option<SpanId>> {
    let span = |line: LoggedLine| line.context.map(|context| context.span_id);
    lines.into_iter().map(span).collect()
}

fn launch(slot: u32, task: i64) -> String {
    format!("slot launch_slot_: id  {slot} | task {task} | processing task, is_child = 0")
}

fn ends(tasks: &Tasks, of: TraceContext, clock: &PhaseClock, slot: Option<u32>) -> Told {
    tasks.end(of.span_id, clock, slot, Moment::now()).0
}

#[test]
fn lines_wait_until_their_request_is_known() {
    let (tasks, of) = (Tasks::default(), request(1));
    let clock = clock(5, 20);
    tasks.begin(PID, of);
    let idle = "srv  update_slots: all slots are idle";
    assert_eq!(
        says(&tasks, &clock, 1, idle),
        [None],
        "no line of a task waits for nobody"
    );
    assert!(says(&tasks, &clock, 5, &launch(2, 9)).is_empty());
    let shift = "slot operator(): id  2 | task 9 | slot context shift, n_discard = 3";
    assert!(says(&tasks, &clock, 9, shift).is_empty());
    let known = Some(of.span_id);
    assert_eq!(spans(tasks.first_delta(of.span_id, &clock)), [known, known]);
    let told = ends(&tasks, of, &clock, None);
    assert_eq!(told.slot, Some(2));
    let kinds: Vec<_> = told.marks.into_iter().map(|mark| mark.kind).collect();
    let shifted = MarkKind::ContextShift { discarded: Some(3) };
    assert_eq!(kinds, [MarkKind::SlotAcquired { slot: 2 }, shifted]);
    let last = "slot release: id  2 | task 9 | stop processing: n_tokens = 3, truncated = 0";
    assert_eq!(
        says(&tasks, &clock, 30, last),
        [known],
        "also after its end"
    );
}

#[test]
fn of_two_launches_the_one_beside_the_headers_counts() {
    let (tasks, of) = (Tasks::default(), request(1));
    let clock = clock(50, 60);
    tasks.begin(PID, of);
    says(&tasks, &clock, 10, &launch(0, 1));
    says(&tasks, &clock, 49, &launch(1, 2));
    assert_eq!(ends(&tasks, of, &clock, None).slot, Some(1));
}

#[test]
fn a_doubt_is_left_a_doubt() {
    let (tasks, of) = (Tasks::default(), request(1));
    let clock = clock(50, 60);
    tasks.begin(PID, of);
    assert!(says(&tasks, &clock, 49, &launch(0, 1)).is_empty());
    assert!(says(&tasks, &clock, 50, &launch(1, 2)).is_empty());
    assert!(tasks.first_delta(of.span_id, &clock).is_empty());
    let (told, lines) = tasks.end(of.span_id, &clock, None, Moment::now());
    assert_eq!((told.slot, told.marks.len()), (None, 0));
    assert_eq!(spans(lines), [None, None]);
}

#[test]
fn the_answers_own_slot_settles_it() {
    let (tasks, of) = (Tasks::default(), request(1));
    let clock = clock(50, 60);
    tasks.begin(PID, of);
    says(&tasks, &clock, 49, &launch(0, 1));
    says(&tasks, &clock, 50, &launch(1, 2));
    assert_eq!(ends(&tasks, of, &clock, Some(1)).slot, Some(1));

    // The only launch that was told so far was not its own.
    let of = request(2);
    tasks.begin(PID, of);
    let clock = self::clock(5, 9);
    says(&tasks, &clock, 5, &launch(0, 3));
    tasks.first_delta(of.span_id, &clock);
    let told = ends(&tasks, of, &clock, Some(1));
    assert_eq!((told.slot, told.marks.len()), (None, 0));
}

#[test]
fn a_launch_that_is_told_too_late_still_names_the_lines() {
    let (tasks, of) = (Tasks::default(), request(1));
    let clock = clock(5, 20);
    tasks.begin(PID, of);
    tasks.first_delta(of.span_id, &clock);
    assert_eq!(ends(&tasks, of, &clock, Some(0)).slot, None);
    assert_eq!(says(&tasks, &clock, 5, &launch(0, 4)), [Some(of.span_id)]);
}

#[test]
fn runs_are_told_apart_and_what_is_kept_is_bounded() {
    let (tasks, of) = (Tasks::default(), request(1));
    let clock = clock(5, 20);
    tasks.begin(PID + 1, of);
    assert_eq!(
        says(&tasks, &clock, 5, &launch(0, 1)),
        [None],
        "another run's"
    );
    assert_eq!(tasks.run_ended(PID), []);
    assert_eq!(tasks.run_ended(PID + 1), [of]);
    tasks.begin(PID, request(2));
    let out: usize = (0..2000)
        .map(|task| says(&tasks, &clock, 5, &launch(0, task)).len())
        .sum();
    assert_eq!(out, 2000 - LINES_HELD);
    assert_eq!(tasks.lock().launches.len(), LAUNCHES_KEPT);
}
