//! Tables that align and fit the width.

use crate::printer::Style;

/// Rows of cells below headings.
#[derive(Debug, Default)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

#[derive(Debug)]
struct Column {
    heading: &'static str,
    align: Align,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

/// Between two columns.
const GAP: &str = "  ";
/// No column is cut shorter than this.
const NARROWEST: usize = 6;

impl Table {
    /// A table without columns.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a column of text.
    pub(crate) fn left(mut self, heading: &'static str) -> Self {
        self.columns.push(Column {
            heading,
            align: Align::Left,
        });
        self
    }

    /// Adds a column of numbers.
    pub(crate) fn right(mut self, heading: &'static str) -> Self {
        self.columns.push(Column {
            heading,
            align: Align::Right,
        });
        self
    }

    /// Adds a row; missing cells are empty.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(one_line).collect());
    }

    /// The table as text, its longest column cut until it fits the width, if there is one.
    pub(crate) fn render(&self, width: Option<usize>, style: Style) -> String {
        let widths = self.widths(width);
        let mut text = String::new();
        let headings: Vec<String> = self
            .columns
            .iter()
            .map(|column| column.heading.to_uppercase())
            .collect();
        if headings.iter().any(|heading| !heading.is_empty()) {
            text.push_str(&style.faint(&self.line(&headings, &widths)));
            text.push('\n');
        }
        for row in &self.rows {
            text.push_str(&self.line(row, &widths));
            text.push('\n');
        }
        text
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for (index, (column, width)) in self.columns.iter().zip(widths).enumerate() {
            if index > 0 {
                line.push_str(GAP);
            }
            let cell = cells.get(index).map_or("", String::as_str);
            let cell = console::truncate_str(cell, *width, "…");
            let align = match column.align {
                Align::Left => console::Alignment::Left,
                Align::Right => console::Alignment::Right,
            };
            line.push_str(&console::pad_str(&cell, *width, align, None));
        }
        line.trim_end().to_owned()
    }

    fn widths(&self, width: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| {
                let cells = self.rows.iter().filter_map(|row| row.get(index));
                let widest = cells.map(|cell| console::measure_text_width(cell)).max();
                widest
                    .unwrap_or(0)
                    .max(console::measure_text_width(column.heading))
            })
            .collect();
        let Some(limit) = width else { return widths };
        let gaps = GAP.len() * widths.len().saturating_sub(1);
        let mut over = (widths.iter().sum::<usize>() + gaps).saturating_sub(limit);
        // The widest gives way first; numbers are never cut, for a cut number is another number.
        while over > 0 {
            let widest = self
                .columns
                .iter()
                .zip(widths.iter_mut())
                .filter(|(column, width)| column.align == Align::Left && **width > NARROWEST)
                .max_by_key(|(_, width)| **width);
            let Some((_, width)) = widest else { break };
            *width -= 1;
            over -= 1;
        }
        widths
    }
}

/// A cell has one line, whatever a file's metadata says.
fn one_line(text: String) -> String {
    if text.contains(char::is_control) {
        text.replace(char::is_control, " ")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new().left("name").right("size").left("what");
        table.row(["a".into(), "1".into(), "the first of a few".into()]);
        table.row(["日本".into(), "22".into(), "the second\nof a few".into()]);
        table
    }

    #[test]
    fn columns_align_by_what_is_seen() {
        assert_eq!(
            table().render(None, Style::plain()),
            "NAME  SIZE  WHAT\n\
             a        1  the first of a few\n\
             日本    22  the second of a few\n"
        );
    }

    #[test]
    fn the_widest_text_gives_way_and_numbers_do_not() {
        assert_eq!(
            table().render(Some(26), Style::plain()),
            "NAME  SIZE  WHAT\n\
             a        1  the first of …\n\
             日本    22  the second of…\n"
        );
    }
}
