//! The processor.

use serde::Serialize;
use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::OnceLock;

/// The processor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cpu {
    /// Model name as the system gives it.
    pub model: Option<String>,
    /// Maker: `AuthenticAMD`, `GenuineIntel`; on Arm the implementer's number.
    pub vendor: Option<String>,
    /// Family, model and stepping numbers (Arm: variant, part, revision), joined by `-`.
    pub signature: Option<String>,
    /// Processors that this process may use (affinity and container limits counted).
    pub logical: u32,
    /// Physical cores of the machine.
    pub physical: Option<u32>,
    /// Instruction set features by the kernel's names, ordered.
    pub features: BTreeSet<String>,
}

impl Cpu {
    /// Looks at the processor.
    pub fn probe() -> Self {
        let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let mut cpu = Self::from_cpuinfo(&text);
        cpu.logical = std::thread::available_parallelism()
            .ok()
            .and_then(|count| u32::try_from(count.get()).ok())
            .unwrap_or(1);
        if cpu.model.is_none() {
            cpu.model = crate::sys::cpu_brand();
        }
        cpu
    }

    /// Reads the text of `/proc/cpuinfo`. Processors of one machine are taken to be alike, but
    /// where they differ (big and little cores) only features that all have are kept.
    pub fn from_cpuinfo(text: &str) -> Self {
        let mut cpu = Self::default();
        let mut cores = BTreeSet::new();
        let mut numbers: [Option<&str>; 3] = [None; 3];
        let mut features: Option<BTreeSet<&str>> = None;
        let mut package = None;
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else {
                package = None;
                continue;
            };
            let value = value.trim();
            match key.trim() {
                "processor" => cpu.logical += 1,
                "model name" | "Model" => cpu.model = cpu.model.or(Some(value.to_owned())),
                "vendor_id" | "CPU implementer" => {
                    cpu.vendor = cpu.vendor.or(Some(value.to_owned()));
                }
                "cpu family" | "CPU variant" => numbers[0] = numbers[0].or(Some(value)),
                "model" | "CPU part" => numbers[1] = numbers[1].or(Some(value)),
                "stepping" | "CPU revision" => numbers[2] = numbers[2].or(Some(value)),
                "physical id" => package = Some(value),
                "core id" => {
                    cores.insert((package, value));
                }
                "flags" | "Features" => {
                    let these: BTreeSet<&str> = value.split_whitespace().collect();
                    features = Some(match features {
                        Some(common) => common.intersection(&these).copied().collect(),
                        None => these,
                    });
                }
                _ => {}
            }
        }
        if numbers.iter().any(Option::is_some) {
            cpu.signature = Some(numbers.map(|number| number.unwrap_or("?")).join("-"));
        }
        cpu.physical = u32::try_from(cores.len()).ok().filter(|count| *count > 0);
        cpu.features = features
            .unwrap_or_default()
            .into_iter()
            .map(str::to_owned)
            .collect();
        cpu
    }

    /// A short name for what code this processor can run: maker, signature and a digest of its
    /// features. A program built for one identity may die on another.
    pub fn identity(&self) -> String {
        let mut digest = Fnv::default();
        for feature in &self.features {
            digest.write(feature.as_bytes());
            digest.write(b" ");
        }
        format!(
            "{}/{}/{}/{:016x}",
            std::env::consts::ARCH,
            self.vendor.as_deref().unwrap_or("unknown"),
            self.signature
                .as_deref()
                .or(self.model.as_deref())
                .unwrap_or("unknown"),
            digest.0
        )
    }

    /// Whether the processor has this feature, by the kernel's name (`avx2`).
    pub fn has(&self, feature: &str) -> bool {
        self.features.contains(feature)
    }
}

/// [`Cpu::identity`] of the first processor, looked up once a process. Reading `/proc/cpuinfo` to
/// its end takes milliseconds on a machine with many processors, its first block microseconds.
pub fn cpu_identity() -> &'static str {
    static IDENTITY: OnceLock<String> = OnceLock::new();
    IDENTITY.get_or_init(|| Cpu::from_cpuinfo(&first_block()).identity())
}

fn first_block() -> String {
    let mut text = Vec::new();
    if let Ok(mut file) = std::fs::File::open("/proc/cpuinfo") {
        let mut block = [0; 4096];
        while !text.windows(2).any(|pair| pair == b"\n\n") {
            match file.read(&mut block) {
                Ok(count) if count > 0 => text.extend_from_slice(&block[..count]),
                _ => break,
            }
        }
    }
    let text = String::from_utf8_lossy(&text);
    let mut first = text.split("\n\n").next().unwrap_or_default().to_owned();
    if first.is_empty() {
        // No such file: the model's name is all there is to go by.
        first = crate::sys::cpu_brand().map_or_else(String::new, |name| format!("Model: {name}"));
    }
    first
}

/// FNV-1a, 64 bits: the identity is written to disk, so the digest must not change with the
/// compiler as the standard library's hasher may.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X86: &str = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 26\nmodel\t\t: 2\n\
        model name\t: AMD EPYC\nstepping\t: 1\nphysical id\t: 0\ncore id\t\t: 0\n\
        flags\t\t: fpu sse avx2 avx512f\n\nprocessor\t: 1\nvendor_id\t: AuthenticAMD\n\
        model name\t: AMD EPYC\nphysical id\t: 0\ncore id\t\t: 0\nflags\t\t: fpu sse avx2\n";
    const ARM: &str = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd sve\n\
        CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x1\nCPU part\t: 0xd0c\n\
        CPU revision\t: 1\n";

    #[test]
    fn x86_is_read() {
        let cpu = Cpu::from_cpuinfo(X86);
        assert_eq!(cpu.model.as_deref(), Some("AMD EPYC"));
        assert_eq!(cpu.vendor.as_deref(), Some("AuthenticAMD"));
        assert_eq!(cpu.signature.as_deref(), Some("26-2-1"));
        assert_eq!((cpu.logical, cpu.physical), (2, Some(1)));
        assert!(cpu.has("avx2"));
        assert!(!cpu.has("avx512f"), "only one of the two has it");
    }

    #[test]
    fn arm_is_read() {
        let cpu = Cpu::from_cpuinfo(ARM);
        assert_eq!(cpu.vendor.as_deref(), Some("0x41"));
        assert_eq!(cpu.signature.as_deref(), Some("0x1-0xd0c-1"));
        assert_eq!(cpu.physical, None);
        assert!(cpu.has("sve"));
    }

    #[test]
    fn identity_follows_features_only_and_is_stable() {
        let one = Cpu::from_cpuinfo(X86);
        let mut other = one.clone();
        other.logical = 64;
        assert_eq!(one.identity(), other.identity());
        other.features.insert("amx_tile".to_owned());
        assert_ne!(one.identity(), other.identity());
        assert!(one.identity().ends_with(&format!("{:016x}", {
            let mut digest = Fnv::default();
            digest.write(b"avx2 fpu sse ");
            digest.0
        })));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_first_processor_stands_for_all() {
        assert_eq!(cpu_identity(), Cpu::probe().identity());
        assert!(!first_block().contains("\n\n"));
    }

    #[test]
    fn nonsense_is_no_processor() {
        assert_eq!(Cpu::from_cpuinfo("\0\0:\n::::"), Cpu::default());
    }
}
