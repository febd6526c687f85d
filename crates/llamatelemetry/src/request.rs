//! One call of the engine: sends what was asked and drives its exchange.

use crate::body::Body;
use crate::error::Cause;
use crate::exchange::{Asked, Exchange};
use crate::failure::no_server;
use crate::stream::AnswerStream;
use crate::{Error, GenerateOptions, ServerManager};
use llamatelemetry_api::ApiError;
use llamatelemetry_record::{Content, Message, Observed, Sink};
use std::sync::Arc;
use tracing::Instrument as _;

/// Asks a server: either an answer streams, or it failed and that is recorded.
pub(crate) async fn ask(
    server: &Arc<ServerManager>,
    sink: Arc<dyn Sink>,
    body: &Body,
    options: &GenerateOptions,
    content: Option<Content>,
) -> Result<AnswerStream, Error> {
    let asked = Asked {
        model: None,
        parent: options.parent,
        trace_state: options.trace_state.clone(),
        baggage: options.baggage.clone(),
        parameters: options.parameters(),
        conversation_id: options.conversation_id.clone(),
        retries_of: options.retry_of.clone(),
        prompt_bytes: Some(body.prompt_bytes()),
        content,
    };
    let mut exchange = Exchange::begin(sink, body.endpoint(), asked);
    exchange.served_by(server);
    let span = exchange.span().clone();
    send(exchange, server, body).instrument(span).await
}

async fn send(
    mut exchange: Exchange,
    server: &Arc<ServerManager>,
    body: &Body,
) -> Result<AnswerStream, Error> {
    let run = match server.live().await {
        Ok(run) => run,
        Err(error) => {
            let end = exchange.unanswered(Some(no_server(&error)));
            exchange.end(end);
            return Err(error.of_request(exchange.context()));
        }
    };
    exchange.sent_to(&run);
    match body.send(&run, exchange.propagation()).await {
        Ok(answer) => {
            exchange.opened(answer.clock(), true, answer.resends());
            Ok(AnswerStream::new(exchange, answer))
        }
        Err(error) => {
            let observed = exchange.unanswered(None).observed;
            Err(fail(&mut exchange, error, observed, None).await)
        }
    }
}

/// The call failed: its record is left, and the caller gets the error.
pub(crate) async fn fail(
    exchange: &mut Exchange,
    error: ApiError,
    observed: Observed,
    output: Option<Message>,
) -> Error {
    let cause = match exchange.fail(&error, observed, output).await {
        Some(exit) => Cause::ServerDied {
            exit,
            source: error,
        },
        None => Cause::Request(error),
    };
    Error::from(cause).of_request(exchange.context())
}
