//! What is printed.

use crate::sample::{chat, content, milliseconds, settings};
use insta::assert_snapshot;
use llamatelemetry_record::{
    Failure, Phases, RequestRecord, Sink as _, SpanId, TimingSource, TraceContext, Usage,
};
use llamatelemetry_telemetry::{ResourceFacts, Telemetry};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A console that remembers.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Screen {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("UTF-8")
    }
}

fn printed(record: RequestRecord) -> String {
    let (_home, mut settings) = settings(&[]);
    settings.telemetry.console = true;
    let screen = Screen::default();
    let telemetry = Telemetry::setup(
        &settings,
        ResourceFacts::default(),
        Some(Box::new(screen.clone())),
    )
    .expect("set up");
    telemetry.record(Arc::new(record));
    telemetry.shutdown(Duration::from_secs(20));
    screen.text()
}

#[test]
fn a_request_is_a_tree() {
    assert_snapshot!(printed(chat()), @r#"
    chat smollm2      537.0 ms  36 + 48 tokens  length
    ├─ queue            2.0 ms
    ├─ prefill         65.0 ms  26 tokens + 10 cached  400.0 tokens/s
    └─ decode         470.0 ms  48 tokens  100.0 tokens/s
       trace 0af7651916cd43dd8448eb211c80319c  span b7ad6b7169203331
       gen_ai.operation.name=chat  gen_ai.provider.name=llama_cpp  gen_ai.request.model=smollm2
       gen_ai.request.stream=true  gen_ai.response.id=chatcmpl-1
       gen_ai.response.model=SmolLM2-135M-Instruct.Q4_1.gguf  gen_ai.response.finish_reasons=["length"]
       gen_ai.response.time_to_first_chunk=0.067  gen_ai.usage.input_tokens=36
       gen_ai.usage.cache_read.input_tokens=10  gen_ai.usage.output_tokens=48
       llamacpp.endpoint=/v1/chat/completions  llamacpp.queue.duration=0.002
       llamacpp.prefill.duration=0.065  llamacpp.decode.duration=0.47  llamacpp.timings.source=stream
       llamacpp.prefill.tokens_per_second=400  llamacpp.decode.tokens_per_second=100
       llamacpp.server.prefill.duration=0.065  llamacpp.server.decode.duration=0.47  llamacpp.slot.id=0
       llamacpp.build=b11434-0123abc
       llamacpp.model.sha256=abababababababababababababababababababababababababababababababab
       llamacpp.model.quantization=Q4_1
    "#);
}

#[test]
fn a_failure_says_so() {
    let record = RequestRecord {
        parent: Some(TraceContext {
            trace_id: chat().trace_id,
            span_id: SpanId([7; 8]),
            sampled: true,
        }),
        phases: Phases {
            queue: Some(milliseconds(2)),
            prefill: None,
            decode: None,
            total: milliseconds(120),
            source: TimingSource::Wall,
        },
        server_timings: None,
        usage: Usage::default(),
        finish_reason: None,
        failure: Some(Failure {
            kind: "server_error".into(),
            message: "out of memory".into(),
        }),
        content: Some(content()),
        ..chat()
    };
    assert_snapshot!(printed(record), @r#"
    chat smollm2      120.0 ms
    └─ queue            2.0 ms
       failed (server_error): out of memory
       trace 0af7651916cd43dd8448eb211c80319c  span b7ad6b7169203331  parent 0707070707070707
       gen_ai.operation.name=chat  gen_ai.provider.name=llama_cpp  gen_ai.request.model=smollm2
       gen_ai.request.stream=true  gen_ai.response.id=chatcmpl-1
       gen_ai.response.model=SmolLM2-135M-Instruct.Q4_1.gguf  error.type=server_error
       llamacpp.endpoint=/v1/chat/completions  llamacpp.queue.duration=0.002
       llamacpp.timings.source=wall  llamacpp.slot.id=0  llamacpp.build=b11434-0123abc
       llamacpp.model.sha256=abababababababababababababababababababababababababababababababab
       llamacpp.model.quantization=Q4_1
       gen_ai.input.messages=[{"role":"system","parts":[{"type":"text","content":"Be brief."}]},{"role":"user","parts":[{"type":"text","content":"Explain \"CUDA\"\nin one sentence."}]}]
       gen_ai.output.messages=[{"role":"assistant","parts":[{"type":"reasoning","content":"They ask about GPUs."},{"type":"text","content":"CUDA runs code on GPUs."}],"finish_reason":"error"}]
    "#);
}

#[test]
fn the_standard_variable_turns_it_on_and_nothing_else_does() {
    for (variables, expected) in [
        (&[("OTEL_TRACES_EXPORTER", "console")][..], true),
        (&[("OTEL_TRACES_EXPORTER", "none")], false),
        (
            &[
                ("OTEL_TRACES_EXPORTER", "console"),
                ("OTEL_SDK_DISABLED", "TRUE"),
            ],
            false,
        ),
        (
            &[
                ("OTEL_TRACES_EXPORTER", "console"),
                ("OTEL_TRACES_SAMPLER", "always_off"),
            ],
            false,
        ),
        (&[], false),
    ] {
        let (_home, settings) = settings(variables);
        let screen = Screen::default();
        let telemetry = Telemetry::setup(
            &settings,
            ResourceFacts::default(),
            Some(Box::new(screen.clone())),
        )
        .expect("set up");
        telemetry.record(Arc::new(chat()));
        assert!(telemetry.flush(Duration::from_secs(20)));
        assert_eq!(
            screen.text().contains("chat smollm2"),
            expected,
            "{variables:?}"
        );
        assert_eq!(telemetry.notices(), [""; 0]);
    }
}

/// A console that never takes anything.
struct Stuck(std::sync::mpsc::Receiver<()>);

impl Write for Stuck {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        let released = self.0.recv();
        Err(io::Error::other(format!("{released:?}")))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stuck_console_holds_nobody_up() {
    let (_home, mut settings) = settings(&[]);
    settings.telemetry.console = true;
    let (release, stuck) = std::sync::mpsc::channel();
    let telemetry = Telemetry::setup(
        &settings,
        ResourceFacts::default(),
        Some(Box::new(Stuck(stuck))),
    )
    .expect("set up");
    for _ in 0..3000 {
        telemetry.record(Arc::new(chat()));
    }
    assert!(!telemetry.flush(Duration::from_millis(50)));
    let before = std::time::Instant::now();
    telemetry.shutdown(Duration::from_millis(50));
    assert!(before.elapsed() < Duration::from_secs(5));
    drop(release);
}
