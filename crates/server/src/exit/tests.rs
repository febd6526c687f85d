use super::*;
use std::time::Instant;

fn lines(texts: &[&str]) -> Vec<LogLine> {
    texts
        .iter()
        .map(|text| LogLine {
            at: Instant::now(),
            server_micros: None,
            level: LogLevel::Error,
            text: (*text).to_owned(),
        })
        .collect()
}

fn classify(code: Option<i32>, signal: Option<i32>, texts: &[&str]) -> Exit {
    Exit::classify(
        Ending { code, signal },
        Circumstances::default(),
        lines(texts).iter(),
    )
}

#[test]
fn each_way_to_end_has_its_class() {
    let cases: &[(Option<i32>, Option<i32>, &str, ExitClass)] = &[
        (None, Some(4), "", ExitClass::IllegalInstruction),
        (None, Some(9), "", ExitClass::Killed),
        (None, Some(15), "", ExitClass::Killed),
        (None, Some(11), "", ExitClass::Crashed),
        (
            None,
            Some(6),
            "GGML_ASSERT(false) failed",
            ExitClass::Crashed,
        ),
        (
            None,
            Some(6),
            "CUDA error: out of memory",
            ExitClass::OutOfMemory,
        ),
        (
            Some(1),
            None,
            "ggml_aligned_malloc: insufficient memory (attempted to allocate 21 MB)",
            ExitClass::OutOfMemory,
        ),
        (
            Some(127),
            None,
            "llama-server: error while loading shared libraries: libcudart.so.12: cannot open",
            ExitClass::MissingLibrary,
        ),
        (
            Some(1),
            None,
            "/lib/libc.so.6: version `GLIBC_2.38' not found (required by llama-server)",
            ExitClass::MissingLibrary,
        ),
        (
            Some(1),
            None,
            "error: invalid argument: --bogus",
            ExitClass::BadFlag,
        ),
        (
            Some(1),
            None,
            "srv  start: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 80",
            ExitClass::AddressInUse,
        ),
        (
            Some(1),
            None,
            "llama_model_load: error loading model: unknown model architecture: 'x'",
            ExitClass::BadModel,
        ),
        (Some(1), None, "", ExitClass::Other),
        (Some(0), None, "", ExitClass::Other),
    ];
    for (code, signal, text, class) in cases {
        assert_eq!(classify(*code, *signal, &[text]).class, *class, "{text}");
    }
}

#[test]
fn want_of_memory_wins_over_the_model_that_failed_for_it() {
    let exit = classify(
        Some(1),
        None,
        &[
            "ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 23",
            "srv    load_model: failed to load model, 'm.gguf'",
        ],
    );
    assert_eq!(exit.class, ExitClass::OutOfMemory);
}

#[test]
fn what_the_owner_did_is_no_failure() {
    let stopped = Exit::classify(
        Ending {
            code: None,
            signal: Some(9),
        },
        Circumstances {
            stop_asked: true,
            ..Circumstances::default()
        },
        lines(&["out of memory"]).iter(),
    );
    assert_eq!(stopped.class, ExitClass::Stopped);
    let killed = Exit::classify(
        Ending {
            code: None,
            signal: Some(9),
        },
        Circumstances {
            memory_kill: true,
            ..Circumstances::default()
        },
        lines(&[]).iter(),
    );
    assert_eq!(killed.class, ExitClass::OutOfMemory);
}

#[test]
fn the_text_names_the_cause_and_ends_with_the_last_lines() {
    let exit = classify(
        Some(1),
        None,
        &[
            "gguf_init_from_reader: invalid magic characters: 'abcd', expected 'GGUF'",
            "srv    load_model: failed to load model, 'm.gguf'",
        ],
    );
    assert_eq!(
        exit.to_string(),
        "llama-server could not load the model (exit code 1): gguf_init_from_reader: invalid \
         magic characters: 'abcd', expected 'GGUF'; its last log lines:\n  \
         gguf_init_from_reader: invalid magic characters: 'abcd', expected 'GGUF'\n  \
         srv    load_model: failed to load model, 'm.gguf'"
    );
}
