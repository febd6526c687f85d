//! One process reads, the others follow. The processes are this test's own binary, started again
//! to run `a_process`; they are told what to do on stdin and print their samples on stdout.

use llamatelemetry_machine::sampler::{
    Absence, Detail, DeviceError, GpuDevice, GpuSource, GpuValues,
};
use llamatelemetry_machine::{Sample, Sampler, SamplerConfig};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(30);
/// What a sample's line begins with; the test harness prints lines of its own.
const MARK: &str = "sample ";

/// A GPU whose energy counter counts the readings, and which leaves a mark in the folder for each
/// process that reads it.
#[derive(Debug)]
struct Marked {
    folder: PathBuf,
    readings: f64,
}

impl GpuSource for Marked {
    fn name(&self) -> &'static str {
        "marked"
    }

    fn open(&mut self) -> Result<Vec<GpuDevice>, Absence> {
        Ok(vec![GpuDevice {
            source: "marked".to_owned(),
            uuid: Some("GPU-1".to_owned()),
            ..GpuDevice::default()
        }])
    }

    fn read(&mut self, _: usize, _: Detail, values: &mut GpuValues) -> Result<(), DeviceError> {
        std::fs::write(mark(&self.folder, std::process::id()), "").unwrap();
        values.power_watts = Some(f64::from(std::process::id()));
        Ok(())
    }

    fn energy(&mut self, _: usize) -> Result<Option<f64>, DeviceError> {
        self.readings += 1.0;
        Ok(Some(self.readings))
    }
}

fn mark(folder: &Path, pid: u32) -> PathBuf {
    folder.join(format!("read-by-{pid}"))
}

/// What a started process does; without one who started it, nothing.
#[test]
#[ignore = "started by the other tests"]
fn a_process() {
    let mut lines = std::io::stdin().lines();
    let Some(Ok(folder)) = lines.next() else {
        return;
    };
    let source = Marked {
        folder: PathBuf::from(&folder),
        readings: 0.0,
    };
    let config = SamplerConfig::of(vec![Box::new(source)], Vec::new()).shared_in(&folder);
    let sampler = Sampler::start(config).unwrap();
    let subscription = sampler.subscribe();
    let printing = std::thread::Builder::new()
        .name("printing".to_owned())
        .spawn(move || {
            while let Some(sample) = subscription.recv() {
                println!("\n{MARK}{}", serde_json::to_string(&*sample).unwrap());
            }
        })
        .unwrap();
    for line in lines.map_while(Result::ok) {
        sampler.busy(line == "busy");
    }
    drop(sampler);
    printing.join().unwrap();
}

struct Process {
    child: Child,
    stdin: ChildStdin,
    samples: Receiver<Sample>,
}

impl Process {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sharing::a_process", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "{}", folder.display()).unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, samples) = sync_channel(10_000);
        std::thread::Builder::new()
            .name("reading".to_owned())
            .spawn(move || {
                for line in stdout.lines().map_while(Result::ok) {
                    if let Some(text) = line.strip_prefix(MARK) {
                        send.send(serde_json::from_str(text).unwrap()).ok();
                    }
                }
            })
            .unwrap();
        Self {
            child,
            stdin,
            samples,
        }
    }

    fn until(&self, wanted: impl Fn(&Sample) -> bool) -> Sample {
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let sample = self.samples.recv_timeout(left).expect("a sample in time");
            if wanted(&sample) {
                return sample;
            }
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Who read the hardware for this sample.
fn reader(sample: &Sample) -> Option<f64> {
    sample.gpus.first()?.values.power_watts
}

fn two() -> (tempfile::TempDir, Process, Process) {
    let folder = tempfile::tempdir().unwrap();
    let first = Process::start(folder.path());
    first.until(|_| true);
    let second = Process::start(folder.path());
    (folder, first, second)
}

#[test]
fn one_reads_and_the_other_gets_the_same() {
    let (folder, first, mut second) = two();
    let theirs = second.until(|_| true);
    assert_eq!(reader(&theirs), Some(f64::from(first.child.id())));
    let theirs = second.until(|_| true);
    let ours = first.until(|sample| sample.at == theirs.at);
    assert_eq!(ours.gpus, theirs.gpus);
    assert_eq!(ours.wall, theirs.wall);
    assert_eq!(ours.processes[0].pid, first.child.id());
    assert_eq!(theirs.processes[0].pid, second.child.id(), "each its own");

    writeln!(second.stdin, "busy").unwrap();
    first.until(|sample| sample.detail == Detail::Quick);
    second.until(|sample| sample.detail == Detail::Quick);
    assert!(mark(folder.path(), first.child.id()).exists());
    assert!(!mark(folder.path(), second.child.id()).exists());
}

#[test]
fn a_killed_reader_is_succeeded_within_two_seconds() {
    let (_folder, first, second) = two();
    second.until(|_| true);
    first.signal("KILL");
    let killed = Instant::now();
    let own = f64::from(second.child.id());
    second.until(|sample| reader(sample) == Some(own));
    let took = killed.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_stopped_reader_stops_nobody_and_is_followed_again() {
    let (_folder, first, second) = two();
    second.until(|_| true);
    first.signal("STOP");
    let own = f64::from(second.child.id());
    let alone = second.until(|sample| reader(sample) == Some(own));
    assert!(alone.absences[0].reason.contains("silent"));
    first.signal("CONT");
    second.until(|sample| reader(sample) == Some(f64::from(first.child.id())));
}
