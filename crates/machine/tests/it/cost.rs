//! What the sampler's thread costs on hardware that answers as slowly as one H200 was measured to.

use llamatelemetry_machine::sampler::{
    Absence, Detail, DeviceError, GpuDevice, GpuSource, GpuValues,
};
use llamatelemetry_machine::{Sampler, SamplerConfig};
use std::time::{Duration, Instant};

const SECONDS: u64 = 20;

/// Keeps the processor busy for as long as NVML does.
#[derive(Debug)]
struct Slow;

fn spin(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

impl GpuSource for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn open(&mut self) -> Result<Vec<GpuDevice>, Absence> {
        Ok(vec![GpuDevice::default()])
    }

    fn read(&mut self, _: usize, detail: Detail, _: &mut GpuValues) -> Result<(), DeviceError> {
        // Eight quick calls of 1 to 7 µs; processes, link and errors besides.
        spin(Duration::from_micros(match detail {
            Detail::Quick => 20,
            Detail::Full => 120,
        }));
        Ok(())
    }

    fn energy(&mut self, _: usize) -> Result<Option<f64>, DeviceError> {
        spin(Duration::from_millis(3));
        Ok(Some(1.0))
    }
}

/// Time on the processor of this process's thread of the name, as the kernel counts it.
fn thread_time(name: &str) -> Duration {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .flatten()
        .filter(|thread| {
            std::fs::read_to_string(thread.path().join("comm"))
                .is_ok_and(|comm| comm.trim() == name)
        })
        .map(|thread| {
            let text = std::fs::read_to_string(thread.path().join("schedstat")).unwrap();
            Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
        })
        .sum()
}

#[test]
#[ignore = "a measurement of 20 s, not a gate: other work on the machine changes it"]
fn under_one_hundredth_of_a_processor_under_load() {
    let config = SamplerConfig::of(vec![Box::new(Slow)], Vec::new());
    let sampler = Sampler::start(config).unwrap();
    let subscription = sampler.subscribe();
    sampler.busy(true);
    subscription.recv().unwrap();
    let (begun, before) = (Instant::now(), thread_time("sampler"));
    let (mut quick, mut full) = (0, 0);
    while begun.elapsed() < Duration::from_secs(SECONDS) {
        match subscription.recv().unwrap().detail {
            Detail::Quick => quick += 1,
            Detail::Full => full += 1,
        }
    }
    let used = thread_time("sampler").checked_sub(before).unwrap();
    let share = used.as_secs_f64() / begun.elapsed().as_secs_f64();
    println!(
        "{quick} quick and {full} full looks, {:.2} % of one processor",
        share * 100.0
    );
    assert!(share < 0.01, "{share}");
}
