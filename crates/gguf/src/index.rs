//! Where everything in a file lies: built once when it is opened, with every bound checked.

use crate::cursor::{Cursor, Endianness, Layout, Lengths};
use crate::ggml::GgmlType;
use crate::value::{Text, ValueType};
use crate::{GgufError, Problem};

type Result<T> = std::result::Result<T, GgufError>;

/// What llama.cpp assumes where `general.alignment` is not set, in bytes.
pub(crate) const DEFAULT_ALIGNMENT: u32 = 32;

const ALIGNMENT_KEY: &[u8] = b"general.alignment";

/// A range of the file, in bytes from its start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start..self.end).unwrap_or_default()
    }
}

/// One metadata entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) key: Span,
    pub(crate) value_type: ValueType,
    /// The value without its type.
    pub(crate) value: Span,
}

/// One tensor's description.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TensorEntry {
    pub(crate) name: Span,
    pub(crate) dimensions: u32,
    /// Elements along each axis, 1 where there is no such axis.
    pub(crate) shape: [u64; 4],
    pub(crate) elements: u64,
    pub(crate) ggml_type: GgmlType,
    /// Start of the data, from the start of the data section.
    pub(crate) start: u64,
    /// Bytes of the data, where the type is known.
    pub(crate) size: Option<u64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Index {
    pub(crate) version: u32,
    pub(crate) layout: Layout,
    pub(crate) alignment: u32,
    pub(crate) entries: Vec<Entry>,
    /// Positions in `entries`, ordered by key.
    pub(crate) by_key: Vec<u32>,
    pub(crate) tensors: Vec<TensorEntry>,
    /// Positions in `tensors`, ordered by name.
    pub(crate) by_name: Vec<u32>,
    /// Start of the data section.
    pub(crate) data_start: u64,
}

impl Index {
    /// Reads everything but the elements of arrays and the data of tensors.
    pub(crate) fn build(bytes: &[u8]) -> Result<Self> {
        let (version, layout) = version(bytes)?;
        let mut cursor = Cursor::new(bytes, 8, layout);
        let length = layout.lengths.bytes() as u64;
        let tensors_at = cursor.at;
        let tensor_count = cursor.length("the tensor count")?;
        let entries_at = cursor.at;
        let entry_count = cursor.length("the metadata count")?;
        // A key's length, one byte of it, the type and one byte of value.
        let smallest_entry = length + 1 + 4 + 1;
        // A name's length, the number of dimensions, the type and the offset.
        let smallest_tensor = length + 4 + 4 + 8;
        cursor.fits(entry_count, smallest_entry, "metadata entries", entries_at)?;
        cursor.fits(tensor_count, smallest_tensor, "tensors", tensors_at)?;

        let entries = entries(&mut cursor, entry_count)?;
        let by_key = sorted(&entries, |entry| entry.key.of(bytes));
        if let Some((_, twice)) = twins(&by_key, &entries, |entry| entry.key.of(bytes)) {
            let key = Text(twice.key.of(bytes)).lossy().into_owned();
            let problem = Problem::DuplicateKey { key };
            return Err(GgufError::malformed(problem, twice.key.start));
        }
        let alignment = alignment(bytes, layout, &entries, &by_key)?;

        let tensors = tensors(&mut cursor, tensor_count, alignment)?;
        let by_name = sorted(&tensors, |tensor| tensor.name.of(bytes));
        if let Some((_, twice)) = twins(&by_name, &tensors, |tensor| tensor.name.of(bytes)) {
            let problem = Problem::DuplicateTensor {
                tensor: name(bytes, twice),
            };
            return Err(GgufError::malformed(problem, twice.name.start));
        }
        let data_start = (cursor.at as u64).next_multiple_of(u64::from(alignment));
        let index = Self {
            version,
            layout,
            alignment,
            entries,
            by_key,
            tensors,
            by_name,
            data_start,
        };
        index.check_data(bytes)?;
        Ok(index)
    }

    /// The metadata entry of a key.
    pub(crate) fn entry(&self, bytes: &[u8], key: &[u8]) -> Option<&Entry> {
        find(&self.by_key, &self.entries, key, |entry| {
            entry.key.of(bytes)
        })
    }

    /// The tensor of a name.
    pub(crate) fn tensor(&self, bytes: &[u8], name: &[u8]) -> Option<&TensorEntry> {
        find(&self.by_name, &self.tensors, name, |tensor| {
            tensor.name.of(bytes)
        })
    }

    /// Every tensor lies inside the file and on bytes of its own.
    fn check_data(&self, bytes: &[u8]) -> Result<()> {
        let length = bytes.len() as u64;
        let mut order: Vec<&TensorEntry> = self.tensors.iter().collect();
        order.sort_by_key(|tensor| tensor.start);
        for tensor in &order {
            let start = self.data_start.saturating_add(tensor.start);
            let end = start.saturating_add(tensor.size.unwrap_or(0));
            if end > length {
                let problem = Problem::DataOutside {
                    tensor: name(bytes, tensor),
                    end,
                    length,
                };
                return Err(GgufError::malformed(problem, start));
            }
        }
        // The end of the furthest data so far: empty tensors share their place with the next one.
        let mut furthest: Option<(u64, &TensorEntry)> = None;
        for tensor in order {
            let size = tensor.size.unwrap_or(0);
            if size == 0 {
                continue;
            }
            if let Some((end, before)) = furthest
                && tensor.start < end
            {
                let problem = Problem::Overlap {
                    tensor: name(bytes, tensor),
                    other: name(bytes, before),
                };
                return Err(GgufError::malformed(
                    problem,
                    self.data_start + tensor.start,
                ));
            }
            furthest = Some((tensor.start + size, tensor));
        }
        Ok(())
    }
}

fn name(bytes: &[u8], tensor: &TensorEntry) -> String {
    Text(tensor.name.of(bytes)).lossy().into_owned()
}

/// The version and layout, from the first eight bytes.
fn version(bytes: &[u8]) -> Result<(u32, Layout)> {
    let mut layout = Layout {
        endianness: Endianness::Little,
        lengths: Lengths::Wide,
    };
    let mut cursor = Cursor::new(bytes, 0, layout);
    let magic = cursor.take(4, "the magic number")?;
    if magic != b"GGUF" {
        let found = magic.first_chunk().copied().unwrap_or_default();
        return Err(GgufError::malformed(Problem::Magic { found }, 0_u64));
    }
    let mut version = cursor.u32("the version")?;
    // Versions are small: one whose low half is empty was written in the other byte order.
    if version.trailing_zeros() >= 16 && version != 0 {
        version = version.swap_bytes();
        layout.endianness = Endianness::Big;
    }
    match version {
        1 => layout.lengths = Lengths::Narrow,
        2 | 3 => {}
        _ => return Err(GgufError::malformed(Problem::Version { version }, 4_u64)),
    }
    Ok((version, layout))
}

fn entries(cursor: &mut Cursor<'_>, count: u64) -> Result<Vec<Entry>> {
    // The count fits the file, but a file of gigabytes may still lie: grow as entries are found.
    let mut entries = Vec::with_capacity(usize::try_from(count).unwrap_or(0).min(1024));
    for _ in 0..count {
        let at = cursor.at;
        let length = cursor.string("a metadata key")?.len();
        if length == 0 {
            return Err(GgufError::malformed(Problem::EmptyKey, at));
        }
        let key = Span {
            start: cursor.at - length,
            end: cursor.at,
        };
        let value_type = cursor.value_type()?;
        let start = cursor.at;
        cursor.skip_value(value_type, 0)?;
        entries.push(Entry {
            key,
            value_type,
            value: Span {
                start,
                end: cursor.at,
            },
        });
    }
    Ok(entries)
}

fn alignment(bytes: &[u8], layout: Layout, entries: &[Entry], by_key: &[u32]) -> Result<u32> {
    let Some(entry) = find(by_key, entries, ALIGNMENT_KEY, |entry| entry.key.of(bytes)) else {
        return Ok(DEFAULT_ALIGNMENT);
    };
    let at = entry.value.start;
    if entry.value_type != ValueType::U32 {
        let problem = Problem::AlignmentType {
            found: entry.value_type.name(),
        };
        return Err(GgufError::malformed(problem, at));
    }
    let alignment = Cursor::new(bytes, at, layout).u32("the alignment")?;
    if !alignment.is_power_of_two() {
        return Err(GgufError::malformed(Problem::Alignment { alignment }, at));
    }
    Ok(alignment)
}

fn tensors(cursor: &mut Cursor<'_>, count: u64, alignment: u32) -> Result<Vec<TensorEntry>> {
    let mut tensors = Vec::with_capacity(usize::try_from(count).unwrap_or(0).min(4096));
    for _ in 0..count {
        tensors.push(tensor(cursor, alignment)?);
    }
    Ok(tensors)
}

fn tensor(cursor: &mut Cursor<'_>, alignment: u32) -> Result<TensorEntry> {
    let bytes = cursor.bytes;
    let length = cursor.string("a tensor name")?.len();
    let name = Span {
        start: cursor.at - length,
        end: cursor.at,
    };
    let called = || Text(name.of(bytes)).lossy().into_owned();

    let at = cursor.at;
    let dimensions = cursor.u32("the dimensions of a tensor")?;
    let mut shape = [1; 4];
    let Some(axes) = usize::try_from(dimensions)
        .ok()
        .and_then(|count| shape.get_mut(..count))
    else {
        let problem = Problem::Dimensions {
            tensor: called(),
            dimensions,
        };
        return Err(GgufError::malformed(problem, at));
    };
    for axis in axes {
        *axis = cursor.length("the shape of a tensor")?;
    }
    let too_large = || GgufError::malformed(Problem::TooLarge { tensor: called() }, at);
    let elements = elements(shape).ok_or_else(too_large)?;

    let type_at = cursor.at;
    let ggml_type = GgmlType(cursor.u32("the type of a tensor")?);
    let size = match ggml_type.block() {
        Some(block) if !shape[0].is_multiple_of(u64::from(block.elements)) => {
            let problem = Problem::Row {
                tensor: called(),
                row: shape[0],
                block: block.elements,
                ggml_type,
            };
            return Err(GgufError::malformed(problem, type_at));
        }
        Some(_) => {
            let size = ggml_type
                .bytes_of(elements)
                .filter(|size| i64::try_from(*size).is_ok());
            Some(size.ok_or_else(too_large)?)
        }
        None => None,
    };

    let start_at = cursor.at;
    let start = cursor.u64("the offset of a tensor")?;
    if !start.is_multiple_of(u64::from(alignment)) {
        let problem = Problem::Misaligned {
            tensor: called(),
            start,
            alignment,
        };
        return Err(GgufError::malformed(problem, start_at));
    }
    Ok(TensorEntry {
        name,
        dimensions,
        shape,
        elements,
        ggml_type,
        start,
        size,
    })
}

/// The product of the axes, if it and all its parts fit into 63 bits, as llama.cpp demands.
fn elements(shape: [u64; 4]) -> Option<u64> {
    let mut product: i64 = 1;
    for axis in shape {
        let axis = i64::try_from(axis).ok()?;
        product = product.checked_mul(axis)?;
    }
    u64::try_from(product).ok()
}

/// Positions of the items, ordered by name.
fn sorted<'b, T>(items: &[T], name: impl Fn(&T) -> &'b [u8]) -> Vec<u32> {
    // More than u32::MAX items would take a header of more than 50 GB; the rest is not found by
    // name then, but is there.
    let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
    let mut order: Vec<u32> = (0..count).collect();
    order.sort_by(|&left, &right| {
        let name = |position: u32| items.get(position as usize).map(&name);
        name(left).cmp(&name(right))
    });
    order
}

/// Two items of one name, in their order in the file: of all such, the one found first.
fn twins<'i, 'b, T>(
    order: &[u32],
    items: &'i [T],
    name: impl Fn(&T) -> &'b [u8],
) -> Option<(&'i T, &'i T)> {
    order
        .windows(2)
        .filter_map(|pair| {
            let (first, second) = (*pair.first()? as usize, *pair.get(1)? as usize);
            Some((second, items.get(first)?, items.get(second)?))
        })
        .filter(|(_, first, second)| name(first) == name(second))
        .min_by_key(|(position, ..)| *position)
        .map(|(_, first, second)| (first, second))
}

fn find<'i, 'b, T>(
    order: &[u32],
    items: &'i [T],
    wanted: &[u8],
    name: impl Fn(&T) -> &'b [u8],
) -> Option<&'i T> {
    let position = order
        .binary_search_by(|&position| {
            items
                .get(position as usize)
                .map(&name)
                .unwrap_or_default()
                .cmp(wanted)
        })
        .ok()?;
    items.get(*order.get(position)? as usize)
}
