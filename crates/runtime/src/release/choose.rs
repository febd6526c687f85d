//! Which release archives fit a machine: a pure function over both.

use crate::Backend;
use crate::sources::ArchiveRule;
use llamatelemetry_machine::Machine;

/// What of a machine decides which archives fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) os: String,
    pub(crate) arch: String,
    pub(crate) glibc: Option<(u32, u32)>,
    /// The newest CUDA version that the driver can run.
    pub(crate) cuda: Option<(u32, u32)>,
    /// Compute capability of each GPU.
    pub(crate) capabilities: Vec<(u32, u32)>,
}

impl Shape {
    pub(crate) fn of(machine: &Machine) -> Self {
        Self {
            os: machine.os.clone(),
            arch: machine.arch.clone(),
            glibc: machine.glibc_version(),
            cuda: machine
                .gpus
                .as_ref()
                .ok()
                .and_then(|found| found.cuda_version),
            capabilities: machine
                .gpus()
                .iter()
                .filter_map(|gpu| gpu.compute_capability)
                .collect(),
        }
    }
}

/// The archives that fit, best first (they stand so in the data file), and why each other one of
/// this back end does not.
pub(crate) fn choose<'a>(
    rules: &'a [ArchiveRule],
    shape: &Shape,
    backend: Backend,
) -> (Vec<&'a ArchiveRule>, Vec<String>) {
    let mut fitting = Vec::new();
    let mut reasons = Vec::new();
    for rule in rules.iter().filter(|rule| rule.backend == backend) {
        match misfit(rule, shape) {
            None => fitting.push(rule),
            Some(reason) => reasons.push(format!("{}: {reason}", rule.name)),
        }
    }
    if fitting.is_empty() && reasons.is_empty() {
        reasons.push(format!("there is none for {backend}"));
    }
    (fitting, reasons)
}

/// Why an archive does not fit; `None` if it does.
fn misfit(rule: &ArchiveRule, shape: &Shape) -> Option<String> {
    if rule.os != shape.os || rule.arch != shape.arch {
        return Some(format!("it is for {} on {}", rule.os, rule.arch));
    }
    let dotted = |(major, minor): (u32, u32)| format!("{major}.{minor}");
    if let Some(needed) = rule.glibc {
        match shape.glibc {
            None => return Some("it needs the GNU C library, which this system has not".into()),
            Some(have) if have < needed => {
                return Some(format!(
                    "it needs glibc {}, and this machine has {}",
                    dotted(needed),
                    dotted(have)
                ));
            }
            Some(_) => {}
        }
    }
    let toolkit = rule.cuda?;
    let Some(driver) = shape.cuda else {
        return Some("it needs NVIDIA's driver".into());
    };
    if driver.0 < toolkit.0 {
        return Some(format!(
            "it needs a driver for CUDA {}, and this one runs {}",
            dotted(toolkit),
            dotted(driver)
        ));
    }
    if shape.capabilities.is_empty() {
        return Some("no GPU tells its compute capability".into());
    }
    for capability in &shape.capabilities {
        if rule.capability.is_some_and(|least| *capability < least) {
            return Some(format!(
                "it has no code for compute capability {}",
                dotted(*capability)
            ));
        }
        // Machine code runs with any driver of the toolkit's major version; PTX must be understood
        // by the driver, which takes one as new as the toolkit.
        if driver < toolkit && !rule.sass.contains(capability) {
            return Some(format!(
                "for compute capability {} it has only PTX of CUDA {}, and the driver runs {}",
                dotted(*capability),
                dotted(toolkit),
                dotted(driver)
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::Sources;

    fn linux(arch: &str, glibc: (u32, u32)) -> Shape {
        Shape {
            os: "linux".to_owned(),
            arch: arch.to_owned(),
            glibc: Some(glibc),
            cuda: None,
            capabilities: Vec::new(),
        }
    }

    fn with_gpus(mut shape: Shape, cuda: (u32, u32), capabilities: &[(u32, u32)]) -> Shape {
        shape.cuda = Some(cuda);
        shape.capabilities = capabilities.to_vec();
        shape
    }

    fn names(shape: &Shape, backend: Backend) -> Vec<String> {
        let sources = Sources::built_in().unwrap();
        let (fitting, _) = choose(&sources.release.archives, shape, backend);
        fitting.iter().map(|rule| rule.name.clone()).collect()
    }

    fn reasons(shape: &Shape, backend: Backend) -> String {
        let sources = Sources::built_in().unwrap();
        choose(&sources.release.archives, shape, backend)
            .1
            .join("\n")
    }

    #[test]
    fn two_t4s_on_ubuntu_22() {
        // Kaggle: the processor's archive is built on that system, CUDA's on a newer one.
        let kaggle = with_gpus(linux("x86_64", (2, 35)), (12, 6), &[(7, 5), (7, 5)]);
        assert_eq!(names(&kaggle, Backend::Cpu), ["ubuntu-x64"]);
        assert!(names(&kaggle, Backend::Cuda).is_empty());
        let why = reasons(&kaggle, Backend::Cuda);
        assert!(
            why.contains("ubuntu-cuda-12.8-x64: it needs glibc 2.38, and this machine has 2.35")
        );
    }

    #[test]
    fn a_t4_with_an_older_driver_cannot_read_the_ptx() {
        let shape = with_gpus(linux("x86_64", (2, 39)), (12, 6), &[(7, 5)]);
        assert!(names(&shape, Backend::Cuda).is_empty());
        let why = reasons(&shape, Backend::Cuda);
        assert!(
            why.contains("for compute capability 7.5 it has only PTX of CUDA 12.8"),
            "{why}"
        );
        // A card with machine code in the archive needs no translation.
        let ada = with_gpus(linux("x86_64", (2, 39)), (12, 6), &[(8, 9)]);
        assert_eq!(names(&ada, Backend::Cuda), ["ubuntu-cuda-12.8-x64"]);
        let mixed = with_gpus(linux("x86_64", (2, 39)), (12, 6), &[(8, 9), (7, 5)]);
        assert!(names(&mixed, Backend::Cuda).is_empty());
    }

    #[test]
    fn an_h200_by_its_driver() {
        let h200 = |cuda| with_gpus(linux("x86_64", (2, 39)), cuda, &[(9, 0)]);
        // CUDA 13.0 cannot read the PTX of 13.4, but that of 12.8.
        assert_eq!(
            names(&h200((13, 0)), Backend::Cuda),
            ["ubuntu-cuda-12.8-x64"]
        );
        assert_eq!(
            names(&h200((13, 4)), Backend::Cuda),
            ["ubuntu-cuda-13.4-x64", "ubuntu-cuda-12.8-x64"]
        );
        assert!(names(&h200((11, 8)), Backend::Cuda).is_empty());
        // A container with an older system has neither.
        let old = with_gpus(linux("x86_64", (2, 36)), (13, 0), &[(9, 0)]);
        assert!(names(&old, Backend::Cuda).is_empty());
    }

    #[test]
    fn a_p100_only_has_the_older_toolkit() {
        let p100 = with_gpus(linux("x86_64", (2, 39)), (13, 4), &[(6, 0)]);
        assert_eq!(names(&p100, Backend::Cuda), ["ubuntu-cuda-12.8-x64"]);
        assert!(reasons(&p100, Backend::Cuda).contains("no code for compute capability 6.0"));
    }

    #[test]
    fn processors_of_other_makers() {
        let arm = linux("aarch64", (2, 39));
        assert_eq!(names(&arm, Backend::Cpu), ["ubuntu-arm64"]);
        assert!(names(&linux("aarch64", (2, 35)), Backend::Cpu).is_empty());
        let grace = with_gpus(arm, (13, 4), &[(9, 0)]);
        assert_eq!(names(&grace, Backend::Cuda), ["ubuntu-cuda-13.4-arm64"]);
        assert!(names(&linux("riscv64", (2, 39)), Backend::Cpu).is_empty());
    }

    #[test]
    fn apple_machines() {
        let mac = |arch: &str| Shape {
            os: "macos".to_owned(),
            arch: arch.to_owned(),
            glibc: None,
            cuda: None,
            capabilities: Vec::new(),
        };
        assert_eq!(names(&mac("aarch64"), Backend::Metal), ["macos-arm64"]);
        assert_eq!(names(&mac("x86_64"), Backend::Cpu), ["macos-x64"]);
        assert!(names(&mac("aarch64"), Backend::Cuda).is_empty());
    }

    #[test]
    fn old_and_other_c_libraries() {
        assert!(names(&linux("x86_64", (2, 31)), Backend::Cpu).is_empty());
        assert!(reasons(&linux("x86_64", (2, 31)), Backend::Cpu).contains("has 2.31"));
        let mut alpine = linux("x86_64", (2, 39));
        alpine.glibc = None;
        assert!(reasons(&alpine, Backend::Cpu).contains("GNU C library"));
        assert!(reasons(&alpine, Backend::Rocm).contains("there is none for rocm"));
    }

    #[test]
    fn no_driver_no_cuda() {
        let plain = linux("x86_64", (2, 39));
        assert!(reasons(&plain, Backend::Cuda).contains("NVIDIA's driver"));
    }
}
