//! What `--version` and `--list-devices` print, as values.

use crate::{Backend, Build, Device};

/// Reads the output of `--version`: `version: 0.6.0-dev (build 11434, commit sdist)`, and the older
/// `version: 6123 (abcdef0)`. `None` if there is no such line.
pub(crate) fn parse_version(output: &str) -> Option<Build> {
    let text = output
        .lines()
        .find_map(|line| line.strip_prefix("version: "))?
        .trim();
    let compiler = output
        .lines()
        .find_map(|line| line.strip_prefix("built with "))
        .map(|line| line.trim().to_owned());
    let inside = text
        .split_once('(')
        .map_or("", |(_, rest)| rest.trim_end_matches(')'));
    let mut build = Build {
        text: text.to_owned(),
        compiler,
        ..Build::default()
    };
    if inside.contains("build ") {
        for part in inside.split(',').map(str::trim) {
            if let Some(number) = part.strip_prefix("build ") {
                build.number = number.trim().parse().ok();
            } else if let Some(commit) = part.strip_prefix("commit ") {
                build.commit = Some(commit.trim().to_owned());
            }
        }
    } else {
        build.number = text
            .split_whitespace()
            .next()
            .and_then(|word| word.parse().ok());
        build.commit = Some(inside.trim().to_owned());
    }
    // A build without its number calls itself 0.
    build.number = build.number.filter(|number| *number > 0);
    build.commit = build
        .commit
        .filter(|commit| !commit.is_empty() && commit != "unknown");
    Some(build)
}

/// Reads the output of `--list-devices`. `None` if it is not such a list.
pub(crate) fn parse_devices(output: &str) -> Option<Vec<Device>> {
    let mut lines = output.lines();
    lines
        .by_ref()
        .find(|line| line.trim() == "Available devices:")?;
    Some(lines.filter_map(parse_device).collect())
}

/// `  CUDA0: NVIDIA H200 (143771 MiB, 143254 MiB free)`
fn parse_device(line: &str) -> Option<Device> {
    let (name, rest) = line.trim().split_once(": ")?;
    let (description, memory) = rest.rsplit_once(" (")?;
    let (total, free) = memory.strip_suffix(" MiB free)")?.split_once(" MiB, ")?;
    let bytes = |text: &str| text.parse::<u64>().ok()?.checked_mul(1 << 20);
    Some(Device {
        name: name.to_owned(),
        description: description.to_owned(),
        memory_total: bytes(total)?,
        memory_free: bytes(free)?,
    })
}

/// The back end that these devices belong to; with several, the likeliest to be computed with.
pub(crate) fn backend_of(devices: &[Device]) -> Backend {
    let of = |device: &Device| {
        let family = device
            .name
            .trim_end_matches(|character: char| character.is_ascii_digit());
        match family {
            "CUDA" => Some(Backend::Cuda),
            "ROCm" => Some(Backend::Rocm),
            "MTL" | "Metal" => Some(Backend::Metal),
            "SYCL" => Some(Backend::Sycl),
            "Vulkan" => Some(Backend::Vulkan),
            // Libraries for the processor and far machines are no device of this one.
            "BLAS" | "RPC" | "CPU" => None,
            _ => Some(Backend::Other),
        }
    };
    devices.iter().filter_map(of).min().unwrap_or(Backend::Cpu)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_all_ages_are_read() {
        let now = parse_version(
            "version: 0.6.0-dev (build 11434, commit sdist)\nbuilt with GNU 12.2.0 for Linux x86_64\n",
        )
        .unwrap();
        assert_eq!(now.number, Some(11434));
        assert_eq!(now.commit.as_deref(), Some("sdist"));
        assert_eq!(now.text, "0.6.0-dev (build 11434, commit sdist)");
        assert_eq!(now.compiler.as_deref(), Some("GNU 12.2.0 for Linux x86_64"));

        let before = parse_version("ggml: noise\nversion: 6123 (b0a2feb)\n").unwrap();
        assert_eq!(before.number, Some(6123));
        assert_eq!(before.commit.as_deref(), Some("b0a2feb"));

        let unknown = parse_version("version: 0.6.0-dev (build 0, commit unknown)").unwrap();
        assert_eq!((unknown.number, unknown.commit), (None, None));
        assert_eq!(parse_version("GNU bash, version 5.2"), None);
        assert_eq!(parse_version(""), None);
    }

    #[test]
    fn devices_are_read() {
        assert_eq!(
            parse_devices("Available devices:\n  (none)\n"),
            Some(vec![])
        );
        let devices = parse_devices(
            "ggml_cuda_init: found 1 CUDA devices\nAvailable devices:\n  \
             CUDA0: NVIDIA H200 (SXM) (143771 MiB, 143254 MiB free)\n  \
             BLAS: OpenBLAS (0 MiB, 0 MiB free)\n  garbage (x MiB)\n",
        )
        .unwrap();
        assert_eq!(devices.len(), 2);
        assert_eq!(devices[0].name, "CUDA0");
        assert_eq!(devices[0].description, "NVIDIA H200 (SXM)");
        assert_eq!(devices[0].memory_total, 143_771 << 20);
        assert_eq!(devices[0].memory_free, 143_254 << 20);
        assert_eq!(backend_of(&devices), Backend::Cuda);
        assert_eq!(parse_devices("error: invalid argument"), None);
    }

    #[test]
    fn the_back_end_is_that_of_the_devices() {
        let named = |name: &str| Device {
            name: name.to_owned(),
            description: String::new(),
            memory_total: 0,
            memory_free: 0,
        };
        assert_eq!(backend_of(&[]), Backend::Cpu);
        assert_eq!(backend_of(&[named("BLAS")]), Backend::Cpu);
        assert_eq!(backend_of(&[named("Vulkan0")]), Backend::Vulkan);
        assert_eq!(
            backend_of(&[named("Vulkan0"), named("CUDA0")]),
            Backend::Cuda
        );
        assert_eq!(backend_of(&[named("MTL0")]), Backend::Metal);
        assert_eq!(backend_of(&[named("CANN0")]), Backend::Other);
    }
}
