//! Prints what the sampler sees, one JSON line a sample, with what each reading cost.
//!
//! `sample SECONDS [busy]`

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
    while let Some(sample) =
        subscription.recv_timeout(end.saturating_duration_since(Instant::now()))
    {
        serde_json::to_writer(&mut out, &*sample)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}
