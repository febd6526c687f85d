//! `llt embed`

use super::{A_REQUEST, lines, npy, with_model};
use crate::args::EmbedArgs;
use crate::commands::Session;
use crate::commands::answer::block_on;
use crate::outcome::{ExitStatus, Usage};
use anyhow::Context as _;
use llamatelemetry::api::{EmbeddingsRequest, Endpoints as _, Prompt};
use llamatelemetry::{Client, LoadFor};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::Path;

/// Numbers of a vector that people see.
const SHOWN: usize = 4;

/// The vector of one text.
#[derive(Serialize)]
struct Embedded<'a> {
    /// Which text, counted from 0.
    index: usize,
    embedding: &'a [f32],
}

/// Where the vectors go.
enum Form<'a> {
    Stdout,
    Npy(&'a Path),
    JsonLines(&'a Path),
}

impl<'a> Form<'a> {
    /// By the ending of the file's name.
    fn of(out: Option<&'a Path>) -> Result<Self, Usage> {
        let Some(path) = out else {
            return Ok(Self::Stdout);
        };
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("npy") => Ok(Self::Npy(path)),
            Some("jsonl") => Ok(Self::JsonLines(path)),
            Some("arrow" | "feather" | "parquet") => Err(Usage::new(format!(
                "vectors cannot be written in Arrow's formats: {}",
                path.display()
            ))
            .hint("a .npy file is read by NumPy, PyArrow and pandas")),
            _ => Err(Usage::new(format!(
                "the file's name does not say how to write it: {}",
                path.display()
            ))
            .hint("end it in .npy or .jsonl")),
        }
    }
}

pub(crate) fn embed(args: &EmbedArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let texts = lines(&args.text, &args.file)?;
    let form = Form::of(args.out.as_deref())?;
    let mut vectors = Vec::with_capacity(texts.len());
    let ask = async |client: &Client| {
        for some in texts.chunks(A_REQUEST) {
            let request = EmbeddingsRequest {
                normalize: args.raw.then_some(EmbeddingsRequest::AS_THEY_ARE),
                ..EmbeddingsRequest::new(Prompt::from(some.to_vec()))
            };
            let begun = vectors.len();
            let mut answer = client.embeddings(&request).await?.data;
            answer.sort_by_key(|one| one.index);
            vectors.extend(answer.into_iter().map(|one| one.embedding));
            if let Form::Stdout = form {
                print(&texts[begun..], &vectors[begun..], begun, session)?;
            }
        }
        Ok(())
    };
    block_on(with_model(&args.model, LoadFor::Embeddings, session, ask))?;
    match form {
        Form::Stdout => return Ok(ExitStatus::Done),
        Form::Npy(path) => write(path, &npy::bytes(&vectors)?)?,
        Form::JsonLines(path) => write(path, json_lines(&vectors)?.as_bytes())?,
    }
    let width = vectors.first().map_or(0, Vec::len);
    session.printer.say(format!(
        "{} vectors of {width} numbers written",
        vectors.len()
    ));
    Ok(ExitStatus::Done)
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

fn json_lines(vectors: &[Vec<f32>]) -> serde_json::Result<String> {
    let mut lines = String::new();
    for (index, embedding) in vectors.iter().enumerate() {
        lines.push_str(&serde_json::to_string(&Embedded { index, embedding })?);
        lines.push('\n');
    }
    Ok(lines)
}

fn print(
    texts: &[String],
    vectors: &[Vec<f32>],
    begun: usize,
    session: &Session,
) -> anyhow::Result<()> {
    let printer = &session.printer;
    for (at, (text, vector)) in texts.iter().zip(vectors).enumerate() {
        if printer.is_json() {
            printer.document_line(&Embedded {
                index: begun + at,
                embedding: vector,
            })?;
            continue;
        }
        let mut line = String::from("[");
        for number in vector.iter().take(SHOWN) {
            // Writing to a text cannot fail.
            write!(line, "{number:.4}, ").unwrap_or_default();
        }
        printer.line(format!("{line}… {} numbers]  {text}", vector.len()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_says_its_form() {
        let form = |name: &'static str| Form::of(Some(Path::new(name)));
        assert!(matches!(form("v.npy"), Ok(Form::Npy(_))));
        assert!(matches!(form("a.b/v.jsonl"), Ok(Form::JsonLines(_))));
        assert!(form("v.arrow").is_err() && form("v").is_err());
    }
}
