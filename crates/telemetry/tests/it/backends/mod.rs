//! Backends as their makers ship them take our export and give back what we meant.

mod mlflow;
mod phoenix;
mod prometheus;
mod rotel;

use crate::sample::{chat, content, settings};
use llamatelemetry_record::{Failure, FinishReason, RequestRecord, Sink as _, SpanId, TraceId};
use llamatelemetry_settings::{Environment, TelemetryBackend};
use llamatelemetry_telemetry::{Delivery, ResourceFacts, Telemetry};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How long a backend may take from an answer to our export until it shows what it got.
const SHOWN: Duration = Duration::from_secs(60);

/// One conversation of two requests: the first is answered, the second fails.
struct Conversation {
    id: String,
    answered: RequestRecord,
    failed: RequestRecord,
}

impl Conversation {
    /// With traces of its own, and now: backends leave out what is old.
    fn new() -> Self {
        let id = format!("conversation-{}", SpanId::random());
        let fresh = || RequestRecord {
            trace_id: TraceId::random(),
            span_id: SpanId::random(),
            started_at: SystemTime::now() - Duration::from_secs(2),
            conversation_id: Some(id.clone()),
            content: Some(content()),
            ..chat()
        };
        let answered = RequestRecord {
            finish_reason: Some(FinishReason::Stop),
            ..fresh()
        };
        let failed = RequestRecord {
            finish_reason: None,
            failure: Some(Failure {
                kind: "server_error".into(),
                message: "out of memory".into(),
            }),
            ..fresh()
        };
        Self {
            id,
            answered,
            failed,
        }
    }

    /// Sends both to a known backend, which finds the rest in these variables of its own, and sees
    /// that all was taken.
    fn send(&self, backend: TelemetryBackend, variables: &[(&str, &str)]) {
        let (_home, mut settings) = settings(&[]);
        settings.telemetry.backend = Some(backend);
        settings.environment = Environment::from_pairs(variables.iter().copied());
        let telemetry = Telemetry::setup(&settings, ResourceFacts::default(), None);
        let telemetry = telemetry.expect("the variables are valid");
        let [notice] = telemetry.notices() else {
            panic!("{:?}", telemetry.notices());
        };
        assert!(notice.contains("takes spans only"), "{notice}");
        telemetry.record(Arc::new(self.answered.clone()));
        telemetry.record(Arc::new(self.failed.clone()));
        let Delivery { kept, lost, .. } = telemetry.shutdown(SHOWN);
        assert_eq!((kept, lost), (0, 0));
    }
}
