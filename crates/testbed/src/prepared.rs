//! What is dear to make and made once: a runtime and a model.

use crate::environment::process;
use crate::place::lock;
use crate::{Told, home, settings};
use llamatelemetry_models::LocalModel;
use llamatelemetry_runtime::Runtime;
use std::path::PathBuf;
use std::sync::OnceLock;

/// The runtime that tests use: `LLAMATELEMETRY_TEST_LLAMA_SERVER` where that is set, else the one
/// of the [shared home](crate::home), found or built there by the first process that asks.
pub fn runtime() -> Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        let _lock = lock("runtime");
        let mut settings = settings();
        settings.runtime.server_path = process()
            .get_os("LLAMATELEMETRY_TEST_LLAMA_SERVER")
            .map(PathBuf::from)
            // The shared home's own is found as a user's would be, by its store.
            .filter(|server| !server.starts_with(home().root()));
        llamatelemetry_runtime::bootstrap(&settings, &Told)
            .unwrap_or_else(|error| panic!("no runtime for tests: {}", chain(&error)))
    });
    made.clone()
}

/// SmolLM2-135M-Instruct in the [shared home](crate::home), brought by the first process that asks.
pub fn smollm2() -> LocalModel {
    static MODEL: OnceLock<LocalModel> = OnceLock::new();
    let brought = MODEL.get_or_init(|| {
        let _lock = lock("smollm2");
        llamatelemetry_models::ensure("smollm2", &settings(), &Told)
            .unwrap_or_else(|error| panic!("no model for tests: {}", chain(&error)))
    });
    brought.clone()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
