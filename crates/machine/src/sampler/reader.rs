//! One look after another at everything: what answers, what does not, and when to ask again.

use super::host::HostReader;
use super::sample::{
    Absence, Detail, EnergyReading, GpuDevice, GpuSample, GpuValues, HostSample, PackageEnergy,
    Sample,
};
use super::source::{DeviceError, EnergySource, GpuSource};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// The first pause before something that failed is asked again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Everything that is looked at, processes excepted.
#[derive(Debug)]
pub(super) struct Reader {
    gpus: Vec<Asked>,
    packages: Vec<Box<dyn EnergySource>>,
    host: HostReader,
    /// What the last full look found.
    last: (Vec<PackageEnergy>, Vec<Absence>, HostSample),
}

impl Reader {
    /// Nothing is asked before the first look.
    pub(super) fn new(
        gpus: Vec<Box<dyn GpuSource>>,
        packages: Vec<Box<dyn EnergySource>>,
        proc_root: &Path,
    ) -> Self {
        Self {
            gpus: gpus.into_iter().map(Asked::new).collect(),
            packages,
            host: HostReader::at(proc_root),
            last: Default::default(),
        }
    }

    /// Looks. The first look should be a full one.
    pub(super) fn look(&mut self, detail: Detail) -> Sample {
        let at = Instant::now();
        let wall = SystemTime::now();
        let mut gpus = Vec::new();
        let mut absences = Vec::new();
        for source in &mut self.gpus {
            source.look(detail, &mut gpus, &mut absences);
        }
        if detail == Detail::Full {
            let (mut energies, mut missing) = (Vec::new(), Vec::new());
            for source in &mut self.packages {
                match unbroken(|| source.read()) {
                    Some((found, absent)) => {
                        energies.extend(found);
                        missing.extend(absent);
                    }
                    None => missing.push(Absence::new(source.name(), BROKEN)),
                }
            }
            self.last = (energies, missing, self.host.read());
        }
        let (packages, missing, host) = self.last.clone();
        absences.extend(missing);
        Sample {
            at,
            wall,
            detail,
            gpus,
            packages,
            host,
            processes: Vec::new(),
            absences,
        }
    }
}

/// Told of a source that panicked.
const BROKEN: &str = "reading it failed in a way that is a mistake in the program";

/// Foreign libraries lie below the sources: should one of them panic, that is a value that is not
/// there, not the end of the sampler.
fn unbroken<T>(read: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(read)).ok()
}

/// When to ask again, growing from one failure to the next.
#[derive(Debug)]
struct Pause {
    until: Instant,
    length: Duration,
}

impl Pause {
    fn after(last: Option<&Self>) -> Self {
        let length = last.map_or(FIRST_PAUSE, |last| (last.length * 2).min(LONGEST_PAUSE));
        Self {
            until: Instant::now() + length,
            length,
        }
    }
}

/// A source and what became of asking it.
#[derive(Debug)]
struct Asked {
    source: Box<dyn GpuSource>,
    opened: bool,
    devices: Vec<Known>,
    trouble: Option<(Absence, Pause)>,
}

/// A device that was there once.
#[derive(Debug)]
struct Known {
    device: Arc<GpuDevice>,
    /// Where the source has it; `None` since it was gone at the last opening.
    position: Option<usize>,
    /// When its values were read, and what that cost.
    read: (Instant, Duration),
    values: GpuValues,
    energy: Option<EnergyReading>,
    trouble: Option<(DeviceError, Pause)>,
}

impl Asked {
    fn new(source: Box<dyn GpuSource>) -> Self {
        Self {
            source,
            opened: false,
            devices: Vec::new(),
            trouble: None,
        }
    }

    fn look(&mut self, detail: Detail, gpus: &mut Vec<GpuSample>, absences: &mut Vec<Absence>) {
        let now = Instant::now();
        let waits = |pause: &Pause| now < pause.until;
        let lost_one_due = self.devices.iter().any(
            |device| matches!(&device.trouble, Some((error, pause)) if error.lost && !waits(pause)),
        );
        let own_pause_over = self.trouble.as_ref().is_none_or(|(_, pause)| !waits(pause));
        if own_pause_over && (!self.opened || lost_one_due) {
            self.open();
        }
        if let Some((absence, _)) = &self.trouble {
            absences.push(absence.clone());
        }
        if !self.opened {
            return;
        }
        let name = self.source.name();
        for device in &mut self.devices {
            let due = device
                .trouble
                .as_ref()
                .is_none_or(|(_, pause)| !waits(pause));
            if due {
                device.read(self.source.as_mut(), detail);
            }
            match &device.trouble {
                Some((error, _)) => {
                    absences.push(Absence::new(name, &error.reason).of(device.device.id()));
                }
                None => gpus.push(device.sample()),
            }
        }
    }

    /// Opens the source and finds the known devices again by their names.
    fn open(&mut self) {
        let name = self.source.name();
        let opened =
            unbroken(|| self.source.open()).unwrap_or_else(|| Err(Absence::new(name, BROKEN)));
        match opened {
            Ok(found) => {
                self.opened = true;
                self.trouble = None;
                for device in &mut self.devices {
                    device.position = None;
                }
                for (position, described) in found.into_iter().enumerate() {
                    let id = described.id();
                    let known = self
                        .devices
                        .iter_mut()
                        .find(|device| device.device.id() == id);
                    match known {
                        Some(device) => {
                            device.position = Some(position);
                            device.device = Arc::new(described);
                        }
                        None => self.devices.push(Known::new(position, described)),
                    }
                }
            }
            Err(absence) => {
                self.opened = false;
                let pause = Pause::after(self.trouble.as_ref().map(|(_, pause)| pause));
                self.trouble = Some((absence, pause));
            }
        }
    }
}

impl Known {
    fn new(position: usize, device: GpuDevice) -> Self {
        Self {
            device: Arc::new(device),
            position: Some(position),
            read: (Instant::now(), Duration::ZERO),
            values: GpuValues::default(),
            energy: None,
            trouble: None,
        }
    }

    fn read(&mut self, source: &mut dyn GpuSource, detail: Detail) {
        // After trouble, nothing old may be left among the values.
        let detail = if self.trouble.is_some() {
            self.values = GpuValues::default();
            self.energy = None;
            Detail::Full
        } else {
            detail
        };
        let outcome = match self.position {
            Some(position) => unbroken(|| self.read_at(source, position, detail)),
            None => Some(Err(DeviceError {
                lost: true,
                reason: "it is no longer there".to_owned(),
            })),
        };
        let outcome = outcome.unwrap_or_else(|| {
            Err(DeviceError {
                lost: false,
                reason: BROKEN.to_owned(),
            })
        });
        self.trouble = match outcome {
            Ok(()) => None,
            Err(error) => {
                let pause = Pause::after(self.trouble.as_ref().map(|(_, pause)| pause));
                Some((error, pause))
            }
        };
    }

    fn read_at(
        &mut self,
        source: &mut dyn GpuSource,
        position: usize,
        detail: Detail,
    ) -> Result<(), DeviceError> {
        let before = Instant::now();
        source.read(position, detail, &mut self.values)?;
        self.read = (before, before.elapsed());
        if detail == Detail::Full {
            let before = Instant::now();
            let joules = source.energy(position)?;
            let cost = before.elapsed();
            self.energy = joules.map(|joules| EnergyReading {
                at: before + cost / 2,
                cost,
                joules,
            });
        }
        Ok(())
    }

    fn sample(&self) -> GpuSample {
        let (at, cost) = self.read;
        GpuSample {
            device: Arc::clone(&self.device),
            at,
            cost,
            values: self.values.clone(),
            energy: self.energy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::fake::Fake;

    fn reader(fake: &Fake) -> Reader {
        let source: Box<dyn GpuSource> = Box::new(fake.clone());
        Reader::new(vec![source], Vec::new(), Path::new("/nowhere"))
    }

    fn failure(lost: bool) -> DeviceError {
        DeviceError {
            lost,
            reason: "it burns".to_owned(),
        }
    }

    /// Ends every pause.
    fn wait_over(reader: &mut Reader) {
        for asked in &mut reader.gpus {
            let pauses = asked.trouble.iter_mut().map(|(_, pause)| pause);
            let devices = &mut asked.devices;
            let theirs = devices.iter_mut().filter_map(|one| one.trouble.as_mut());
            for pause in pauses.chain(theirs.map(|(_, pause)| pause)) {
                pause.until = Instant::now();
            }
        }
    }

    #[test]
    fn energy_is_read_by_full_looks_only_and_kept_between() {
        let fake = Fake::with(2);
        let mut reader = reader(&fake);
        let first = reader.look(Detail::Full);
        let second = reader.look(Detail::Quick);
        assert_eq!(first.gpus.len(), 2);
        assert_eq!(first.gpus[0].energy, second.gpus[0].energy);
        assert_eq!(fake.command(|script| script.energies), 2);
        assert_eq!(fake.command(|script| (script.full, script.quick)), (2, 2));
    }

    #[test]
    fn what_is_not_there_is_asked_again_after_a_pause_that_grows() {
        let fake = Fake::with(1);
        fake.command(|script| script.absent = Some("no driver"));
        let mut reader = reader(&fake);
        for _ in 0..3 {
            let sample = reader.look(Detail::Full);
            assert_eq!(sample.gpus, []);
            assert_eq!(sample.absences, [Absence::new("fake", "no driver")]);
        }
        assert_eq!(fake.command(|script| script.opened), 1, "it waits");
        wait_over(&mut reader);
        reader.look(Detail::Full);
        let (_, pause) = reader.gpus[0].trouble.as_ref().unwrap();
        assert_eq!(pause.length, FIRST_PAUSE * 2);

        fake.command(|script| script.absent = None);
        wait_over(&mut reader);
        let sample = reader.look(Detail::Quick);
        assert_eq!((sample.gpus.len(), sample.absences.len()), (1, 0));
    }

    #[test]
    fn a_device_that_fails_stops_no_other_and_comes_back() {
        let fake = Fake::with(2);
        let mut reader = reader(&fake);
        reader.look(Detail::Full);
        fake.command(|script| script.devices[0] = Err(failure(true)));
        let sample = reader.look(Detail::Quick);
        assert_eq!(sample.gpus.len(), 1);
        assert_eq!(sample.absences[0].device.as_deref(), Some("GPU-0"));
        assert_eq!(sample.absences[0].reason, "it burns");

        fake.command(|script| script.devices[0] = Ok(()));
        wait_over(&mut reader);
        let sample = reader.look(Detail::Quick);
        assert_eq!((sample.gpus.len(), sample.absences.len()), (2, 0));
        assert_eq!(fake.command(|script| script.opened), 2, "it was lost");
        assert!(sample.gpus[0].energy.is_some(), "all of it is read anew");
    }

    #[test]
    fn a_device_that_vanishes_is_missed() {
        let fake = Fake::with(2);
        let mut reader = reader(&fake);
        reader.look(Detail::Full);
        fake.command(|script| script.devices[1] = Err(failure(true)));
        reader.look(Detail::Quick);
        fake.command(|script| script.devices.truncate(1));
        wait_over(&mut reader);
        let sample = reader.look(Detail::Quick);
        assert_eq!(sample.gpus.len(), 1);
        assert_eq!(sample.absences[0].device.as_deref(), Some("GPU-1"));
        assert!(sample.absences[0].reason.contains("no longer there"));
    }

    #[test]
    fn a_source_that_panics_is_a_value_that_is_not_there() {
        let fake = Fake::with(1);
        let mut reader = reader(&fake);
        reader.look(Detail::Full);
        fake.command(|script| script.panics = true);
        let sample = reader.look(Detail::Quick);
        assert_eq!(sample.gpus, []);
        assert_eq!(sample.absences[0].reason, BROKEN);
    }
}
