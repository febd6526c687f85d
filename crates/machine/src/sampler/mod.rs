//! Looking at the machine again and again: GPUs, energy, processors, processes.
//!
//! [`Sampler::start`] makes one thread. It looks once a second, and ten times a second while there
//! is work in flight; energy counters, which cost most, are read twice a second then. Processes of
//! one user share one look: the first reads the hardware, the others follow it over a socket and
//! take over when it ends ([`SamplerConfig::shared_in`]).
//!
//! What the hardware does not tell is `None`; what is not there at all is an [`Absence`] with a
//! reason. `docs/gpu.md` defines every figure.

mod amd;
mod clock;
#[cfg(test)]
mod fake;
mod frame;
mod host;
mod nvml;
mod process;
mod procfs;
mod rapl;
mod reader;
mod sample;
mod schedule;
mod share;
mod source;
mod subscription;
mod worker;

pub use amd::AmdSource;
pub use nvml::NvmlSource;
pub use rapl::Rapl;
pub use sample::{
    Absence, Detail, EnergyReading, GpuDevice, GpuProcess, GpuSample, GpuValues, HostSample,
    PackageEnergy, PcieValues, ProcessSample, Sample, ThrottleReason, Xid,
};
pub use source::{DeviceError, EnergySource, GpuSource};
pub use subscription::Subscription;

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use subscription::Subscribers;

/// A driver that wakes up may hold a reading for seconds; nobody's end waits longer than this.
const END_LIMIT: Duration = Duration::from_millis(500);

/// What is looked at, and who else looks.
#[derive(Debug)]
pub struct SamplerConfig {
    gpus: Vec<Box<dyn GpuSource>>,
    packages: Vec<Box<dyn EnergySource>>,
    proc_root: PathBuf,
    folder: Option<PathBuf>,
}

impl SamplerConfig {
    /// This machine's GPUs and processors. Nothing is asked before the sampler starts.
    pub fn this_machine() -> Self {
        Self::of(
            vec![Box::<NvmlSource>::default(), Box::<AmdSource>::default()],
            vec![Box::<Rapl>::default()],
        )
    }

    /// Other sources, for tests and for hardware that this crate does not know.
    pub fn of(gpus: Vec<Box<dyn GpuSource>>, packages: Vec<Box<dyn EnergySource>>) -> Self {
        Self {
            gpus,
            packages,
            proc_root: PathBuf::from("/proc"),
            folder: None,
        }
    }

    /// Shares one look with the processes that name the same folder. It must exist and be open to
    /// this user only.
    #[must_use]
    pub fn shared_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }
}

/// A thread that looks at the machine again and again. Dropping it ends the thread.
#[derive(Debug)]
pub struct Sampler {
    /// The process that the thread runs in: a fork of it has no such thread.
    owner: u32,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Behind a lock only so that threads can share the sampler.
    ended: Mutex<Receiver<()>>,
}

/// What the thread and its owner both use.
#[derive(Debug)]
struct Shared {
    wishes: Mutex<Wishes>,
    /// A byte written here wakes the thread.
    wake: UnixStream,
    subscribers: Subscribers,
}

/// What the owner wants.
#[derive(Debug, Clone, Default)]
struct Wishes {
    busy: bool,
    look: bool,
    stop: bool,
    processes: BTreeSet<u32>,
}

impl Shared {
    fn wishes(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Wishes)) {
        change(&mut self.wishes());
        // A full pipe holds enough bytes to wake the thread.
        drop((&self.wake).write(&[1]));
    }
}

impl Sampler {
    /// Starts looking. The first sample comes as soon as the hardware has answered.
    ///
    /// # Errors
    /// If the system gives no thread or no socket.
    pub fn start(config: SamplerConfig) -> io::Result<Self> {
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            wishes: Mutex::new(Wishes {
                processes: BTreeSet::from([std::process::id()]),
                ..Wishes::default()
            }),
            wake,
            subscribers: Subscribers::default(),
        });
        let (end, ended) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("sampler".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || {
                    worker::run(config, &shared, &woken);
                    shared.subscribers.close();
                    // Told by its end, whether or not anybody still listens.
                    drop(end);
                }
            })?;
        Ok(Self {
            owner: std::process::id(),
            shared,
            thread: Some(thread),
            ended: Mutex::new(ended),
        })
    }

    /// Whether work is in flight: then it looks ten times a second instead of once.
    pub fn busy(&self, busy: bool) {
        if self.shared.wishes().busy != busy {
            self.shared.change(|wishes| wishes.busy = busy);
        }
    }

    /// Asks for a full look now, energy counters included. More than a few a second are put
    /// together, since each costs milliseconds.
    pub fn look_now(&self) {
        self.shared.change(|wishes| wishes.look = true);
    }

    /// Looks at this process too. The sampler's own is always looked at.
    pub fn watch(&self, pid: u32) {
        self.shared.change(|wishes| {
            wishes.processes.insert(pid);
        });
    }

    /// Looks at it no more.
    pub fn unwatch(&self, pid: u32) {
        self.shared.change(|wishes| {
            wishes.processes.remove(&pid);
        });
    }

    /// The latest sample, if there is one, and every further one.
    pub fn subscribe(&self) -> Subscription {
        self.shared.subscribers.add()
    }

    /// The last sample, if there is one yet.
    pub fn latest(&self) -> Option<Arc<Sample>> {
        self.shared.subscribers.latest()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        if self.owner != std::process::id() {
            return;
        }
        self.shared.change(|wishes| wishes.stop = true);
        let in_time = !matches!(
            self.ended
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner)
                .recv_timeout(END_LIMIT),
            Err(RecvTimeoutError::Timeout)
        );
        if let Some(thread) = self.thread.take().filter(|_| in_time) {
            // It does not panic: sources are read behind a guard. If it did, its end is all that
            // is wanted here.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fake::Fake;
    use std::os::unix::net::UnixListener;
    use std::path::Path;
    use std::time::Instant;

    const LIMIT: Duration = Duration::from_secs(20);

    fn start(fake: &Fake) -> Sampler {
        Sampler::start(SamplerConfig::of(vec![Box::new(fake.clone())], Vec::new())).unwrap()
    }

    fn until(subscription: &Subscription, wanted: impl Fn(&Sample) -> bool) -> Arc<Sample> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let sample = subscription.recv_timeout(left).expect("a sample in time");
            if wanted(&sample) {
                return sample;
            }
        }
    }

    #[test]
    fn samples_come_and_the_end_is_told() {
        let sampler = start(&Fake::with(1));
        let subscription = sampler.subscribe();
        let sample = until(&subscription, |_| true);
        assert_eq!(sample.gpus[0].values.utilization, Some(0.5));
        assert_eq!(sample.processes[0].pid, std::process::id());
        assert!(sampler.latest().is_some());
        drop(sampler);
        while subscription.recv().is_some() {}
    }

    #[test]
    fn work_in_flight_makes_it_look_between_the_full_looks() {
        let sampler = start(&Fake::with(1));
        let subscription = sampler.subscribe();
        assert_eq!(until(&subscription, |_| true).detail, Detail::Full);
        sampler.busy(true);
        until(&subscription, |sample| sample.detail == Detail::Quick);
    }

    #[test]
    fn a_wished_look_comes_before_the_regular_one() {
        let fake = Fake::with(1);
        let sampler = start(&fake);
        let subscription = sampler.subscribe();
        let first = until(&subscription, |_| true);
        sampler.look_now();
        let second = until(&subscription, |_| true);
        assert_eq!(second.detail, Detail::Full);
        assert!(second.at - first.at < Duration::from_millis(900));
    }

    fn start_shared(fake: &Fake, folder: &Path) -> Sampler {
        let config = SamplerConfig::of(vec![Box::new(fake.clone())], Vec::new());
        Sampler::start(config.shared_in(folder)).unwrap()
    }

    #[test]
    fn who_follows_is_heard_though_every_look_takes_longer_than_the_pause() {
        let folder = tempfile::tempdir().unwrap();
        let slow = Fake::with(1);
        slow.command(|script| script.delay = Duration::from_millis(150));
        let reads = start_shared(&slow, folder.path());
        reads.busy(true);
        until(&reads.subscribe(), |sample| sample.detail == Detail::Quick);
        let follows = start_shared(&Fake::with(2), folder.path());
        let sample = until(&follows.subscribe(), |_| true);
        assert_eq!(sample.gpus.len(), 1, "what the other one has read");
    }

    #[test]
    fn who_cannot_be_understood_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let meeting = share::Meeting::in_folder(folder.path());
        let _other_build = meeting.lead().unwrap().unwrap();
        // Its socket is taken over, to answer as a build with other samples does.
        std::fs::remove_file(meeting.socket()).unwrap();
        let listener = UnixListener::bind(meeting.socket()).unwrap();
        let sampler = start_shared(&Fake::with(1), folder.path());
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"\0\0\0\x02{}").unwrap();
        let sample = until(&sampler.subscribe(), |_| true);
        assert!(sample.absences[0].reason.contains("cannot be asked"));
        assert_eq!(sample.gpus.len(), 1);
    }

    #[test]
    fn a_sample_survives_the_way_to_another_process() {
        let sampler = start(&Fake::with(2));
        let sample = until(&sampler.subscribe(), |_| true);
        let text = serde_json::to_string(&*sample).unwrap();
        let theirs: Sample = serde_json::from_str(&text).unwrap();
        assert_eq!((theirs.at, theirs.wall), (sample.at, sample.wall));
        assert_eq!(theirs.gpus, sample.gpus);
        assert_eq!(theirs.absences, sample.absences);
    }
}
