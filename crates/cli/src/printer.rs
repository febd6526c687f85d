//! The two ways out: stdout for data, stderr for talk.

use crate::progress::Screen;
use crate::table::Table;
use llamatelemetry::progress::Progress;
use llamatelemetry_settings::Environment;
use serde::Serialize;
use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;

/// When colour is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ColorChoice {
    // Plain comments: clap would make every help a long one of these.
    // On a terminal that can and is not asked not to (`NO_COLOR`).
    #[default]
    Auto,
    // Also where there is no terminal.
    Always,
    // Nowhere.
    Never,
}

/// What form the data has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Text for people.
    People,
    /// JSON for programs.
    Json,
}

/// How much is said beside the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Talk {
    /// Progress, figures, warnings.
    Normal,
    /// Nothing but errors.
    Quiet,
}

/// The two ways out.
#[derive(Debug, Clone)]
pub(crate) struct Printer {
    form: Form,
    talk: Talk,
    out: Style,
    err: Style,
    width: Option<usize>,
    out_is_terminal: bool,
    /// Whether terminals here understand more than letters.
    smart: bool,
    screen: Arc<Screen>,
}

/// How a document says which form it has. Every document carries it.
const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a, T> {
    schema_version: u32,
    #[serde(flatten)]
    body: &'a T,
}

impl Printer {
    pub(crate) fn new(
        form: Form,
        talk: Talk,
        color: ColorChoice,
        environment: &Environment,
    ) -> Self {
        let err = Style::choose(color, environment, io::stderr().is_terminal());
        let smart = environment.get("TERM") != Some("dumb");
        let bars = talk == Talk::Normal && smart && io::stderr().is_terminal();
        Self {
            form,
            talk,
            out: Style::choose(color, environment, io::stdout().is_terminal()),
            err,
            width: width(environment),
            out_is_terminal: io::stdout().is_terminal(),
            smart,
            screen: Arc::new(Screen::new(talk, bars, err)),
        }
    }

    /// Whether programs read the output.
    pub(crate) fn is_json(&self) -> bool {
        self.form == Form::Json
    }

    /// The style of stdout.
    pub(crate) fn style(&self) -> Style {
        self.out
    }

    /// The style of stderr.
    pub(crate) fn talk_style(&self) -> Style {
        self.err
    }

    /// Who watches long steps.
    pub(crate) fn progress(&self) -> Arc<dyn Progress> {
        self.screen.clone()
    }

    /// The screen that lines on stderr go through.
    pub(crate) fn screen(&self) -> &Arc<Screen> {
        &self.screen
    }

    /// Data, as it is, at once.
    #[expect(
        clippy::unused_self,
        reason = "whoever writes data has a printer to write it with"
    )]
    pub(crate) fn data(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// A model's words. On a terminal they must not steer it, so control characters go.
    pub(crate) fn answer(&self, text: &str) -> io::Result<()> {
        if self.out_is_terminal && text.contains(is_steering) {
            self.data(&text.replace(is_steering, ""))
        } else {
            self.data(text)
        }
    }

    /// One line of data.
    pub(crate) fn line(&self, text: impl AsRef<str>) -> io::Result<()> {
        self.data(&format!("{}\n", text.as_ref()))
    }

    /// A table as data.
    pub(crate) fn table(&self, table: &Table) -> io::Result<()> {
        self.data(&self.render(table))
    }

    /// A table as the text that [`Self::table`] writes.
    pub(crate) fn render(&self, table: &Table) -> String {
        table.render(self.width, self.out)
    }

    /// The line cut to the width, so that it stays one line.
    pub(crate) fn fit<'a>(&self, line: &'a str) -> Cow<'a, str> {
        match self.width {
            Some(width) => console::truncate_str(line, width, "…"),
            None => line.into(),
        }
    }

    /// Whether data can be drawn over again: on a terminal that understands it.
    pub(crate) fn redraws(&self) -> bool {
        self.out_is_terminal && self.smart
    }

    /// The one JSON document of a command.
    pub(crate) fn document(&self, body: &impl Serialize) -> io::Result<()> {
        self.data(&self.document_text(body)?)
    }

    /// The same as the text that goes into a file.
    #[expect(
        clippy::unused_self,
        reason = "whoever writes data has a printer to write it with"
    )]
    pub(crate) fn document_text(&self, body: &impl Serialize) -> io::Result<String> {
        let document = Document {
            schema_version: SCHEMA_VERSION,
            body,
        };
        Ok(format!("{}\n", serde_json::to_string_pretty(&document)?))
    }

    /// One of many JSON documents, in a line of its own.
    pub(crate) fn document_line(&self, body: &impl Serialize) -> io::Result<()> {
        let document = Document {
            schema_version: SCHEMA_VERSION,
            body,
        };
        self.line(serde_json::to_string(&document)?)
    }

    /// A JSON document that has its version already, in one line of a stream or as a whole.
    pub(crate) fn json(&self, body: &impl Serialize, layout: Layout) -> io::Result<()> {
        self.line(match layout {
            Layout::Whole => serde_json::to_string_pretty(body)?,
            Layout::Line => serde_json::to_string(body)?,
        })
    }

    /// One line of talk.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        if self.talk == Talk::Normal {
            self.screen.line(text.as_ref());
        }
    }

    /// Talk that is not a line: reasoning that streams.
    pub(crate) fn murmur(&self, text: &str) {
        if self.talk == Talk::Normal {
            self.screen.raw(&self.err.faint(text));
        }
    }

    /// Something odd that does not stop the work.
    pub(crate) fn warn(&self, text: impl AsRef<str>) {
        self.say(format!("{}: {}", self.err.yellow("warning"), text.as_ref()));
    }
}

/// Whether a letter would move the cursor, change colours or worse.
fn is_steering(letter: char) -> bool {
    letter.is_control() && !matches!(letter, '\n' | '\t')
}

/// How a JSON document is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Over several lines.
    Whole,
    /// In one line.
    Line,
}

/// The width that tables must fit; `None` where no person looks.
fn width(environment: &Environment) -> Option<usize> {
    let terminal = console::Term::stdout();
    if let (true, Some((_, columns))) = (terminal.is_term(), terminal.size_checked()) {
        return Some(usize::from(columns));
    }
    environment.get("COLUMNS")?.parse().ok()
}

/// Colours, or none. What they say is also said by words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    colour: bool,
}

impl Style {
    /// Without colours.
    #[cfg(test)]
    pub(crate) const fn plain() -> Self {
        Self { colour: false }
    }

    fn choose(choice: ColorChoice, environment: &Environment, terminal: bool) -> Self {
        let forced = || {
            environment
                .get("CLICOLOR_FORCE")
                .is_some_and(|value| value != "0")
        };
        let colour = match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto if environment.get_os("NO_COLOR").is_some() => false,
            ColorChoice::Auto if forced() => true,
            ColorChoice::Auto => terminal && environment.get("TERM") != Some("dumb"),
        };
        Self { colour }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    pub(crate) fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }
    pub(crate) fn red(self, text: &str) -> String {
        self.paint("1;31", text)
    }
    pub(crate) fn green(self, text: &str) -> String {
        self.paint("32", text)
    }
    pub(crate) fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }
    pub(crate) fn cyan(self, text: &str) -> String {
        self.paint("36", text)
    }

    /// Whether there is colour at all.
    pub(crate) fn is_coloured(self) -> bool {
        self.colour
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(choice: ColorChoice, pairs: &[(&str, &str)], terminal: bool) -> bool {
        let environment = Environment::from_pairs(pairs.iter().copied());
        Style::choose(choice, &environment, terminal).is_coloured()
    }

    #[test]
    fn the_flag_is_stronger_than_the_environment_and_that_than_the_terminal() {
        assert!(chosen(ColorChoice::Auto, &[], true));
        assert!(!chosen(ColorChoice::Auto, &[], false));
        assert!(!chosen(ColorChoice::Auto, &[("NO_COLOR", "1")], true));
        assert!(!chosen(ColorChoice::Auto, &[("TERM", "dumb")], true));
        assert!(chosen(ColorChoice::Auto, &[("CLICOLOR_FORCE", "1")], false));
        assert!(chosen(ColorChoice::Always, &[("NO_COLOR", "1")], false));
        assert!(!chosen(ColorChoice::Never, &[], true));
    }
}
