//! Requests that the server refuses.

use crate::server::Server;
use llamatelemetry_record::{Delivery, Endpoint, TimingSource};
use serde_json::json;

#[test]
fn a_refused_request_is_classified() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    // Streamed or not, a refusal comes in one piece.
    for streamed in [false, true] {
        let prompt = "far too long ".repeat(2000);
        let body = json!({"prompt": prompt, "n_predict": 1, "stream": streamed});
        let answer = server.ask(Endpoint::NativeCompletion, &body);
        assert_eq!((answer.status, answer.delivery), (400, Delivery::Whole));
        let observed = answer.observed;
        let error = observed.error.expect("an error");
        assert_eq!(error.kind, "exceed_context_size_error");
        assert!(error.message.contains("context size"), "{}", error.message);
        assert!(!observed.complete);
        assert_eq!(observed.phases.source, TimingSource::Wall);
        assert_eq!(observed.phases.total, answer.wall);
        assert_eq!(observed.phases.ttft(), None);

        let answer = server.ask(Endpoint::Messages, &json!({"stream": streamed}));
        assert_eq!(answer.status, 500, "no messages");
        let error = answer.observed.error.expect("an error");
        assert_eq!(error.kind, "server_error");

        let answer = server.ask(Endpoint::Embeddings, &json!({"input": "text"}));
        let error = answer.observed.error.expect("an error");
        assert_eq!(
            (answer.status, error.kind.as_str()),
            (501, "not_supported_error")
        );
    }
}
