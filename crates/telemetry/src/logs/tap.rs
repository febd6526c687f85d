//! This program's own `tracing` events as lines for a sink.

use llamatelemetry_record::{LoggedLine, Severity, Sink, SpanId, TraceContext, TraceId};
use llamatelemetry_settings::LogLevel;
use std::cell::Cell;
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};
use std::thread;
use std::time::SystemTime;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Filtered;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

/// The target of a server's own lines: they come to the sink by another way, with their slot.
const SERVER: &str = "llama_server";
/// Telemetry's own events would feed on themselves.
const OWN: &str = "llamatelemetry_telemetry";
/// So are its threads named, which run other crates' code too.
const OWN_THREADS: &str = "telemetry-";

/// A tap on a subscriber: install its [`layer`](LogTap::layer) when logging starts, connect it to
/// a sink once there is one. Until then, and after the sink is gone, it costs nothing.
///
/// An event within a `tracing` span that has the fields `trace_id` and `span_id` (as hex) belongs
/// to that request; so does an event that has these fields itself.
#[derive(Clone, Default)]
pub struct LogTap {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    wanted: RwLock<Option<Wanted>>,
}

struct Wanted {
    sink: Weak<dyn Sink>,
    level: LevelFilter,
}

/// The layer of a [`LogTap`].
pub struct TapLayer {
    shared: Arc<Shared>,
}

/// Lets through what the tap wants, so that nobody else's events are made for its sake.
pub struct TapFilter {
    shared: Arc<Shared>,
}

impl LogTap {
    /// A layer to add to the program's own subscriber, which is otherwise left alone.
    pub fn layer<S>(&self) -> Filtered<TapLayer, TapFilter, S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let layer = TapLayer {
            shared: self.shared.clone(),
        };
        layer.with_filter(TapFilter {
            shared: self.shared.clone(),
        })
    }

    /// From now on events of this level and above go to the sink. Does not keep it alive.
    pub fn connect(&self, sink: &Arc<dyn Sink>, level: LogLevel) {
        let level = match level {
            LogLevel::Trace => LevelFilter::TRACE,
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Error => LevelFilter::ERROR,
        };
        let sink = Arc::downgrade(sink);
        *self
            .shared
            .wanted
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(Wanted { sink, level });
        tracing::callsite::rebuild_interest_cache();
    }
}

impl Shared {
    fn level(&self) -> LevelFilter {
        let wanted = self.wanted.read().unwrap_or_else(PoisonError::into_inner);
        wanted
            .as_ref()
            .filter(|wanted| wanted.sink.strong_count() > 0)
            .map_or(LevelFilter::OFF, |wanted| wanted.level)
    }

    fn sink(&self) -> Option<Arc<dyn Sink>> {
        let wanted = self.wanted.read().unwrap_or_else(PoisonError::into_inner);
        wanted.as_ref()?.sink.upgrade()
    }
}

impl<S> Filter<S> for TapFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _context: &Context<'_, S>) -> bool {
        let level = self.shared.level();
        if metadata.is_span() {
            // Only those that tell which request is being worked on.
            return level != LevelFilter::OFF && metadata.fields().field("trace_id").is_some();
        }
        *metadata.level() <= level && !excluded(metadata.target())
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.is_event() && excluded(metadata.target()) {
            Interest::never()
        } else {
            Interest::sometimes()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // Spans of requests are of level INFO, whatever the level of the events wanted.
        match self.shared.level() {
            LevelFilter::OFF => Some(LevelFilter::OFF),
            level => Some(level.max(LevelFilter::INFO)),
        }
    }
}

fn excluded(target: &str) -> bool {
    target == SERVER || target.starts_with(OWN)
}

thread_local! {
    /// Whether this thread is one of the pipeline's.
    static OWN_THREAD: OnceLock<bool> = const { OnceLock::new() };
    /// Whether an event is being taken right now: what that logs is not taken.
    static TAKING: Cell<bool> = const { Cell::new(false) };
}

fn on_own_thread() -> bool {
    OWN_THREAD.with(|own| {
        *own.get_or_init(|| {
            thread::current()
                .name()
                .is_some_and(|name| name.starts_with(OWN_THREADS))
        })
    })
}

impl<S> Layer<S> for TapLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut seen = Seen::default();
        attributes.record(&mut seen);
        if let (Some(found), Some(span)) = (seen.context(), context.span(id)) {
            span.extensions_mut().replace(found);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut seen = Seen::default();
        values.record(&mut seen);
        if let (Some(found), Some(span)) = (seen.context(), context.span(id)) {
            span.extensions_mut().replace(found);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if on_own_thread() || TAKING.replace(true) {
            return;
        }
        if let Some(sink) = self.shared.sink() {
            let mut line = line(event, &context);
            if let Some(context) = &mut line.context {
                // Whether its trace is kept, the sink knows.
                context.sampled = sink.samples(context.trace_id, None);
            }
            sink.logged(line);
        }
        TAKING.set(false);
    }
}

fn line<S>(event: &Event<'_>, context: &Context<'_, S>) -> LoggedLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let mut seen = Seen::default();
    event.record(&mut seen);
    let around = || {
        let mut scope = context.event_scope(event)?;
        scope.find_map(|span| span.extensions().get::<TraceContext>().copied())
    };
    LoggedLine {
        at: SystemTime::now(),
        severity: match *event.metadata().level() {
            Level::TRACE => Severity::Trace,
            Level::DEBUG => Severity::Debug,
            Level::INFO => Severity::Info,
            Level::WARN => Severity::Warn,
            Level::ERROR => Severity::Error,
        },
        source: event.metadata().target().to_owned(),
        context: seen.context().or_else(around),
        text: seen.text,
        fields: seen.fields,
    }
}

/// What an event or a span says.
#[derive(Default)]
struct Seen {
    text: String,
    fields: Vec<(String, String)>,
    trace_id: Option<TraceId>,
    span_id: Option<SpanId>,
}

impl Seen {
    fn context(&self) -> Option<TraceContext> {
        Some(TraceContext {
            trace_id: self.trace_id?,
            span_id: self.span_id?,
            sampled: true,
        })
    }

    fn take(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.text = value,
            "trace_id" => self.trace_id = identity(&value).map(TraceId),
            "span_id" => self.span_id = identity(&value).map(SpanId),
            name => self.fields.push((name.to_owned(), value)),
        }
    }
}

impl Visit for Seen {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.take(field, value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, format!("{value:?}"));
    }
}

/// Bytes from as many pairs of hex digits, not all zero.
fn identity<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if hex.len() != 2 * N || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).ok()?;
    }
    (bytes != [0; N]).then_some(bytes)
}

impl fmt::Debug for LogTap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogTap").finish_non_exhaustive()
    }
}

impl fmt::Debug for TapLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TapLayer").finish_non_exhaustive()
    }
}

impl fmt::Debug for TapFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TapFilter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llamatelemetry_record::RequestRecord;
    use std::sync::Mutex;
    use tracing_subscriber::layer::SubscriberExt as _;

    #[derive(Default)]
    struct Kept(Mutex<Vec<LoggedLine>>);

    impl Sink for Kept {
        fn record(&self, _record: Arc<RequestRecord>) {}
        fn samples(&self, trace_id: TraceId, _parent: Option<&TraceContext>) -> bool {
            trace_id == TraceId([1; 16])
        }
        fn logged(&self, line: LoggedLine) {
            // What taking a line logs is not taken.
            tracing::error!(target: "a_module", "fed on itself");
            self.0.lock().unwrap().push(line);
        }
    }

    fn taken(level: LogLevel, work: impl FnOnce()) -> Vec<LoggedLine> {
        let kept = Arc::new(Kept::default());
        let sink: Arc<dyn Sink> = kept.clone();
        let tap = LogTap::default();
        let subscriber = tracing_subscriber::registry().with(tap.layer());
        tracing::subscriber::with_default(subscriber, || {
            tap.connect(&sink, level);
            work();
        });
        drop(sink);
        Arc::into_inner(kept).unwrap().0.into_inner().unwrap()
    }

    #[test]
    fn events_come_with_level_fields_and_the_request_around_them() {
        let lines = taken(LogLevel::Info, || {
            tracing::info!(target: "a_module", size = 3, name = "x", "loaded");
            tracing::debug!(target: "a_module", "too small");
            let (trace_id, span_id) = ("01".repeat(16), "02".repeat(8));
            let request = tracing::info_span!("request", %trace_id, %span_id);
            let _within = request.enter();
            let _other = tracing::info_span!("other").entered();
            tracing::warn!(target: "a_module", "slow");
        });
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(lines[0].text, "loaded");
        assert_eq!(lines[0].source, "a_module");
        assert_eq!(lines[0].severity, Severity::Info);
        assert_eq!(lines[0].context, None);
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(lines[0].fields, [field("size", "3"), field("name", "x")]);
        assert_eq!(lines[1].severity, Severity::Warn);
        let context = lines[1].context.unwrap();
        assert_eq!(context.trace_id, TraceId([1; 16]));
        assert_eq!(context.span_id, SpanId([2; 8]));
        assert!(context.sampled);
    }

    #[test]
    fn telemetry_does_not_feed_on_itself_and_servers_lines_come_another_way() {
        let lines = taken(LogLevel::Trace, || {
            tracing::warn!(target: "llamatelemetry_telemetry::otlp", "not delivered");
            tracing::warn!(target: "llama_server", "slot 1");
            let dispatch = tracing::dispatcher::get_default(Clone::clone);
            thread::Builder::new()
                .name("telemetry-logs".into())
                .spawn(move || {
                    tracing::dispatcher::with_default(&dispatch, || {
                        tracing::warn!(target: "hyper", "from an export");
                    });
                })
                .unwrap()
                .join()
                .unwrap();
            tracing::trace!(target: "hyper", "kept");
        });
        let texts: Vec<_> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["kept"]);
    }

    #[test]
    fn without_a_sink_nothing_is_wanted() {
        let tap = LogTap::default();
        assert_eq!(tap.shared.level(), LevelFilter::OFF);
        let sink: Arc<dyn Sink> = Arc::new(Kept::default());
        tap.connect(&sink, LogLevel::Debug);
        assert_eq!(tap.shared.level(), LevelFilter::DEBUG);
        drop(sink);
        assert_eq!(tap.shared.level(), LevelFilter::OFF);
    }

    #[test]
    fn ids_are_hex_and_not_zero() {
        assert_eq!(identity::<2>("01ff"), Some([1, 255]));
        for wrong in ["", "01", "01f", "01fg", "0000", "+1+1", "é1é"] {
            assert_eq!(identity::<2>(wrong), None, "{wrong}");
        }
    }
}
