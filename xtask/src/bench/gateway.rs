//! What `llt serve` adds to a request, beside a bare proxy of hyper and beside LiteLLM's.
//!
//! All stand before the same stub server, which answers at once; what is added is the figure through
//! them less the figure of the stub itself, both of the same run. Runs alternate, and the middle of
//! five counts. The last case is a real model: tokens a second through the gateway and without it.

use super::report::{Row, paired};
use super::{Measure, median};
use crate::project::{Project, output, run as finish};
use crate::python::Packages;
use crate::testbed::Prepared;
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 5;
const REQUESTS: &str = "4000";
/// Of each of the eight clients whose requests' processor time is measured.
const BUSY_REQUESTS: &str = "1000";
const STREAM_SECONDS: &str = "3";
/// How many streams run side by side in the large case.
const MANY: &str = "512";
const TOKENS: &str = "400";
/// After so long a process that is left alone has settled.
const SETTLED: Duration = Duration::from_secs(3);
const STARTING: Duration = Duration::from_secs(120);

const BARE: &str = "bare hyper proxy";
const LITELLM: &str = "LiteLLM proxy";

/// LiteLLM and what its proxy needs.
const PEER: Packages = Packages {
    folder: "litellm",
    requirements: "litellm.txt",
    constraints: Some("litellm-constraints.txt"),
    module: "litellm",
};

pub(super) fn run(project: &Project) -> Result<Vec<Row>> {
    finish(&mut Prepared::command(project)?)?;
    let prepared = Prepared::read(project)?;
    finish(&mut project.cargo([
        "build",
        "--release",
        "--package",
        "llamatelemetry-gateway",
        "--example",
        "gateway_bench",
    ]))?;
    let bench = Bench {
        project,
        program: project.target.join("release/examples/gateway_bench"),
        folder: project.testbed().join("bench-gateway"),
    };
    bench.clear()?;
    let mut rows = bench.beside_proxies()?;
    rows.extend(bench.beside_model(&prepared)?);
    bench.clear()?;
    Ok(rows)
}

struct Bench<'a> {
    project: &'a Project,
    program: PathBuf,
    folder: PathBuf,
}

/// The figures of one program, by case and metric, of every run.
#[derive(Default)]
struct Figures(BTreeMap<(&'static str, &'static str), Vec<f64>>);

impl Figures {
    fn add(&mut self, case: &'static str, metric: &'static str, value: f64) {
        self.0.entry((case, metric)).or_default().push(value);
    }

    fn measures(self) -> Vec<Measure> {
        let measure = |((case, metric), values): ((&str, &str), Vec<f64>)| Measure {
            case: case.to_owned(),
            metric: metric.to_owned(),
            unit: unit(metric).to_owned(),
            value: median(values),
            digest: None,
        };
        self.0.into_iter().map(measure).collect()
    }
}

fn unit(metric: &str) -> &'static str {
    match metric {
        "idle_rss_mb" => "MB",
        "broken_streams" => "streams",
        "tokens_per_s" => "tokens/s",
        _ => "µs",
    }
}

impl Bench<'_> {
    fn beside_proxies(&self) -> Result<Vec<Row>> {
        let stub = self.start("stub", &[])?;
        let bare = self.start("bare", &[&stub.address])?;
        let closed = self.gateway(&stub.address, "closed", false)?;
        let open = self.gateway(&stub.address, "open", true)?;
        let litellm = self.litellm(&format!("http://{}", stub.address));
        if let Err(error) = &litellm {
            println!("without {LITELLM}: {error:#}");
        }
        std::thread::sleep(SETTLED);
        let (mut ours, mut of_bare, mut of_peer) =
            (Figures::default(), Figures::default(), Figures::default());
        ours.add("store closed", "idle_rss_mb", closed.anonymous()?);
        ours.add("store open", "idle_rss_mb", open.anonymous()?);
        if let Ok(peer) = &litellm {
            of_peer.add("store closed", "idle_rss_mb", peer.anonymous()?);
        }
        for _ in 0..RUNS {
            let direct = self.look(&stub)?;
            self.added("store closed", &closed, &direct, &mut ours)?;
            self.added("store open", &open, &direct, &mut ours)?;
            self.added("store closed", &bare, &direct, &mut of_bare)?;
            if let Ok(peer) = &litellm {
                self.added_slowly("store closed", peer, &direct, &mut of_peer)?;
            }
        }
        for (server, figures) in [(&closed, &mut ours), (&bare, &mut of_bare)] {
            let many = self.load(&["streams", &server.address, MANY, STREAM_SECONDS])?;
            figures.add("512 streams", "broken_streams", number(&many, "broken")?);
            figures.add("512 streams", "frame_gap_p99_us", number(&many, "gap_p99")?);
        }
        let ours = ours.measures();
        let mut rows = paired(ours.clone(), BARE, &of_bare.measures())?;
        let beside = paired(ours, LITELLM, &of_peer.measures())?;
        rows.extend(beside.into_iter().filter(Row::has_peer));
        Ok(rows)
    }

    /// What the stub itself shows.
    fn look(&self, server: &Server) -> Result<Look> {
        let requests = self.load(&["requests", &server.address, "1", REQUESTS])?;
        let streams = self.load(&["streams", &server.address, "8", STREAM_SECONDS])?;
        Ok(Look { requests, streams })
    }

    fn added(
        &self,
        case: &'static str,
        server: &Server,
        direct: &Look,
        figures: &mut Figures,
    ) -> Result<()> {
        let through = self.look(server)?;
        through.less(direct, case, figures)?;
        let before = server.processor_time()?;
        let busy = self.load(&["requests", &server.address, "8", BUSY_REQUESTS])?;
        // The tenth part more that warms up costs as much.
        let requests = number(&busy, "requests")? * 1.1;
        let spent = server.processor_time()? - before;
        figures.add(case, "cpu_us_per_request", spent / requests);
        Ok(())
    }

    /// The same of a peer that takes milliseconds for a request: of fewer.
    fn added_slowly(
        &self,
        case: &'static str,
        server: &Server,
        direct: &Look,
        figures: &mut Figures,
    ) -> Result<()> {
        let before = server.processor_time()?;
        let requests = self.load(&["requests", &server.address, "1", "100"])?;
        let spent = server.processor_time()? - before;
        figures.add(
            case,
            "cpu_us_per_request",
            spent / (number(&requests, "requests")? * 1.1),
        );
        let streams = self.load(&["streams", &server.address, "1", STREAM_SECONDS])?;
        Look { requests, streams }.less(direct, case, figures)
    }

    fn beside_model(&self, prepared: &Prepared) -> Result<Vec<Row>> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut command = self.project.command(&prepared.llama_server);
        command
            .arg("--model")
            .arg(&prepared.model)
            .args(["--host", "127.0.0.1", "--port"])
            .arg(address.rsplit(':').next().unwrap_or_default())
            .args(["--ctx-size", "1024", "--parallel", "1", "--no-webui"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut model = Server::start(&mut command, address)?;
        model.wait_until_it_answers("/health")?;
        let gateway = self.gateway(&model.address, "model", false)?;
        let (mut ours, mut theirs) = (Figures::default(), Figures::default());
        for _ in 0..RUNS {
            for (server, figures) in [(&model, &mut theirs), (&gateway, &mut ours)] {
                let told = self.load(&["tokens", &server.address, TOKENS])?;
                figures.add("smollm2", "tokens_per_s", number(&told, "per_second")?);
            }
        }
        paired(ours.measures(), "llama-server itself", &theirs.measures())
    }

    /// A server of the benchmark's own program, which tells its address.
    fn start(&self, what: &str, arguments: &[&str]) -> Result<Server> {
        let mut command = self.project.command(&self.program);
        command.arg(what).args(arguments);
        Self::told(&mut command)
    }

    /// A server that tells its address on its first line.
    fn told(command: &mut Command) -> Result<Server> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = Server::start(command, String::new())?;
        let line = server.first_line()?;
        line.trim().clone_into(&mut server.address);
        Ok(server)
    }

    fn gateway(&self, upstream: &str, name: &str, stores: bool) -> Result<Server> {
        let mut command = self.project.command(&self.program);
        command
            .args(["gateway", upstream])
            .env("LLAMATELEMETRY_HOME", self.folder.join(name))
            .env("LLAMATELEMETRY_STORE", stores.to_string());
        Self::told(&mut command)
    }

    fn litellm(&self, upstream: &str) -> Result<Server> {
        let (python, _) = PEER.prepare(self.project)?;
        let file = self.folder.join("litellm.yaml");
        fs::create_dir_all(&self.folder)?;
        fs::write(
            &file,
            format!(
                "model_list:\n  - model_name: stub\n    litellm_params:\n      model: openai/stub\n      \
                 api_base: {upstream}/v1\n      api_key: none\n"
            ),
        )?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut command = self.project.command(python.with_file_name("litellm"));
        command
            .arg("--config")
            .arg(&file)
            .args(["--host", "127.0.0.1", "--num_workers", "1", "--port"])
            .arg(address.rsplit(':').next().unwrap_or_default())
            .env("LITELLM_TELEMETRY", "False")
            .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut server = Server::start(&mut command, address)?;
        server.wait_until_it_answers("/health/liveliness")?;
        Ok(server)
    }

    fn load(&self, arguments: &[&str]) -> Result<Value> {
        let told = output(self.project.command(&self.program).args(arguments))?;
        serde_json::from_slice(&told).context("what the clients tell")
    }

    fn clear(&self) -> Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// What clients saw of a server.
struct Look {
    requests: Value,
    streams: Value,
}

impl Look {
    fn less(&self, direct: &Self, case: &'static str, figures: &mut Figures) -> Result<()> {
        let metrics = [
            ("added_p50_us", &self.requests, &direct.requests, "p50"),
            ("added_p99_us", &self.requests, &direct.requests, "p99"),
            ("added_ttft_us", &self.streams, &direct.streams, "first_p50"),
            (
                "added_ttft_p99_us",
                &self.streams,
                &direct.streams,
                "first_p99",
            ),
            ("added_gap_us", &self.streams, &direct.streams, "gap_p50"),
            (
                "added_gap_p99_us",
                &self.streams,
                &direct.streams,
                "gap_p99",
            ),
        ];
        for (metric, through, direct, name) in metrics {
            figures.add(case, metric, number(through, name)? - number(direct, name)?);
        }
        Ok(())
    }
}

/// A server that ends with this.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(command: &mut Command, address: String) -> Result<Self> {
        let child = command
            .spawn()
            .with_context(|| format!("cannot run {}", crate::project::shown(command)))?;
        Ok(Self { child, address })
    }

    fn first_line(&mut self) -> Result<String> {
        let told = self.child.stdout.take().context("its output is piped")?;
        let mut line = String::new();
        BufReader::new(told).read_line(&mut line)?;
        Ok(line)
    }

    /// Asks until the answer is that all is well.
    fn wait_until_it_answers(&mut self, path: &str) -> Result<()> {
        let until = Instant::now() + STARTING;
        while !self.answers(path).unwrap_or(false) {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server has ended: {status}");
            }
            if Instant::now() > until {
                bail!("nothing answers at {}", self.address);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn answers(&self, path: &str) -> Result<bool> {
        use std::io::{Read as _, Write as _};
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let host = &self.address;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )?;
        let mut first = [0; 12];
        stream.read_exact(&mut first)?;
        Ok(&first[9..] == b"200")
    }

    /// Memory of its own that no file stands behind, MB.
    fn anonymous(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let mut lines = status.lines();
        let kilobytes = lines.find_map(|line| line.strip_prefix("RssAnon:"));
        let kilobytes = kilobytes.and_then(|rest| rest.trim().strip_suffix("kB"));
        let kilobytes: f64 = kilobytes.context("no RssAnon")?.trim().parse()?;
        Ok(kilobytes * 1024.0 / 1e6)
    }

    /// Processor time of all its threads so far, µs.
    fn processor_time(&self) -> Result<f64> {
        let mut nanos = 0.0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let told = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
            let spent = told.split(' ').next().unwrap_or_default();
            nanos += spent.parse().unwrap_or(0.0);
        }
        Ok(nanos / 1e3)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn number(figures: &Value, name: &str) -> Result<f64> {
    let number = figures[name].as_f64();
    number.with_context(|| format!("{name} was not measured"))
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
