//! Makes what the tests share and writes where it is, as JSON, into the file named.
//!
//! `cargo xtask test` runs it beside its other steps.

use anyhow::{Context as _, Result};
use llamatelemetry_testbed as testbed;
use serde_json::json;
use std::path::PathBuf;

fn main() -> Result<()> {
    let file = std::env::args_os()
        .nth(1)
        .map(PathBuf::from)
        .context("usage: testbed-prepare FILE")?;
    drop(std::fs::remove_file(&file));
    let llama_source = testbed::llama_source();
    // The model arrives while the processors compile.
    let (runtime, model) = std::thread::scope(|scope| -> Result<_> {
        let model = std::thread::Builder::new()
            .name("model".to_owned())
            .spawn_scoped(scope, testbed::smollm2)?;
        let runtime = testbed::runtime();
        let model = model
            .join()
            .map_err(|_panic| anyhow::anyhow!("no model, as said above"))?;
        Ok((runtime, model))
    })?;
    let prepared = json!({
        "llama_server": runtime.server,
        "llama_source": llama_source,
        "model": model.path,
    });
    std::fs::write(&file, format!("{prepared:#}\n"))
        .with_context(|| format!("cannot write {}", file.display()))
}
