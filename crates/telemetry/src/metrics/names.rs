//! The one table of instruments.

use super::buckets;
use super::instrument::{Instrument, Kind, Number, Versions};

/// Makes the table and an index into it from one list, so that neither can miss a row.
macro_rules! instruments {
    ($($id:ident {
        $name:literal, $unit:literal, $kind:ident $(($bounds:expr))?, $number:ident, $versions:ident,
        $what:literal
    })*) => {
        /// Which instrument.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) enum Id { $($id),* }

        /// Every instrument, in the order in which they are told.
        pub static INSTRUMENTS: &[Instrument] = &[$(Instrument {
            name: $name,
            unit: $unit,
            what: $what,
            kind: Kind::$kind $(($bounds))?,
            number: Number::$number,
            versions: Versions::$versions,
        }),*];

        /// Their ids, in the same order.
        pub(crate) const IDS: &[Id] = &[$(Id::$id),*];
    };
}

instruments! {
    // Requests, by the GenAI conventions.
    InferenceDuration {
        "gen_ai.client.inference.duration", "s", Histogram(buckets::DURATION), Real, Latest,
        "Request sent → last delta, or the failure."
    }
    OperationDuration {
        "gen_ai.client.operation.duration", "s", Histogram(buckets::DURATION), Real, All,
        "Request sent → last delta, or the failure. In the latest names of embeddings and reranking only."
    }
    FirstChunk {
        "gen_ai.client.inference.time_to_first_chunk", "s", Histogram(buckets::DURATION), Real, Latest,
        "Request sent → first delta of a streamed answer."
    }
    OperationFirstChunk {
        "gen_ai.client.operation.time_to_first_chunk", "s", Histogram(buckets::DURATION), Real, Only1_41,
        "Request sent → first delta of a streamed answer."
    }
    PerChunk {
        "gen_ai.client.inference.time_per_output_chunk", "s", Histogram(buckets::PER_TOKEN), Real, Latest,
        "From each delta of a streamed answer to the next."
    }
    OperationPerChunk {
        "gen_ai.client.operation.time_per_output_chunk", "s", Histogram(buckets::PER_TOKEN), Real, Only1_41,
        "From each delta of a streamed answer to the next."
    }
    InputTokens {
        "gen_ai.client.inference.usage.input_tokens", "{token}", Counter, Whole, Latest,
        "Tokens of prompts, those from the cache included."
    }
    OutputTokens {
        "gen_ai.client.inference.usage.output_tokens", "{token}", Counter, Whole, Latest,
        "Tokens generated."
    }
    CachedTokens {
        "gen_ai.client.inference.usage.cache_read.input_tokens", "{token}", Counter, Whole, Latest,
        "Tokens of prompts that were taken from the cache."
    }
    ReasoningTokens {
        "gen_ai.client.inference.usage.reasoning.output_tokens", "{token}", Counter, Whole, Latest,
        "Tokens generated as reasoning, where the server counts them apart."
    }
    OperationInputTokens {
        "gen_ai.client.inference.operation.input_tokens", "{token}", Histogram(buckets::TOKENS), Whole, Latest,
        "Tokens of one prompt, those from the cache included."
    }
    OperationOutputTokens {
        "gen_ai.client.inference.operation.output_tokens", "{token}", Histogram(buckets::TOKENS), Whole, Latest,
        "Tokens of one answer."
    }
    TokenUsage {
        "gen_ai.client.token.usage", "{token}", Histogram(buckets::TOKENS), Whole, UpTo1_41,
        "Tokens of one prompt or of one answer, by `gen_ai.token.type`."
    }
    ServerDuration {
        "gen_ai.server.request.duration", "s", Histogram(buckets::DURATION), Real, All,
        "Request sent → last delta, as its server's manager saw it."
    }
    ServerFirstToken {
        "gen_ai.server.time_to_first_token", "s", Histogram(buckets::FIRST_TOKEN), Real, All,
        "Queue and prefill of a request that succeeded."
    }
    ServerPerToken {
        "gen_ai.server.time_per_output_token", "s", Histogram(buckets::PER_TOKEN), Real, All,
        "Decode of a request that succeeded, over its tokens after the first."
    }
    ToolDuration {
        "gen_ai.execute_tool.duration", "s", Histogram(buckets::DURATION), Real, Latest,
        "Execution of a tool that the model called."
    }
    // Requests, where no convention has a name.
    QueueDuration {
        "llamacpp.queue.duration", "s", Histogram(buckets::PHASE), Real, All,
        "Request sent → slot started."
    }
    PrefillDuration {
        "llamacpp.prefill.duration", "s", Histogram(buckets::PHASE), Real, All,
        "Slot started → first delta."
    }
    DecodeDuration {
        "llamacpp.decode.duration", "s", Histogram(buckets::PHASE), Real, All,
        "First delta → last delta."
    }
    EvaluatedTokens {
        "llamacpp.prefill.tokens", "{token}", Counter, Whole, All,
        "Tokens of prompts that were evaluated, those from the cache excluded."
    }
    DraftTokens {
        "llamacpp.draft.tokens", "{token}", Counter, Whole, All,
        "Tokens drafted by speculative decoding."
    }
    DraftAccepted {
        "llamacpp.draft.accepted_tokens", "{token}", Counter, Whole, All,
        "Drafted tokens that the model accepted; over those drafted, the acceptance."
    }
    WastedTokens {
        "llamacpp.wasted_tokens", "{token}", Counter, Whole, All,
        "Tokens generated for requests that were cancelled or failed. Where the server gave no count, deltas: about a token each."
    }
    RequestErrors {
        "llamacpp.request.errors", "{error}", Counter, Whole, All,
        "Requests that failed, by `error.type`."
    }
    RequestsActive {
        "llamacpp.requests.active", "{request}", UpDownCounter, Whole, All,
        "Requests sent and not ended."
    }
    RequestsWaiting {
        "llamacpp.requests.waiting", "{request}", UpDownCounter, Whole, All,
        "Requests that no slot works on yet."
    }
    // Servers.
    ModelLoads {
        "llamacpp.model.loads", "{load}", Counter, Whole, All,
        "Loads of a model, failed ones with `error.type`."
    }
    ModelLoadDuration {
        "llamacpp.model.load.duration", "s", Histogram(buckets::PHASE), Real, All,
        "Loading a model."
    }
    Restarts {
        "llamacpp.server.restarts", "{restart}", Counter, Whole, All,
        "Servers that ended and were started again."
    }
    // What llama-server says of itself: its own `/metrics` and `/slots`.
    ServerPromptTokens {
        "llamacpp.server.prompt_tokens", "{token}", ObservableCounter, Whole, All,
        "Prompt tokens evaluated, those from the cache excluded."
    }
    ServerCachedTokens {
        "llamacpp.server.cached_tokens", "{token}", ObservableCounter, Whole, All,
        "Prompt tokens taken from the cache."
    }
    ServerPromptTime {
        "llamacpp.server.prompt.time", "s", ObservableCounter, Real, All,
        "Time spent evaluating prompts."
    }
    ServerPredictedTokens {
        "llamacpp.server.predicted_tokens", "{token}", ObservableCounter, Whole, All,
        "Tokens generated."
    }
    ServerPredictedTime {
        "llamacpp.server.predicted.time", "s", ObservableCounter, Real, All,
        "Time spent generating."
    }
    ServerDecodes {
        "llamacpp.server.decodes", "{call}", ObservableCounter, Whole, All,
        "Calls of `llama_decode`."
    }
    ServerBusySlots {
        "llamacpp.server.busy_slots_per_decode", "{slot}", Gauge, Real, All,
        "Busy slots of a call, on average since the server started."
    }
    ServerDraftTokens {
        "llamacpp.server.draft.tokens", "{token}", ObservableCounter, Whole, All,
        "Tokens drafted."
    }
    ServerDraftAccepted {
        "llamacpp.server.draft.accepted_tokens", "{token}", ObservableCounter, Whole, All,
        "Drafted tokens accepted."
    }
    ServerDraftAcceptedAt {
        "llamacpp.server.draft.accepted_tokens_at_position", "{token}", ObservableCounter, Whole, All,
        "Drafted tokens accepted, by `llamacpp.draft.position` from 0."
    }
    ServerDrafts {
        "llamacpp.server.drafts", "{draft}", ObservableCounter, Whole, All,
        "Drafts verified."
    }
    ServerLongest {
        "llamacpp.server.sequence.max", "{token}", Gauge, Whole, All,
        "Longest sequence since the server started."
    }
    ServerProcessing {
        "llamacpp.server.requests.processing", "{request}", UpDownCounter, Whole, All,
        "Requests that slots work on."
    }
    ServerDeferred {
        "llamacpp.server.requests.deferred", "{request}", UpDownCounter, Whole, All,
        "Requests that wait for a slot."
    }
    ServerSleeping {
        "llamacpp.server.sleeping", "{server}", UpDownCounter, Whole, All,
        "Servers that sleep with their model unloaded: 1 or 0."
    }
    ServerSlots {
        "llamacpp.server.slots", "{slot}", UpDownCounter, Whole, All,
        "Slots, by `llamacpp.slot.state`: `busy` or `idle`."
    }
    SlotTokens {
        "llamacpp.slot.tokens", "{token}", UpDownCounter, Whole, All,
        "Tokens that a slot holds in the KV cache."
    }
    KvTokens {
        "llamacpp.kv_cache.usage", "{token}", UpDownCounter, Whole, All,
        "Tokens in the KV cache: the sum over slots."
    }
    KvLimit {
        "llamacpp.kv_cache.limit", "{token}", UpDownCounter, Whole, All,
        "Tokens that the KV cache has room for."
    }
    KvUtilization {
        "llamacpp.kv_cache.utilization", "1", Gauge, Real, All,
        "Fraction of the KV cache that is in use."
    }
    // Energy.
    RequestEnergy {
        "llamacpp.request.energy", "J", Histogram(buckets::ENERGY), Real, All,
        "Energy of one request."
    }
    TokenEnergy {
        "llamacpp.request.energy_per_output_token", "J", Histogram(buckets::ENERGY_PER_TOKEN), Real, All,
        "Energy of one request over the tokens it generated."
    }
    EnergyAttributed {
        "llamacpp.energy.attributed", "J", ObservableCounter, Real, All,
        "Energy shared out to requests."
    }
    EnergyIdle {
        "llamacpp.energy.idle", "J", ObservableCounter, Real, All,
        "Energy of the devices' idle power."
    }
    EnergyUnattributed {
        "llamacpp.energy.unattributed", "J", ObservableCounter, Real, All,
        "Energy that no request used: other programs, and work that belongs to none."
    }
    // The machine, by core's conventions where they have a name.
    GpuUtilization {
        "hw.gpu.utilization", "1", Gauge, Real, All,
        "Share of the driver's last period in which a kernel ran."
    }
    GpuMemoryLimit {
        "hw.gpu.memory.limit", "By", UpDownCounter, Whole, All,
        "Device memory."
    }
    GpuMemoryUsage {
        "hw.gpu.memory.usage", "By", UpDownCounter, Whole, All,
        "Device memory that programs hold."
    }
    GpuMemoryUtilization {
        "hw.gpu.memory.utilization", "1", Gauge, Real, All,
        "Share of device memory that programs hold."
    }
    Energy {
        "hw.energy", "J", ObservableCounter, Real, All,
        "Energy by the device's own counter, by `hw.type`: `gpu` or `cpu`."
    }
    Power {
        "hw.power", "W", Gauge, Real, All,
        "Power as the driver gives it."
    }
    PowerLimit {
        "llamacpp.gpu.power.limit", "W", Gauge, Real, All,
        "Power limit in force."
    }
    Temperature {
        "hw.temperature", "Cel", Gauge, Real, All,
        "Temperature, by `hw.sensor_location`."
    }
    HardwareErrors {
        "hw.errors", "{error}", ObservableCounter, Whole, All,
        "Memory errors since the driver was loaded, by `error.type`: `corrected` or `uncorrected`."
    }
    GpuClock {
        "llamacpp.gpu.clock", "Hz", Gauge, Real, All,
        "Clock, by `llamacpp.gpu.clock.domain`: `sm` or `memory`."
    }
    GpuThrottled {
        "llamacpp.gpu.throttled", "{gpu}", UpDownCounter, Whole, All,
        "1 for each reason for which the clocks are lower than they could be, by `llamacpp.gpu.throttle.reason`."
    }
    ProcessCpuTime {
        "process.cpu.time", "s", ObservableCounter, Real, All,
        "Processor time of this program and its servers, by `process.pid` and `cpu.mode`."
    }
    ProcessMemory {
        "process.memory.usage", "By", UpDownCounter, Whole, All,
        "Memory that they have in RAM."
    }
    ProcessVirtual {
        "process.memory.virtual", "By", UpDownCounter, Whole, All,
        "Address space that they have reserved."
    }
    ProcessThreads {
        "process.thread.count", "{thread}", UpDownCounter, Whole, All,
        "Their threads."
    }
    ProcessFiles {
        "process.unix.file_descriptor.count", "{file_descriptor}", UpDownCounter, Whole, All,
        "Files and sockets that they have open."
    }
    ProcessDisk {
        "process.disk.io", "By", ObservableCounter, Whole, All,
        "Bytes that they read and wrote, by `disk.io.direction`."
    }
    ProcessUptime {
        "process.uptime", "s", Gauge, Real, All,
        "Time since they were started."
    }
    // Telemetry itself.
    SpansExported {
        "otel.sdk.exporter.span.exported", "{span}", ObservableCounter, Whole, All,
        "Spans that a collector took."
    }
    LogsExported {
        "otel.sdk.exporter.log.exported", "{log_record}", ObservableCounter, Whole, All,
        "Log records that a collector took."
    }
    PointsExported {
        "otel.sdk.exporter.metric_data_point.exported", "{data_point}", ObservableCounter, Whole, All,
        "Points of metrics that a collector took."
    }
    SignalsKept {
        "llamacpp.telemetry.kept", "{item}", UpDownCounter, Whole, All,
        "Items that wait on disk for a collector, by `llamacpp.telemetry.signal`."
    }
    SignalsLost {
        "llamacpp.telemetry.lost", "{item}", UpDownCounter, Whole, All,
        "Items refused or dropped, or waiting in memory only, by `llamacpp.telemetry.signal`."
    }
}

impl Id {
    /// The instrument.
    pub(crate) fn instrument(self) -> &'static Instrument {
        &INSTRUMENTS[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_docs_define_every_instrument_and_no_other() {
        let docs = include_str!("../../../../docs/metrics.md");
        for instrument in INSTRUMENTS {
            let Instrument {
                name, unit, what, ..
            } = instrument;
            let row = format!(
                "| `{name}` | {}, `{unit}` | {what}",
                instrument.kind.as_str()
            );
            assert!(docs.lines().any(|line| line.starts_with(&row)), "{row}");
        }
        let rows = docs.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(rows, INSTRUMENTS.len());
    }
}
