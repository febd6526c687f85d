//! Answers that generate nothing: only the wall time is known.

use crate::server::Server;
use llamatelemetry_record::{Endpoint, Phases, TimingSource, Usage};
use serde_json::json;

#[test]
fn of_embeddings_only_the_wall_time_is_known() {
    let Some(server) = Server::start(&["--embeddings", "--pooling", "mean"]) else {
        return;
    };
    let body = json!({"input": ["one text", "another text"]});
    let answer = server.ask(Endpoint::Embeddings, &body);
    assert_eq!(answer.status, 200);
    let observed = answer.observed;
    assert!(observed.complete);
    assert_eq!(
        observed.phases,
        Phases {
            queue: None,
            prefill: None,
            decode: None,
            total: answer.wall,
            source: TimingSource::Wall,
        }
    );
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let tokens = body["usage"]["prompt_tokens"].as_u64();
    assert!(tokens.is_some());
    assert_eq!(
        observed.usage,
        Usage {
            prompt_tokens: tokens,
            cached_tokens: None,
            completion_tokens: None,
            reasoning_tokens: None,
        }
    );
    assert_eq!(
        (observed.finish_reason, observed.slot, observed.timings),
        (None, None, None)
    );
    assert_eq!(observed.model.as_deref(), body["model"].as_str());
}
