//! `llt tokenize`

use super::{inputs, with_model};
use crate::args::TokenizeArgs;
use crate::commands::Session;
use crate::commands::answer::block_on;
use crate::outcome::ExitStatus;
use crate::table::Table;
use llamatelemetry::api::{Endpoints as _, Piece, Token, TokenizeRequest};
use llamatelemetry::{Client, LoadFor};
use serde::Serialize;

/// The tokens of one text.
#[derive(Serialize)]
struct Tokenized<'a> {
    /// How many.
    count: usize,
    tokens: &'a [Token],
}

pub(crate) fn tokenize(args: &TokenizeArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let texts = inputs(&args.text, &args.file)?;
    let ask = async |client: &Client| {
        for text in &texts {
            let request = TokenizeRequest {
                add_special: args.special.then_some(true),
                parse_special: args.literal.then_some(false),
                ..TokenizeRequest::new(text)
            };
            print(&client.tokenize(&request).await?.tokens, session)?;
        }
        Ok(())
    };
    block_on(with_model(&args.model, LoadFor::Model, session, ask))?;
    Ok(ExitStatus::Done)
}

fn print(tokens: &[Token], session: &Session) -> anyhow::Result<()> {
    let (printer, count) = (&session.printer, tokens.len());
    if printer.is_json() {
        printer.document_line(&Tokenized { count, tokens })?;
        return Ok(());
    }
    let mut table = Table::new().right("id").left("piece");
    for token in tokens {
        let piece = match &token.piece {
            Piece::Text(text) => format!("{text:?}"),
            Piece::Bytes(bytes) => format!("{bytes:02x?}"),
        };
        table.row([token.id.to_string(), piece]);
    }
    printer.table(&table)?;
    printer.say(format!("{count} tokens"));
    Ok(())
}
