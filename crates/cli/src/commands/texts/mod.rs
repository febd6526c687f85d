//! `llt tokenize`, `llt embed`, `llt rerank`: texts in, figures out.

mod embed;
mod npy;
mod rerank;
mod tokenize;

pub(crate) use embed::embed;
pub(crate) use rerank::rerank;
pub(crate) use tokenize::tokenize;

use super::Session;
use super::answer::Loaded;
use crate::interrupt::Interrupts;
use crate::outcome::Usage;
use anyhow::Context as _;
use llamatelemetry::{ApiError, Client, LoadFor};
use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

/// Texts that one request carries.
const A_REQUEST: usize = 64;

/// What was given on the command line and in files, or on stdin where that was nothing.
fn inputs(given: &[String], files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let mut texts = given.to_vec();
    for file in files {
        texts.push(read(file)?);
    }
    if given.is_empty() && files.is_empty() {
        if io::stdin().is_terminal() {
            return Err(nothing().into());
        }
        texts.push(read(Path::new("-"))?);
    }
    Ok(texts)
}

/// The same, each line of a file or of stdin being a text of its own. Empty lines are none.
fn lines(given: &[String], files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let mut texts = given.to_vec();
    if given.is_empty() || !files.is_empty() {
        for text in inputs(&[], files)? {
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            texts.extend(lines.map(str::to_owned));
        }
    }
    if texts.is_empty() {
        return Err(nothing().into());
    }
    Ok(texts)
}

fn nothing() -> Usage {
    Usage::new("there are no texts").hint("give them as arguments, by --file, or on stdin")
}

fn read(file: &Path) -> anyhow::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        io::stdin()
            .read_to_string(&mut text)
            .context("cannot read the texts from stdin")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Loads the model, has its server asked, and stops it again.
async fn with_model<T>(
    model: &str,
    load_for: LoadFor,
    session: &Session,
    ask: impl AsyncFnOnce(&Client) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut interrupts = Interrupts::listen()?;
    let loaded = Loaded::load_for(model, load_for, session, &mut interrupts).await?;
    let outcome = interrupts.unless(asked(&loaded, ask)).await;
    loaded.unload(session).await;
    outcome?
}

async fn asked<T>(
    loaded: &Loaded,
    ask: impl AsyncFnOnce(&Client) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let live = loaded.engine.server().live().await?;
    ask(live.client()).await
}

/// Whether the server says that its model cannot do what was asked.
fn is_not_supported(error: &ApiError) -> bool {
    matches!(error, ApiError::Refused { status: 501, .. })
}
