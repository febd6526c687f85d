//! The async client.

use crate::connection::{Pool, Sent};
use crate::{
    Address, AnswerStream, ApiError, ChatRequest, CompletionRequest, Health, ModelList, Props,
    ServerComplaint, Slot,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use llamatelemetry_record::{Delivery, Endpoint, PhaseClock, Propagation, StreamScanner};
use llamatelemetry_settings::Secret;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A small document's answer is waited for so long. Streams have no limit of their own: a long
/// prompt on a slow machine is not an error.
const DOCUMENT_LIMIT: Duration = Duration::from_secs(30);

/// A client of one server. Cloning is cheap and shares the connections.
#[derive(Debug, Clone)]
pub struct Client {
    pool: Arc<Pool>,
    key: Option<Secret>,
}

impl Client {
    /// A client of the server at this address. Nothing is sent yet.
    pub fn new(address: Address, key: Option<Secret>) -> Self {
        Self {
            pool: Arc::new(Pool::new(address)),
            key,
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

    /// `GET /health`: whether the model is loaded. A server that still loads answers
    /// [`Health::Loading`].
    pub async fn health(&self) -> Result<Health, ApiError> {
        match self
            .document::<serde_json::Value>(Method::GET, "/health", None)
            .await
        {
            Ok(_) => Ok(Health::Ready),
            Err(ApiError::Refused { status: 503, .. }) => Ok(Health::Loading),
            Err(error) => Err(error),
        }
    }

    /// `GET /props`: what the server runs and how.
    pub async fn props(&self) -> Result<Props, ApiError> {
        self.document(Method::GET, "/props", None).await
    }

    /// `GET /v1/models`: the models it serves.
    pub async fn models(&self) -> Result<ModelList, ApiError> {
        self.document(Method::GET, "/v1/models", None).await
    }

    /// `GET /slots`: what each slot does. Ask at most every 2 s: polled faster, the server does
    /// not notice clients that went away.
    pub async fn slots(&self) -> Result<Vec<Slot>, ApiError> {
        self.document(Method::GET, "/slots", None).await
    }

    /// `POST /v1/chat/completions`, streamed.
    pub async fn chat_stream(
        &self,
        request: &ChatRequest,
        trace: Option<&Propagation>,
    ) -> Result<AnswerStream, ApiError> {
        self.stream(Endpoint::ChatCompletions, request, trace).await
    }

    /// `POST /completion`, llama-server's own endpoint, streamed: the prompt goes to the model as
    /// it stands.
    pub async fn completion_stream(
        &self,
        request: &CompletionRequest,
        trace: Option<&Propagation>,
    ) -> Result<AnswerStream, ApiError> {
        self.stream(Endpoint::NativeCompletion, request, trace)
            .await
    }

    /// `GET` of any path that answers with something short, such as `/metrics`: the body as it is.
    pub async fn get(&self, path: &str) -> Result<Bytes, ApiError> {
        self.small(Method::GET, path, None).await
    }

    /// Sends any JSON to any path and returns the JSON that comes back: the way to what this
    /// client has no method for.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<serde_json::Value, ApiError> {
        self.document(method, path, body).await
    }

    async fn stream(
        &self,
        endpoint: Endpoint,
        body: &impl Serialize,
        trace: Option<&Propagation>,
    ) -> Result<AnswerStream, ApiError> {
        let path = endpoint.path();
        let body = serde_json::to_vec(&Streamed { stream: true, body }).map_err(|source| {
            ApiError::Unexpected {
                path: path.into(),
                source,
            }
        })?;
        let request = self.request(Method::POST, path, body, trace)?;
        let mut scanner = StreamScanner::new(endpoint, PhaseClock::start());
        let Sent {
            response,
            connection,
            resends,
        } = self.pool.send(request).await?;
        let status = response.status();
        scanner.headers(status.as_u16(), Delivery::Streamed, Instant::now());
        if status != StatusCode::OK {
            let body = collect(path, response.into_body()).await?;
            self.pool.keep(connection);
            return Err(refused(path, status, &body));
        }
        Ok(AnswerStream::new(
            endpoint,
            scanner,
            response.into_body(),
            connection,
            self.pool.clone(),
            resends,
        ))
    }

    async fn document<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<T, ApiError> {
        let answer = self.small(method, path, body).await?;
        serde_json::from_slice(&answer).map_err(|source| ApiError::Unexpected {
            path: path.into(),
            source,
        })
    }

    /// The body of a small answer.
    async fn small(
        &self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<Bytes, ApiError> {
        let exchange = async {
            let body = body.map(ToString::to_string).unwrap_or_default();
            let request = self.request(method, path, body.into_bytes(), None)?;
            let Sent {
                response,
                connection,
                ..
            } = self.pool.send(request).await?;
            let status = response.status();
            let body = collect(path, response.into_body()).await?;
            self.pool.keep(connection);
            if !status.is_success() {
                return Err(refused(path, status, &body));
            }
            Ok(body)
        };
        tokio::time::timeout(DOCUMENT_LIMIT, exchange)
            .await
            .unwrap_or_else(|_| {
                Err(ApiError::TimedOut {
                    path: path.into(),
                    limit: DOCUMENT_LIMIT,
                })
            })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        trace: Option<&Propagation>,
    ) -> Result<Request<Full<Bytes>>, ApiError> {
        let host = match self.address() {
            Address::Unix(_) => "localhost".to_owned(),
            Address::Tcp(address) => address.to_string(),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, host);
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(key) = &self.key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", key.expose()));
        }
        for (name, value) in trace.into_iter().flat_map(Propagation::headers) {
            request = request.header(name, value);
        }
        request
            .body(Full::new(body.into()))
            .map_err(|source| ApiError::Request {
                path: path.into(),
                source,
            })
    }
}

/// A request's body with `"stream": true` beside the caller's own fields.
#[derive(Serialize)]
struct Streamed<'a, T> {
    stream: bool,
    #[serde(flatten)]
    body: &'a T,
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
