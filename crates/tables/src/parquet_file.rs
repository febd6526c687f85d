//! A view as a Parquet file.
//!
//! The columns are the view's, flat and each of one type. Times are kept to the nanosecond as whole
//! numbers, as in SQL, and once more to the microsecond as Parquet's timestamps: Spark refuses
//! timestamps in nanoseconds.

use crate::scan::{OVERLAP, Order, Scan, Stored};
use crate::value::Value;
use crate::{Kind, Stop, TablesError, View};
use llamatelemetry_store::{Query, Snapshot};
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Rows that are written together at most, and bytes of their texts: they lie in memory until then.
const GROUP_ROWS: usize = 1 << 15;
const GROUP_BYTES: usize = 32 << 20;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Rows.
    pub rows: u64,
    /// Files of the store that could not be read, each with the reason.
    pub damaged: BTreeSet<String>,
}

/// Writes the rows of a view that meet a query into a file, oldest first unless very many blocks
/// overlap in time. The file is there whole or, if that fails, not at all: what was there before
/// stays.
pub fn write_parquet(
    view: &'static View,
    snapshot: Snapshot,
    query: Query,
    path: &Path,
    stop: Stop,
) -> Result<Written, TablesError> {
    let failed = |source: io::Error| TablesError::Write {
        path: path.to_owned(),
        source,
    };
    let spoilt = |source: ParquetError| TablesError::Parquet {
        path: path.to_owned(),
        source,
    };
    let stored = Stored::new(snapshot, stop);
    let ordered = view
        .source
        .signal()
        .is_some_and(|signal| stored.overlap(signal) <= OVERLAP);
    let order = ordered.then_some(Order::Rising);
    let mut scan = Scan::new(view, &stored, Some(query), order, u64::MAX)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    // Readable for its owner only: what was said may stand in it.
    let unfinished = tempfile::Builder::new()
        .prefix(".llt-")
        .suffix(".parquet")
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .map_err(failed)?;
    let mut group = Group::of(view);
    let mut writer = open(view, &group, unfinished.as_file()).map_err(spoilt)?;
    let mut rows = 0;
    while scan.advance(&stored)? {
        group.push(&scan);
        rows += 1;
        if group.is_full() {
            group.write(&mut writer).map_err(spoilt)?;
        }
    }
    if group.rows > 0 {
        group.write(&mut writer).map_err(spoilt)?;
    }
    writer.close().map_err(spoilt)?;
    unfinished.as_file().sync_all().map_err(failed)?;
    unfinished
        .persist(path)
        .map_err(|error| failed(error.error))?;
    Ok(Written {
        rows,
        damaged: stored.damaged(),
    })
}

fn open<'a>(
    view: &View,
    group: &Group,
    file: &'a File,
) -> Result<SerializedFileWriter<&'a File>, ParquetError> {
    let fields = group.columns.iter().map(Field::schema);
    let schema = Type::group_type_builder(view.name)
        .with_fields(fields.collect::<Result<_, _>>()?)
        .build()?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(format!(
            "llamatelemetry version {}",
            env!("CARGO_PKG_VERSION")
        ))
        .build();
    SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))
}

/// Rows that are written together.
struct Group {
    columns: Vec<Field>,
    rows: usize,
    bytes: usize,
}

/// A column of the file, from one of the view's.
struct Field {
    name: String,
    place: usize,
    cells: Cells,
}

/// Values that are there; for each row whether one is.
enum Cells {
    Integers(Vec<i16>, Vec<i64>),
    /// Microseconds since 1970, from nanoseconds.
    Moments(Vec<i16>, Vec<i64>),
    Reals(Vec<i16>, Vec<f64>),
    Texts(Vec<i16>, Vec<ByteArray>),
}

impl Group {
    fn of(view: &View) -> Self {
        let mut columns = Vec::new();
        for (place, column) in view.columns.iter().enumerate() {
            let mut add = |name: &str, cells| {
                columns.push(Field {
                    name: name.to_owned(),
                    place,
                    cells,
                });
            };
            add(
                column.name,
                match column.kind {
                    Kind::Integer => Cells::Integers(Vec::new(), Vec::new()),
                    // A value of any kind is a number where a whole column can be one.
                    Kind::Real => Cells::Reals(Vec::new(), Vec::new()),
                    Kind::Any if view.is_numeric() => Cells::Reals(Vec::new(), Vec::new()),
                    Kind::Any | Kind::Text | Kind::Json => Cells::Texts(Vec::new(), Vec::new()),
                },
            );
            if let Some(moment) = column.name.strip_suffix("_unix_nano") {
                add(moment, Cells::Moments(Vec::new(), Vec::new()));
            }
        }
        Self {
            columns,
            rows: 0,
            bytes: 0,
        }
    }

    fn push(&mut self, scan: &Scan) {
        for column in &mut self.columns {
            self.bytes += column.cells.push(scan.cell(column.place));
        }
        self.rows += 1;
    }

    fn is_full(&self) -> bool {
        self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES
    }

    fn write(&mut self, writer: &mut SerializedFileWriter<&File>) -> Result<(), ParquetError> {
        let mut group = writer.next_row_group()?;
        for column in &mut self.columns {
            let Some(writer) = group.next_column()? else {
                return Err(ParquetError::General("a column too many".to_owned()));
            };
            column.cells.write(writer)?;
        }
        group.close()?;
        self.rows = 0;
        self.bytes = 0;
        Ok(())
    }
}

impl Field {
    fn schema(&self) -> Result<TypePtr, ParquetError> {
        let (physical, logical) = match self.cells {
            Cells::Integers(..) => (Physical::INT64, None),
            Cells::Moments(..) => {
                let moment = LogicalType::timestamp(true, TimeUnit::MICROS);
                (Physical::INT64, Some(moment))
            }
            Cells::Reals(..) => (Physical::DOUBLE, None),
            Cells::Texts(..) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        let field = Type::primitive_type_builder(&self.name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()?;
        Ok(Arc::new(field))
    }
}

impl Cells {
    /// Adds a cell; returns the bytes of its text.
    fn push(&mut self, value: &Value) -> usize {
        match (self, value) {
            (Self::Integers(known, all), Value::Integer(number)) => {
                known.push(1);
                all.push(*number);
            }
            (Self::Moments(known, all), Value::Integer(nanos)) => {
                known.push(1);
                all.push(nanos.div_euclid(1_000));
            }
            (Self::Reals(known, all), Value::Real(number)) => {
                known.push(1);
                all.push(*number);
            }
            (Self::Reals(known, all), Value::Integer(number)) => {
                known.push(1);
                all.push(*number as f64);
            }
            (Self::Texts(known, all), Value::Text(text)) => {
                known.push(1);
                all.push(ByteArray::from(&**text));
                return text.len();
            }
            (Self::Texts(known, all), Value::Integer(number)) => {
                known.push(1);
                all.push(ByteArray::from(number.to_string().as_str()));
            }
            (Self::Texts(known, all), Value::Real(number)) => {
                known.push(1);
                all.push(ByteArray::from(number.to_string().as_str()));
            }
            (
                Self::Integers(known, _)
                | Self::Moments(known, _)
                | Self::Reals(known, _)
                | Self::Texts(known, _),
                _,
            ) => known.push(0),
        }
        0
    }

    fn write(&mut self, writer: SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        match self {
            Self::Integers(known, all) | Self::Moments(known, all) => {
                put::<Int64Type>(writer, known, all)
            }
            Self::Reals(known, all) => put::<DoubleType>(writer, known, all),
            Self::Texts(known, all) => put::<ByteArrayType>(writer, known, all),
        }
    }
}

/// Writes a column's values and forgets them.
fn put<T: DataType>(
    mut writer: SerializedColumnWriter<'_>,
    known: &mut Vec<i16>,
    all: &mut Vec<T::T>,
) -> Result<(), ParquetError> {
    writer.typed::<T>().write_batch(all, Some(known), None)?;
    known.clear();
    all.clear();
    writer.close()
}
