//! Files that tests write.

use llamatelemetry_gguf::{Endianness, GgmlType, GgufWriter, OwnedValue, ValueType};

/// Bytes that look like nothing, the same each time.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u8::try_from(state & 0xFF).expect("a byte")
    };
    std::iter::repeat_with(byte).take(length).collect()
}

/// A value of every type, arrays of every type, empty ones, text that is hard to pass on.
pub(crate) fn every_value() -> Vec<(&'static str, OwnedValue)> {
    let empty = |element| OwnedValue::Array {
        element,
        items: Vec::new(),
    };
    vec![
        ("u8", u8::MAX.into()),
        ("i8", i8::MIN.into()),
        ("u16", u16::MAX.into()),
        ("i16", i16::MIN.into()),
        ("u32", u32::MAX.into()),
        ("i32", i32::MIN.into()),
        ("f32", f32::MIN_POSITIVE.into()),
        ("true", true.into()),
        ("false", false.into()),
        ("u64", u64::MAX.into()),
        ("i64", i64::MIN.into()),
        ("f64", f64::MAX.into()),
        ("text", "Grüße, 世界 🦙\n\0".into()),
        ("empty", "".into()),
        ("array.u8", vec![0_u8, 1, 255].into()),
        ("array.i8", vec![-1_i8, 0, 1].into()),
        ("array.u16", vec![7_u16].into()),
        ("array.i16", vec![-7_i16, 7].into()),
        ("array.u32", vec![1_u32, 2, 3].into()),
        ("array.i32", vec![-1_i32; 300].into()),
        ("array.f32", vec![0.5_f32, -0.0, f32::INFINITY].into()),
        ("array.bool", vec![true, false, true].into()),
        ("array.text", vec!["", "a", "Ġworld", "\u{0}"].into()),
        ("array.u64", vec![u64::MAX].into()),
        ("array.i64", vec![i64::MIN, i64::MAX].into()),
        ("array.f64", vec![1.0_f64, f64::NAN].into()),
        ("array.empty.u8", empty(ValueType::U8)),
        ("array.empty.text", empty(ValueType::String)),
    ]
}

/// Arrays of arrays, which the format has and llama.cpp refuses.
pub(crate) fn nested() -> OwnedValue {
    let texts = OwnedValue::from(vec!["a", "bc"]);
    let inner = OwnedValue::Array {
        element: ValueType::Array,
        items: vec![texts.clone(), texts],
    };
    let empty = OwnedValue::Array {
        element: ValueType::Array,
        items: Vec::new(),
    };
    OwnedValue::Array {
        element: ValueType::Array,
        items: vec![inner, empty],
    }
}

/// A file with every value and a tensor of each of the given types, some of them empty or scalar.
pub(crate) fn every_type(
    types: &[GgmlType],
    version: u32,
    endianness: Endianness,
) -> GgufWriter<'static> {
    let mut writer = GgufWriter::new();
    writer
        .version(version)
        .expect("a version")
        .endianness(endianness);
    writer.set("general.architecture", "none").expect("set");
    for (key, value) in every_value() {
        writer.set(key, value).expect("set");
    }
    for (seed, &ggml_type) in (1..).zip(types) {
        let row = u64::from(ggml_type.block().expect("a block").elements);
        for shape in [
            &[row][..],
            &[2 * row, 3],
            &[row, 2, 3],
            &[row, 1, 2, 2],
            &[row, 0],
        ] {
            let size = ggml_type.bytes_of(shape.iter().product()).expect("a size");
            let data = noise(usize::try_from(size).expect("small"), seed);
            let name = format!(
                "{ggml_type}.{}.{}",
                shape.len(),
                shape.iter().product::<u64>()
            );
            writer
                .tensor(name, shape, ggml_type, data)
                .expect("a tensor");
        }
    }
    writer
}

/// A small file that has a bit of everything.
pub(crate) fn small(version: u32, endianness: Endianness) -> Vec<u8> {
    let mut writer = GgufWriter::new();
    writer
        .version(version)
        .expect("a version")
        .endianness(endianness);
    writer.set("general.architecture", "llama").expect("set");
    writer.set("general.alignment", 16_u32).expect("set");
    writer.set("nested", nested()).expect("set");
    writer.set("numbers", vec![1_u16, 2, 3]).expect("set");
    writer.set("truth", true).expect("set");
    writer
        .tensor("first", &[3], GgmlType::F32, noise(12, 1))
        .expect("a tensor");
    writer
        .tensor("second", &[32, 2], GgmlType::Q8_0, noise(68, 2))
        .expect("a tensor");
    writer.to_bytes().expect("a file")
}

/// Every version in every byte order.
pub(crate) const FORMS: [(u32, Endianness); 6] = [
    (1, Endianness::Little),
    (2, Endianness::Little),
    (3, Endianness::Little),
    (1, Endianness::Big),
    (2, Endianness::Big),
    (3, Endianness::Big),
];
