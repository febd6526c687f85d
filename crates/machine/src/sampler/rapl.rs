//! Energy of processor packages: the kernel's `powercap` zones, which Intel's and AMD's processors
//! fill by the same interface (RAPL).

use super::procfs::{line, value};
use super::sample::{Absence, EnergyReading, PackageEnergy};
use super::source::EnergySource;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The zones of `/sys/class/powercap`.
#[derive(Debug)]
pub struct Rapl {
    root: PathBuf,
    /// Of each zone the last number read and what all wrap-arounds add up to, µJ.
    last: BTreeMap<PathBuf, (u64, u64)>,
}

impl Default for Rapl {
    fn default() -> Self {
        Self::at("/sys")
    }
}

impl Rapl {
    /// Those of a recorded tree, for tests: `root` is where `/sys` is.
    pub fn at(root: impl AsRef<Path>) -> Self {
        Self {
            root: root.as_ref().join("class/powercap"),
            last: BTreeMap::new(),
        }
    }

    /// The zones that count energy no other one contains, with their names.
    fn zones(&self) -> Vec<(String, PathBuf)> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        let mut zones: Vec<(String, PathBuf)> = entries
            .filter_map(|entry| {
                let file = entry.file_name().into_string().ok()?;
                let (driver, place) = file.split_once(':')?;
                // The same counters by another way (`intel-rapl-mmio`) would count twice.
                if !driver.ends_with("rapl") {
                    return None;
                }
                let name = line(&entry.path().join("name"))?;
                match place.split_once(':') {
                    // `psys` is the whole platform, packages within it.
                    None if name.starts_with("package") => Some((name, entry.path())),
                    // Cores and graphics are within the package, memory is not.
                    Some((package, _)) if name == "dram" => {
                        let above = line(&self.root.join(format!("{driver}:{package}/name")));
                        Some((format!("{}/dram", above?), entry.path()))
                    }
                    _ => None,
                }
            })
            .collect();
        zones.sort();
        zones
    }

    fn zone(&mut self, name: String, zone: &Path) -> Result<PackageEnergy, Absence> {
        let path = zone.join("energy_uj");
        let before = Instant::now();
        let text = fs::read_to_string(&path);
        let cost = before.elapsed();
        let absent = |reason: String| Absence::new("RAPL", reason).of(&name);
        let text = text.map_err(|error| {
            absent(match error.kind() {
                io::ErrorKind::PermissionDenied => format!(
                    "only root may read it; `sudo chmod o+r` opens it until the next start: {}",
                    path.display()
                ),
                _ => format!("it cannot be read ({error}): {}", path.display()),
            })
        })?;
        let now: u64 = text
            .trim()
            .parse()
            .map_err(|error| absent(format!("it holds no number ({error}): {}", path.display())))?;
        let range: u64 = value(&zone.join("max_energy_range_uj")).unwrap_or(0);
        let (last, mut wrapped) = self.last.get(zone).copied().unwrap_or((now, 0));
        if now < last {
            wrapped += range;
        }
        self.last.insert(zone.to_owned(), (now, wrapped));
        Ok(PackageEnergy {
            name,
            reading: EnergyReading {
                at: before + cost / 2,
                cost,
                joules: (wrapped + now) as f64 / 1e6,
            },
        })
    }
}

impl EnergySource for Rapl {
    fn name(&self) -> &'static str {
        "RAPL"
    }

    fn read(&mut self) -> (Vec<PackageEnergy>, Vec<Absence>) {
        let zones = self.zones();
        if zones.is_empty() {
            let reason = format!(
                "this kernel shows no energy of processor packages, as in most virtual machines \
                 and containers (nothing in {})",
                self.root.display()
            );
            return (Vec::new(), vec![Absence::new("RAPL", reason)]);
        }
        let mut packages = Vec::new();
        let mut absences = Vec::new();
        for (name, zone) in zones {
            match self.zone(name, &zone) {
                Ok(package) => packages.push(package),
                Err(absence) => absences.push(absence),
            }
        }
        (packages, absences)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn zone(&self, zone: &str, name: &str, energy: &str) {
            let folder = self.0.path().join("class/powercap").join(zone);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("name"), name).unwrap();
            fs::write(folder.join("energy_uj"), energy).unwrap();
            fs::write(folder.join("max_energy_range_uj"), "262143328850\n").unwrap();
        }
    }

    #[test]
    fn each_joule_counts_once_and_a_wrap_around_loses_none() {
        let tree = Tree(tempfile::tempdir().unwrap());
        tree.zone("intel-rapl:0", "package-0\n", "262143000000\n");
        tree.zone("intel-rapl:0:0", "core\n", "1\n");
        tree.zone("intel-rapl:0:1", "dram\n", "5000000\n");
        tree.zone("intel-rapl:1", "psys\n", "9\n");
        tree.zone("intel-rapl-mmio:0", "package-0\n", "262143000000\n");
        let mut rapl = Rapl::at(tree.0.path());
        let (packages, absences) = rapl.read();
        let names: Vec<&str> = packages.iter().map(|zone| zone.name.as_str()).collect();
        assert_eq!(names, ["package-0", "package-0/dram"]);
        assert_eq!(absences, []);
        assert!((packages[1].reading.joules - 5.0).abs() < 1e-9);

        tree.zone("intel-rapl:0", "package-0\n", "671150\n");
        let (later, _) = rapl.read();
        let used = later[0].reading.joules - packages[0].reading.joules;
        assert!((used - 1.0).abs() < 1e-6, "{used}");
    }

    #[test]
    fn what_cannot_be_read_is_explained() {
        let tree = Tree(tempfile::tempdir().unwrap());
        let (packages, absences) = Rapl::at(tree.0.path()).read();
        assert_eq!(packages, []);
        assert!(absences[0].reason.contains("no energy"));

        tree.zone("intel-rapl:0", "package-0\n", "many\n");
        tree.zone("intel-rapl:1", "package-1\n", "7\n");
        let (packages, absences) = Rapl::at(tree.0.path()).read();
        assert_eq!(packages.len(), 1, "one zone does not stop the other");
        assert_eq!(absences[0].device.as_deref(), Some("package-0"));
    }
}
