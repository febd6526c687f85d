//! The store behind its receiver, beside otelite, which keeps traces in a database: the same spans over
//! the same four connections, each request answered once it is durable.

use super::Measure;
use super::report::{Row, paired};
use crate::project::{Project, output, run as finish};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The version that the figures in `docs/store.md` are of.
const OTELITE: &str = "0.1.156";
const PEER: &str = "otelite 0.1.156";
/// How long a server may take to listen.
const STARTING: Duration = Duration::from_secs(30);

/// What is sent.
struct Case {
    name: &'static str,
    spans: u64,
    agent: bool,
}

const CASES: [Case; 2] = [
    Case {
        name: "chats of 1,105 bytes",
        spans: 102_400,
        agent: false,
    },
    Case {
        name: "agent loops of 9,834 bytes",
        spans: 10_240,
        agent: true,
    },
];

struct Bench<'a> {
    project: &'a Project,
    program: PathBuf,
    peer: PathBuf,
    texts: PathBuf,
    /// Where both keep what they are sent.
    folder: PathBuf,
}

pub(super) fn run(project: &Project, _long: bool) -> Result<Vec<Row>> {
    let example = [
        "--package",
        "llamatelemetry-store",
        "--example",
        "store_bench",
    ];
    finish(project.cargo(["build", "--release"]).args(example))?;
    let bench = Bench {
        project,
        program: project.target.join("release/examples/store_bench"),
        peer: otelite(project)?,
        texts: texts(project)?,
        folder: project.testbed().join("bench-store"),
    };
    let mut rows = Vec::new();
    for case in &CASES {
        let ours = bench.ours(case)?;
        let theirs = bench.theirs(case)?;
        rows.extend(paired(ours, PEER, &theirs)?);
    }
    bench.clear()?;
    Ok(rows)
}

/// The program of the peer, built if it is not there: that takes some minutes.
fn otelite(project: &Project) -> Result<PathBuf> {
    let root = project.testbed().join("otelite");
    let program = root.join("bin/otelite");
    if !program.is_file() {
        let mut install = project.cargo(["install", "otelite", "--locked", "--version", OTELITE]);
        finish(install.arg("--root").arg(&root))?;
    }
    Ok(program)
}

/// The essays that messages are made of; they lie beside the repository, not in it.
fn texts(project: &Project) -> Result<PathBuf> {
    let beside = |folder: &Path| folder.join("shared/data/mine/essays.json");
    project
        .root
        .ancestors()
        .map(beside)
        .find(|path| path.is_file())
        .context("there is no shared/data/mine/essays.json beside the repository")
}

impl Bench<'_> {
    fn ours(&self, case: &Case) -> Result<Vec<Measure>> {
        self.clear()?;
        let mut command = self.project.command(&self.program);
        command.arg("serve").arg(&self.folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = Server::start(&mut command)?;
        let mut address = String::new();
        let said = server.child.stdout.take().context("its output is piped")?;
        BufReader::new(said).read_line(&mut address)?;
        let posted = self.post(case, &format!("http://{}/v1/traces", address.trim()))?;
        let rss = server.peak_memory()?;
        server.end()?;
        let mut look = self.project.command(&self.program);
        let trace = posted["trace"].as_str().context("a trace was named")?;
        let times = figures(look.arg("look").arg(&self.folder).arg(trace))?;
        self.measures(
            case,
            &posted,
            rss,
            number(&times, "trace_by_id_ms")?,
            number(&times, "attribute_search_ms")?,
        )
    }

    fn theirs(&self, case: &Case) -> Result<Vec<Measure>> {
        self.clear()?;
        let [web, http, grpc] = [free_port()?, free_port()?, free_port()?];
        let mut command = self.project.command(&self.peer);
        command
            .args(["serve", "--addr", &format!("127.0.0.1:{web}")])
            .arg("--storage-path")
            .arg(&self.folder)
            .env("OTELITE_DATA_DIR", &self.folder)
            .env("OTELITE_OTLP_HTTP_PORT", http.to_string())
            .env("OTELITE_OTLP_GRPC_PORT", grpc.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut server = Server::start(&mut command)?;
        for port in [web, http] {
            server.wait_for(port)?;
        }
        let posted = self.post(case, &format!("http://127.0.0.1:{http}/v1/traces"))?;
        let rss = server.peak_memory()?;
        let trace = posted["trace"].as_str().context("a trace was named")?;
        let by_id = self.get(&[format!("http://127.0.0.1:{web}/api/traces/{trace}")])?;
        // Others each time: it remembers what it answered.
        let searches: Vec<String> = (1..=5)
            .map(|number| {
                format!("http://127.0.0.1:{web}/api/traces?limit=100&conversation_id=c{number}")
            })
            .collect();
        let search = self.get(&searches)?;
        server.end()?;
        self.measures(case, &posted, rss, by_id, search)
    }

    fn post(&self, case: &Case, url: &str) -> Result<Value> {
        let mut command = self.project.command(&self.program);
        command.args(["post", url]).arg(&self.texts);
        command.arg(case.spans.to_string());
        if case.agent {
            command.arg("agent");
        }
        figures(&mut command)
    }

    /// Milliseconds until the answer is there, the middle of all.
    fn get(&self, urls: &[String]) -> Result<f64> {
        let mut command = self.project.command(&self.program);
        number(&figures(command.arg("get").args(urls))?, "ms")
    }

    fn measures(
        &self,
        case: &Case,
        posted: &Value,
        rss: f64,
        by_id: f64,
        search: f64,
    ) -> Result<Vec<Measure>> {
        let spans = number(posted, "spans")?;
        let disk = size(&self.folder)? as f64;
        let measure = |metric: &str, unit: &str, value: f64| Measure {
            case: case.name.to_owned(),
            metric: metric.to_owned(),
            unit: unit.to_owned(),
            value,
            digest: None,
        };
        Ok(vec![
            measure(
                "ingest_spans_per_s",
                "spans/s",
                number(posted, "spans_per_s")?,
            ),
            measure("disk_bytes_per_span", "B", disk / spans),
            measure("rss_mb", "MB", rss),
            measure("trace_by_id_ms", "ms", by_id),
            measure("attribute_search_ms", "ms", search),
        ])
    }

    fn clear(&self) -> Result<()> {
        match std::fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// A server that ends with this.
struct Server {
    child: Child,
}

impl Server {
    fn start(command: &mut Command) -> Result<Self> {
        let child = command
            .spawn()
            .with_context(|| format!("cannot run {}", crate::project::shown(command)))?;
        Ok(Self { child })
    }

    fn wait_for(&mut self, port: u16) -> Result<()> {
        let until = Instant::now() + STARTING;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server has ended: {status}");
            }
            if Instant::now() > until {
                bail!("nothing listens at port {port}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The most memory that it held at once, MB.
    fn peak_memory(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kilobytes: f64 = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|rest| rest.trim().strip_suffix("kB"))
            .context("the system does not tell a process's memory")?
            .trim()
            .parse()?;
        Ok(kilobytes * 1024.0 / 1e6)
    }

    /// Ends it by the end of its input, or else by a signal, and waits.
    fn end(&mut self) -> Result<()> {
        if self.child.stdin.take().is_none() {
            self.child.kill()?;
        }
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The one line of JSON that a command prints.
fn figures(command: &mut Command) -> Result<Value> {
    serde_json::from_slice(&output(command)?)
        .with_context(|| format!("what was printed by {}", crate::project::shown(command)))
}

fn number(figures: &Value, name: &str) -> Result<f64> {
    figures[name]
        .as_f64()
        .with_context(|| format!("{name} was not measured"))
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Bytes of all files in a folder.
fn size(folder: &Path) -> Result<u64> {
    let mut all = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        all += if metadata.is_dir() {
            size(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(all)
}
