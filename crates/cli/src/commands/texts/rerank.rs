//! `llt rerank`

use super::{is_not_supported, lines, with_model};
use crate::args::RerankArgs;
use crate::commands::Session;
use crate::commands::answer::block_on;
use crate::outcome::{ExitStatus, Usage};
use crate::table::Table;
use llamatelemetry::api::{Endpoints as _, RankedDocument, RerankRequest};
use llamatelemetry::{Client, LoadFor};
use serde::Serialize;

/// One document's score.
#[derive(Serialize)]
struct Ranked<'a> {
    /// Which document, counted from 0.
    index: usize,
    relevance_score: f64,
    document: &'a str,
}

pub(crate) fn rerank(args: &RerankArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let request = RerankRequest {
        query: args.query.clone(),
        documents: lines(&args.document, &args.file)?,
        top_n: args.top,
        ..RerankRequest::default()
    };
    let ask = async |client: &Client| match client.rerank(&request).await {
        Ok(answer) => Ok(answer.results),
        Err(error) if is_not_supported(&error) => Err(Usage::new(format!(
            "{} does not rank: its file says that it is for something else",
            args.model
        ))
        .hint("`llt gguf inspect` shows what a model is for")
        .into()),
        Err(error) => Err(error.into()),
    };
    let results = block_on(with_model(&args.model, LoadFor::Model, session, ask))?;
    print(&results, &request.documents, session)?;
    Ok(ExitStatus::Done)
}

fn print(
    results: &[RankedDocument],
    documents: &[String],
    session: &Session,
) -> anyhow::Result<()> {
    let printer = &session.printer;
    let mut table = Table::new().right("score").right("index").left("document");
    for result in results {
        let document = documents.get(result.index).map_or("", String::as_str);
        if printer.is_json() {
            printer.document_line(&Ranked {
                index: result.index,
                relevance_score: result.relevance_score,
                document,
            })?;
        } else {
            table.row([
                format!("{:.4}", result.relevance_score),
                result.index.to_string(),
                document.to_owned(),
            ]);
        }
    }
    if !printer.is_json() {
        printer.table(&table)?;
    }
    Ok(())
}
