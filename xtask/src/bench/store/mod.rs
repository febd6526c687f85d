//! The store behind its receiver, `llt serve`, beside otelite, which keeps traces in a database: the
//! same spans over the same four connections, each request answered once it is durable.

mod order;

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
/// Spans of the case that takes long.
const MANY: u64 = 10_000_000;
/// At this rate it is measured how soon spans can be read, for so many seconds.
const RATE: u64 = 50_000;
const WATCHED: u64 = 15;
/// How long a server may take to listen.
const STARTING: Duration = Duration::from_secs(30);

/// What is sent.
struct Case {
    name: &'static str,
    spans: u64,
    /// As `store_bench post` names it; chats over four connections without.
    way: Option<&'static str>,
}

const CASES: [Case; 2] = [
    Case {
        name: "chats of 1,105 bytes",
        spans: 102_400,
        way: None,
    },
    Case {
        name: "agent loops of 9,834 bytes",
        spans: 10_240,
        way: Some("agent"),
    },
];

struct Bench<'a> {
    project: &'a Project,
    /// Ours.
    llt: PathBuf,
    /// What sends, and asks.
    tool: PathBuf,
    peer: PathBuf,
    texts: PathBuf,
    /// Where both keep what they are sent.
    folder: PathBuf,
}

pub(super) fn run(project: &Project, long: bool) -> Result<Vec<Row>> {
    for package in [
        &["--package", "llamatelemetry-cli", "--bin", "llt"],
        &[
            "--package",
            "llamatelemetry-store",
            "--example",
            "store_bench",
        ],
    ] {
        finish(project.cargo(["build", "--release"]).args(package))?;
    }
    let bench = Bench {
        project,
        llt: project.target.join("release/llt"),
        tool: project.target.join("release/examples/store_bench"),
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
    rows.extend(bench.readable()?.into_iter().map(Row::alone));
    rows.extend(bench.order()?.into_iter().map(Row::alone));
    if long {
        rows.extend(bench.many()?.into_iter().map(Row::alone));
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
        let (mut server, url) = self.serve(&[])?;
        let posted = self.post(case, &url)?;
        let rss = server.peak_memory()?;
        server.end(self.project)?;
        let mut look = self.project.command(&self.tool);
        let trace = posted["trace"].as_str().context("a trace was named")?;
        let times = figures(look.arg("look").arg(self.store()).arg(trace))?;
        let times = [
            number(&times, "trace_by_id_ms")?,
            number(&times, "attribute_search_ms")?,
        ];
        case.measures(&posted, size(&self.store())?, rss, times)
    }

    /// Starts `llt serve` without a model, behind a wrapper if one is named; where spans are posted.
    fn serve(&self, wrapper: &[&str]) -> Result<(Server, String)> {
        let mut command = match wrapper {
            [] => self.project.command(&self.llt),
            [program, arguments @ ..] => {
                let mut command = self.project.command(program);
                command.args(arguments).arg(&self.llt);
                command
            }
        };
        command
            .args([
                "serve",
                "--port",
                "0",
                "--otlp-http",
                "0",
                "--otlp-grpc",
                "0",
            ])
            .args(["--json", "--quiet"])
            .env("LLAMATELEMETRY_HOME", &self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut server = Server::start(&mut command)?;
        let mut line = String::new();
        let said = server.child.stdout.take().context("its output is piped")?;
        BufReader::new(said).read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line).context("what llt serve says")?;
        let url = said["otlp_http"]
            .as_str()
            .context("it takes OTLP by HTTP")?;
        Ok((server, format!("{url}/v1/traces")))
    }

    fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    /// How soon a span can be read by another process, while others come.
    fn readable(&self) -> Result<Vec<Measure>> {
        self.clear()?;
        let (mut server, url) = self.serve(&[])?;
        let mut tool = self.project.command(&self.tool);
        tool.args(["visible", &url]).arg(self.store());
        tool.args([WATCHED.to_string(), RATE.to_string()])
            .arg(&self.texts);
        let found = figures(&mut tool)?;
        server.end(self.project)?;
        let case = format!("while {:.0} spans/s come", number(&found, "rate")?);
        ["readable_p50_ms", "readable_p99_ms"]
            .into_iter()
            .map(|name| Ok(measure(&case, name, "ms", number(&found, name)?)))
            .collect()
    }

    /// Whether answers leave after the disk has what they answer, by what the system is asked.
    fn order(&self) -> Result<Vec<Measure>> {
        self.clear()?;
        if !order::can_trace(self.project) {
            eprintln!("skipped: the order of sync and answer (there is no strace)");
            return Ok(Vec::new());
        }
        let trace = self.project.testbed().join("bench-store.strace");
        let trace_path = trace.display().to_string();
        let (mut server, url) = self.serve(&order::wrapper(&trace_path))?;
        let case = Case {
            name: "seen by strace",
            spans: 20 * 512,
            way: Some("alone"),
        };
        self.post(&case, &url)?;
        server.end(self.project)?;
        let order = order::read(&std::fs::read_to_string(&trace)?)?;
        std::fs::remove_file(&trace)?;
        Ok(vec![
            measure(case.name, "answers", "answers", order.answers as f64),
            measure(
                case.name,
                "answers_before_fdatasync",
                "answers",
                order.early as f64,
            ),
        ])
    }

    /// Questions to ten million spans of a month.
    fn many(&self) -> Result<Vec<Measure>> {
        self.clear()?;
        let count = MANY.to_string();
        let mut fill = self.project.command(&self.tool);
        fill.arg("fill").arg(self.store()).arg(&self.texts);
        let filled = figures(fill.arg(&count))?;
        let mut ask = self.project.command(&self.tool);
        let asked = figures(ask.arg("ask").arg(self.store()).arg(&count))?;
        let case = "10,000,000 spans";
        let mut all = vec![measure(
            case,
            "ingest_spans_per_s",
            "spans/s",
            number(&filled, "spans_per_s")?,
        )];
        for (name, value) in asked.as_object().context("an object was printed")? {
            let unit = if name.ends_with("span") { "B" } else { "ms" };
            all.push(measure(
                case,
                name,
                unit,
                value.as_f64().context("a number")?,
            ));
        }
        Ok(all)
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
        server.end(self.project)?;
        case.measures(&posted, size(&self.folder)?, rss, [by_id, search])
    }

    fn post(&self, case: &Case, url: &str) -> Result<Value> {
        let mut command = self.project.command(&self.tool);
        command.args(["post", url]).arg(&self.texts);
        command.arg(case.spans.to_string());
        command.args(case.way);
        figures(&mut command)
    }

    /// Milliseconds until the answer is there, the middle of all.
    fn get(&self, urls: &[String]) -> Result<f64> {
        let mut command = self.project.command(&self.tool);
        number(&figures(command.arg("get").args(urls))?, "ms")
    }

    fn clear(&self) -> Result<()> {
        match std::fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

fn measure(case: &str, metric: &str, unit: &str, value: f64) -> Measure {
    Measure {
        case: case.to_owned(),
        metric: metric.to_owned(),
        unit: unit.to_owned(),
        value,
        digest: None,
    }
}

impl Case {
    fn measures(
        &self,
        posted: &Value,
        disk: u64,
        rss: f64,
        [by_id, search]: [f64; 2],
    ) -> Result<Vec<Measure>> {
        let spans = number(posted, "spans")?;
        let rate = number(posted, "spans_per_s")?;
        Ok(vec![
            measure(self.name, "ingest_spans_per_s", "spans/s", rate),
            measure(self.name, "disk_bytes_per_span", "B", disk as f64 / spans),
            measure(self.name, "rss_mb", "MB", rss),
            measure(self.name, "trace_by_id_ms", "ms", by_id),
            measure(self.name, "attribute_search_ms", "ms", search),
        ])
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

    /// Asks it to end and waits.
    fn end(&mut self, project: &Project) -> Result<()> {
        let id = self.child.id().to_string();
        finish(project.command("kill").args(["-TERM", &id]))?;
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
