//! Where the user's lines come from: an editor on a terminal, else stdin as it is.
//!
//! Reading blocks, so it has a thread of its own: whoever waits for a line hears signals meanwhile.

use crate::commands::Session;
use crate::printer::Printer;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::config::Behavior;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};
use tokio::sync::mpsc::{Receiver, channel};

/// Lines kept from earlier conversations.
const KEPT_LINES: usize = 1000;
const PROMPT: &str = "> ";
const CONTINUED: &str = ". ";
/// What ends the editor's request to be told of pasted text.
const BRACKETED_PASTE_OFF: &[u8] = b"\x1b[?2004l\r\n";

/// The user's lines, one at a time.
pub(super) struct Input {
    ask: SyncSender<()>,
    answers: Receiver<anyhow::Result<Typed>>,
    /// Whether an answer is still to come.
    asked: bool,
    /// How the terminal was before the editor changed it, if there is one.
    terminal: Option<Termios>,
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
        let mut terminal = None;
        let mut source = Source::Plain;
        if io::stdin().is_terminal() {
            terminal = Some(tcgetattr(io::stdin())?);
            source = Source::editor(session)?;
        }
        let (ask, asked) = sync_channel::<()>(1);
        let (answer, answers) = channel(1);
        std::thread::Builder::new()
            .name("chat-input".to_owned())
            .spawn(move || {
                // A line is read when it is asked for: before that the prompt would stand in the
                // midst of an answer.
                while asked.recv().is_ok() && answer.blocking_send(source.read()).is_ok() {}
            })?;
        Ok(Self {
            ask,
            answers,
            asked: false,
            terminal,
        })
    }

    pub(super) fn is_interactive(&self) -> bool {
        self.terminal.is_some()
    }

    /// The next line; one that ends in a backslash goes on. Given up half-way, it goes on waiting
    /// for the same line the next time.
    pub(super) async fn read(&mut self) -> anyhow::Result<Typed> {
        if !self.asked {
            // A thread that is gone is told of below.
            self.asked = self.ask.send(()).is_ok();
        }
        let answer = self.answers.recv().await;
        self.asked = false;
        answer.unwrap_or_else(|| Err(anyhow::anyhow!("the thread that reads lines died")))
    }
}

impl Drop for Input {
    /// The thread may still wait for a line that nobody wants: it ends with the program, and the
    /// terminal is as it was.
    fn drop(&mut self) {
        let Some(terminal) = self.terminal.as_ref().filter(|_| self.asked) else {
            return;
        };
        let restored = tcsetattr(io::stdin(), OptionalActions::Drain, terminal)
            .map_err(io::Error::from)
            .and_then(|()| std::fs::File::options().write(true).open("/dev/tty"))
            .and_then(|mut terminal| terminal.write_all(BRACKETED_PASTE_OFF));
        if let Err(error) = restored {
            tracing::debug!(%error, "the terminal is not as it was");
        }
    }
}

/// What the thread reads from.
enum Source {
    Editor {
        editor: Box<Editor<(), FileHistory>>,
        history: PathBuf,
        /// Where it is told, once, that the history cannot be kept.
        printer: Option<Printer>,
    },
    Plain,
}

enum Line {
    Typed(String),
    Interrupted,
}

impl Source {
    fn editor(session: &Session) -> anyhow::Result<Self> {
        let config = Config::builder()
            .max_history_size(KEPT_LINES)?
            .auto_add_history(true)
            // The terminal itself, should stdout go to a file.
            .behavior(Behavior::PreferTerm)
            .build();
        let mut editor = Editor::with_config(config)?;
        let home = &session.settings().home;
        let history = home.ensure(home.root().to_owned())?.join("chat_history");
        // There is none before the first conversation, and a damaged one is not worth a word.
        editor.load_history(&history).unwrap_or_default();
        Ok(Self::Editor {
            editor: Box::new(editor),
            history,
            printer: Some(session.printer.clone()),
        })
    }

    fn read(&mut self) -> anyhow::Result<Typed> {
        let mut whole = String::new();
        loop {
            let prompt = if whole.is_empty() { PROMPT } else { CONTINUED };
            let Some(line) = self.line(prompt)? else {
                return Ok(Typed::End);
            };
            let Line::Typed(line) = line else {
                return Ok(Typed::Nothing);
            };
            let interactive = matches!(self, Self::Editor { .. });
            if let (true, Some(begun)) = (interactive, line.strip_suffix('\\')) {
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
            Self::Editor {
                editor,
                history,
                printer,
            } => match editor.readline(prompt) {
                Ok(line) => {
                    // At once: the program may be stopped while it waits for the next one.
                    if let Err(error) = editor.append_history(history)
                        && let Some(printer) = printer.take()
                    {
                        printer.warn(format!("the history is not kept: {error}"));
                    }
                    Ok(Some(Line::Typed(line)))
                }
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
}
