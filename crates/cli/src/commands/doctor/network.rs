//! The sources on the network: do they answer.

use super::{Finding, Status};
use llamatelemetry::models::hub_address;
use llamatelemetry::runtime::release_address;
use llamatelemetry_fetch::{FetchError, Fetcher};
use llamatelemetry_settings::{Settings, redact};
use std::thread;

/// Asks all at the same time; together they have the time that the settings give.
pub(super) fn checks(settings: &Settings) -> anyhow::Result<Vec<Finding>> {
    if settings.network.offline {
        let detail = "offline mode is on: nothing is asked";
        return Ok(vec![Finding::new("network", Status::Note, detail)]);
    }
    let sources = [
        ("releases", release_address(settings)),
        ("hub", Some(hub_address(settings))),
    ];
    let fetcher = Fetcher::new(settings)?;
    let mut findings = Vec::new();
    thread::scope(|scope| -> anyhow::Result<()> {
        let mut asked = Vec::new();
        for (check, address) in sources {
            let Some(address) = address else { continue };
            let fetcher = &fetcher;
            let thread = thread::Builder::new()
                .name(format!("doctor-{check}"))
                .spawn_scoped(scope, move || ask(check, &address, fetcher))?;
            asked.push((check, thread));
        }
        for (check, thread) in asked {
            findings.push(thread.join().unwrap_or_else(|_| {
                Finding::new(check, Status::Warning, "the question ended early")
            }));
        }
        Ok(())
    })?;
    Ok(findings)
}

fn ask(check: &'static str, address: &str, fetcher: &Fetcher) -> Finding {
    let shown = redact::url(address);
    match fetcher.head(address, &[]) {
        // Any answer at all shows that there is a way.
        Ok(reply) => Finding::good(check, format!("{shown} answers ({})", reply.status)),
        Err(error) => {
            let detail = match &error {
                FetchError::Unreachable { .. } => {
                    format!("{:#}", anyhow::anyhow!(error.to_string()))
                }
                _ => format!("{error}: {shown}"),
            };
            let fixes = error.hints();
            Finding::new(check, Status::Warning, detail)
                .fix(fixes)
                .fix(["without it: builds from the registry's package, models that are here"])
        }
    }
}
