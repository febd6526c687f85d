//! Who sends: the resource that stands with every signal.

mod platform;

use crate::value::{IntoValue, Shown, key_value};
use llamatelemetry_machine::{GpuInventory, Machine, SamplerConfig};
use llamatelemetry_settings::Environment;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::resource::v1::Resource;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the program knows of itself and its machine.
#[derive(Debug, Clone, Default)]
pub struct ResourceFacts {
    /// Looks at the machine. Called on the pipeline's thread, since drivers may take their time.
    pub machine: Option<fn() -> Machine>,
    /// Who looks at the machine again and again, for the energy of requests. Without it energy is
    /// unknown.
    pub sampler: Option<fn() -> SamplerConfig>,
    /// Folder in which programs of this user share one look at the machine.
    pub sampler_folder: Option<PathBuf>,
    /// The llama.cpp build, where one is known for the whole program.
    pub llama_build: Option<String>,
    /// Further attributes.
    pub attributes: Vec<(String, String)>,
}

/// Attributes by name; the later of two of one name wins.
#[derive(Debug, Default)]
struct Attributes(BTreeMap<String, KeyValue>);

impl Attributes {
    fn set(&mut self, key: &str, value: impl IntoValue) {
        self.0.insert(key.to_owned(), key_value(key, value));
    }

    fn set_some(&mut self, key: &str, value: Option<impl IntoValue>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }
}

/// What is true of every sender, what the machine and the program say, what variables say; the
/// later wins. `instance` is this pipeline's own id.
pub(crate) fn describe(
    facts: ResourceFacts,
    variables: Vec<(String, String)>,
    environment: &Environment,
    instance: &str,
) -> Resource {
    let mut all = Attributes::default();
    all.set("service.name", "llamatelemetry");
    all.set("service.version", env!("CARGO_PKG_VERSION"));
    all.set("service.instance.id", instance);
    all.set("telemetry.sdk.language", "rust");
    all.set("telemetry.sdk.name", "llamatelemetry");
    all.set("telemetry.sdk.version", env!("CARGO_PKG_VERSION"));
    all.set("llamatelemetry.platform", platform::name(environment));
    process(&mut all);
    host(&mut all);
    all.set_some("llamacpp.build", facts.llama_build);
    if let Some(probe) = facts.machine {
        machine(&mut all, &probe());
    }
    for (key, value) in facts.attributes.into_iter().chain(variables) {
        all.set(&key, value);
    }
    Resource {
        attributes: all.0.into_values().collect(),
        ..Resource::default()
    }
}

/// Of the command only the program: its arguments may be prompts and keys.
fn process(all: &mut Attributes) {
    all.set("process.pid", i64::from(std::process::id()));
    if let Ok(program) = std::env::current_exe() {
        let name = program.file_name().map(|name| name.to_string_lossy());
        all.set_some("process.executable.name", name.map(String::from));
        all.set("process.command", program.display().to_string());
    }
    all.set("process.runtime.name", "rust");
}

fn host(all: &mut Attributes) {
    all.set("os.type", os_type(std::env::consts::OS));
    all.set("host.arch", host_arch(std::env::consts::ARCH));
    let line = |path: &str| {
        let text = std::fs::read_to_string(Path::new(path)).ok()?;
        let text = text.trim().to_owned();
        (!text.is_empty()).then_some(text)
    };
    all.set_some("host.name", line("/proc/sys/kernel/hostname"));
    all.set_some("host.id", line("/etc/machine-id"));
    all.set_some("os.version", line("/proc/sys/kernel/osrelease"));
}

/// The conventions' word for Rust's.
fn os_type(name: &str) -> &str {
    match name {
        "macos" => "darwin",
        other => other,
    }
}

/// The conventions' word for Rust's.
fn host_arch(name: &str) -> &str {
    match name {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn machine(all: &mut Attributes, machine: &Machine) {
    all.set_some("host.cpu.model.name", machine.cpu.model.clone());
    all.set_some("os.version", machine.kernel.clone());
    match &machine.gpus {
        Ok(found) => gpus(all, found),
        Err(_) => all.set("llamatelemetry.gpu.count", 0_i64),
    }
}

/// Lists have one entry a GPU, in the order of the maker's library; what a GPU does not tell is
/// empty there.
fn gpus(all: &mut Attributes, found: &GpuInventory) {
    let list = |text: &dyn Fn(&llamatelemetry_machine::Gpu) -> Option<String>| -> Vec<String> {
        let texts = found.gpus.iter().map(text);
        texts.map(Option::unwrap_or_default).collect()
    };
    let count = i64::try_from(found.gpus.len()).unwrap_or(i64::MAX);
    all.set("llamatelemetry.gpu.count", count);
    all.set_some(
        "llamatelemetry.gpu.driver_version",
        found.driver_version.clone(),
    );
    let version = |(major, minor): (u32, u32)| format!("{major}.{minor}");
    all.set_some(
        "llamatelemetry.gpu.cuda_version",
        found.cuda_version.map(version),
    );
    all.set(
        "llamatelemetry.gpu.names",
        list(&|gpu| Some(gpu.name.clone())),
    );
    all.set("llamatelemetry.gpu.uuids", list(&|gpu| gpu.uuid.clone()));
    all.set(
        "llamatelemetry.gpu.memory_bytes",
        list(&|gpu| gpu.memory_total.map(|bytes| bytes.to_string())),
    );
    all.set(
        "llamatelemetry.gpu.compute_capabilities",
        list(&|gpu| gpu.compute_capability.map(version)),
    );
}

/// Its attributes as text.
pub(crate) fn pairs(resource: &Resource) -> Vec<(String, String)> {
    let attributes = resource.attributes.iter();
    attributes
        .filter_map(|attribute| {
            let value = attribute.value.as_ref()?.value.as_ref()?;
            Some((attribute.key.clone(), Shown(value).to_string()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Shown, find};
    use llamatelemetry_machine::Gpu;

    fn shown(resource: &Resource, key: &str) -> Option<String> {
        find(&resource.attributes, key).map(|value| Shown(value).to_string())
    }

    fn with_two_gpus() -> Machine {
        let gpu = |index: u32| Gpu {
            index,
            name: "NVIDIA H200".into(),
            uuid: Some(format!("GPU-{index}")),
            memory_total: Some(150_754_820_096),
            memory_free: None,
            compute_capability: Some((9, 0)),
        };
        Machine {
            gpus: Ok(GpuInventory {
                driver_version: Some("580.65.06".into()),
                cuda_version: Some((13, 0)),
                gpus: vec![gpu(0), gpu(1)],
            }),
            ..Machine::probe_with(&[])
        }
    }

    #[test]
    fn gpus_are_listed_and_variables_win() {
        let facts = ResourceFacts {
            machine: Some(with_two_gpus),
            sampler: None,
            llama_build: Some("b11434-0123abc".into()),
            attributes: vec![("service.name".into(), "program".into())],
            ..ResourceFacts::default()
        };
        let variables = vec![("service.name".into(), "named".into())];
        let environment = Environment::from_pairs([("KAGGLE_KERNEL_RUN_TYPE", "Batch")]);
        let resource = describe(facts, variables, &environment, "an-id");
        let shown = |key| shown(&resource, key).unwrap_or_default();
        assert_eq!(shown("service.name"), "named");
        assert_eq!(shown("service.instance.id"), "an-id");
        assert_eq!(shown("llamatelemetry.platform"), "kaggle");
        assert_eq!(shown("llamatelemetry.gpu.count"), "2");
        assert_eq!(shown("llamatelemetry.gpu.uuids"), r#"["GPU-0","GPU-1"]"#);
        assert_eq!(shown("llamatelemetry.gpu.cuda_version"), "13.0");
        assert_eq!(shown("llamacpp.build"), "b11434-0123abc");
        assert!(!shown("process.executable.name").is_empty());
        // Arguments may be secret: not even the test's own are there.
        assert_eq!(find(&resource.attributes, "process.command_args"), None);
    }
}
