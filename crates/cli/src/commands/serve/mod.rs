//! `llt serve`

mod notify;

use super::Session;
use super::answer::Console;
use crate::args::ServeArgs;
use crate::interrupt::Interrupts;
use crate::outcome::ExitStatus;
use crate::printer::Layout;
use llamatelemetry::{LoadOptions, setup_telemetry};
use llamatelemetry_gateway::{Gateway, ServePlan};
use llamatelemetry_settings::resolve;
use notify::Notify;
use serde::Serialize;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// How long spans that wait are tried to be sent at the end.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// What `--json` prints once requests are taken.
#[derive(Debug, Serialize)]
struct Serving<'a> {
    schema_version: u32,
    url: String,
    /// Where OTLP over HTTP is taken, if it is.
    otlp_http: Option<String>,
    /// Where OTLP over gRPC is taken, if it is.
    otlp_grpc: Option<String>,
    models: &'a [String],
}

pub(crate) fn serve(args: &ServeArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(work(args, session));
    runtime.shutdown_background();
    outcome
}

async fn work(args: &ServeArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let mut interrupts = Interrupts::listen()?;
    let (settings, printer) = (session.settings(), &session.printer);
    let telemetry = setup_telemetry(settings, Box::new(Console(printer.screen().clone())))?;
    for notice in telemetry.notices() {
        printer.warn(notice);
    }
    telemetry.take_logs(&session.log_tap, settings.telemetry.log_level);
    let plan = ServePlan {
        models: args.model.clone(),
        options: LoadOptions::new(settings.clone())
            .with_progress(printer.progress())
            .with_sink(telemetry.sink()),
        telemetry: Some(telemetry.pipeline()),
    };
    let served = until_stopped(plan, session, &mut interrupts).await;
    if let Some(loss) = telemetry.shutdown(SHUTDOWN) {
        printer.warn(loss);
    }
    served
}

async fn until_stopped(
    plan: ServePlan,
    session: &Session,
    interrupts: &mut Interrupts,
) -> anyhow::Result<ExitStatus> {
    let printer = &session.printer;
    let models = plan.models.clone();
    // From now on the signal does not end the program any more.
    let mut hangups = signal(SignalKind::hangup())?;
    let mut notify = Notify::from_environment(&session.settings().environment);
    let gateway = interrupts.unless(Gateway::start(plan)).await??;
    let address = |address: SocketAddr| format!("http://{address}");
    let url = gateway.url();
    let (otlp_http, otlp_grpc) = (gateway.otlp_http(), gateway.otlp_grpc());
    let (otlp_http, otlp_grpc) = (otlp_http.map(address), otlp_grpc.map(address));
    for notice in gateway.notices() {
        printer.warn(notice);
    }
    if printer.is_json() {
        let serving = Serving {
            schema_version: 1,
            url,
            otlp_http,
            otlp_grpc,
            models: &models,
        };
        printer.json(&serving, Layout::Line)?;
    } else {
        printer.say(format!("listening on {url}"));
        for (way, address) in [("HTTP", otlp_http), ("gRPC", otlp_grpc)] {
            if let Some(address) = address {
                printer.say(format!("taking OTLP over {way} at {address}"));
            }
        }
    }
    notify.ready();
    loop {
        tokio::select! {
            _ = interrupts.next() => break,
            () = gateway.told_to_end() => break,
            _ = hangups.recv() => reload(&gateway, &notify, session),
            () = gateway.told_to_reload() => reload(&gateway, &notify, session),
            () = notify.alive() => {}
        }
    }
    notify.stopping();
    printer.say("finishing what runs; again to end at once");
    let drain = gateway.drain(session.settings().serve.drain);
    if interrupts.unless(drain).await.is_err() {
        printer.warn("ended before all requests were finished");
    }
    Ok(ExitStatus::Done)
}

/// Reads all settings anew and gives them to the gateway. What is wrong with them is told, and the
/// old ones stay.
fn reload(gateway: &Gateway, notify: &Notify, session: &Session) {
    notify.reloading();
    let settings = resolve(session.settings().environment.clone(), &session.flags);
    let reloaded = settings
        .map_err(anyhow::Error::from)
        .and_then(|resolved| Ok(gateway.reload(&resolved.settings)?));
    match reloaded {
        Ok(()) => session.printer.say("settings and keys are read anew"),
        Err(error) => session
            .printer
            .warn(format!("the old settings stay: {error:#}")),
    }
    notify.ready();
}
