//! Models that cannot be loaded, each with its reason.

use crate::setup::{Place, failure, place};
use llamatelemetry_server::{Exit, ExitClass, LaunchSpec, ServerError};
use std::path::PathBuf;

fn exit_of(spec: &LaunchSpec) -> Exit {
    match failure(spec) {
        ServerError::Exited(exit) => *exit,
        error => panic!("another error: {error}"),
    }
}

fn with_model(place: &Place, bytes: &[u8]) -> LaunchSpec {
    let mut spec = place.real();
    spec.model = place.home.root().join("bad.gguf");
    std::fs::write(&spec.model, bytes).expect("a model file");
    spec
}

fn real_model(place: &Place) -> Vec<u8> {
    std::fs::read(place.real().model).expect("the real model")
}

#[test]
fn a_model_cut_in_its_header() {
    let place = place();
    let model = real_model(&place);
    let spec = with_model(&place, &model[..1_000_000]);
    let exit = exit_of(&spec);
    assert_eq!(exit.class, ExitClass::BadModel);
    assert_eq!(
        exit.cause.as_deref(),
        Some("gguf_init_from_reader: failed to read key-value pairs")
    );
    assert!(exit.log_tail.iter().any(|line| line.contains("bad.gguf")));
}

#[test]
fn a_model_cut_in_its_tensors() {
    let place = place();
    let model = real_model(&place);
    let spec = with_model(&place, &model[..model.len() / 2]);
    let exit = exit_of(&spec);
    assert_eq!(exit.class, ExitClass::BadModel);
    let cause = exit.cause.expect("a cause");
    assert!(cause.contains("is corrupted or incomplete"), "{cause}");
}

#[test]
fn a_file_that_is_no_gguf() {
    let place = place();
    let spec = with_model(&place, b"This is a text about llamas.");
    let exit = exit_of(&spec);
    assert_eq!(exit.class, ExitClass::BadModel);
    assert_eq!(
        exit.cause.as_deref(),
        Some("gguf_init_from_reader: invalid magic characters: 'This', expected 'GGUF'")
    );
}

#[test]
fn a_model_of_an_unknown_architecture() {
    let place = place();
    let mut model = b"GGUF".to_vec();
    model.extend_from_slice(&3_u32.to_le_bytes());
    model.extend_from_slice(&0_u64.to_le_bytes());
    model.extend_from_slice(&1_u64.to_le_bytes());
    let string = |text: &str| {
        let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(text.as_bytes());
        bytes
    };
    model.extend_from_slice(&string("general.architecture"));
    model.extend_from_slice(&8_u32.to_le_bytes());
    model.extend_from_slice(&string("perpetuum"));
    let spec = with_model(&place, &model);
    let exit = exit_of(&spec);
    assert_eq!(exit.class, ExitClass::BadModel);
    let cause = exit.cause.expect("a cause");
    assert!(
        cause.ends_with("unknown model architecture: 'perpetuum'"),
        "{cause}"
    );
}

#[test]
fn a_model_that_is_not_there() {
    let place = place();
    let mut spec = place.stub("exit 77");
    spec.model = PathBuf::from("/nowhere/m.gguf");
    assert_eq!(
        failure(&spec).to_string(),
        "cannot read the model file /nowhere/m.gguf"
    );
}

#[test]
fn a_model_for_which_there_is_no_memory() {
    let place = place();
    let spec = place.real_behind("ulimit -v 300000");
    let exit = exit_of(&spec);
    assert_eq!(exit.class, ExitClass::OutOfMemory);
    let cause = exit.cause.expect("a cause");
    assert!(cause.contains("insufficient memory"), "{cause}");
}
