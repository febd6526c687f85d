//! `/v1/audio/transcriptions`: speech into text. The file travels as `multipart/form-data`.

use crate::call::Question;
use crate::routes::TRANSCRIBE;
use crate::stream::{StreamEvent, from_json};
use crate::{ApiError, Extra, InputOutputUsage};
use http::HeaderValue;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// Speech to be written down. Fields that are `None` are not sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TranscriptionRequest {
    /// The file's bytes: WAV, MP3 or FLAC.
    pub file: Vec<u8>,
    /// The file's name, which the server does not look at.
    pub filename: String,
    /// The model's name, for servers of several.
    pub model: Option<String>,
    /// What the model is told to do instead of writing down.
    pub prompt: Option<String>,
    /// The language that is spoken: `en`.
    pub language: Option<String>,
    /// Tokens to generate at most.
    pub max_tokens: Option<u64>,
    /// Sampling temperature; 0 takes the likeliest token each time.
    pub temperature: Option<f64>,
    /// Any further fields, sent as they are.
    pub extra: Vec<(String, String)>,
}

impl TranscriptionRequest {
    /// The question, streamed or not.
    pub(crate) fn question(&self, stream: bool) -> Result<Question, ApiError> {
        // No file contains its own digest by chance.
        let mut boundary = String::from("part-");
        for byte in Sha256::digest(&self.file) {
            // Writing to a text cannot fail.
            write!(boundary, "{byte:02x}").unwrap_or_default();
        }
        let mut body = Vec::with_capacity(self.file.len() + 1024);
        for (name, value) in self.fields(stream) {
            let head = format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n{value}\r\n",
                quoted(name)
            );
            body.extend_from_slice(head.as_bytes());
        }
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n",
            quoted(&self.filename)
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&self.file);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());

        let mut question = Question::new(&TRANSCRIBE);
        let content_type = format!("multipart/form-data; boundary={boundary}");
        question.content_type =
            HeaderValue::from_str(&content_type).map_err(|source| ApiError::Request {
                path: TRANSCRIBE.path.into(),
                source: source.into(),
            })?;
        question.body = body.into();
        Ok(question)
    }

    fn fields(&self, stream: bool) -> Vec<(&str, String)> {
        let number = |number: &dyn ToString| number.to_string();
        let mut fields: Vec<(&str, String)> = [
            ("model", self.model.clone()),
            ("prompt", self.prompt.clone()),
            ("language", self.language.clone()),
            (
                "max_tokens",
                self.max_tokens.as_ref().map(|value| number(value)),
            ),
            (
                "temperature",
                self.temperature.as_ref().map(|value| number(value)),
            ),
            ("stream", stream.then(|| "true".to_owned())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
        fields.extend(
            self.extra
                .iter()
                .map(|(name, value)| (name.as_str(), value.clone())),
        );
        fields
    }
}

/// A name within quotation marks, as forms write it.
fn quoted(name: &str) -> String {
    name.replace('"', "%22")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// What was said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Transcription {
    /// The text.
    pub text: String,
    /// Tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<InputOutputUsage>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One event of a streamed transcription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum TranscriptionEvent {
    /// A piece of the text.
    #[serde(rename = "transcript.text.delta")]
    Delta {
        /// The piece.
        delta: String,
    },
    /// All of it.
    #[serde(rename = "transcript.text.done")]
    Done(Box<Transcription>),
    /// Any other kind, as it came.
    #[serde(untagged)]
    Other(serde_json::Value),
}

impl StreamEvent for TranscriptionEvent {
    fn read(data: &[u8]) -> Result<Self, serde_json::Error> {
        from_json(data)
    }

    fn is_last(&self) -> bool {
        matches!(self, Self::Done(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_holds_the_file_untouched_between_its_marks() {
        let request = TranscriptionRequest {
            file: b"\r\n--part-\0\xff".to_vec(),
            filename: "a \"b\".wav".into(),
            temperature: Some(0.0),
            ..TranscriptionRequest::default()
        };
        let question = request.question(true).unwrap();
        let content_type = question.content_type.to_str().unwrap();
        let boundary = content_type.split_once("boundary=").unwrap().1;
        let field = |name, value| {
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            )
        };
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; \
             filename=\"a %22b%22.wav\"\r\nContent-Type: application/octet-stream\r\n\r\n"
        );
        let fields = field("temperature", "0") + &field("stream", "true");
        let mut expected = (fields + &head).into_bytes();
        expected.extend_from_slice(&request.file);
        expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        assert_eq!(question.body, expected);
    }
}
