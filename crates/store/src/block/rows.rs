//! Rows out of a block, put together again.

use super::column::ValueType;
use super::schema::{RESOURCE, SCOPE};
use super::view::{Block, Dictionary, Pieces};
use crate::StoreError;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use prost::Message as _;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One row: the numbers and texts of the signal's schema and the attributes in their order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) numbers: Vec<u64>,
    /// Those of resource and scope are shared by all rows of a block that have the same.
    pub(crate) texts: Vec<Arc<[u8]>>,
    pub(crate) attributes: Vec<KeyValue>,
}

struct Column {
    values: Vec<u64>,
    dictionary: Dictionary,
    /// Texts that were read, by their codes: the latest, for neighbours have much in common.
    read: BTreeMap<u64, Arc<[u8]>>,
    /// All of them: resources and scopes are few, and may be large.
    keeps_all: bool,
}

impl Column {
    fn text(&self, index: usize, pieces: &mut Pieces<'_>) -> Result<Vec<u8>, StoreError> {
        self.dictionary.string(self.values[index] as usize, pieces)
    }

    fn shared(&mut self, index: usize, pieces: &mut Pieces<'_>) -> Result<Arc<[u8]>, StoreError> {
        let code = self.values[index];
        if let Some(text) = self.read.get(&code) {
            return Ok(text.clone());
        }
        let text: Arc<[u8]> = self.text(index, pieces)?.into();
        if !self.keeps_all {
            self.read.clear();
        }
        self.read.insert(code, text.clone());
        Ok(text)
    }
}

/// These rows, which must rise.
pub(crate) fn read(block: &Block, rows: &[u32]) -> Result<Vec<Row>, StoreError> {
    let Some(last) = rows.last() else {
        return Ok(Vec::new());
    };
    let meta = &block.meta;
    if *last as usize >= meta.rows {
        return Err(block.damaged("a row that is not there"));
    }
    let mut pieces = Pieces::new(block);
    let numbers = meta
        .numbers
        .iter()
        .map(|column| block.values(column))
        .collect::<Result<Vec<_>, _>>()?;
    let mut texts = meta
        .texts
        .iter()
        .enumerate()
        .map(|(place, column)| {
            Ok(Column {
                read: BTreeMap::new(),
                keeps_all: [RESOURCE, SCOPE].contains(&place),
                values: block.values(column)?,
                dictionary: block.dictionary(column)?,
            })
        })
        .collect::<Result<Vec<_>, StoreError>>()?;
    let shapes = block.shapes()?;
    let mut columns: Vec<Option<Column>> = meta.attributes.iter().map(|_| None).collect();
    // How many values of each column the rows before hold.
    let mut before = vec![0_usize; columns.len()];
    let mut found = Vec::with_capacity(rows.len());
    let mut wanted = rows.iter().copied().peekable();
    for (row, shape) in shapes.iter().enumerate().take(*last as usize + 1) {
        let shape = &meta.shapes[*shape as usize].columns;
        if wanted.next_if(|next| *next as usize == row).is_none() {
            for column in shape {
                before[*column as usize] += 1;
            }
            continue;
        }
        let mut attributes = Vec::with_capacity(shape.len());
        for place in shape {
            let place = *place as usize;
            let (key, kind, column) = &meta.attributes[place];
            let loaded = match &mut columns[place] {
                Some(loaded) => loaded,
                slot @ None => slot.insert(Column {
                    read: BTreeMap::new(),
                    keeps_all: false,
                    values: block.values(column)?,
                    dictionary: block.dictionary(column)?,
                }),
            };
            let index = before[place];
            before[place] += 1;
            if index >= loaded.values.len() {
                return Err(block.damaged("an attribute without its value"));
            }
            attributes.push(KeyValue {
                key: key.clone(),
                value: value(block, *kind, loaded, index, &mut pieces)?,
                ..KeyValue::default()
            });
        }
        found.push(Row {
            numbers: numbers.iter().map(|values| values[row]).collect(),
            texts: texts
                .iter_mut()
                .map(|column| column.shared(row, &mut pieces))
                .collect::<Result<_, _>>()?,
            attributes,
        });
    }
    Ok(found)
}

fn value(
    block: &Block,
    kind: ValueType,
    column: &Column,
    index: usize,
    pieces: &mut Pieces<'_>,
) -> Result<Option<AnyValue>, StoreError> {
    let number = column.values[index];
    let value = match kind {
        ValueType::Text => Value::StringValue(
            String::from_utf8(column.text(index, pieces)?)
                .map_err(|_not_text| block.damaged("a text that is no UTF-8"))?,
        ),
        ValueType::Bool => Value::BoolValue(number != 0),
        ValueType::Int => Value::IntValue(number.cast_signed()),
        ValueType::Double => Value::DoubleValue(f64::from_bits(number)),
        ValueType::Other => {
            let bytes = column.text(index, pieces)?;
            let value =
                AnyValue::decode(&*bytes).map_err(|_not_text| block.damaged("an attribute"))?;
            return Ok(Some(value));
        }
        ValueType::Empty => return Ok((number != 0).then(AnyValue::default)),
    };
    Ok(Some(AnyValue { value: Some(value) }))
}
