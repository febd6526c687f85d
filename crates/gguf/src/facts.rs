//! What a model is, as typed facts instead of keys.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::GgufError;
use crate::file_type::FileType;
use crate::ggml::GgmlType;
use crate::kind::{ModelKind, PoolingType, kind_of};
use crate::reader::{Gguf, Tensor};
use crate::value::Value;

/// The facts about a model that others decide by. `None` is "the file does not say".
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ModelFacts {
    /// `general.architecture`, such as `llama` or `qwen3moe`; empty where a vocabulary, adapter or
    /// matrix file names none.
    pub architecture: String,
    /// `general.name`.
    pub name: Option<String>,
    /// What the file can be used for.
    pub kind: ModelKind,
    /// Layers (`block_count`).
    pub layers: Option<u32>,
    /// Width of the residual stream.
    pub embedding_length: Option<u32>,
    /// Width of the feed-forward part, in each layer.
    pub feed_forward_length: Option<PerLayer>,
    /// Attention heads, in each layer; 0 where a layer has no attention.
    pub heads: Option<PerLayer>,
    /// Key-value heads, in each layer: as many as heads where the file does not say.
    pub kv_heads: Option<PerLayer>,
    /// Elements of one head's key: `embedding_length / heads` where the file does not say.
    pub key_length: Option<u32>,
    /// Elements of one head's value: `embedding_length / heads` where the file does not say.
    pub value_length: Option<u32>,
    /// Tokens of context the model was trained for.
    pub context_length: Option<u32>,
    /// Tokens that layers with a sliding window attend to.
    pub sliding_window: Option<u32>,
    /// Which layers have the sliding window: a flag for each, or the length of the pattern's
    /// period.
    pub sliding_window_pattern: Option<PerLayer>,
    /// Experts of each layer; 0 in a dense model that says so.
    pub experts: Option<u32>,
    /// Experts that work on a token; the largest where layers differ.
    pub experts_used: Option<u32>,
    /// Tokens of the vocabulary: the length of its list, else what `vocab_size` says.
    pub vocabulary: Option<u32>,
    /// The tokenizer's kind (`tokenizer.ggml.model`): `llama`, `gpt2`, `bert` …
    pub tokenizer_model: Option<String>,
    /// The tokenizer's pre-splitting rule (`tokenizer.ggml.pre`).
    pub tokenizer_pre: Option<String>,
    /// The chat template used by default, in Jinja.
    pub chat_template: Option<String>,
    /// Further chat templates by name, such as `tool_use`.
    pub chat_templates: BTreeMap<String, String>,
    /// Elements of all tensors.
    pub parameters: u64,
    /// Bytes of all tensors whose type is known.
    pub tensor_bytes: u64,
    /// How many tensors there are.
    pub tensors: u64,
    /// The types that the tensors have, those with the most bytes first.
    pub quantization: Vec<QuantizationShare>,
    /// What the file says it was quantized to.
    pub file_type: Option<FileType>,
    /// How token embeddings become one.
    pub pooling_type: Option<PoolingType>,
}

/// The tensors of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct QuantizationShare {
    /// The type.
    pub ggml_type: GgmlType,
    /// How many tensors have it.
    pub tensors: u64,
    /// Their elements.
    pub parameters: u64,
    /// Their bytes; 0 where the type's size is not known.
    pub bytes: u64,
}

/// A number that may differ from layer to layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PerLayer {
    /// The same in every layer.
    Same(u32),
    /// One for each layer.
    Each(Vec<u32>),
}

impl PerLayer {
    /// The number of one layer, counted from 0.
    pub fn at(&self, layer: usize) -> Option<u32> {
        match self {
            Self::Same(number) => Some(*number),
            Self::Each(numbers) => numbers.get(layer).copied(),
        }
    }

    /// The largest number of any layer.
    pub fn max(&self) -> u32 {
        match self {
            Self::Same(number) => *number,
            Self::Each(numbers) => numbers.iter().copied().max().unwrap_or(0),
        }
    }

    /// The sum over `layers` layers.
    pub fn sum(&self, layers: u32) -> u64 {
        match self {
            Self::Same(number) => u64::from(*number) * u64::from(layers),
            Self::Each(numbers) => numbers.iter().map(|&number| u64::from(number)).sum(),
        }
    }

    /// The first number that is not 0.
    fn first_used(&self) -> Option<u32> {
        match self {
            Self::Same(number) => Some(*number).filter(|&number| number != 0),
            Self::Each(numbers) => numbers.iter().copied().find(|&number| number != 0),
        }
    }
}

impl Gguf {
    /// The facts about the model in this file. For a split model use
    /// [`open_model`](crate::open_model), which sees the tensors of all parts.
    ///
    /// # Errors
    /// [`GgufError::MissingKey`] where a model names no architecture, [`GgufError::WrongType`]
    /// where a known key holds something of another type.
    pub fn facts(&self) -> Result<ModelFacts, GgufError> {
        gather(self, self.tensors()).map_err(|error| self.in_this_file(error))
    }
}

/// The facts from the metadata of `first` and the tensors of all parts.
pub(crate) fn gather<'a>(
    first: &'a Gguf,
    tensors: impl Iterator<Item = Tensor<'a>> + Clone,
) -> Result<ModelFacts, GgufError> {
    let general = Keys {
        file: first,
        prefix: "general",
    };
    let tokenizer = Keys {
        file: first,
        prefix: "tokenizer",
    };
    let architecture = general.string("architecture")?;
    let named = architecture.clone().unwrap_or_default();
    let model = Keys {
        file: first,
        prefix: &named,
    };

    let layers = model.number("block_count")?;
    let embedding_length = model.number("embedding_length")?;
    let heads = model.per_layer("attention.head_count")?;
    let kv_heads = model
        .per_layer("attention.head_count_kv")?
        .or_else(|| heads.clone());
    let head_length = embedding_length
        .zip(heads.as_ref())
        .map(|(embedding, heads)| {
            // Models without attention have no heads, and their heads have no length.
            heads.first_used().map_or(0, |heads| embedding / heads)
        });
    let vocabulary = match tokenizer.array_length("ggml.tokens")? {
        Some(length) => Some(length),
        None => model.number("vocab_size")?,
    };
    let pooling_type = model.number("pooling_type")?.map(PoolingType::from_number);
    let quantization = quantization(tensors.clone());
    let sum = |of: fn(&QuantizationShare) -> u64| {
        quantization.iter().map(of).fold(0, u64::saturating_add)
    };
    let kind = kind_of(first, &named, pooling_type, tensors)?;
    if architecture.is_none() && matches!(kind, ModelKind::Generative | ModelKind::Embedding) {
        return Err(GgufError::MissingKey {
            key: "general.architecture".to_owned(),
            path: None,
        });
    }

    Ok(ModelFacts {
        name: general.string("name")?,
        kind,
        layers,
        embedding_length,
        feed_forward_length: model.per_layer("feed_forward_length")?,
        key_length: model.number("attention.key_length")?.or(head_length),
        value_length: model.number("attention.value_length")?.or(head_length),
        heads,
        kv_heads,
        context_length: model.number("context_length")?,
        sliding_window: model.number("attention.sliding_window")?,
        sliding_window_pattern: model.per_layer("attention.sliding_window_pattern")?,
        experts: model.number("expert_count")?,
        experts_used: model.per_layer("expert_used_count")?.map(|used| used.max()),
        vocabulary,
        tokenizer_model: tokenizer.string("ggml.model")?,
        tokenizer_pre: tokenizer.string("ggml.pre")?,
        chat_template: tokenizer.string("chat_template")?,
        chat_templates: chat_templates(first),
        parameters: sum(|share| share.parameters),
        tensor_bytes: sum(|share| share.bytes),
        tensors: sum(|share| share.tensors),
        quantization,
        file_type: general.number("file_type")?.map(FileType),
        pooling_type,
        architecture: named,
    })
}

fn quantization<'a>(tensors: impl Iterator<Item = Tensor<'a>>) -> Vec<QuantizationShare> {
    let mut shares: BTreeMap<GgmlType, QuantizationShare> = BTreeMap::new();
    for tensor in tensors {
        let ggml_type = tensor.ggml_type();
        let none = QuantizationShare {
            ggml_type,
            tensors: 0,
            parameters: 0,
            bytes: 0,
        };
        let share = shares.entry(ggml_type).or_insert(none);
        share.tensors += 1;
        share.parameters = share.parameters.saturating_add(tensor.elements());
        share.bytes = share.bytes.saturating_add(tensor.size().unwrap_or(0));
    }
    let mut shares: Vec<_> = shares.into_values().collect();
    shares.sort_by_key(|share| (std::cmp::Reverse(share.bytes), share.ggml_type));
    shares
}

/// The named templates: `tokenizer.chat_template.NAME`, as listed or found.
fn chat_templates(file: &Gguf) -> BTreeMap<String, String> {
    const PREFIX: &[u8] = b"tokenizer.chat_template.";
    let listed: BTreeSet<String> = file
        .get("tokenizer.chat_templates")
        .and_then(|value| value.as_array())
        .and_then(|array| array.texts())
        .into_iter()
        .flatten()
        .map(|name| name.lossy().into_owned())
        .collect();
    let mut templates: BTreeMap<String, String> = file
        .metadata()
        .filter_map(|(key, value)| {
            let name = key.as_bytes().strip_prefix(PREFIX)?;
            let template = value.as_text()?.lossy().into_owned();
            Some((String::from_utf8_lossy(name).into_owned(), template))
        })
        .collect();
    if listed.contains("default")
        && let Some(template) = file
            .get("tokenizer.chat_template")
            .and_then(|value| value.as_text())
    {
        templates
            .entry("default".to_owned())
            .or_insert_with(|| template.lossy().into_owned());
    }
    templates
}

/// Typed look-ups below one prefix.
pub(crate) struct Keys<'a> {
    pub(crate) file: &'a Gguf,
    pub(crate) prefix: &'a str,
}

impl<'a> Keys<'a> {
    fn typed<T>(
        &self,
        key: &str,
        expected: &'static str,
        convert: impl FnOnce(Value<'a>) -> Option<T>,
    ) -> Result<Option<T>, GgufError> {
        let key = format!("{}.{key}", self.prefix);
        let Some(value) = self.file.get(&key) else {
            return Ok(None);
        };
        match convert(value) {
            Some(converted) => Ok(Some(converted)),
            None => Err(GgufError::WrongType {
                found: match value {
                    Value::Array(array) => format!("an array of {}", array.element_type()),
                    Value::String(_) => "a string".to_owned(),
                    other => format!("{other:?}"),
                },
                expected,
                offset: self.file.value_offset(&key).unwrap_or(0),
                key,
                path: None,
            }),
        }
    }

    pub(crate) fn string(&self, key: &str) -> Result<Option<String>, GgufError> {
        self.typed(key, "a string", |value| {
            Some(value.as_text()?.lossy().into_owned())
        })
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<u32>, GgufError> {
        self.typed(key, "an integer of 0 to 4294967295", |value| {
            value.as_u64()?.try_into().ok()
        })
    }

    pub(crate) fn truth(&self, key: &str) -> Result<Option<bool>, GgufError> {
        self.typed(key, "a truth value", |value| value.as_bool())
    }

    fn array_length(&self, key: &str) -> Result<Option<u32>, GgufError> {
        self.typed(key, "an array", |value| {
            value.as_array()?.len().try_into().ok()
        })
    }

    /// A number, truth value or list of either.
    fn per_layer(&self, key: &str) -> Result<Option<PerLayer>, GgufError> {
        let number = |value: Value<'_>| match value {
            Value::Bool(truth) => Some(u32::from(truth)),
            other => other.as_u64()?.try_into().ok(),
        };
        self.typed(
            key,
            "an integer of 0 to 4294967295 or a list of them",
            |value| match value {
                Value::Array(array) => array
                    .iter()
                    .map(number)
                    .collect::<Option<_>>()
                    .map(PerLayer::Each),
                single => number(single).map(PerLayer::Same),
            },
        )
    }
}
