//! Every endpoint of llama-server b11434: the one list that the client, its documentation and its
//! tests share.

use std::fmt;

/// The HTTP method of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `DELETE`
    Delete,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        })
    }
}

impl From<Verb> for http::Method {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Get => Self::GET,
            Verb::Post => Self::POST,
            Verb::Delete => Self::DELETE,
        }
    }
}

/// What asking twice does, and so when a request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Tells what is there, at once. May be asked again at any time.
    Reads,
    /// Computes an answer. Asking again costs time and changes nothing.
    Computes,
    /// Changes the server. Never sent again once a byte of it may have arrived.
    Changes,
}

/// One endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The method of [`Endpoints`](crate::Endpoints) that asks it.
    pub name: &'static str,
    /// The method of [`Endpoints`](crate::Endpoints) that streams its answer, if that can be
    /// streamed.
    pub streams: Option<&'static str>,
    /// The HTTP method.
    pub method: Verb,
    /// The path. `:id_slot` stands for a number.
    pub path: &'static str,
    /// Other paths under which the server offers the same.
    pub aliases: &'static [&'static str],
    /// What asking twice does.
    pub effect: Effect,
    /// What the server must be started with, or what its model must be, beyond a default start.
    pub needs: &'static str,
}

/// What a route is where it says nothing else. No `Default`, because routes are statics.
const fn route(name: &'static str, method: Verb, path: &'static str, effect: Effect) -> Route {
    Route {
        name,
        streams: None,
        method,
        path,
        aliases: &[],
        effect,
        needs: "",
    }
}

macro_rules! routes {
    ($($constant:ident = $method:ident $path:literal $effect:ident $name:literal
        $({ $($field:ident: $value:expr),* $(,)? })?;)*) => {
        $(
            #[doc = concat!("[`Endpoints::", $name, "`](crate::Endpoints::", $name, ").")]
            pub static $constant: Route = Route {
                $($($field: $value,)*)?
                ..route($name, Verb::$method, $path, Effect::$effect)
            };
        )*

        /// Every endpoint.
        pub static ROUTES: &[&Route] = &[$(&$constant),*];
    };
}

routes! {
    HEALTH = Get "/health" Reads "health" { aliases: &["/v1/health"] };
    PROPS = Get "/props" Reads "props";
    SET_PROPS = Post "/props" Changes "set_props" { needs: "`--props`" };
    MODELS = Get "/v1/models" Reads "models" { aliases: &["/models"] };
    METRICS = Get "/metrics" Reads "metrics" { needs: "`--metrics`" };
    SLOTS = Get "/slots" Reads "slots";
    SLOT_SAVE = Post "/slots/:id_slot" Changes "slot_save" { needs: "`--slot-save-path`" };
    SLOT_RESTORE = Post "/slots/:id_slot" Changes "slot_restore" { needs: "`--slot-save-path`" };
    SLOT_ERASE = Post "/slots/:id_slot" Changes "slot_erase" { needs: "`--slot-save-path`" };
    LORA_ADAPTERS = Get "/lora-adapters" Reads "lora_adapters";
    SET_LORA_SCALES = Post "/lora-adapters" Changes "set_lora_scales";

    CHAT = Post "/v1/chat/completions" Computes "chat" {
        streams: Some("chat_events"), aliases: &["/chat/completions"],
    };
    COMPLETIONS = Post "/v1/completions" Computes "completions" {
        streams: Some("completions_events"),
    };
    COMPLETION = Post "/completion" Computes "completion" {
        streams: Some("completion_events"), aliases: &["/completions"],
    };
    RESPONSES = Post "/v1/responses" Computes "responses" {
        streams: Some("responses_events"), aliases: &["/responses"],
    };
    MESSAGES = Post "/v1/messages" Computes "messages" { streams: Some("messages_events") };
    INFILL = Post "/infill" Computes "infill" {
        streams: Some("infill_events"), needs: "a model with fill-in-the-middle tokens",
    };
    TRANSCRIBE = Post "/v1/audio/transcriptions" Computes "transcribe" {
        streams: Some("transcribe_events"), aliases: &["/audio/transcriptions"],
        needs: "a model that hears, and `--mmproj`",
    };
    CHAT_CONTROL = Post "/v1/chat/completions/control" Changes "chat_control";

    EMBEDDINGS = Post "/v1/embeddings" Computes "embeddings" { needs: "`--embeddings`" };
    EMBEDDING = Post "/embedding" Computes "embedding" {
        aliases: &["/embeddings"], needs: "`--embeddings`",
    };
    RERANK = Post "/v1/rerank" Computes "rerank" {
        aliases: &["/rerank", "/reranking", "/v1/reranking"],
        needs: "`--rerank`, and a model that ranks",
    };
    DECIDE = Post "/v1/systemone" Computes "decide" { needs: "a decision model" };

    TOKENIZE = Post "/tokenize" Reads "tokenize";
    DETOKENIZE = Post "/detokenize" Reads "detokenize";
    APPLY_TEMPLATE = Post "/apply-template" Reads "apply_template";
    CHAT_TOKENS = Post "/v1/chat/completions/input_tokens" Reads "chat_tokens" {
        aliases: &["/chat/completions/input_tokens"],
    };
    RESPONSES_TOKENS = Post "/v1/responses/input_tokens" Reads "responses_tokens" {
        aliases: &["/responses/input_tokens"],
    };
    MESSAGES_TOKENS = Post "/v1/messages/count_tokens" Reads "messages_tokens";

    RESUME = Get "/v1/stream" Reads "resume" { streams: Some("resume") };
    STREAMS = Post "/v1/streams/lookup" Reads "streams";
    STOP_STREAM = Delete "/v1/stream" Changes "stop_stream";

    ROUTER_MODELS = Get "/models" Reads "router_models" { needs: "a router" };
    ROUTER_LOAD = Post "/models/load" Changes "router_load" { needs: "a router" };
    ROUTER_UNLOAD = Post "/models/unload" Changes "router_unload" { needs: "a router" };
    ROUTER_EVENTS = Get "/models/sse" Reads "router_events" {
        streams: Some("router_events"), needs: "a router",
    };
    ROUTER_DOWNLOAD = Post "/models" Changes "router_download" { needs: "a router" };
    ROUTER_REMOVE = Delete "/models" Changes "router_remove" { needs: "a router" };

    TOOLS = Get "/tools" Reads "tools" { needs: "`--tools`" };
    RUN_TOOL = Post "/tools" Changes "run_tool" {
        streams: Some("run_tool_events"), needs: "`--tools`",
    };
}

/// Endpoints of llama-server that have no method here, each with the reason.
pub const NOT_HERE: &[(&str, &str)] = &[(
    "/cors-proxy",
    "fetches other sites for the server's own web page; off unless asked for",
)];
