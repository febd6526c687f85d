//! The span of something that is no request: a load, a restart, a tool's run.

use super::attributes::Attributes;
use super::links::{self, Reason};
use super::{events, ids};
use crate::content;
use crate::limits::SpanLimits;
use crate::names::{attribute, span as name};
use crate::value::unix_nanos;
use llamatelemetry_record::{Happening, What};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

/// `gen_ai.operation.name` of a tool's run.
const EXECUTE_TOOL: &str = "execute_tool";
/// `gen_ai.tool.type` of tools that run on the caller's side.
const FUNCTION: &str = "function";

pub(super) fn span(happening: &Happening, limits: &SpanLimits) -> Span {
    // A parent of another trace would tear this span from its own.
    let parent = happening
        .parent
        .filter(|parent| parent.trace_id == happening.trace_id);
    let mut all = Attributes::with_capacity(8);
    let mut events = Vec::new();
    let name = match &happening.what {
        What::ModelLoad {
            model,
            model_sha256,
            quantization,
            llama_build,
        } => {
            all.set(attribute::REQUEST_MODEL, Some(model.clone()));
            all.set(attribute::QUANTIZATION, quantization.clone());
            all.set(attribute::MODEL_SHA256, model_sha256.clone());
            all.set(attribute::BUILD, llama_build.clone());
            name::MODEL_LOAD.to_owned()
        }
        What::ModelUnload {
            model,
            reason,
            freed_bytes,
        } => {
            all.set(attribute::REQUEST_MODEL, Some(model.clone()));
            all.set(attribute::UNLOAD_REASON, Some(reason.as_str()));
            let freed = freed_bytes.and_then(|bytes| i64::try_from(bytes).ok());
            all.set(attribute::FREED, freed);
            name::MODEL_UNLOAD.to_owned()
        }
        What::Restart {
            model,
            exit,
            restarts,
        } => {
            all.set(attribute::REQUEST_MODEL, Some(model.clone()));
            all.set(attribute::RESTARTS, Some(i64::from(*restarts)));
            events.push(events::of_exit(exit, happening.started_at));
            name::RESTART.to_owned()
        }
        What::ToolExecution {
            name,
            call_id,
            content: said,
        } => {
            all.set(attribute::OPERATION, Some(EXECUTE_TOOL));
            all.set(attribute::TOOL_NAME, Some(name.clone()));
            all.set(attribute::TOOL_CALL_ID, call_id.clone());
            all.set(attribute::TOOL_TYPE, Some(FUNCTION));
            if let Some(said) = said {
                let fitted = |text| content::text(text, limits.value_length);
                all.set(attribute::TOOL_ARGUMENTS, Some(fitted(&said.arguments)));
                all.set(attribute::TOOL_RESULT, said.result.as_deref().map(fitted));
            }
            format!("{EXECUTE_TOOL} {name}")
        }
        _ => return Span::default(),
    };
    let failure = happening.failure.as_ref();
    all.set(
        attribute::ERROR_TYPE,
        failure.map(|failure| failure.kind.clone()),
    );
    Span {
        trace_id: happening.trace_id.0.to_vec(),
        span_id: happening.span_id.0.to_vec(),
        parent_span_id: parent.map_or_else(Vec::new, |parent| parent.span_id.0.to_vec()),
        flags: ids::flags(false),
        name,
        kind: SpanKind::Internal.into(),
        start_time_unix_nano: unix_nanos(happening.started_at),
        end_time_unix_nano: unix_nanos(happening.started_at + happening.duration),
        attributes: all.into_vec(),
        events,
        links: links::to(&happening.links, Reason::CutOff),
        status: failure.map(ids::error),
        ..Span::default()
    }
}
