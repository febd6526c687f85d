//! Rows of one block, column by column: only what is asked for is read.

use crate::StoreError;
use crate::block::{self, Block, Pieces, ValueType};
use crate::otlp;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

/// A column of numbers that every row of a signal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberColumn(usize);

/// A column of texts that every row of a signal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextColumn(usize);

/// The columns that every row has, and in which form.
pub mod column {
    use super::{NumberColumn, TextColumn};
    use crate::block;

    /// The row's resource: OTLP's message of all that came from it, without what came.
    pub const RESOURCE: TextColumn = TextColumn(block::RESOURCE);
    /// The row's instrumentation scope: OTLP's message of all that came from it, without what came.
    pub const SCOPE: TextColumn = TextColumn(block::SCOPE);
    /// Name of the span, the event or the metric.
    pub const NAME: TextColumn = TextColumn(block::NAME);
    /// The trace's id, 16 bytes, or nothing.
    pub const TRACE: TextColumn = TextColumn(block::TRACE);
    /// The span's id, 8 bytes, or nothing.
    pub const SPAN: TextColumn = TextColumn(block::SPAN);

    /// Columns of spans.
    pub mod span {
        use super::{NumberColumn, TextColumn, block::span};

        /// From begin to end, ns; beyond `i64::MAX` where the end is not stated or lies before.
        pub const DURATION: NumberColumn = NumberColumn(span::DURATION);
        /// OTLP's kind of span.
        pub const KIND: NumberColumn = NumberColumn(span::KIND);
        /// OTLP's status code and 1; 0 where there is no status.
        pub const STATUS: NumberColumn = NumberColumn(span::STATUS);
        /// The parent's id, 8 bytes, or nothing.
        pub const PARENT: TextColumn = TextColumn(span::PARENT);
        /// W3C's trace state.
        pub const STATE: TextColumn = TextColumn(span::STATE);
        /// What the status says.
        pub const MESSAGE: TextColumn = TextColumn(span::MESSAGE);
    }

    /// Columns of log records.
    pub mod log {
        use super::{NumberColumn, TextColumn, block::log};

        /// From the record's time to its observation, ns, wrapping.
        pub const OBSERVED: NumberColumn = NumberColumn(log::OBSERVED);
        /// OTLP's severity number, 0 where it is not stated.
        pub const SEVERITY: NumberColumn = NumberColumn(log::SEVERITY);
        /// The severity as the sender names it.
        pub const SEVERITY_TEXT: TextColumn = TextColumn(log::SEVERITY_TEXT);
    }

    /// Columns of data points.
    pub mod point {
        use super::{NumberColumn, block::point};

        /// From the start of what is summed to the point's time, ns, wrapping.
        pub const STARTED: NumberColumn = NumberColumn(point::STARTED);
    }
}

/// Rows of one block. The rows are numbered from 0 on; they rise within the block.
#[derive(Debug)]
pub struct Batch {
    block: Block,
    rows: Vec<u32>,
    times: Vec<u64>,
}

/// The texts of a column, each kept once.
#[derive(Debug)]
pub struct Texts {
    codes: Vec<u64>,
    dictionary: block::Dictionary,
}

/// One attribute of each row.
#[derive(Debug)]
pub struct Attribute {
    columns: Vec<(ValueType, Texts)>,
    /// For each row which of the columns has its value, and where.
    places: Vec<Option<(usize, usize)>>,
}

/// The long texts of a batch. It counts what it hands out: no more than a block can hold.
#[derive(Debug)]
pub struct Content<'a>(Pieces<'a>);

impl Batch {
    /// These rows with their times; the rows rise.
    pub(crate) fn new(block: Block, found: Vec<(u32, u64)>) -> Self {
        let (rows, times) = found.into_iter().unzip();
        Self { block, rows, times }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The times of the rows, ns since 1970: when spans began, points and log records are of.
    pub fn times(&self) -> &[u64] {
        &self.times
    }

    /// The numbers of the rows within their block, rising: the same however they were found.
    pub fn places(&self) -> &[u32] {
        &self.rows
    }

    /// The long texts of these rows.
    pub fn content(&self) -> Content<'_> {
        Content(Pieces::new(&self.block))
    }

    /// A number of each row.
    pub fn numbers(&self, column: NumberColumn) -> Result<Vec<u64>, StoreError> {
        let column = self.block.meta.numbers.get(column.0);
        let column = column.ok_or_else(|| self.block.damaged("a column that is not there"))?;
        Ok(self.of_rows(&self.block.values(column)?))
    }

    /// A text of each row.
    pub fn texts(&self, column: TextColumn) -> Result<Texts, StoreError> {
        let column = self.block.meta.texts.get(column.0);
        let column = column.ok_or_else(|| self.block.damaged("a column that is not there"))?;
        Ok(Texts {
            codes: self.of_rows(&self.block.values(column)?),
            dictionary: self.block.dictionary(column)?,
        })
    }

    /// An attribute of each row; of several by one key the first.
    pub fn attribute(&self, key: &str) -> Result<Attribute, StoreError> {
        let meta = &self.block.meta;
        let mut columns = Vec::new();
        let mut wanted = vec![None; meta.attributes.len()];
        for (place, kind) in self.block.attribute(key) {
            wanted[place] = Some(columns.len());
            let column = &meta.attributes[place].2;
            let values = Texts {
                codes: self.block.values(column)?,
                dictionary: self.block.dictionary(column)?,
            };
            columns.push((kind, values));
        }
        let mut places = vec![None; self.rows.len()];
        if !columns.is_empty() {
            // How many values of each of the columns the rows before hold.
            let mut before = vec![0_usize; columns.len()];
            let mut found = self.rows.iter().zip(&mut places).peekable();
            for (row, shape) in (0_u32..).zip(self.block.shapes()?) {
                let of_row = meta.shapes[shape as usize].columns.iter();
                let mut first = None;
                for column in of_row.filter_map(|place| wanted[*place as usize]) {
                    first = first.or(Some((column, before[column])));
                    before[column] += 1;
                }
                if let Some((_, place)) = found.next_if(|(next, _)| **next == row) {
                    *place = first;
                }
                if found.peek().is_none() {
                    break;
                }
            }
        }
        Ok(Attribute { columns, places })
    }

    /// These rows as spans; they must rise. Fails for another signal.
    pub fn spans(&self, rows: &[usize]) -> Result<Vec<Span>, StoreError> {
        self.messages(rows, otlp::span)
    }

    /// These rows as log records; they must rise. Fails for another signal.
    pub fn log_records(&self, rows: &[usize]) -> Result<Vec<LogRecord>, StoreError> {
        self.messages(rows, otlp::log_record)
    }

    /// These rows as metrics of one point each; they must rise. Fails for another signal.
    pub fn metrics(&self, rows: &[usize]) -> Result<Vec<Metric>, StoreError> {
        self.messages(rows, otlp::metric)
    }

    fn messages<T>(
        &self,
        rows: &[usize],
        message: impl Fn(block::Row) -> Result<T, otlp::Broken>,
    ) -> Result<Vec<T>, StoreError> {
        let rows: Vec<u32> = rows.iter().map(|row| self.rows[*row]).collect();
        block::read(&self.block, &rows)?
            .into_iter()
            .map(|row| message(row).map_err(|broken| self.block.damaged(broken.0)))
            .collect()
    }

    fn of_rows(&self, values: &[u64]) -> Vec<u64> {
        // That each column has a value a row was checked with the footer.
        let of_row = |row: &u32| values[*row as usize];
        self.rows.iter().map(of_row).collect()
    }
}

impl Texts {
    /// The number of a row's text: equal numbers, equal texts.
    pub fn code(&self, row: usize) -> usize {
        self.codes[row] as usize
    }

    /// A row's text.
    pub fn get(&self, row: usize, content: &mut Content<'_>) -> Result<Vec<u8>, StoreError> {
        self.dictionary.string(self.code(row), &mut content.0)
    }
}

impl Attribute {
    /// Which value a row has: equal numbers, equal values. `None` where it has none.
    pub fn code(&self, row: usize) -> Option<(usize, u64)> {
        let (column, at) = self.places[row]?;
        Some((column, *self.columns[column].1.codes.get(at)?))
    }

    /// A row's value. `None` where it has none, or an empty one.
    pub fn get(&self, row: usize, content: &mut Content<'_>) -> Result<Option<Value>, StoreError> {
        let Some((column, at)) = self.places[row] else {
            return Ok(None);
        };
        let block = content.0.block();
        let (kind, texts) = &self.columns[column];
        let number = texts.codes.get(at).copied();
        let number = number.ok_or_else(|| block.damaged("an attribute without its value"))?;
        let mut bytes = || texts.dictionary.string(number as usize, &mut content.0);
        Ok(match kind {
            ValueType::Text => {
                let text = String::from_utf8(bytes()?);
                let text = text.map_err(|_no_text| block.damaged("a text that is no UTF-8"))?;
                Some(Value::StringValue(text))
            }
            ValueType::Bool => Some(Value::BoolValue(number != 0)),
            ValueType::Int => Some(Value::IntValue(number.cast_signed())),
            ValueType::Double => Some(Value::DoubleValue(f64::from_bits(number))),
            ValueType::Other => {
                let value = AnyValue::decode(&*bytes()?);
                value
                    .map_err(|_no_value| block.damaged("an attribute"))?
                    .value
            }
            ValueType::Empty => None,
        })
    }
}
