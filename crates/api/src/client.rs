//! The async client.

use crate::call::{Call, Question, StreamCall, Whole};
use crate::connection::{Pool, Sent};
use crate::options::{CallOptions, options};
use crate::routes::{self, Effect};
use crate::stream::{EventStream, Events, Opened, StreamEvent, Watch};
use crate::{
    Address, AnswerStream, ApiError, ChatRequest, CompletionRequest, Endpoints, ServerComplaint,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use llamatelemetry_record::{Endpoint, PhaseClock, Propagation};
use llamatelemetry_settings::Secret;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What only tells what is there is waited for so long. What computes has no limit of its own: a
/// long prompt on a slow machine is not an error.
const READ_LIMIT: Duration = Duration::from_secs(30);

/// The first pause before a request is tried again, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The header under which the server keeps a conversation's stream.
const CONVERSATION: HeaderName = HeaderName::from_static("x-conversation-id");

/// An answer that is waited for.
pub type Pending<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>> + Send>>;

/// A client of one server. Cloning is cheap and shares the connections.
///
/// Every endpoint is a method of [`Endpoints`]. Dropping an answer that is waited for closes its
/// connection, and the server stops working on it.
#[derive(Debug, Clone)]
pub struct Client {
    pool: Arc<Pool>,
    key: Option<Secret>,
    options: CallOptions,
}

impl Endpoints for Client {
    type Answer<T: Send + 'static> = Pending<T>;
    type Stream<E: StreamEvent> = Pending<EventStream<E>>;

    fn run<T: Send + 'static>(&self, call: Call<T>) -> Pending<T> {
        let client = self.clone();
        Box::pin(async move { client.answer(call).await })
    }

    fn open<E: StreamEvent>(&self, call: StreamCall<E>) -> Pending<EventStream<E>> {
        let client = self.clone();
        Box::pin(async move { client.stream(call).await })
    }
}

impl Client {
    /// A client of the server at this address. Nothing is sent yet.
    pub fn new(address: Address, key: Option<Secret>) -> Self {
        Self {
            pool: Arc::new(Pool::new(address)),
            key,
            options: CallOptions::default(),
        }
    }

    /// Where the server listens.
    pub fn address(&self) -> &Address {
        self.pool.address()
    }

    /// The connections themselves, for whoever passes requests on as they are.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Adds the server's key to a request's headers.
    pub fn authorize(&self, headers: &mut HeaderMap) {
        let value = self
            .key
            .as_ref()
            .and_then(|key| HeaderValue::from_str(&format!("Bearer {}", key.expose())).ok());
        if let Some(mut value) = value {
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
    }

    options!();

    pub(crate) fn with(&self, set: impl FnOnce(&mut CallOptions)) -> Self {
        let mut client = self.clone();
        set(&mut client.options);
        client
    }

    /// `POST /v1/chat/completions`, streamed: the answer's text, reasoning and tool calls.
    /// [`Endpoints::chat_events`] also shows all else.
    pub async fn chat_stream(
        &self,
        request: &ChatRequest,
        trace: Option<&Propagation>,
    ) -> Result<AnswerStream, ApiError> {
        Ok(self.of_trace(trace).chat_events(request).await?.deltas())
    }

    /// `POST /completion`, llama-server's own endpoint, streamed: the prompt goes to the model as
    /// it stands. [`Endpoints::completion_events`] also shows all else.
    pub async fn completion_stream(
        &self,
        request: &CompletionRequest,
        trace: Option<&Propagation>,
    ) -> Result<AnswerStream, ApiError> {
        let client = self.of_trace(trace);
        Ok(client.completion_events(request).await?.deltas())
    }

    /// `GET` of any path that answers with something short, such as `/metrics`: the body as it is.
    pub async fn get(&self, path: &str) -> Result<Bytes, ApiError> {
        let call = Call::<serde_json::Value>::of_path(Method::GET, path, None);
        self.run(call.reading(|answer| Ok(answer.body.clone())))
            .await
    }

    /// Sends any JSON to any path and returns the JSON that comes back: the way to what this
    /// client has no method for.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<serde_json::Value, ApiError> {
        self.run(Call::of_path(method, path, body)).await
    }

    fn of_trace(&self, trace: Option<&Propagation>) -> Self {
        trace.map_or_else(|| self.clone(), |trace| self.traced(trace))
    }

    async fn answer<T>(&self, call: Call<T>) -> Result<T, ApiError> {
        let question = self.complete(call.question?);
        let limit = match question.effect {
            Effect::Reads => Some(self.options.limit.unwrap_or(READ_LIMIT)),
            Effect::Computes | Effect::Changes => self.options.limit,
        };
        let asking = async {
            let mut attempts = Attempts::new(self.options.retries);
            loop {
                match self.whole(&question, call.also).await {
                    Err(error) if attempts.again(&question, &error) => attempts.pause().await,
                    outcome => return outcome,
                }
            }
        };
        let whole = within(limit, &question, asking).await?;
        (call.read)(&whole).map_err(|source| ApiError::Unexpected {
            path: question.path.into_owned(),
            source,
        })
    }

    /// Asks once and reads the answer to its end.
    async fn whole(
        &self,
        question: &Question,
        also: Option<StatusCode>,
    ) -> Result<Whole, ApiError> {
        let sent = self.send(question).await?;
        let (head, body) = sent.response.into_parts();
        let body = collect(&question.path, body).await?;
        self.pool.keep(sent.connection);
        if !head.status.is_success() && also != Some(head.status) {
            return Err(refused(&question.path, head.status, &body));
        }
        Ok(Whole {
            status: head.status,
            headers: head.headers,
            body,
        })
    }

    async fn stream<E: StreamEvent>(
        &self,
        call: StreamCall<E>,
    ) -> Result<EventStream<E>, ApiError> {
        let question = self.complete(call.question?);
        let opening = async {
            let mut attempts = Attempts::new(self.options.retries);
            loop {
                match self.opened(&question, E::ENDPOINT).await {
                    Err(error) if attempts.again(&question, &error) => attempts.pause().await,
                    outcome => return outcome,
                }
            }
        };
        let opened = within(self.options.limit, &question, opening).await?;
        Ok(EventStream::new(Events::new(opened, call.from), call.read))
    }

    /// Asks once and waits until the answer begins.
    async fn opened(
        &self,
        question: &Question,
        endpoint: Option<Endpoint>,
    ) -> Result<Opened, ApiError> {
        let clock = PhaseClock::start();
        let until = self
            .options
            .limit
            .map(|limit| (clock.sent() + limit, limit));
        let Sent {
            response,
            connection,
            resends,
        } = self.send(question).await?;
        let status = response.status();
        if status != StatusCode::OK {
            let body = collect(&question.path, response.into_body()).await?;
            self.pool.keep(connection);
            return Err(refused(&question.path, status, &body));
        }
        let watch = Watch::new(endpoint, clock, status, Instant::now());
        Ok(Opened {
            path: question.path.to_string(),
            body: response.into_body(),
            connection,
            pool: self.pool.clone(),
            watch,
            resends,
            until,
        })
    }

    /// Opens a conversation's stream again, from this byte of it on, once more within the limit.
    pub(crate) async fn reopen(&self, conversation: &str, from: u64) -> Result<Opened, ApiError> {
        let question = Question::new(&routes::RESUME)
            .with_query("conv_id", conversation)
            .with_query("from", from.to_string());
        let question = self.complete(question);
        within(self.options.limit, &question, self.opened(&question, None)).await
    }

    /// Adds what this client says with every request.
    fn complete(&self, mut question: Question) -> Question {
        if let Some(model) = &self.options.model {
            question.name_model(model);
        }
        question
    }

    async fn send(&self, question: &Question) -> Result<Sent, ApiError> {
        let request = self.request(question).map_err(|source| ApiError::Request {
            path: question.path.to_string(),
            source,
        })?;
        if question.effect == Effect::Changes {
            self.pool.send_once(request).await
        } else {
            self.pool.send(request).await
        }
    }

    fn request(&self, question: &Question) -> Result<Request<Full<Bytes>>, http::Error> {
        let host = match self.address() {
            Address::Unix(_) => "localhost".to_owned(),
            Address::Tcp(address) => address.to_string(),
        };
        let mut request = Request::builder()
            .method(question.method.clone())
            .uri(question.target())
            .header(header::HOST, host);
        if !question.body.is_empty() {
            request = request.header(header::CONTENT_TYPE, question.content_type.clone());
        }
        if let Some(headers) = request.headers_mut() {
            self.authorize(headers);
        }
        if let Some(name) = &self.options.conversation {
            request = request.header(CONVERSATION, name);
        }
        for (name, value) in &question.headers {
            request = request.header(name, value);
        }
        let trace = self.options.trace.iter().flat_map(Propagation::headers);
        for (name, value) in trace {
            request = request.header(name, value);
        }
        request.body(Full::new(question.body.clone()))
    }
}

/// How often a request was tried.
struct Attempts {
    left: u32,
    pause: Duration,
}

impl Attempts {
    fn new(retries: u32) -> Self {
        Self {
            left: retries,
            pause: FIRST_PAUSE,
        }
    }

    /// Whether to try again after this error; counts it.
    fn again(&mut self, question: &Question, error: &ApiError) -> bool {
        let safe = match error {
            // Nothing was sent.
            ApiError::Connect { .. } => true,
            // Whoever says that is before anything that changes or computes.
            ApiError::Refused { status: 503, .. } => question.effect != Effect::Changes,
            ApiError::Broken { .. } => question.effect == Effect::Reads,
            _ => false,
        };
        let again = safe && self.left > 0;
        self.left = self.left.saturating_sub(1);
        again
    }

    async fn pause(&mut self) {
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

async fn within<T>(
    limit: Option<Duration>,
    question: &Question,
    asking: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    let Some(limit) = limit else {
        return asking.await;
    };
    let timed_out = |_| ApiError::TimedOut {
        path: question.path.to_string(),
        limit,
    };
    tokio::time::timeout(limit, asking)
        .await
        .map_err(timed_out)?
}

async fn collect(path: &str, body: hyper::body::Incoming) -> Result<Bytes, ApiError> {
    match body.collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(source) => Err(ApiError::Broken {
            path: path.into(),
            source: Some(source),
        }),
    }
}

fn refused(path: &str, status: StatusCode, body: &[u8]) -> ApiError {
    ApiError::Refused {
        path: path.into(),
        status: status.as_u16(),
        complaint: ServerComplaint::read(body),
    }
}
