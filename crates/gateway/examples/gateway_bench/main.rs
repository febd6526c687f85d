//! What `cargo xtask bench gateway` runs beside the gateway: a stub server, a bare proxy, clients.
//!
//! ```text
//! gateway_bench stub                              prints its address, answers until its input ends
//! gateway_bench bare SERVER                       the same, as a proxy that does nothing else
//! gateway_bench gateway SERVER                    the same, as our gateway
//! gateway_bench requests ADDRESS CLIENTS REQUESTS whole answers, one after the other
//! gateway_bench streams ADDRESS CLIENTS SECONDS   streams of 50 frames a second
//! gateway_bench tokens ADDRESS TOKENS             one answer of a real model
//! ```
//!
//! The last three print one line of JSON, times in microseconds.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

mod bare;
mod gateway;
mod load;
mod stub;

use anyhow::{Context as _, Result, bail};
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // As many threads as the gateway has.
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        match words[..] {
            ["stub"] => serve(stub::run, listener().await?).await,
            ["bare", server] => {
                let server: SocketAddr = server.parse()?;
                let run = move |listener| bare::run(listener, server);
                serve(run, listener().await?).await
            }
            ["gateway", server] => gateway::run(server).await,
            ["requests", address, clients, requests] => {
                let figures = load::requests(address.parse()?, clients.parse()?, requests.parse()?);
                println!("{}", figures.await?);
                Ok(())
            }
            ["streams", address, clients, seconds] => {
                let figures = load::streams(address.parse()?, clients.parse()?, seconds.parse()?);
                println!("{}", figures.await?);
                Ok(())
            }
            ["tokens", address, tokens] => {
                println!("{}", load::tokens(address.parse()?, tokens.parse()?).await?);
                Ok(())
            }
            _ => bail!("stub | bare SERVER | requests … | streams … | tokens …"),
        }
    })
}

/// Tells where it listens, and serves until standard input ends.
async fn serve<F, R>(run: F, listener: TcpListener) -> Result<()>
where
    F: FnOnce(TcpListener) -> R,
    R: Future<Output = Result<()>>,
{
    println!("{}", listener.local_addr()?);
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    tokio::select! {
        served = run(listener) => served,
        ended = ended => ended.context("reading the input")?.map(drop).map_err(Into::into),
    }
}
