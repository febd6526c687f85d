//! Every endpoint as a method, defined once for both clients.

use crate::call::{Call, StreamCall};
use crate::completion::one_or_several;
use crate::conversation::Lookup;
use crate::embeddings::Encoded;
use crate::router::Named;
use crate::routes;
use crate::slots::SlotFile;
use crate::stream::StreamEvent;
use crate::tokens::WithPieces;
use crate::{
    ChatChunk, ChatCompletion, ChatRequest, Completion, CompletionRequest, CompletionsRequest,
    ControlRequest, DecideRequest, Decisions, DetokenizeRequest, Detokenized, Done, Embeddings,
    EmbeddingsRequest, Health, InfillRequest, KeptStream, LoraAdapter, LoraScale, MessageAnswer,
    MessageEvent, MessagesRequest, Metrics, ModelList, Props, RerankRequest, Reranked, Response,
    ResponseEvent, ResponsesRequest, RouterEvent, RouterModels, RunToolRequest, ServerTool, Slot,
    SlotErased, SlotRestored, SlotSaved, Templated, TextCompletion, TextEmbedding, TokenCount,
    TokenizeRequest, Tokens, ToolEvent, Transcription, TranscriptionEvent, TranscriptionRequest,
};
use http::StatusCode;
use serde_json::Value;

/// Every endpoint of llama-server. [`Client`](crate::Client) answers with futures,
/// [`blocking::Client`](crate::blocking::Client) with the results themselves.
///
/// What a server was not started for, or its model cannot do, is
/// [`ApiError::Refused`](crate::ApiError::Refused) with status 501 (403 for tools), a request that
/// it does not understand the same with 400. [`routes`] tells what each endpoint needs.
pub trait Endpoints {
    /// How an answer is given.
    type Answer<T: Send + 'static>;
    /// How a stream is given.
    type Stream<E: StreamEvent>;

    /// Asks one question.
    fn run<T: Send + 'static>(&self, call: Call<T>) -> Self::Answer<T>;

    /// Asks one question whose answer streams in.
    fn open<E: StreamEvent>(&self, call: StreamCall<E>) -> Self::Stream<E>;

    /// Whether the model is loaded. A server that still loads is [`Health::Loading`].
    fn health(&self) -> Self::Answer<Health> {
        let call = Call::<Value>::plain(&routes::HEALTH).accepting(StatusCode::SERVICE_UNAVAILABLE);
        self.run(call.reading(|answer| {
            Ok(if answer.status.is_success() {
                Health::Ready
            } else {
                Health::Loading
            })
        }))
    }

    /// What the server runs and how.
    fn props(&self) -> Self::Answer<Props> {
        self.run(Call::plain(&routes::PROPS))
    }

    /// Changes what the server runs. b11434 accepts anything and changes nothing yet.
    fn set_props(&self, props: &Value) -> Self::Answer<Done> {
        self.run(Call::json(&routes::SET_PROPS, props))
    }

    /// The models it serves.
    fn models(&self) -> Self::Answer<ModelList> {
        self.run(Call::plain(&routes::MODELS))
    }

    /// Figures in Prometheus' text format.
    fn metrics(&self) -> Self::Answer<Metrics> {
        let call = Call::<Value>::plain(&routes::METRICS);
        self.run(call.reading(|answer| Ok(Metrics::read(&answer.headers, &answer.body))))
    }

    /// What each slot does. Ask at most every 2 s: polled faster, the server does not notice
    /// clients that went away.
    fn slots(&self) -> Self::Answer<Vec<Slot>> {
        self.run(Call::plain(&routes::SLOTS))
    }

    /// Writes a slot's cache to a file of this name in the server's folder for them.
    fn slot_save(&self, slot: u32, filename: &str) -> Self::Answer<SlotSaved> {
        let call = Call::json(&routes::SLOT_SAVE, &SlotFile { filename });
        self.run(call.slot(slot, "save"))
    }

    /// Reads a slot's cache from a file of this name in the server's folder for them.
    fn slot_restore(&self, slot: u32, filename: &str) -> Self::Answer<SlotRestored> {
        let call = Call::json(&routes::SLOT_RESTORE, &SlotFile { filename });
        self.run(call.slot(slot, "restore"))
    }

    /// Empties a slot's cache.
    fn slot_erase(&self, slot: u32) -> Self::Answer<SlotErased> {
        let call = Call::json(&routes::SLOT_ERASE, &serde_json::Map::new());
        self.run(call.slot(slot, "erase"))
    }

    /// The adapters that are loaded. A request chooses its own by
    /// [`Generation::lora`](crate::Generation::lora).
    fn lora_adapters(&self) -> Self::Answer<Vec<LoraAdapter>> {
        self.run(Call::plain(&routes::LORA_ADAPTERS))
    }

    /// Sets how much of each adapter requests get that choose none; those not named get nothing.
    fn set_lora_scales(&self, scales: &[LoraScale]) -> Self::Answer<Done> {
        self.run(Call::json(&routes::SET_LORA_SCALES, scales))
    }

    /// Answers messages through the model's chat template.
    fn chat(&self, request: &ChatRequest) -> Self::Answer<ChatCompletion> {
        self.run(Call::json(&routes::CHAT, request))
    }

    /// [`Endpoints::chat`], event by event.
    fn chat_events(&self, request: &ChatRequest) -> Self::Stream<ChatChunk> {
        self.open(StreamCall::json(&routes::CHAT, request))
    }

    /// Continues a prompt as it stands, in OpenAI's form.
    fn completions(&self, request: &CompletionsRequest) -> Self::Answer<TextCompletion> {
        self.run(Call::json(&routes::COMPLETIONS, request))
    }

    /// [`Endpoints::completions`], event by event.
    fn completions_events(&self, request: &CompletionsRequest) -> Self::Stream<TextCompletion> {
        self.open(StreamCall::json(&routes::COMPLETIONS, request))
    }

    /// Continues a prompt as it stands, in llama-server's own form, which tells most. One answer
    /// for each prompt.
    fn completion(&self, request: &CompletionRequest) -> Self::Answer<Vec<Completion>> {
        let call = Call::<Value>::json(&routes::COMPLETION, request);
        self.run(call.reading(|answer| one_or_several(&answer.body)))
    }

    /// [`Endpoints::completion`], event by event.
    fn completion_events(&self, request: &CompletionRequest) -> Self::Stream<Completion> {
        self.open(StreamCall::json(&routes::COMPLETION, request))
    }

    /// Answers a conversation in the form of OpenAI's Responses.
    fn responses(&self, request: &ResponsesRequest) -> Self::Answer<Response> {
        self.run(Call::json(&routes::RESPONSES, request))
    }

    /// [`Endpoints::responses`], event by event.
    fn responses_events(&self, request: &ResponsesRequest) -> Self::Stream<ResponseEvent> {
        self.open(StreamCall::json(&routes::RESPONSES, request))
    }

    /// Answers a conversation in the form of Anthropic's Messages.
    fn messages(&self, request: &MessagesRequest) -> Self::Answer<MessageAnswer> {
        self.run(Call::json(&routes::MESSAGES, request))
    }

    /// [`Endpoints::messages`], event by event.
    fn messages_events(&self, request: &MessagesRequest) -> Self::Stream<MessageEvent> {
        self.open(StreamCall::json(&routes::MESSAGES, request))
    }

    /// Fills the place between two texts.
    fn infill(&self, request: &InfillRequest) -> Self::Answer<Completion> {
        self.run(Call::json(&routes::INFILL, request))
    }

    /// [`Endpoints::infill`], event by event.
    fn infill_events(&self, request: &InfillRequest) -> Self::Stream<Completion> {
        self.open(StreamCall::json(&routes::INFILL, request))
    }

    /// Writes down what is spoken.
    fn transcribe(&self, request: &TranscriptionRequest) -> Self::Answer<Transcription> {
        self.run(Call::of(request.question(false)))
    }

    /// [`Endpoints::transcribe`], event by event.
    fn transcribe_events(
        &self,
        request: &TranscriptionRequest,
    ) -> Self::Stream<TranscriptionEvent> {
        self.open(StreamCall::of(request.question(true)))
    }

    /// Acts on a chat that is being answered: ends its reasoning.
    fn chat_control(&self, request: &ControlRequest) -> Self::Answer<Done> {
        self.run(Call::json(&routes::CHAT_CONTROL, request))
    }

    /// Turns texts into vectors, one each.
    fn embeddings(&self, request: &EmbeddingsRequest) -> Self::Answer<Embeddings> {
        let encoding_format = "base64";
        self.run(Call::json(
            &routes::EMBEDDINGS,
            &Encoded {
                request,
                encoding_format,
            },
        ))
    }

    /// Turns texts into vectors; from a server without pooling, one for each token.
    fn embedding(&self, request: &EmbeddingsRequest) -> Self::Answer<Vec<TextEmbedding>> {
        self.run(Call::json(&routes::EMBEDDING, request))
    }

    /// Scores documents against a query.
    fn rerank(&self, request: &RerankRequest) -> Self::Answer<Reranked> {
        self.run(Call::json(&routes::RERANK, request))
    }

    /// Answers typed questions about a state.
    fn decide(&self, request: &DecideRequest) -> Self::Answer<Decisions> {
        self.run(Call::json(&routes::DECIDE, request))
    }

    /// Cuts a text into the model's tokens.
    fn tokenize(&self, request: &TokenizeRequest) -> Self::Answer<Tokens> {
        let with_pieces = true;
        self.run(Call::json(
            &routes::TOKENIZE,
            &WithPieces {
                request,
                with_pieces,
            },
        ))
    }

    /// Puts tokens together.
    fn detokenize(&self, request: &DetokenizeRequest) -> Self::Answer<Detokenized> {
        self.run(Call::json(&routes::DETOKENIZE, request))
    }

    /// What the model would be given for a chat.
    fn apply_template(&self, request: &ChatRequest) -> Self::Answer<Templated> {
        self.run(Call::json(&routes::APPLY_TEMPLATE, request))
    }

    /// How many tokens the prompt of a chat has.
    fn chat_tokens(&self, request: &ChatRequest) -> Self::Answer<TokenCount> {
        self.run(Call::json(&routes::CHAT_TOKENS, request))
    }

    /// How many tokens the prompt of a response has.
    fn responses_tokens(&self, request: &ResponsesRequest) -> Self::Answer<TokenCount> {
        self.run(Call::json(&routes::RESPONSES_TOKENS, request))
    }

    /// How many tokens the prompt of a message has.
    fn messages_tokens(&self, request: &MessagesRequest) -> Self::Answer<TokenCount> {
        self.run(Call::json(&routes::MESSAGES_TOKENS, request))
    }

    /// The stream that the server keeps under a conversation's name, from this byte of it on: as
    /// far as it is at once, then as it comes. The kind of its events is that of the endpoint that
    /// was asked. Bytes that the server has dropped already are an error.
    fn resume<E: StreamEvent>(&self, conversation: &str, from: u64) -> Self::Stream<E> {
        let call = StreamCall::plain(&routes::RESUME).query("conv_id", conversation);
        self.open(call.from(from))
    }

    /// Which of these conversations have a stream that the server keeps.
    fn streams(&self, conversations: &[&str]) -> Self::Answer<Vec<KeptStream>> {
        let conversation_ids = conversations;
        self.run(Call::json(&routes::STREAMS, &Lookup { conversation_ids }))
    }

    /// Stops a conversation's stream and forgets it; one that is not there is stopped already.
    fn stop_stream(&self, conversation: &str) -> Self::Answer<()> {
        let call = Call::<Value>::plain(&routes::STOP_STREAM).query("conv_id", conversation);
        self.run(call.reading(|_| Ok(())))
    }

    /// The models of a router, loaded or not.
    fn router_models(&self) -> Self::Answer<RouterModels> {
        self.run(Call::plain(&routes::ROUTER_MODELS))
    }

    /// Has a router load a model. The answer does not wait for that;
    /// [`Endpoints::router_events`] tells when it is done.
    fn router_load(&self, model: &str) -> Self::Answer<Done> {
        self.run(Call::json(&routes::ROUTER_LOAD, &Named { model }))
    }

    /// Has a router unload a model, or stop its download.
    fn router_unload(&self, model: &str) -> Self::Answer<Done> {
        self.run(Call::json(&routes::ROUTER_UNLOAD, &Named { model }))
    }

    /// What happens to a router's models from now on; ends when the router does.
    fn router_events(&self) -> Self::Stream<RouterEvent> {
        self.open(StreamCall::plain(&routes::ROUTER_EVENTS))
    }

    /// Has a router download a model of the model hub, `owner/repo[:quant]`. The answer does not
    /// wait for that; [`Endpoints::router_events`] tells how far it is.
    fn router_download(&self, model: &str) -> Self::Answer<Done> {
        self.run(Call::json(&routes::ROUTER_DOWNLOAD, &Named { model }))
    }

    /// Has a router remove a model that it downloaded.
    fn router_remove(&self, model: &str) -> Self::Answer<Done> {
        self.run(Call::plain(&routes::ROUTER_REMOVE).query("model", model))
    }

    /// The tools that the server runs itself.
    fn tools(&self) -> Self::Answer<Vec<ServerTool>> {
        self.run(Call::plain(&routes::TOOLS))
    }

    /// Runs one of them; what it answers depends on the tool.
    fn run_tool(&self, request: &RunToolRequest) -> Self::Answer<Value> {
        self.run(Call::json(&routes::RUN_TOOL, request))
    }

    /// [`Endpoints::run_tool`], event by event, for tools that can.
    fn run_tool_events(&self, request: &RunToolRequest) -> Self::Stream<ToolEvent> {
        self.open(StreamCall::json(&routes::RUN_TOOL, request))
    }
}
