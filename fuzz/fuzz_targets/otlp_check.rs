//! Any bytes are OTLP that can be checked or are refused with a reason: no panic, no endless work.
//! What was read checks the same a second time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use llamatelemetry_telemetry::check::{Checked, Checker, Document, Finding, read};
use llamatelemetry_telemetry::conventions::Profile;

fuzz_target!(|bytes: &[u8]| {
    // The first byte chooses what it is held to.
    let Some((choice, bytes)) = bytes.split_first() else {
        return;
    };
    let profile = Profile::ALL.get(usize::from(*choice) % 4).copied();
    let first = checked(profile, bytes);
    assert_eq!(first, checked(profile, bytes));
});

fn checked(profile: Option<Profile>, bytes: &[u8]) -> (Vec<Finding>, Option<Checked>) {
    let mut findings = Vec::new();
    let mut checker = Checker::new(profile);
    let outcome = read(bytes, &mut |document: &Document| {
        checker.check(document, &mut |finding| findings.push(finding));
    });
    match outcome {
        Ok(_) => {
            let checked = checker.finish(&mut |finding| findings.push(finding));
            (findings, Some(checked))
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            (findings, None)
        }
    }
}
