//! The gateway, started as `llt serve` starts it.

use anyhow::Result;
use llamatelemetry::{LoadOptions, setup_telemetry};
use llamatelemetry_gateway::{Gateway, ServePlan};
use std::io::Read as _;
use std::time::Duration;

/// Before this server, with the settings of the environment; until standard input ends.
pub(crate) async fn run(server: &str) -> Result<()> {
    let mut options = LoadOptions::from_environment()?;
    let serve = &mut options.settings.serve;
    serve.upstream = Some(format!("http://{server}"));
    (serve.port, serve.otlp_grpc, serve.otlp_http) = (0, 0, 0);
    let telemetry = setup_telemetry(&options.settings, Box::new(std::io::sink()))?;
    let gateway = Gateway::start(ServePlan {
        models: Vec::new(),
        options: options.with_sink(telemetry.sink()),
        telemetry: Some(telemetry.pipeline()),
    })
    .await?;
    println!("{}", gateway.url().trim_start_matches("http://"));
    let input = || std::io::stdin().read_to_end(&mut Vec::new());
    tokio::task::spawn_blocking(input).await??;
    gateway.drain(Duration::from_secs(1)).await;
    telemetry.shutdown(Duration::from_secs(1));
    Ok(())
}
