//! Tools that the server runs itself, made for its own web page. They read and write files and run
//! commands as the server's user.

use crate::Extra;
use crate::stream::{StreamEvent, from_json};
use serde::{Deserialize, Serialize};

/// A tool that the server runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerTool {
    /// Its name, by which it is run.
    #[serde(rename = "tool")]
    pub name: String,
    /// Its name for people.
    #[serde(default)]
    pub display_name: String,
    /// What it is to a model, in OpenAI's form.
    #[serde(default)]
    pub definition: serde_json::Value,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A tool to be run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunToolRequest {
    /// Which.
    pub tool: String,
    /// Its arguments.
    pub params: Extra,
    /// Any further fields of the endpoint, sent as they are.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One event of a running tool.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ToolEvent {
    /// A piece of what it writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk: Option<String>,
    /// Whether it has ended.
    pub done: bool,
    /// Why it failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

impl StreamEvent for ToolEvent {
    fn read(data: &[u8]) -> Result<Self, serde_json::Error> {
        from_json(data)
    }

    fn is_last(&self) -> bool {
        self.done
    }
}
