//! From the command to the first token, beside the same `llama-server` started by hand.
//!
//! Both are measured from the moment the program is started; runs alternate. The one started by
//! hand gets the very arguments that `llt` gave its child, and is asked anew every other
//! millisecond until it answers; asking more often would slow it down.

use super::report::{Row, paired};
use super::{Measure, median};
use crate::project::{Project, run as finish};
use crate::testbed::Prepared;
use anyhow::{Context as _, Result, bail};
use serde_json::json;
use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROMPT: &str = "Explain CUDA in one sentence.";
const TOKENS: u32 = 16;
const RUNS: usize = 15;
const LIMIT: Duration = Duration::from_secs(120);

pub(super) fn run(project: &Project) -> Result<Vec<Row>> {
    finish(&mut Prepared::command(project)?)?;
    let prepared = Prepared::read(project)?;
    finish(&mut project.cargo(["build", "--release", "--package", "llamatelemetry-cli"]))?;
    let bench = Bench {
        project,
        program: project.target.join("release/llt"),
        model: prepared.model,
        // Short: a socket's path has room for about a hundred bytes. llama-server tells it from a
        // host's name by its ending.
        socket: std::env::temp_dir().join(format!("lt-bench-{}.sock", std::process::id())),
    };
    let arguments = bench.arguments_of_child()?;
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..RUNS {
        ours.push(bench.ours()?);
        theirs.push(bench.theirs(&arguments)?);
    }
    let measure = |metric: &str, value| Measure {
        case: "smollm2".to_owned(),
        metric: metric.to_owned(),
        unit: "ms".to_owned(),
        value,
        digest: None,
    };
    let (ours, theirs) = (median(ours), median(theirs));
    let mut rows = paired(
        vec![measure("first_token_ms", ours)],
        "llama-server by hand",
        &[measure("first_token_ms", theirs)],
    )?;
    rows.push(Row::alone(measure("overhead_ms", ours - theirs)));
    Ok(rows)
}

struct Bench<'a> {
    project: &'a Project,
    program: PathBuf,
    model: PathBuf,
    socket: PathBuf,
}

impl Bench<'_> {
    fn start(&self) -> Result<Running> {
        let mut command = self.project.command(&self.program);
        command
            .env("LLAMATELEMETRY_HOME", self.project.testbed().join("home"))
            .arg("run")
            .arg(&self.model)
            .args([PROMPT, "--temperature", "0", "--max-tokens"])
            .arg(TOKENS.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        Running::start(&mut command)
    }

    /// Milliseconds until `llt run` writes the first of the answer.
    fn ours(&self) -> Result<f64> {
        let started = Instant::now();
        let mut running = self.start()?;
        running.first_byte()?;
        let took = milliseconds(started);
        running.end()?;
        Ok(took)
    }

    /// The command line that `llt` gives its `llama-server`, listening on a socket of ours.
    fn arguments_of_child(&self) -> Result<Vec<OsString>> {
        let mut running = self.start()?;
        running.first_byte()?;
        let mut arguments = children_of(running.child.id())?
            .into_iter()
            .filter_map(|pid| command_line(pid).ok())
            .find(|line| {
                line.first().is_some_and(|program| {
                    Path::new(program).file_name() == Some("llama-server".as_ref())
                })
            })
            .context("llt has no child called llama-server")?;
        running.end()?;
        let host = arguments.iter().position(|argument| argument == "--host");
        let host = host
            .and_then(|at| arguments.get_mut(at + 1))
            .filter(|host| Path::new(host).is_absolute())
            .context("llt's llama-server does not listen on a Unix socket")?;
        *host = self.socket.clone().into();
        Ok(arguments)
    }

    /// Milliseconds until that server, started by hand, has sent the first delta.
    fn theirs(&self, arguments: &[OsString]) -> Result<f64> {
        let (program, arguments) = arguments.split_first().context("no program")?;
        let mut command = self.project.command(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        drop(std::fs::remove_file(&self.socket));
        let started = Instant::now();
        let mut running = Running::start(&mut command)?;
        loop {
            if let Some(exit) = running.child.try_wait()? {
                bail!("llama-server ended by itself: {exit}");
            }
            if matches!(self.first_delta(), Ok(true)) {
                break;
            }
            if started.elapsed() > LIMIT {
                bail!("llama-server gave no answer within {LIMIT:?}");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let took = milliseconds(started);
        drop(running);
        drop(std::fs::remove_file(&self.socket));
        Ok(took)
    }

    /// Asks, and waits for the first delta; `false` if the server is not ready yet.
    fn first_delta(&self) -> Result<bool> {
        let body = json!({
            "messages": [{ "role": "user", "content": PROMPT }],
            "stream": true,
            "temperature": 0,
            "max_tokens": TOKENS,
        })
        .to_string();
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(LIMIT))?;
        write!(
            stream,
            "POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let read = stream.read(&mut buffer)?;
            if read == 0 {
                return Ok(false);
            }
            answer.extend_from_slice(&buffer[..read]);
            let text = String::from_utf8_lossy(&answer);
            if !text.starts_with("HTTP/1.1 200") {
                return Ok(false);
            }
            let mut contents = text.split("\"content\":\"").skip(1);
            if contents.any(|content| !content.is_empty() && !content.starts_with('"')) {
                return Ok(true);
            }
        }
    }
}

/// A child that does not outlive its measurement.
struct Running {
    child: Child,
}

impl Running {
    fn start(command: &mut Command) -> Result<Self> {
        let child = command
            .spawn()
            .with_context(|| format!("cannot run {}", crate::project::shown(command)))?;
        Ok(Self { child })
    }

    fn first_byte(&mut self) -> Result<()> {
        let output = self.child.stdout.as_mut().context("its output is piped")?;
        output.read_exact(&mut [0])?;
        Ok(())
    }

    /// Reads the rest and waits for an orderly end.
    fn end(mut self) -> Result<()> {
        if let Some(mut output) = self.child.stdout.take() {
            std::io::copy(&mut output, &mut std::io::sink())?;
        }
        let status = self.child.wait()?;
        if !status.success() {
            bail!("llt run: {status}");
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// The processes whose parent this is.
fn children_of(parent: u32) -> Result<Vec<u32>> {
    let mut children = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // `pid (name) state parent …`; the name may hold anything, so it is cut at its last bracket.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after = stat.rsplit_once(") ").map_or("", |(_, after)| after);
        if after.split(' ').nth(1) == Some(parent.to_string().as_str()) {
            children.push(pid);
        }
    }
    Ok(children)
}

fn command_line(pid: u32) -> Result<Vec<OsString>> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline"))?;
    Ok(line
        .split(|byte| *byte == 0)
        .filter(|part| !part.is_empty())
        .map(|part| OsString::from_vec(part.to_vec()))
        .collect())
}
