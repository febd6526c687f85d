//! What the writer writes is what the reader reads.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use llamatelemetry_gguf::{Endianness, GgmlType, Gguf, GgufWriter, OwnedValue, ValueType};

#[derive(Debug, Arbitrary)]
struct File {
    version: u8,
    big_endian: bool,
    entries: Vec<(Vec<u8>, Leaf)>,
    tensors: Vec<(Vec<u8>, u8, [u8; 2], Vec<u8>)>,
}

#[derive(Debug, Clone, Arbitrary)]
enum Leaf {
    U8(u8),
    I16(i16),
    U32(u32),
    F32(f32),
    Bool(bool),
    I64(i64),
    F64(f64),
    Text(Vec<u8>),
    Texts(Vec<Vec<u8>>),
    Numbers(Vec<u16>),
    /// The value in arrays of one element each, so deep.
    Nested(u8, Box<Leaf>),
}

impl From<Leaf> for OwnedValue {
    fn from(leaf: Leaf) -> Self {
        match leaf {
            Leaf::U8(value) => value.into(),
            Leaf::I16(value) => value.into(),
            Leaf::U32(value) => value.into(),
            Leaf::F32(value) => value.into(),
            Leaf::Bool(value) => value.into(),
            Leaf::I64(value) => value.into(),
            Leaf::F64(value) => value.into(),
            Leaf::Text(text) => Self::String(text),
            Leaf::Texts(texts) => Self::Array {
                element: ValueType::String,
                items: texts.into_iter().map(Self::String).collect(),
            },
            Leaf::Numbers(numbers) => numbers.into(),
            Leaf::Nested(depth, leaf) => {
                (0..depth % 20).fold((*leaf).into(), |item: Self, _| Self::Array {
                    element: item.value_type(),
                    items: vec![item],
                })
            }
        }
    }
}

fuzz_target!(|file: File| write(file));

fn write(file: File) {
    let types: Vec<GgmlType> = GgmlType::all().collect();
    let mut writer = GgufWriter::new();
    writer
        .version(u32::from(file.version % 3) + 1)
        .expect("a version");
    writer.endianness(if file.big_endian {
        Endianness::Big
    } else {
        Endianness::Little
    });
    let mut kept = Vec::new();
    for (key, leaf) in file.entries {
        let value = OwnedValue::from(leaf);
        if writer.set(key.clone(), value.clone()).is_ok() {
            kept.push((key, value));
        }
    }
    let mut tensors = Vec::new();
    for (name, number, [columns, rows], filling) in file.tensors {
        let ggml_type = types[usize::from(number) % types.len()];
        let block = ggml_type.block().expect("a known type");
        let shape = [
            u64::from(block.elements) * u64::from(columns % 4),
            u64::from(rows % 4),
        ];
        let size = ggml_type.bytes_of(shape[0] * shape[1]).expect("a size") as usize;
        let data: Vec<u8> = filling
            .iter()
            .copied()
            .chain([7])
            .cycle()
            .take(size)
            .collect();
        if writer
            .tensor(name.clone(), &shape, ggml_type, data.clone())
            .is_ok()
        {
            tensors.push((name, shape, ggml_type, data));
        }
    }

    let bytes = writer.to_bytes().expect("what was taken can be written");
    let read = Gguf::from_bytes(bytes).expect("what was written can be read");
    assert_eq!(read.metadata().len(), kept.len());
    for ((key, value), (written_key, written)) in read.metadata().zip(kept) {
        assert_eq!(key.as_bytes(), written_key);
        // Through text, since NaN is not equal to itself.
        assert_eq!(
            format!("{:?}", OwnedValue::from(value)),
            format!("{written:?}")
        );
    }
    assert_eq!(read.tensors().len(), tensors.len());
    for (tensor, (name, shape, ggml_type, data)) in read.tensors().zip(tensors) {
        assert_eq!(tensor.name().as_bytes(), name);
        assert_eq!(tensor.shape(), shape);
        assert_eq!(tensor.ggml_type(), ggml_type);
        assert_eq!(tensor.data(), Some(&data[..]));
    }
    read.check().expect("it decodes");
}
