//! `llt trace sql`

use crate::args::TraceSqlArgs;
use crate::commands::Session;
use crate::interrupt;
use crate::outcome::{ExitStatus, Usage};
use crate::printer::Printer;
use crate::table::Table;
use llamatelemetry_store::Reader;
use llamatelemetry_tables::{Cell, Heading, Pushdown, RowSink, Sql, Stop, VIEWS, View};
use serde::Serialize;
use serde_json::{Map, Value};
use std::io::{self, IsTerminal as _, Read as _};
use std::ops::ControlFlow;

/// Rows of a table for people that are laid out together: memory does not grow with the answer.
const PAGE: usize = 500;

pub(super) fn sql(args: &TraceSqlArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let question = question(args.sql.as_deref())?;
    let stop = match args.timeout {
        Some(limit) => Stop::new().after(limit),
        None => Stop::new(),
    };
    let pushdown = if args.full_scan {
        Pushdown::Off
    } else {
        Pushdown::On
    };
    let printer = &session.printer;
    let stopping = stop.clone();
    interrupt::stopping(
        move || stopping.stop(),
        || {
            let reader = Reader::open(&session.settings().home.store())?;
            let sql = Sql::open(reader.snapshot()?, stop, pushdown)?;
            let mut answer = Answer::new(args, printer);
            let asked = sql.query(&question, &mut answer);
            for damage in sql.damaged() {
                printer.warn(damage);
            }
            // A reader that is gone is told before what it did not wait for.
            answer.finish()?;
            Ok(asked?)
        },
    )?;
    Ok(ExitStatus::Done)
}

/// Lists what can be asked.
pub(super) fn views(printer: &Printer) -> anyhow::Result<ExitStatus> {
    #[derive(Serialize)]
    struct Document<'a> {
        view: &'a str,
        about: &'a str,
        columns: Vec<Described<'a>>,
    }
    #[derive(Serialize)]
    struct Described<'a> {
        name: &'a str,
        r#type: &'a str,
        about: &'a str,
    }
    for View {
        name,
        about,
        columns,
        ..
    } in VIEWS
    {
        if printer.is_json() {
            printer.document_line(&Document {
                view: name,
                about,
                columns: columns
                    .iter()
                    .map(|column| Described {
                        name: column.name,
                        r#type: column.kind.declared(),
                        about: column.about,
                    })
                    .collect(),
            })?;
            continue;
        }
        let mut table = Table::new().left("").left("").left("");
        for column in *columns {
            table.row([
                column.name.to_owned(),
                column.kind.declared().to_owned(),
                column.about.to_owned(),
            ]);
        }
        printer.line(format!("{}: {about}", printer.style().cyan(name)))?;
        printer.table(&table)?;
        printer.line("")?;
    }
    Ok(ExitStatus::Done)
}

fn question(typed: Option<&str>) -> anyhow::Result<String> {
    match typed {
        Some(text) if text != "-" => Ok(text.to_owned()),
        None if io::stdin().is_terminal() => Err(Usage::new("there is no question")
            .hint("`llt trace sql \"SELECT count(*) FROM spans\"`")
            .into()),
        _ => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text)?;
            Ok(text)
        }
    }
}

/// Writes an answer as it comes.
struct Answer<'a> {
    printer: &'a Printer,
    form: Form,
    columns: Vec<Heading>,
    /// Rows that wait to be laid out, and whether each column's are numbers.
    page: Vec<Vec<String>>,
    numbers: Vec<bool>,
    outcome: io::Result<()>,
}

enum Form {
    Table,
    Json,
    Csv,
}

impl<'a> Answer<'a> {
    fn new(args: &TraceSqlArgs, printer: &'a Printer) -> Self {
        let form = if args.csv {
            Form::Csv
        } else if printer.is_json() {
            Form::Json
        } else {
            Form::Table
        };
        Self {
            printer,
            form,
            columns: Vec::new(),
            page: Vec::new(),
            numbers: Vec::new(),
            outcome: Ok(()),
        }
    }

    fn write(&mut self, line: &str) -> ControlFlow<()> {
        self.outcome = self.printer.line(line);
        self.go_on()
    }

    fn go_on(&self) -> ControlFlow<()> {
        match self.outcome {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    /// Lays out the rows that wait.
    fn turn(&mut self) {
        let mut table = Table::new();
        for (column, numbers) in self.columns.iter().zip(&self.numbers) {
            table = if *numbers {
                table.right(column.name.clone())
            } else {
                table.left(column.name.clone())
            };
        }
        for row in self.page.drain(..) {
            table.row(row);
        }
        self.numbers.fill(true);
        self.outcome = self.printer.table(&table);
    }

    /// Writes what still waits.
    fn finish(mut self) -> io::Result<()> {
        let waits = matches!(self.form, Form::Table) && !self.page.is_empty();
        if self.outcome.is_ok() && waits {
            self.turn();
        }
        self.outcome
    }
}

impl RowSink for Answer<'_> {
    fn columns(&mut self, columns: &[Heading]) -> ControlFlow<()> {
        self.columns = told_apart(columns);
        self.numbers = vec![true; columns.len()];
        match self.form {
            Form::Csv => {
                let names = self.columns.iter().map(|column| quoted(&column.name));
                let names: Vec<String> = names.collect();
                self.write(&names.join(","))
            }
            Form::Table | Form::Json => ControlFlow::Continue(()),
        }
    }

    fn row(&mut self, cells: &[Cell<'_>]) -> ControlFlow<()> {
        match self.form {
            Form::Json => {
                let cells = self.columns.iter().zip(cells);
                let row: Map<String, Value> = cells
                    .map(|(column, cell)| (column.name.clone(), json(*cell, column.json)))
                    .collect();
                self.write(&Value::Object(row).to_string())
            }
            Form::Csv => {
                let cells: Vec<String> = cells.iter().map(|cell| quoted(&text(*cell))).collect();
                self.write(&cells.join(","))
            }
            Form::Table => {
                for (numbers, cell) in self.numbers.iter_mut().zip(cells) {
                    *numbers &= matches!(cell, Cell::Null | Cell::Integer(_) | Cell::Real(_));
                }
                self.page
                    .push(cells.iter().map(|cell| text(*cell)).collect());
                if self.page.len() >= PAGE {
                    self.turn();
                }
                self.go_on()
            }
        }
    }
}

/// Columns by names of their own: a JSON object has each name once.
fn told_apart(columns: &[Heading]) -> Vec<Heading> {
    let mut named: Vec<Heading> = Vec::with_capacity(columns.len());
    for column in columns {
        let mut column = column.clone();
        let base = column.name.clone();
        let mut number = 2;
        while named.iter().any(|other| other.name == column.name) {
            column.name = format!("{base}_{number}");
            number += 1;
        }
        named.push(column);
    }
    named
}

/// A cell for people; what is not known is empty.
fn text(cell: Cell<'_>) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) => number.to_string(),
        Cell::Text(text) => text.to_owned(),
        Cell::Blob(bytes) => hexadecimal(bytes),
    }
}

fn json(cell: Cell<'_>, is_json: bool) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Integer(number) => number.into(),
        Cell::Real(number) => number.into(),
        Cell::Text(text) if is_json => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        Cell::Text(text) => text.into(),
        Cell::Blob(bytes) => hexadecimal(bytes).into(),
    }
}

/// As CSV has it (RFC 4180).
fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_quotes_what_needs_it() {
        assert_eq!(quoted("plain text"), "plain text");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("say \"hi\"\n"), "\"say \"\"hi\"\"\n\"");
    }

    #[test]
    fn columns_of_one_name_are_told_apart() {
        let columns = ["a", "b", "a", "a_2", "a"].map(|name| Heading {
            name: name.to_owned(),
            json: false,
        });
        let names: Vec<String> = told_apart(&columns)
            .into_iter()
            .map(|one| one.name)
            .collect();
        assert_eq!(names, ["a", "b", "a_2", "a_2_2", "a_3"]);
    }
}
