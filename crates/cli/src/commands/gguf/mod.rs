//! `llt gguf inspect|validate`

mod validate;

use super::Session;
use crate::args::GgufCommand;
use crate::outcome::ExitStatus;
use crate::printer::Printer;
use crate::quantity;
use crate::table::Table;
use llamatelemetry::gguf::{Gguf, ModelFacts, PerLayer, SplitGguf, Tensor, Value, open_model};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Elements of an array that are shown.
const SHOWN_ELEMENTS: usize = 6;
/// Letters of a text that are shown to people.
const SHOWN_LETTERS: usize = 120;

pub(crate) fn gguf(command: &GgufCommand, session: &Session) -> anyhow::Result<ExitStatus> {
    match command {
        GgufCommand::Inspect {
            file,
            metadata,
            tensors,
        } => {
            let shown = Shown {
                metadata: *metadata,
                tensors: *tensors,
            };
            inspect(file, shown, &session.printer)
        }
        GgufCommand::Validate { files } => validate::validate(files, &session.printer),
    }
}

/// What is shown beside the facts.
#[derive(Clone, Copy)]
struct Shown {
    metadata: bool,
    tensors: bool,
}

#[derive(Serialize)]
struct Inspection<'a> {
    files: Vec<FileFacts>,
    facts: &'a ModelFacts,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<serde_json::Map<String, serde_json::Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tensors: Option<Vec<TensorRow>>,
}

#[derive(Serialize)]
struct FileFacts {
    path: PathBuf,
    size: u64,
    version: u32,
    alignment: u32,
    data_offset: u64,
}

#[derive(Serialize)]
struct TensorRow {
    name: String,
    ggml_type: String,
    shape: Vec<u64>,
    offset: u64,
    size: Option<u64>,
}

impl TensorRow {
    fn of(tensor: &Tensor<'_>) -> Self {
        Self {
            name: tensor.name().lossy().into_owned(),
            ggml_type: tensor.ggml_type().to_string(),
            shape: tensor.shape().to_vec(),
            offset: tensor.offset(),
            size: tensor.size(),
        }
    }
}

fn inspect(file: &Path, shown: Shown, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let model = open_model(file)?;
    let facts = model.facts()?;
    let files: Vec<FileFacts> = model
        .parts()
        .iter()
        .zip(model.paths())
        .map(|(part, path)| FileFacts {
            path: path.to_owned(),
            size: part.file_length(),
            version: part.version(),
            alignment: part.alignment(),
            data_offset: part.data_offset(),
        })
        .collect();
    if printer.is_json() {
        printer.document(&Inspection {
            files,
            facts: &facts,
            metadata: shown.metadata.then(|| metadata_json(&model)),
            tensors: shown.tensors.then(|| {
                model
                    .tensors()
                    .map(|tensor| TensorRow::of(&tensor))
                    .collect()
            }),
        })?;
        return Ok(ExitStatus::Done);
    }
    printer.table(&facts_table(&files, &facts))?;
    printer.line("")?;
    printer.table(&quantization_table(&facts))?;
    if shown.metadata {
        printer.line("")?;
        printer.table(&metadata_table(&model))?;
    }
    if shown.tensors {
        printer.line("")?;
        printer.table(&tensor_table(&model))?;
    }
    Ok(ExitStatus::Done)
}

fn facts_table(files: &[FileFacts], facts: &ModelFacts) -> Table {
    let mut table = Table::new().left("").left("");
    let mut row = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            table.row([name.to_owned(), value]);
        }
    };
    let number = |value: Option<u32>| value.map(|value| value.to_string());
    for file in files {
        let size = quantity::bytes(file.size);
        row(
            "file",
            Some(format!(
                "{} ({size}, GGUF v{})",
                file.path.display(),
                file.version
            )),
        );
    }
    row("name", facts.name.clone());
    let architecture = Some(facts.architecture.clone()).filter(|name| !name.is_empty());
    row("architecture", architecture);
    row("kind", word(&facts.kind));
    row(
        "parameters",
        Some(format!(
            "{} ({})",
            quantity::parameters(facts.parameters),
            facts.parameters
        )),
    );
    row("file type", facts.file_type.map(|of| of.to_string()));
    row(
        "context",
        facts.context_length.map(|of| format!("{of} tokens")),
    );
    row("layers", number(facts.layers));
    row("embedding length", number(facts.embedding_length));
    row(
        "feed-forward length",
        facts.feed_forward_length.as_ref().map(per_layer),
    );
    row("heads", facts.heads.as_ref().map(per_layer));
    row("key-value heads", facts.kv_heads.as_ref().map(per_layer));
    row("key length", number(facts.key_length));
    row("value length", number(facts.value_length));
    row("sliding window", number(facts.sliding_window));
    row("experts", number(facts.experts));
    row("experts used", number(facts.experts_used));
    row("vocabulary", number(facts.vocabulary));
    row("tokenizer", facts.tokenizer_model.clone());
    row("pooling", facts.pooling_type.map(|of| of.to_string()));
    let template = facts.chat_template.as_ref();
    row(
        "chat template",
        template.map(|text| format!("{} bytes", text.len())),
    );
    table
}

/// The word that the document has for it.
fn word(value: &impl Serialize) -> Option<String> {
    let json = serde_json::to_value(value).ok()?;
    json.as_str().map(Into::into)
}

fn per_layer(numbers: &PerLayer) -> String {
    match numbers {
        PerLayer::Same(number) => number.to_string(),
        PerLayer::Each(numbers) => {
            // Layers differ; the distinct numbers say how.
            let distinct: std::collections::BTreeSet<u32> = numbers.iter().copied().collect();
            let texts: Vec<String> = distinct.iter().map(ToString::to_string).collect();
            format!("{} (differs by layer)", texts.join(", "))
        }
    }
}

fn quantization_table(facts: &ModelFacts) -> Table {
    let mut table = Table::new()
        .left("type")
        .right("tensors")
        .right("parameters")
        .right("size")
        .right("share");
    for share in &facts.quantization {
        let percent = share.bytes as f64 * 100.0 / facts.tensor_bytes.max(1) as f64;
        table.row([
            share.ggml_type.to_string(),
            share.tensors.to_string(),
            quantity::parameters(share.parameters),
            quantity::bytes(share.bytes),
            format!("{percent:.1} %"),
        ]);
    }
    table
}

fn metadata_table(model: &SplitGguf) -> Table {
    let mut table = Table::new().left("key").left("type").left("value");
    for (key, value) in model.first().into_iter().flat_map(Gguf::metadata) {
        table.row([
            key.lossy().into_owned(),
            value.value_type().name().to_owned(),
            shown_value(&value),
        ]);
    }
    table
}

fn shown_value(value: &Value<'_>) -> String {
    match value {
        Value::Array(array) => {
            let first: Vec<String> = array
                .iter()
                .take(SHOWN_ELEMENTS)
                .map(|element| shown_value(&element))
                .collect();
            let more = array.len() > SHOWN_ELEMENTS as u64;
            let dots = if more { ", …" } else { "" };
            format!(
                "{} × {}: {}{dots}",
                array.len(),
                array.element_type().name(),
                first.join(", ")
            )
        }
        other => {
            let text = match other.as_text() {
                Some(text) => text.lossy().escape_debug().to_string(),
                None => scalar_json(other).to_string(),
            };
            match text.char_indices().nth(SHOWN_LETTERS) {
                Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
                None => text,
            }
        }
    }
}

/// All metadata; long arrays are cut, and say so by their length.
fn metadata_json(model: &SplitGguf) -> serde_json::Map<String, serde_json::Value> {
    model
        .first()
        .into_iter()
        .flat_map(Gguf::metadata)
        .map(|(key, value)| (key.lossy().into_owned(), value_json(&value)))
        .collect()
}

fn value_json(value: &Value<'_>) -> serde_json::Value {
    match value {
        Value::Array(array) => serde_json::json!({
            "length": array.len(),
            "element_type": array.element_type().name(),
            "first": array
                .iter()
                .take(SHOWN_ELEMENTS)
                .map(|element| value_json(&element))
                .collect::<Vec<_>>(),
        }),
        other => scalar_json(other),
    }
}

fn scalar_json(value: &Value<'_>) -> serde_json::Value {
    if let Some(text) = value.as_text() {
        return text.lossy().into();
    }
    if let Some(truth) = value.as_bool() {
        return truth.into();
    }
    // Whole numbers first: a float shows no more than they do.
    let whole = value.as_u64().map(Into::into);
    whole
        .or_else(|| value.as_i64().map(Into::into))
        .or_else(|| value.as_f64().map(Into::into))
        .unwrap_or(serde_json::Value::Null)
}

fn tensor_table(model: &SplitGguf) -> Table {
    let mut table = Table::new()
        .left("tensor")
        .left("type")
        .left("shape")
        .right("size");
    for tensor in model.tensors() {
        let row = TensorRow::of(&tensor);
        let shape: Vec<String> = row.shape.iter().map(ToString::to_string).collect();
        table.row([
            row.name,
            row.ggml_type,
            shape.join(" × "),
            row.size.map(quantity::bytes).unwrap_or_default(),
        ]);
    }
    table
}
