//! Streams as llama-server writes them, cut anywhere.

use llamatelemetry_record::{
    Delivery, Endpoint, FinishReason, Observed, PhaseClock, Phases, StreamScanner, TimingSource,
    Usage,
};
use proptest::prelude::*;
use std::time::{Duration, Instant};

const TIMINGS: &str = r#""timings":{"cache_n":3,"prompt_n":7,"prompt_ms":12.5,"prompt_per_token_ms":1.7,"prompt_per_second":560.0,"predicted_n":4,"predicted_ms":30.25,"predicted_per_token_ms":10.0,"predicted_per_second":99.0,"draft_n":6,"draft_n_accepted":2}"#;

fn chat() -> String {
    let event = |rest: &str| {
        format!(
            "data: {{\"choices\":[{rest}],\"created\":1,\"id\":\"chatcmpl-1\",\"model\":\"m\",\"object\":\"chat.completion.chunk\"}}\n\n"
        )
    };
    let delta = |delta: &str| {
        event(&format!(
            r#"{{"finish_reason":null,"index":0,"delta":{delta}}}"#
        ))
    };
    [
        ":\n\n",
        &delta(r#"{"role":"assistant","content":null}"#),
        &delta(r#"{"reasoning_content":"h\u00e9"}"#),
        &delta(r#"{"content":""}"#),
        &delta(r#"{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}"#),
        ":\n\n",
        &event(r#"{"finish_reason":"tool_calls","index":0,"delta":{}}"#),
        &format!("data: {{\"choices\":[],\"id\":\"chatcmpl-1\",\"model\":\"m\",\"usage\":{{\"completion_tokens\":4,\"prompt_tokens\":10,\"total_tokens\":14,\"prompt_tokens_details\":{{\"cached_tokens\":3}}}},{TIMINGS}}}\n\n"),
        "data: [DONE]\n\n",
    ]
    .concat()
}

fn responses() -> String {
    [
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"in_progress\"}}\n\n",
        "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"item\":{\"content\":[],\"id\":\"m\",\"role\":\"assistant\",\"type\":\"message\"}}\n\n",
        "event: response.content_part.added\ndata: {\"type\":\"response.content_part.added\",\"part\":{\"type\":\"output_text\",\"text\":\"\"}}\n\n",
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":\"m\",\"delta\":\"Hi\"}\n\n",
        "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"item\":{\"id\":\"fc_1\",\"arguments\":\"\",\"name\":\"f\",\"type\":\"function_call\"}}\n\n",
        "event: response.output_text.done\ndata: {\"type\":\"response.output_text.done\",\"text\":\"Hi\"}\n\n",
        &format!("event: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":{{\"id\":\"resp_1\",\"status\":\"completed\",\"model\":\"m\",\"output\":[],\"usage\":{{\"input_tokens\":10,\"output_tokens\":4,\"total_tokens\":14,\"input_tokens_details\":{{\"cached_tokens\":3}}}}}},{TIMINGS}}}\n\n"),
    ]
    .concat()
}

fn messages() -> String {
    [
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"chatcmpl-1\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"model\":\"m\",\"stop_reason\":null,\"usage\":{\"cache_read_input_tokens\":3,\"input_tokens\":7,\"output_tokens\":0}}}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"\"}}\n\n",
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":4}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    ]
    .concat()
}

fn native() -> String {
    [
        "data: {\"index\":0,\"content\":\"\",\"tokens\":[9],\"stop\":false,\"id_slot\":-1,\"tokens_predicted\":1,\"tokens_evaluated\":10}\n\n",
        "data: {\"index\":0,\"content\":\" a\",\"tokens\":[9],\"stop\":false,\"id_slot\":-1,\"tokens_predicted\":2,\"tokens_evaluated\":10}\n\n",
        &format!("data: {{\"index\":0,\"content\":\"\",\"tokens\":[],\"id_slot\":2,\"stop\":true,\"model\":\"m\",\"tokens_predicted\":4,\"tokens_evaluated\":10,\"prompt\":\"\\\"stop\\\":false\",\"stop_type\":\"limit\",\"tokens_cached\":13,{TIMINGS}}}\n\n"),
    ]
    .concat()
}

fn streams() -> [(Endpoint, String); 4] {
    [
        (Endpoint::ChatCompletions, chat()),
        (Endpoint::Responses, responses()),
        (Endpoint::Messages, messages()),
        (Endpoint::NativeCompletion, native()),
    ]
}

/// A stream whose pieces arrive one millisecond apart.
fn scan(endpoint: Endpoint, pieces: &[&[u8]]) -> Observed {
    let clock = PhaseClock::start();
    let mut at = clock.sent();
    let mut scanner = StreamScanner::new(endpoint, clock);
    let tick = Duration::from_millis(1);
    at += tick;
    scanner.headers(200, Delivery::Streamed, at);
    for piece in pieces {
        at += tick;
        scanner.push(piece, at);
    }
    scanner.finish(at + tick)
}

/// One event a piece, so that it shows which event counts.
fn by_event(stream: &str) -> Vec<&[u8]> {
    stream.split_inclusive("\n\n").map(str::as_bytes).collect()
}

fn phases(prefill: u64, decode: u64) -> Phases {
    let milliseconds = |time| Some(Duration::from_millis(time));
    Phases {
        queue: milliseconds(1),
        prefill: milliseconds(prefill),
        decode: milliseconds(decode),
        total: Duration::from_millis(1 + prefill + decode),
        source: TimingSource::Stream,
    }
}

#[test]
fn deltas_are_what_carries_something_and_what_ends_it() {
    let seen = streams().map(|(endpoint, stream)| scan(endpoint, &by_event(&stream)));
    for observed in &seen {
        assert!(observed.complete, "{observed:?}");
        assert_eq!(observed.model.as_deref(), Some("m"));
        assert_eq!(
            observed.usage,
            Usage {
                prompt_tokens: Some(10),
                cached_tokens: Some(3),
                completion_tokens: Some(4),
                reasoning_tokens: None,
            }
        );
    }
    let [chat, responses, messages, native] = &seen;
    // The role, pings, empty texts and what follows the finish are no deltas.
    assert_eq!(chat.phases, phases(3, 4));
    assert_eq!(chat.finish_reason, Some(FinishReason::ToolCalls));
    assert_eq!(responses.phases, phases(4, 3));
    assert_eq!(responses.finish_reason, None);
    assert_eq!(messages.phases, phases(3, 4));
    assert_eq!(messages.finish_reason, Some(FinishReason::ToolCalls));
    assert_eq!(native.phases, phases(2, 1));
    assert_eq!(native.finish_reason, Some(FinishReason::Length));
    assert_eq!(native.slot, Some(2));
    let timings = native.timings.expect("timings");
    assert_eq!(timings.prefill(), Some(Duration::from_micros(12_500)));
    assert_eq!(
        (timings.draft_n, timings.draft_n_accepted),
        (Some(6), Some(2))
    );
}

#[test]
fn an_error_in_mid_stream_ends_the_request() {
    let cases = [
        (
            Endpoint::ChatCompletions,
            chat(),
            r#"data: {"error":{"code":500,"message":"out of \"room\"","type":"server_error"}}"#,
        ),
        (
            Endpoint::Responses,
            responses(),
            r#"data: {"error":{"code":500,"message":"out of \"room\"","type":"server_error"}}"#,
        ),
        (
            Endpoint::NativeCompletion,
            native(),
            r#"data: {"error":{"code":500,"message":"out of \"room\"","type":"server_error"}}"#,
        ),
        (
            Endpoint::Messages,
            messages(),
            "event: error\ndata: {\"code\":500,\"message\":\"out of \\\"room\\\"\",\"type\":\"server_error\"}",
        ),
    ];
    for (endpoint, stream, error) in cases {
        let error = format!("{error}\n\n");
        let mut pieces = by_event(&stream);
        pieces.truncate(pieces.len() - 2);
        if endpoint == Endpoint::ChatCompletions {
            pieces.pop();
        }
        pieces.push(error.as_bytes());
        let observed = scan(endpoint, &pieces);
        let failure = observed.error.expect("an error");
        assert_eq!(failure.kind, "server_error");
        assert_eq!(failure.message, "out of \"room\"");
        assert!(!observed.complete);
        // To the failure, not to the last delta before it.
        let arrived = 1 + u64::try_from(pieces.len()).unwrap();
        assert_eq!(
            observed.phases.total,
            Duration::from_millis(arrived),
            "{endpoint:?}"
        );
    }
}

#[test]
fn a_stream_that_is_cut_off_shows_what_was_seen() {
    let stream = chat();
    let pieces = by_event(&stream);
    let observed = scan(Endpoint::ChatCompletions, &pieces[..5]);
    assert!(!observed.complete);
    assert_eq!(observed.error, None);
    assert_eq!(observed.finish_reason, None);
    assert_eq!(observed.phases.prefill, Some(Duration::from_millis(3)));
    assert_eq!(observed.phases.decode, Some(Duration::from_millis(2)));
    assert_eq!(observed.phases.total, Duration::from_millis(7));
    let nothing = scan(Endpoint::ChatCompletions, &pieces[..2]);
    assert_eq!(nothing.phases.queue, Some(Duration::from_millis(1)));
    assert_eq!(nothing.phases.prefill, None);
}

#[test]
fn several_generations_have_no_common_phases() {
    let body = format!(
        "[{0},{0}]",
        r#"{"content":"a","stop":true,"id_slot":1,"stop_type":"eos","tokens_predicted":2,"tokens_evaluated":5,"timings":{"cache_n":1,"prompt_n":4,"prompt_ms":1.0,"predicted_n":2,"predicted_ms":1.0}}"#
    );
    let clock = PhaseClock::start();
    let now = Instant::now();
    let mut scanner = StreamScanner::new(Endpoint::NativeCompletion, clock);
    scanner.headers(200, Delivery::Whole, now);
    scanner.push(body.as_bytes(), now);
    let observed = scanner.finish(now);
    assert!(observed.complete);
    assert_eq!(observed.phases.source, TimingSource::Wall);
    assert_eq!((observed.slot, observed.timings), (None, None));
    assert_eq!(observed.usage.prompt_tokens, Some(10));
    assert_eq!(observed.usage.cached_tokens, Some(2));
}

#[test]
fn a_reranking_tells_its_tokens() {
    let body = br#"{"model":"m","object":"list","usage":{"prompt_tokens":21,"total_tokens":21},"results":[{"index":0,"relevance_score":0.5}]}"#;
    let clock = PhaseClock::start();
    let now = Instant::now();
    let mut scanner = StreamScanner::new(Endpoint::Rerank, clock);
    scanner.headers(200, Delivery::Whole, now);
    scanner.push(body, now);
    let observed = scanner.finish(now);
    assert!(observed.complete);
    assert_eq!(observed.usage.prompt_tokens, Some(21));
    assert_eq!(observed.phases.source, TimingSource::Wall);
}

proptest! {
    #[test]
    fn what_is_seen_does_not_depend_on_where_the_bytes_are_cut(
        which in 0_usize..4,
        cuts in proptest::collection::vec(0_usize..4000, 0..12),
    ) {
        let (endpoint, stream) = &streams()[which];
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % stream.len()).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> =
            cuts.windows(2).map(|pair| &stream.as_bytes()[pair[0]..pair[1]]).collect();
        let whole = scan(*endpoint, &[stream.as_bytes()]);
        let cut = scan(*endpoint, &pieces);
        prop_assert_eq!(cut.usage, whole.usage);
        prop_assert_eq!(cut.timings, whole.timings);
        prop_assert_eq!(cut.finish_reason, whole.finish_reason);
        prop_assert_eq!(cut.response_id, whole.response_id);
        prop_assert_eq!(cut.slot, whole.slot);
        prop_assert!(cut.complete);
    }

    #[test]
    fn bytes_of_any_kind_do_no_harm(
        which in 0_usize..7,
        streamed: bool,
        status in prop_oneof![Just(200_u16), Just(500)],
        pieces in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..40),
                "data: [\\{\\[\"a-z:,0-9\\}\\]]{0,40}\n\n".prop_map(String::into_bytes),
            ],
            0..8,
        ),
    ) {
        let endpoint = [
            Endpoint::ChatCompletions,
            Endpoint::Completions,
            Endpoint::NativeCompletion,
            Endpoint::Responses,
            Endpoint::Messages,
            Endpoint::Embeddings,
            Endpoint::Rerank,
        ][which];
        let now = Instant::now();
        let mut scanner = StreamScanner::new(endpoint, PhaseClock::start());
        let delivery = if streamed { Delivery::Streamed } else { Delivery::Whole };
        scanner.headers(status, delivery, now);
        for piece in &pieces {
            scanner.push(piece, now);
        }
        let observed = scanner.finish(now);
        prop_assert!(!(observed.complete && observed.error.is_some()));
    }
}
