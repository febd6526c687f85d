//! Series as text: Prometheus' own format and `OpenMetrics`.

mod accept;
mod name;

pub use accept::Format;

use super::aggregate::{Exemplar, Histogram};
use super::attributes::{Attributes, Value};
use super::instrument::Kind;
use super::names::Id;
use super::registry::{Aggregate, Registry, Series};
use std::collections::BTreeMap;
use std::fmt::{self, Display, Write as _};

/// Writes every family. `resource` says who tells it.
pub(crate) fn render(registry: &Registry, resource: &[(String, String)], format: Format) -> String {
    let mut text = Text {
        out: String::with_capacity(16 << 10),
        format,
    };
    text.target(resource);
    for (id, series) in registry.families() {
        text.family(id, &series);
    }
    if format == Format::OpenMetrics {
        text.out.push_str("# EOF\n");
    }
    text.out
}

struct Text {
    out: String,
    format: Format,
}

/// Writing to a string cannot fail.
macro_rules! put {
    ($text:expr, $($arguments:tt)*) => {
        write!($text.out, $($arguments)*).unwrap_or_default()
    };
}

impl Text {
    /// What the resource's attributes are, as the specification puts it.
    fn target(&mut self, resource: &[(String, String)]) {
        if resource.is_empty() {
            return;
        }
        // Keys that differ only in what a label cannot hold share one label.
        let mut labels: BTreeMap<String, String> = BTreeMap::new();
        for (key, value) in resource {
            labels
                .entry(name::label(key))
                .and_modify(|joined| {
                    joined.push(';');
                    joined.push_str(value);
                })
                .or_insert_with(|| value.clone());
        }
        let (family, kind) = match self.format {
            Format::Classic => ("target_info", "gauge"),
            Format::OpenMetrics => ("target", "info"),
        };
        put!(
            self,
            "# HELP {family} Who tells these metrics.\n# TYPE {family} {kind}\ntarget_info{{"
        );
        for (place, (label, value)) in labels.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            put!(self, "{comma}{label}=\"{}\"", Escaped::value(value));
        }
        self.out.push_str("} 1\n");
    }

    fn family(&mut self, id: Id, series: &[&Series]) {
        let instrument = id.instrument();
        let (family, unit) = name::family(instrument);
        let kind = match instrument.kind {
            Kind::Counter | Kind::ObservableCounter => "counter",
            Kind::UpDownCounter | Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let total = if kind == "counter" { "_total" } else { "" };
        // In OpenMetrics a counter's family has the name without the suffix of its samples.
        let suffix = match self.format {
            Format::Classic => total,
            Format::OpenMetrics => "",
        };
        let what = Escaped {
            text: instrument.what,
            quotes: self.format == Format::OpenMetrics,
        };
        put!(
            self,
            "# HELP {family}{suffix} {what}\n# TYPE {family}{suffix} {kind}\n"
        );
        if let Some(unit) = unit.filter(|_| self.format == Format::OpenMetrics) {
            put!(self, "# UNIT {family} {unit}\n");
        }
        for series in series {
            let labels = Labels(&series.attributes, None);
            match &series.value {
                Aggregate::Sum { value, exemplar } => {
                    put!(self, "{family}{total}{labels} {}", Number(*value));
                    // Exemplars belong to what only grows.
                    self.exemplar(exemplar.as_ref().filter(|_| kind == "counter"));
                }
                Aggregate::Last(value) => put!(self, "{family}{labels} {}\n", Number(*value)),
                Aggregate::Histogram(histogram) => {
                    self.histogram(&family, &series.attributes, histogram);
                }
            }
        }
    }

    fn histogram(&mut self, family: &str, attributes: &Attributes, histogram: &Histogram) {
        let bounds = histogram.explicit.bounds().iter().map(Some).chain([None]);
        let mut below = 0;
        for (bucket, (bound, count)) in bounds.zip(histogram.explicit.counts()).enumerate() {
            below += count;
            // Both formats write a boundary alike, or one series would become two.
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound| format!("{bound:?}"));
            let labels = Labels(attributes, Some(("le", &bound)));
            put!(self, "{family}_bucket{labels} {below}");
            self.exemplar(histogram.exemplar(bucket));
        }
        let labels = Labels(attributes, None);
        put!(self, "{family}_sum{labels} {}\n", Number(histogram.sum));
        put!(self, "{family}_count{labels} {}\n", histogram.count);
    }

    /// Ends a sample's line, with an exemplar where the format has them.
    fn exemplar(&mut self, exemplar: Option<&Exemplar>) {
        if let Some(exemplar) = exemplar.filter(|_| self.format == Format::OpenMetrics) {
            put!(
                self,
                " # {{trace_id=\"{}\",span_id=\"{}\"}} {} {}.{:03}",
                exemplar.trace_id,
                exemplar.span_id,
                Number(exemplar.value),
                exemplar.at / 1_000_000_000,
                exemplar.at / 1_000_000 % 1000,
            );
        }
        self.out.push('\n');
    }
}

/// A set of labels and one more.
struct Labels<'a>(&'a Attributes, Option<(&'a str, &'a str)>);

impl Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = '{';
        for (key, value) in self.0.iter() {
            write!(f, "{before}{}=\"", name::label(key))?;
            match value {
                Value::Text(text) => write!(f, "{}\"", Escaped::value(text))?,
                Value::Integer(number) => write!(f, "{number}\"")?,
            }
            before = ',';
        }
        if let Some((key, value)) = self.1 {
            write!(f, "{before}{key}=\"{value}\"")?;
            before = ',';
        }
        if before == ',' {
            f.write_str("}")
        } else {
            Ok(())
        }
    }
}

/// A number, short where it can be.
struct Number(f64);

impl Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0.0 || (1e-9..1e16).contains(&self.0.abs()) {
            write!(f, "{}", self.0)
        } else {
            write!(f, "{:e}", self.0)
        }
    }
}

/// Text with what would end it early escaped.
struct Escaped<'a> {
    text: &'a str,
    quotes: bool,
}

impl<'a> Escaped<'a> {
    /// A label's value.
    fn value(text: &'a str) -> Self {
        Self { text, quotes: true }
    }
}

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.text.chars() {
            match letter {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '"' if self.quotes => f.write_str("\\\"")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
