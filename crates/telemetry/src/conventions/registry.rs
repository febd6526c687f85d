//! What a version of the conventions defines, as data. The tables themselves are generated.

/// One version of the conventions, or one family of names beside them. All lists are in the order
/// of their names.
#[derive(Debug)]
pub struct Registry {
    /// Its name: `v1.36`, `core`, `openinference`.
    pub version: &'static str,
    /// Where it is defined; empty if nothing publishes a schema.
    pub schema_url: &'static str,
    /// First segments of names that are this registry's alone: a name in one of them that it does
    /// not define is unknown.
    pub namespaces: &'static [&'static str],
    /// Attributes.
    pub attributes: &'static [Attribute],
    /// Types of spans.
    pub spans: &'static [SpanType],
    /// Events, which are log records.
    pub events: &'static [Event],
    /// Metrics.
    pub metrics: &'static [Metric],
    /// The latest text's name → this version's.
    pub renamed: &'static [(&'static str, &'static str)],
}

/// One attribute.
#[derive(Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name; of a template, the part before the variable one.
    pub name: &'static str,
    /// The type of its value.
    pub kind: ValueKind,
    /// Whether names below this one are meant: `process.environment_variable.PATH`.
    pub template: bool,
    /// Its unit in UCUM; empty if it has none.
    pub unit: &'static str,
    /// Values with a meaning, if they are an enumeration.
    pub values: &'static [&'static str],
    /// Whether other values are wrong. Enumerations of the conventions are open.
    pub closed: bool,
    /// If it is deprecated: what takes its place, which may be nothing.
    pub deprecated: Option<&'static [&'static str]>,
    /// What it means, where the name is ours.
    pub definition: &'static str,
}

/// The type of an attribute's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// Text.
    Text,
    /// A whole number.
    Int,
    /// A number.
    Double,
    /// Yes or no.
    Boolean,
    /// A list of texts.
    Texts,
    /// Anything; on a span, where structures cannot stand, JSON as text.
    Any,
}

/// What a span, an event or a point of a metric has to carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirements {
    /// Always.
    pub required: &'static [&'static str],
    /// When the condition holds.
    pub conditional: &'static [(&'static str, Condition)],
    /// Where it can be had.
    pub recommended: &'static [&'static str],
    /// Where it was asked for.
    pub opt_in: &'static [&'static str],
}

/// When a conditionally required attribute is required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// The operation failed.
    Failed,
    /// The answer was streamed.
    Streamed,
    /// The span's name has the attribute's value in it.
    InSpanName,
    /// The span is of kind CLIENT.
    OnClient,
    /// Another attribute is present.
    With(&'static str),
    /// Only the instrumented program knows: nothing that is recorded shows it.
    NotShown,
}

/// A type of span. What it is shows in its operation or, without one, in its name.
#[derive(Debug, PartialEq, Eq)]
pub struct SpanType {
    /// Its name in the conventions.
    pub id: &'static str,
    /// Values of `gen_ai.operation.name`; empty for spans that are known by their name.
    pub operations: &'static [&'static str],
    /// Kinds that it may have.
    pub kinds: &'static [SpanKind],
    /// What it may be called; attributes stand in braces.
    pub names: &'static [&'static str],
    /// What it has to carry.
    pub requirements: Requirements,
    /// What it means, where the type is ours.
    pub definition: &'static str,
}

/// Kinds of spans that the conventions ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// Asks another process.
    Client,
    /// Within the process.
    Internal,
}

/// An event: a log record with a name.
#[derive(Debug, PartialEq, Eq)]
pub struct Event {
    /// Its name.
    pub name: &'static str,
    /// The severity number it should have.
    pub severity: Option<i32>,
    /// What it has to carry.
    pub requirements: Requirements,
    /// What it means, where the event is ours.
    pub definition: &'static str,
}

/// A metric.
#[derive(Debug, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is recorded with.
    pub instrument: Instrument,
    /// Its unit in UCUM.
    pub unit: &'static str,
    /// The type of its values, if it is defined.
    pub number: Option<Number>,
    /// Bounds of a histogram's buckets that the conventions advise.
    pub bounds: &'static [f64],
    /// If it is deprecated: what takes its place, which may be nothing.
    pub deprecated: Option<&'static [&'static str]>,
    /// What its points have to carry.
    pub requirements: Requirements,
    /// What it means, where the metric is ours.
    pub definition: &'static str,
}

/// What a metric is recorded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instrument {
    /// A sum that only grows.
    Counter,
    /// A sum that grows and shrinks.
    UpDownCounter,
    /// A value that stands for itself.
    Gauge,
    /// A distribution.
    Histogram,
}

/// The type of a metric's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// Whole.
    Int,
    /// Any.
    Double,
}

impl Registry {
    /// The attribute of this name, or the template that it belongs to.
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        let place = self
            .attributes
            .partition_point(|attribute| attribute.name <= name);
        let exact = self.attributes[..place].last()?;
        if exact.name == name {
            return Some(exact);
        }
        // A template's names begin with its own, so it stands before them; between the two can
        // stand others.
        self.attributes[..place].iter().rev().find(|attribute| {
            attribute.template
                && name
                    .strip_prefix(attribute.name)
                    .is_some_and(|rest| rest.starts_with('.') && rest.len() > 1)
        })
    }

    /// The metric of this name.
    pub fn metric(&self, name: &str) -> Option<&'static Metric> {
        let place = self
            .metrics
            .binary_search_by_key(&name, |metric| metric.name);
        place.ok().map(|place| &self.metrics[place])
    }

    /// The event of this name.
    pub fn event(&self, name: &str) -> Option<&'static Event> {
        self.events.iter().find(|event| event.name == name)
    }

    /// Whether names like this one are this registry's to define.
    pub fn owns(&self, name: &str) -> bool {
        let first = name.split('.').next().unwrap_or(name);
        self.namespaces.contains(&first)
    }
}
