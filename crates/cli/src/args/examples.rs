//! The examples at the end of each command's help.

pub(super) const LLT: &str = "\
Examples:
  llt run smollm2 \"Explain CUDA in one sentence.\"    the first run finds or builds llama.cpp
  llt chat smollm2                                   a conversation
  llt models search                                  models with a short name
  llt doctor                                         what is missing on this machine

Data goes to stdout, everything else to stderr. Exit code 0: done, 1: failed, 2: wrong usage.
State lives in LLAMATELEMETRY_HOME; `llt config show --origin` shows every setting.";

pub(super) const RUN: &str = "\
Examples:
  llt run smollm2 \"Explain CUDA in one sentence.\"
  git diff | llt run smollm2 - --system \"Write a commit message for this diff.\"
  llt run ./model.gguf \"Hello\" --temperature 0 --max-tokens 48 --json
  llt run smollm2 \"A person\" --json-schema person.schema.json
  llt run hf:ggml-org/gemma-3-4b-it-GGUF \"What is this?\" --image photo.png
  llt run smollm2 \"Hello\" --otel console             the request's spans, on stderr

The prompt goes through the model's chat template. What is not given is not sent: the server's own
defaults hold. --json prints one document with text, usage and timings (docs/figures.md).";

pub(super) const CHAT: &str = "\
Examples:
  llt chat smollm2
  llt chat smollm2 --system \"You answer in rhymes.\"

In the conversation: /help lists the commands, Ctrl-C stops an answer, Ctrl-D or /exit ends.
With --json each answer is one line of JSON on stdout.";

pub(super) const EMBED: &str = "\
Examples:
  llt embed smollm2 \"a cat\" \"a dog\"
  llt embed ./minilm.gguf --file sentences.txt --out vectors.npy
  jq -r .title news.jsonl | llt embed ./minilm.gguf --json

The vectors are in the order of the texts. With --json each is one line of JSON on stdout.";

pub(super) const RERANK: &str = "\
Examples:
  llt rerank ./reranker.gguf \"how do cats sleep\" \"Cats nap.\" \"Dogs bark.\"
  llt rerank ./reranker.gguf \"how do cats sleep\" --file passages.txt --top 3

The best comes first; scores are on the model's own scale. With --json each is one line of JSON.";

pub(super) const TOKENIZE: &str = "\
Examples:
  llt tokenize smollm2 \"Grüße, world\"
  llt tokenize smollm2 --file README.md --json | jq .count
  git diff | llt tokenize smollm2 --json

With --json each text is one line of JSON on stdout. A piece that is no whole character is a list of
its bytes.";

pub(super) const SERVE: &str = "\
Examples:
  llt serve smollm2                                  at http://127.0.0.1:8080, until Ctrl-C
  llt serve smollm2 --port 9000 --parallel 4
  curl http://127.0.0.1:8080/v1/chat/completions -d '{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}'

Every endpoint of llama-server passes through unchanged; every request is recorded: `llt trace list`
shows them.";

pub(super) const PS: &str = "\
Examples:
  llt ps
  llt ps --json";

pub(super) const STOP: &str = "\
Examples:
  llt stop smollm2          the model goes once its requests are done
  llt stop                  every `llt serve` of this home ends, its requests done";

pub(super) const KEYS: &str = "\
Examples:
  llt keys add laptop
  llt keys list
  llt keys revoke laptop

Once there is a key, `llt serve` of this home answers nobody without one. Keys are kept hashed.";

pub(super) const KEYS_ADD: &str = "\
Examples:
  llt keys add laptop
  llt keys add ci --model smollm2 --requests-per-minute 60 --tokens-per-minute 100000 --expires 30d
  export OPENAI_API_KEY=$(llt keys add agent)";

pub(super) const RUNTIME: &str = "\
Examples:
  llt runtime install             find or build it before it is needed
  llt runtime explain             why this one is used and the others are not
  eval \"$(llt runtime env)\"       use it from other programs

Tried in this order, the first that passes a run is used: LLAMA_SERVER_PATH, the builds in the
home, PATH, a release archive, a build from source.";

pub(super) const RUNTIME_INSTALL: &str = "\
Examples:
  llt runtime install
  llt runtime install --backend cuda --anew
  llt runtime install --only build --source ./llama.cpp --build-jobs 4";

pub(super) const RUNTIME_TOOL: &str = "\
Examples:
  \"$(llt runtime tool llama-bench)\" -m model.gguf
  \"$(llt runtime tool llama-quantize)\" model-F16.gguf model-Q4_K_M.gguf Q4_K_M

The first time takes up to minutes: the program is built with the flags of the build that runs
models here. The converter is a script that needs Python packages of its own.";

pub(super) const RUNTIME_ENV: &str = "\
Example:
  eval \"$(llt runtime env)\"";

pub(super) const MODELS: &str = "\
Examples:
  llt models search code
  llt models pull smollm2
  llt models show smollm2
  llt models prune --unused-for 14 --yes";

pub(super) const MODELS_SEARCH: &str = "\
Examples:
  llt models search
  llt models search gemma vision";

pub(super) const MODELS_PULL: &str = "\
Examples:
  llt models pull smollm2
  llt models pull hf:ggml-org/gemma-3-1b-it-GGUF:Q4_K_M
  llt models pull https://example.org/model.gguf#sha256=…

An interrupted download goes on where it stopped.";

pub(super) const MODELS_PRUNE: &str = "\
Examples:
  llt models prune                          what would be removed
  llt models prune --unused-for 14 --yes    remove it";

pub(super) const GGUF: &str = "\
Examples:
  llt gguf inspect model.gguf
  llt gguf validate *.gguf";

pub(super) const GGUF_INSPECT: &str = "\
Examples:
  llt gguf inspect model.gguf
  llt gguf inspect model-00001-of-00003.gguf --metadata
  llt gguf inspect model.gguf --tensors --json";

pub(super) const GGUF_VALIDATE: &str = "\
Examples:
  llt gguf validate model.gguf
  llt gguf validate *.gguf --json

Exit code 1 if a file is broken or llama.cpp would refuse it.";

pub(super) const TRACE: &str = "\
Examples:
  llt trace list                    the newest traces
  llt trace show last               the spans of the newest one
  llt trace list --failed --since 1d
  llt trace check                   hold the last hour to the conventions

Every answer of `llt run` and `llt chat` is stored in the home, without what was said unless
telemetry.capture_content asks for it. `llt config show telemetry.store` shows how much and how
long; no other program is needed.";

pub(super) const TRACE_LIST: &str = "\
Examples:
  llt trace list
  llt trace list --since 1h --model smollm2 --longer-than 2s
  llt trace list --failed --json
  llt trace list --follow --model smollm2
  llt trace list --attribute gen_ai.conversation.id=c1 --text \"out of memory\"

Times are UTC. --json prints one trace a line; times in it are seconds, energy is joules.";

pub(super) const TRACE_SHOW: &str = "\
Examples:
  llt trace show last
  llt trace show 0af76519           as much of the id as tells it from others
  llt trace show last -v            with every attribute and event
  llt trace show last --json        OTLP's JSON";

pub(super) const TRACE_EXPORT: &str = "\
Examples:
  llt trace export > traces.jsonl
  llt trace export --since 1d --failed --output failed.jsonl
  llt trace export --signal all --output everything.jsonl
  llt trace export --format parquet --output spans.parquet
  llt trace export --format parquet --signal logs --output logs.parquet
  llt trace export --format run-record last --output run.json

Traces are exported whole. What is exported and imported elsewhere exports as the same bytes again.
A Parquet file is one view of docs/sql.md: spans, metric_points or logs.";

pub(super) const TRACE_IMPORT: &str = "\
Examples:
  llt trace import traces.jsonl
  llt trace import collector.json.gz spans.pb
  ssh other llt trace export | llt trace import -

What is imported twice lies in the store twice.";

pub(super) const TRACE_SQL: &str = "\
Examples:
  llt trace sql \"SELECT model, count(*), avg(duration_ns) / 1e6 AS ms FROM spans
                 WHERE operation = 'chat' GROUP BY model\"
  llt trace sql \"SELECT trace_id, ttft_ns FROM spans ORDER BY start_time_unix_nano DESC LIMIT 5\"
  llt trace sql --timeout 30s --csv < question.sql > answer.csv
  llt trace sql --views

SQLite's SQL over views of the store (docs/sql.md); it only reads. What is not known is NULL.
--json prints one row a line.";

pub(super) const TRACE_CHECK: &str = "\
Examples:
  llt trace check                               what was stored in the last hour
  llt trace check --since 1d
  llt trace check spans.jsonl
  llt trace check --profile v1.36 traces.json.gz metrics.pb
  cat spans.jsonl | llt trace check - --json
  llt trace check --rules                       every rule, its level and what it finds

Exit code 1 if a rule of level violation is broken. With --json each finding is one line of JSON,
and a last line says how much was checked.";

pub(super) const TRACE_PURGE: &str = "\
Examples:
  llt trace purge 0af76519                      one trace, with its log records
  llt trace purge --conversation c1 --dry-run
  llt trace purge --attribute session.id=s7 --yes
  llt trace purge --older-than 30d --yes        spans, metrics and logs
  llt trace purge --all

Every file that holds any of it is written anew without it. Traces go whole, also of programs that
write now. Exit code 1 if a damaged file may still hold some of it; it is named.";

pub(super) const METRICS: &str = "\
Examples:
  llt metrics
  llt metrics --since 1h
  llt metrics --json

From sums that are kept beside the spans. Times and rates are of requests that were answered: p50
and p99 to 5 %, tokens a second as output tokens by the whole time of the requests. Joules are
there where they were measured.";

pub(super) const LOGS: &str = "\
Examples:
  llt logs
  llt logs --follow --level warn
  llt logs --trace last
  llt logs --since 1d --text \"out of memory\" --json

Times are UTC; the beginning of the trace's id stands before what is said. -v adds the attributes,
--json prints one record a line.";

pub(super) const GPU: &str = "\
Examples:
  llt gpu
  llt gpu --watch
  llt gpu --watch --json > samples.jsonl";

pub(super) const DOCTOR: &str = "\
Examples:
  llt doctor
  llt doctor --offline --json

Exit code 1 if something is broken that keeps models from running.";

pub(super) const CONFIG: &str = "\
Examples:
  llt config show --origin
  llt config show network";

pub(super) const CONFIG_SHOW: &str = "\
Examples:
  llt config show --origin
  llt config show network
  llt config show --json";

pub(super) const COMPLETIONS: &str = "\
Examples:
  llt completions bash > ~/.local/share/bash-completion/completions/llt
  llt completions zsh > ~/.zfunc/_llt
  llt completions fish > ~/.config/fish/completions/llt.fish";
