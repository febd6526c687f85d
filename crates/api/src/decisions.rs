//! `/v1/systemone`: typed questions to a decision model.

use crate::{Extra, InputOutputUsage};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Questions about a state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DecideRequest {
    /// What is judged: a text, messages, or any JSON.
    pub state: Value,
    /// Pictures, as `data:` URLs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// The questions by their ids.
    pub questions: BTreeMap<String, DecisionQuestion>,
    /// Any further fields of the endpoint, sent as they are.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DecisionQuestion {
    /// Which of these.
    Choice {
        /// The question.
        instructions: Value,
        /// Each option, with a description or `null`.
        criteria: BTreeMap<String, Value>,
    },
    /// How much, from the lowest level to the highest.
    Score {
        /// The question.
        instructions: Value,
        /// What each level means, 2 to 10 of them.
        criteria: Vec<Value>,
    },
    /// Whether.
    Noul {
        /// The question.
        instructions: Value,
        /// What `true` and `false` mean.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        criteria: Option<Value>,
    },
}

/// The answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decisions {
    /// The model as the server names it.
    pub model: String,
    /// The answers by the questions' ids.
    pub answers: BTreeMap<String, Decision>,
    /// Tokens.
    pub usage: InputOutputUsage,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Decision {
    /// Which.
    Choice {
        /// The likeliest option.
        choice: String,
        /// The probability of each.
        probabilities: BTreeMap<String, f64>,
        /// 0 where all are equally likely, 1 where one is sure.
        confidence: f64,
    },
    /// How much.
    Score {
        /// The expected level, which may lie between two.
        score: f64,
        /// What each level means.
        #[serde(default)]
        legend: BTreeMap<String, Value>,
        /// The probability of each.
        probabilities: BTreeMap<String, f64>,
        /// 0 where all are equally likely, 1 where one is sure.
        confidence: f64,
    },
    /// Whether.
    Noul {
        /// The probability that it is true.
        noul: f64,
    },
    /// Any other kind, as it came.
    #[serde(untagged)]
    Other(Value),
}
