//! What holds for any file.

use llamatelemetry_gguf::{
    Endianness, GgmlType, Gguf, GgufWriter, OwnedValue, Value, ValueType, proof_model,
};
use proptest::prelude::*;

use crate::allocation::largest;
use crate::cases::copy;
use crate::files::{FORMS, noise, small};

fn leaf(value_type: ValueType) -> BoxedStrategy<OwnedValue> {
    match value_type {
        ValueType::U8 => any::<u8>().prop_map(OwnedValue::U8).boxed(),
        ValueType::I8 => any::<i8>().prop_map(OwnedValue::I8).boxed(),
        ValueType::U16 => any::<u16>().prop_map(OwnedValue::U16).boxed(),
        ValueType::I16 => any::<i16>().prop_map(OwnedValue::I16).boxed(),
        ValueType::U32 => any::<u32>().prop_map(OwnedValue::U32).boxed(),
        ValueType::I32 => any::<i32>().prop_map(OwnedValue::I32).boxed(),
        ValueType::F32 => any::<f32>().prop_map(OwnedValue::F32).boxed(),
        ValueType::Bool => any::<bool>().prop_map(OwnedValue::Bool).boxed(),
        ValueType::U64 => any::<u64>().prop_map(OwnedValue::U64).boxed(),
        ValueType::I64 => any::<i64>().prop_map(OwnedValue::I64).boxed(),
        ValueType::F64 => any::<f64>().prop_map(OwnedValue::F64).boxed(),
        // An array's element that is an array, at the last depth, is empty.
        ValueType::Array => Just(OwnedValue::from(Vec::<u8>::new())).boxed(),
        ValueType::String => prop::collection::vec(any::<u8>(), 0..20)
            .prop_map(OwnedValue::String)
            .boxed(),
    }
}

fn value(depth: u32) -> BoxedStrategy<OwnedValue> {
    let types = prop::sample::select(ValueType::ALL.to_vec());
    types
        .prop_flat_map(move |value_type| match value_type {
            ValueType::Array if depth > 0 => array(depth - 1),
            scalar => leaf(scalar),
        })
        .boxed()
}

fn array(depth: u32) -> BoxedStrategy<OwnedValue> {
    prop::sample::select(ValueType::ALL.to_vec())
        .prop_flat_map(move |element| {
            let item = match element {
                ValueType::Array if depth > 0 => array(depth - 1),
                scalar => leaf(scalar),
            };
            prop::collection::vec(item, 0..6)
                .prop_map(move |items| OwnedValue::Array { element, items })
        })
        .boxed()
}

type Description = (String, GgmlType, Vec<u64>);

fn tensor() -> impl Strategy<Value = Description> {
    let types = prop::sample::select(GgmlType::all().collect::<Vec<_>>());
    let axes = prop::collection::vec(0_u64..4, 0..4);
    ("[a-z.]{1,12}", types, axes).prop_map(|(name, ggml_type, mut axes)| {
        if let Some(row) = axes.first_mut() {
            *row *= u64::from(ggml_type.block().expect("a block").elements);
        }
        (name, ggml_type, axes)
    })
}

prop_compose! {
    fn file()(
        form in prop::sample::select(FORMS.to_vec()),
        alignment in 0_u32..8,
        entries in prop::collection::btree_map("[a-z._]{1,16}", value(3), 0..8),
        tensors in prop::collection::vec(tensor(), 0..6),
    ) -> GgufWriter<'static> {
        let mut writer = GgufWriter::new();
        writer.version(form.0).expect("a version").endianness(form.1);
        writer.set("general.alignment", 1_u32 << alignment).expect("set");
        for (key, value) in entries {
            writer.set(key, value).expect("set");
        }
        for (seed, (name, ggml_type, shape)) in (1..).zip(tensors) {
            let Some(size) = ggml_type.bytes_of(shape.iter().product()) else { continue };
            let data = noise(usize::try_from(size).expect("small"), seed);
            // Names may come twice: the writer refuses the second.
            let _refused = writer.tensor(name, &shape, ggml_type, data).is_err();
        }
        writer
    }
}

/// Asks for everything a file has to say; nothing of it may panic.
fn touch(file: &Gguf) {
    fn value(of: Value<'_>, left: &mut u64) {
        if let Value::Array(array) = of {
            for element in array {
                if *left == 0 {
                    return;
                }
                *left -= 1;
                value(element, left);
            }
        }
    }
    let mut left = 100_000;
    file.metadata().for_each(|(_, of)| value(of, &mut left));
    for tensor in file.tensors() {
        let length = tensor.data().map(|data| data.len() as u64);
        assert_eq!(length, tensor.size());
    }
    let _decoded = file.check().expect("what opens can be decoded");
    let _facts = file.facts().is_ok();
}

/// Opens bytes that need not be a file.
fn survive(bytes: Vec<u8>) {
    // The index takes at most a few dozen bytes for each byte of the file.
    let bound = 64 * 1024 + bytes.len() * 64;
    let (size, opened) = largest(|| Gguf::from_bytes(bytes));
    assert!(size <= bound, "{size} bytes at once");
    if let Ok(file) = opened {
        touch(&file);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_what_is_read(writer in file()) {
        let bytes = writer.to_bytes().expect("a file");
        let read = Gguf::from_bytes(bytes.clone()).expect("it opens");
        touch(&read);
        prop_assert_eq!(copy(&read), bytes);
    }

    #[test]
    fn a_file_cut_anywhere_is_refused(writer in file(), place in any::<prop::sample::Index>()) {
        let bytes = writer.to_bytes().expect("a file");
        let whole = Gguf::from_bytes(bytes.clone()).expect("it opens");
        let ends = whole.tensors().map(|tensor| tensor.file_offset() + tensor.size().unwrap_or(0));
        // Without tensors only the header is needed, and its end is not told.
        if let Some(end) = ends.max() {
            let cut = place.index(usize::try_from(end).expect("small"));
            prop_assert!(Gguf::from_bytes(bytes[..cut].to_vec()).is_err());
        } else {
            survive(bytes[..place.index(bytes.len())].to_vec());
        }
    }

    #[test]
    fn damage_never_panics(
        writer in file(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = writer.to_bytes().expect("a file");
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        survive(bytes);
    }

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), version in 1_u32..4) {
        let mut file = b"GGUF".to_vec();
        file.extend(version.to_le_bytes());
        // Small counts, so that what follows is looked at.
        file.extend([1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        file.extend(bytes);
        survive(file);
    }
}

#[test]
fn every_single_byte_may_be_wrong() {
    let bytes = small(3, Endianness::Little);
    for place in 0..bytes.len() {
        for damage in [0, 1, 0x7F, 0x80, 0xFF] {
            let mut damaged = bytes.clone();
            damaged[place] = damage;
            survive(damaged);
        }
    }
    let mut header = proof_model();
    header.truncate(8 * 1024);
    for place in (0..header.len()).step_by(13) {
        let mut damaged = header.clone();
        damaged[place] ^= 0xFF;
        survive(damaged);
    }
}
