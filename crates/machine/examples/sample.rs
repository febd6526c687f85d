//! Prints what the sampler sees, one JSON line a sample, with what each reading cost.
//!
//! `sample SECONDS [busy]`; what looking cost the processor comes on stderr at the end.

#![expect(clippy::print_stderr, reason = "it tells what it cost")]

use llamatelemetry_machine::{Sampler, SamplerConfig};
use std::io::Write as _;
use std::time::{Duration, Instant};

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let seconds: u64 = arguments
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(5);
    let sampler = Sampler::start(SamplerConfig::this_machine())?;
    let subscription = sampler.subscribe();
    sampler.busy(arguments.next().as_deref() == Some("busy"));
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut out = std::io::stdout().lock();
    let mut used = Vec::new();
    while let Some(sample) =
        subscription.recv_timeout(end.saturating_duration_since(Instant::now()))
    {
        used.extend(
            sample
                .processes
                .first()
                .and_then(|own| Some((sample.at, own.cpu_user_seconds? + own.cpu_system_seconds?))),
        );
        serde_json::to_writer(&mut out, &*sample)?;
        out.write_all(b"\n")?;
    }
    if let (Some(first), Some(last)) = (used.first(), used.last()) {
        let seconds = (last.0 - first.0).as_secs_f64();
        let share = 100.0 * (last.1 - first.1) / seconds;
        let count = used.len();
        eprintln!("{count} samples in {seconds:.1} s, {share:.2} % of one processor");
    }
    Ok(())
}
