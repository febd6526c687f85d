//! Where the user's lines come from: an editor on a terminal, else stdin as it is.

use crate::commands::Session;
use rustyline::config::Behavior;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};
use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::PathBuf;

/// Lines kept from earlier conversations.
const KEPT_LINES: usize = 1000;
const PROMPT: &str = "> ";
const CONTINUED: &str = ". ";

/// Where the user's lines come from.
pub(super) enum Input {
    Editor {
        editor: Box<Editor<(), FileHistory>>,
        history: PathBuf,
    },
    Plain,
}

/// What the user did.
pub(super) enum Typed {
    Line(String),
    /// An empty line, or Ctrl-C on one.
    Nothing,
    End,
}

impl Input {
    pub(super) fn open(session: &Session) -> anyhow::Result<Self> {
        if !io::stdin().is_terminal() {
            return Ok(Self::Plain);
        }
        let config = Config::builder()
            .max_history_size(KEPT_LINES)?
            .auto_add_history(true)
            // The terminal itself, should stdout go to a file.
            .behavior(Behavior::PreferTerm)
            .build();
        let mut editor = Editor::with_config(config)?;
        let history = session.settings().home.root().join("chat_history");
        // There is none before the first conversation, and a damaged one is not worth a word.
        editor.load_history(&history).unwrap_or_default();
        Ok(Self::Editor {
            editor: Box::new(editor),
            history,
        })
    }

    pub(super) fn is_interactive(&self) -> bool {
        matches!(self, Self::Editor { .. })
    }

    /// The next line; one that ends in a backslash goes on.
    pub(super) fn read(&mut self) -> anyhow::Result<Typed> {
        let mut whole = String::new();
        loop {
            let prompt = if whole.is_empty() { PROMPT } else { CONTINUED };
            let Some(line) = self.line(prompt)? else {
                return Ok(Typed::End);
            };
            let Line::Typed(line) = line else {
                return Ok(Typed::Nothing);
            };
            if let (true, Some(begun)) = (self.is_interactive(), line.strip_suffix('\\')) {
                whole.push_str(begun);
                whole.push('\n');
                continue;
            }
            whole.push_str(&line);
            return Ok(if whole.trim().is_empty() {
                Typed::Nothing
            } else {
                Typed::Line(whole)
            });
        }
    }

    fn line(&mut self, prompt: &str) -> anyhow::Result<Option<Line>> {
        match self {
            Self::Editor { editor, .. } => match editor.readline(prompt) {
                Ok(line) => Ok(Some(Line::Typed(line))),
                Err(ReadlineError::Interrupted) => Ok(Some(Line::Interrupted)),
                Err(ReadlineError::Eof) => Ok(None),
                Err(error) => Err(error.into()),
            },
            Self::Plain => {
                let mut line = String::new();
                if io::stdin().lock().read_line(&mut line)? == 0 {
                    return Ok(None);
                }
                Ok(Some(Line::Typed(
                    line.trim_end_matches(['\n', '\r']).to_owned(),
                )))
            }
        }
    }

    /// Keeps the lines for the next conversation.
    pub(super) fn close(self, session: &Session) {
        let Self::Editor {
            mut editor,
            history,
        } = self
        else {
            return;
        };
        let home = &session.settings().home;
        let kept = home
            .ensure(home.root().to_owned())
            .map_err(anyhow::Error::from)
            .and_then(|_| Ok(editor.save_history(&history)?));
        if let Err(error) = kept {
            session
                .printer
                .warn(format!("the history is not kept: {error}"));
        }
    }
}

enum Line {
    Typed(String),
    Interrupted,
}
