//! The rules and their names, which scripts may depend on.

use serde::{Serialize, Serializer};
use std::fmt;

/// How grave a finding is, in the words of OpenTelemetry's own checker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Good to know.
    Information,
    /// Better done otherwise.
    Improvement,
    /// Wrong.
    Violation,
}

impl Level {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Information => "information",
            Self::Improvement => "improvement",
            Self::Violation => "violation",
        }
    }
}

macro_rules! rules {
    ($($rule:ident = $id:literal, $level:ident, $what:literal;)+) => {
        /// A rule.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule {
            $(#[doc = $what] $rule,)+
        }

        impl Rule {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$rule),+];

            /// Its name: stable.
            pub const fn id(self) -> &'static str {
                match self {
                    $(Self::$rule => $id,)+
                }
            }

            /// How grave a breach of it is.
            pub const fn level(self) -> Level {
                match self {
                    $(Self::$rule => Level::$level,)+
                }
            }

            /// What it finds, in a sentence.
            pub const fn what(self) -> &'static str {
                match self {
                    $(Self::$rule => $what,)+
                }
            }
        }
    };
}

rules! {
    RequiredMissing = "required_attribute_missing", Violation,
        "A required attribute is missing.";
    ConditionallyRequiredMissing = "conditionally_required_attribute_missing", Violation,
        "An attribute is missing whose condition is seen to hold.";
    UnknownAttribute = "unknown_attribute", Violation,
        "An attribute stands in a namespace of the conventions that does not define it.";
    TypeMismatch = "type_mismatch", Violation,
        "A value has another type than its attribute.";
    UnknownValue = "unknown_enum_value", Violation,
        "A closed enumeration does not have the value.";
    CustomValue = "custom_enum_value", Information,
        "An open enumeration does not list the value.";
    DeprecatedName = "deprecated_name", Violation,
        "The name of an attribute or metric is deprecated.";
    SpanName = "span_name", Improvement,
        "A span is not named as its type asks.";
    SpanKind = "span_kind", Violation,
        "A span has a kind that its type does not have.";
    ErrorMismatch = "status_error_type_mismatch", Violation,
        "A failed operation lacks `error.type`, or one that has it has not failed.";
    TimeInverted = "time_inverted", Violation,
        "Something ends before it begins, or an event lies outside its span.";
    OutsideParent = "child_outside_parent", Violation,
        "A span of the same process begins before its parent or ends after it.";
    DanglingParent = "dangling_parent", Information,
        "A span's parent is not among the spans.";
    PhasesDoNotSum = "phases_do_not_sum", Violation,
        "The phases of a request do not add up to its wall time within 1 ms.";
    TokensContradict = "token_counts_contradict", Violation,
        "A part of the tokens is more than the whole, or a count is negative.";
    ChunkWithoutStream = "first_chunk_without_stream", Violation,
        "There is a time to the first chunk, but the request was not a streamed one.";
    NoFinishReason = "content_without_finish_reason", Improvement,
        "An output message has no `finish_reason`: Phoenix drops it unseen.";
    MalformedContent = "malformed_content", Violation,
        "Messages are not of the form that the conventions give them.";
    MalformedId = "malformed_id", Violation,
        "An id is all zero or has not its length.";
    DuplicateSpan = "duplicate_span_id", Violation,
        "Two spans of a trace have the same id.";
    UnknownMetric = "unknown_metric", Violation,
        "A metric stands in a namespace of the conventions that does not define it.";
    MetricInstrument = "metric_instrument", Violation,
        "A metric was recorded with another instrument than it is defined with.";
    MetricUnit = "metric_unit", Violation,
        "A metric has another unit than it is defined with.";
    HistogramContradicts = "histogram_contradicts", Violation,
        "A histogram's buckets do not add up to its count.";
    UnknownEvent = "unknown_event", Violation,
        "An event stands in a namespace of the conventions that does not define it.";
    EventSeverity = "event_severity", Improvement,
        "An event has another severity than it should have.";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}
