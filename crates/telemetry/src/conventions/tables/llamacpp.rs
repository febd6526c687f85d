//! Written by `cargo xtask generate` from `crates/telemetry/conventions/llamacpp.toml`.

use crate::conventions::registry::{Registry, Attribute, Condition, Requirements, SpanKind, SpanType, ValueKind};

/// `llamacpp`.
pub(crate) static LLAMACPP: Registry = Registry {
    version: "llamacpp",
    schema_url: "",
    namespaces: &["llamacpp"],
    attributes: &[
        Attribute { name: "llamacpp.build", kind: ValueKind::Text, template: false, unit: "", values: &[], closed: false, deprecated: None, definition: "the llama.cpp build that answered" },
        Attribute { name: "llamacpp.decode.duration", kind: ValueKind::Double, template: false, unit: "s", values: &[], closed: false, deprecated: None, definition: "first delta → last delta" },
        Attribute { name: "llamacpp.decode.tokens", kind: ValueKind::Int, template: false, unit: "{token}", values: &[], closed: false, deprecated: None, definition: "tokens generated; on the phase's own span, under a name that no backend sums up a second time" },
        Attribute { name: "llamacpp.decode.tokens_per_second", kind: ValueKind::Double, template: false, unit: "{token}/s", values: &[], closed: false, deprecated: None, definition: "tokens generated a second, the first one excluded; by the server's account where it gives one" },
        Attribute { name: "llamacpp.draft.accepted_tokens", kind: ValueKind::Int, template: false, unit: "{token}", values: &[], closed: false, deprecated: None, definition: "drafted tokens that were accepted" },
        Attribute { name: "llamacpp.draft.tokens", kind: ValueKind::Int, template: false, unit: "{token}", values: &[], closed: false, deprecated: None, definition: "tokens drafted, when speculating" },
        Attribute { name: "llamacpp.endpoint", kind: ValueKind::Text, template: false, unit: "", values: &[], closed: false, deprecated: None, definition: "the path asked" },
        Attribute { name: "llamacpp.model.sha256", kind: ValueKind::Text, template: false, unit: "", values: &[], closed: false, deprecated: None, definition: "SHA-256 of the model's file, lower-case hex" },
        Attribute { name: "llamacpp.prefill.cached_tokens", kind: ValueKind::Int, template: false, unit: "{token}", values: &[], closed: false, deprecated: None, definition: "tokens of the prompt that needed no evaluation" },
        Attribute { name: "llamacpp.prefill.duration", kind: ValueKind::Double, template: false, unit: "s", values: &[], closed: false, deprecated: None, definition: "slot started → first delta" },
        Attribute { name: "llamacpp.prefill.tokens", kind: ValueKind::Int, template: false, unit: "{token}", values: &[], closed: false, deprecated: None, definition: "tokens of the prompt that were evaluated, cached ones excluded" },
        Attribute { name: "llamacpp.prefill.tokens_per_second", kind: ValueKind::Double, template: false, unit: "{token}/s", values: &[], closed: false, deprecated: None, definition: "tokens of the prompt evaluated a second" },
        Attribute { name: "llamacpp.queue.duration", kind: ValueKind::Double, template: false, unit: "s", values: &[], closed: false, deprecated: None, definition: "request sent → slot started" },
        Attribute { name: "llamacpp.server.decode.duration", kind: ValueKind::Double, template: false, unit: "s", values: &[], closed: false, deprecated: None, definition: "decode as the server measured it" },
        Attribute { name: "llamacpp.server.prefill.duration", kind: ValueKind::Double, template: false, unit: "s", values: &[], closed: false, deprecated: None, definition: "prefill as the server measured it" },
        Attribute { name: "llamacpp.slot.id", kind: ValueKind::Int, template: false, unit: "", values: &[], closed: false, deprecated: None, definition: "the slot that worked on it" },
        Attribute { name: "llamacpp.timings.source", kind: ValueKind::Text, template: false, unit: "", values: &["stream", "server_timings", "wall"], closed: true, deprecated: None, definition: "where the phases come from" },
    ],
    spans: &[
        SpanType { id: "llamacpp.decode", operations: &[], kinds: &[SpanKind::Internal], names: &["decode"], definition: "generating", requirements: Requirements { required: &[], conditional: &[], recommended: &["llamacpp.decode.tokens", "llamacpp.decode.tokens_per_second"], opt_in: &[] } },
        SpanType { id: "llamacpp.prefill", operations: &[], kinds: &[SpanKind::Internal], names: &["prefill"], definition: "evaluating the prompt", requirements: Requirements { required: &[], conditional: &[], recommended: &["llamacpp.prefill.cached_tokens", "llamacpp.prefill.tokens", "llamacpp.prefill.tokens_per_second"], opt_in: &[] } },
        SpanType { id: "llamacpp.queue", operations: &[], kinds: &[SpanKind::Internal], names: &["queue"], definition: "waiting for a slot", requirements: Requirements { required: &[], conditional: &[], recommended: &["llamacpp.slot.id"], opt_in: &[] } },
        SpanType { id: "llamacpp.rerank", operations: &["rerank"], kinds: &[SpanKind::Client], names: &["{gen_ai.operation.name} {gen_ai.request.model}", "{gen_ai.operation.name}"], definition: "documents scored against a query", requirements: Requirements { required: &["gen_ai.operation.name", "gen_ai.provider.name"], conditional: &[("error.type", Condition::Failed), ("gen_ai.request.model", Condition::InSpanName), ("server.port", Condition::With("server.address"))], recommended: &[], opt_in: &[] } },
    ],
    events: &[
    ],
    metrics: &[
    ],
    renamed: &[
    ],
};
