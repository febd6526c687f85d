//! The steps of the test command, in their order: quick ones first.

use super::Run;
use super::background::Background;
use super::counts::Counts;
use crate::project::{run, shown};
use crate::testbed::Prepared;
use crate::{backends, generate, layers, licences, links, python, targets, wheel};
use anyhow::{Context as _, Result, bail};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

/// One step.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// Steps that must have passed, or the step is left out.
    pub(super) needs: &'static [&'static str],
    /// Part of `--quick`.
    pub(super) quick: bool,
    pub(super) run: fn(&mut Run<'_>) -> Result<()>,
}

/// All steps.
pub(super) const STEPS: &[Step] = &[
    Step {
        name: "format",
        what: "rustfmt has nothing to change",
        needs: &[],
        quick: true,
        run: |run_| run(&mut run_.project.cargo(["fmt", "--all", "--check", "--", "-l"])),
    },
    Step {
        name: "layers",
        what: "crates depend on each other as ARCHITECTURE.md prints",
        needs: &[],
        quick: true,
        run: |run| tell(layers::check(run.project)),
    },
    Step {
        name: "generated",
        what: "documents say what the code says",
        needs: &[],
        quick: true,
        run: |run| {
            tell(generate::run(
                run.project,
                &generate::Arguments { check: true },
            ))
        },
    },
    Step {
        name: "links",
        what: "links between documents lead somewhere",
        needs: &[],
        quick: true,
        run: |run| tell(links::check(run.project)),
    },
    Step {
        name: "licences",
        what: "licences, sources and versions of dependencies",
        needs: &[],
        quick: true,
        run: |run| tell(licences::check(run.project)),
    },
    Step {
        name: "python",
        what: "a Python with the tests' oracles and peers",
        needs: &[],
        quick: false,
        run: |run| {
            run.python = Some(python::prepare(run.project)?);
            Ok(())
        },
    },
    Step {
        name: "backends",
        what: "start bringing Phoenix, MLflow, Prometheus and Spark in the background",
        needs: &["python"],
        quick: false,
        run: start_backends,
    },
    Step {
        name: "testbed",
        what: "compile what brings llama.cpp and a model, and start it in the background",
        needs: &["python"],
        quick: false,
        run: start_preparing,
    },
    Step {
        name: "lints",
        what: "clippy over everything, warnings are errors",
        needs: &[],
        quick: true,
        run: |run_| {
            run(&mut run_.project.cargo([
                "clippy",
                "--workspace",
                "--all-targets",
                "--keep-going",
                "--",
                "-D",
                "warnings",
            ]))
        },
    },
    Step {
        name: "docs",
        what: "the documentation of every library, warnings are errors",
        needs: &[],
        quick: true,
        run: |run_| {
            run(run_
                .project
                .cargo([
                    "doc",
                    "--workspace",
                    "--lib",
                    "--no-deps",
                    "--quiet",
                    "--keep-going",
                ])
                .env("RUSTDOCFLAGS", "-D warnings"))
        },
    },
    Step {
        name: "bare",
        what: "the facade without its optional parts",
        needs: &[],
        quick: true,
        run: |run_| {
            tell(layers::check_bare(run_.project))?;
            run(&mut run_.project.cargo([
                "check",
                "--package",
                "llamatelemetry",
                "--lib",
                "--no-default-features",
            ]))
        },
    },
    Step {
        name: "targets",
        what: "the program compiles for 64-bit Arm, Linux and macOS",
        needs: &[],
        quick: false,
        run: other_targets,
    },
    Step {
        name: "build",
        what: "compile every test",
        needs: &[],
        quick: true,
        run: |run_| run(runner(run_)?.command(run_).arg("--no-run")),
    },
    Step {
        name: "llama",
        what: "llama.cpp, its source tree and a model are there",
        needs: &["testbed"],
        quick: false,
        run: finish_preparing,
    },
    Step {
        name: "peers",
        what: "Phoenix, MLflow, Prometheus and Spark are there",
        needs: &["backends"],
        quick: false,
        // Without them the tests that need them are skipped, and this step has failed.
        run: finish_backends,
    },
    Step {
        name: "tests",
        what: "every test of every crate",
        needs: &["build", "llama"],
        quick: true,
        run: tests,
    },
    Step {
        name: "wheel",
        what: "the Python package: its wheel, its types, its tests",
        needs: &["python", "llama"],
        quick: false,
        run: wheel_tests,
    },
    Step {
        name: "doctests",
        what: "the examples in the facade's documentation",
        needs: &["build", "llama"],
        quick: true,
        run: doctests,
    },
];

fn tell(outcome: Result<String>) -> Result<()> {
    println!("{}", outcome?);
    Ok(())
}

fn start_preparing(shared: &mut Run<'_>) -> Result<()> {
    let mut command = Prepared::command(shared.project)?;
    let log = shared.project.testbed().join("prepare.log");
    shared.preparing = Some(Background::start(&mut command, log)?);
    println!("started; it is waited for in the step llama");
    Ok(())
}

fn other_targets(shared: &mut Run<'_>) -> Result<()> {
    let left_out = targets::check(shared.project)?;
    let skips = shared.project.testbed().join("skips.txt");
    let mut file = File::options().create(true).append(true).open(skips)?;
    for reason in left_out {
        writeln!(file, "skipped: {reason}")?;
    }
    Ok(())
}

fn start_backends(shared: &mut Run<'_>) -> Result<()> {
    let mut command = backends::command(shared.project)?;
    let log = shared.project.testbed().join("backends.log");
    shared.backends = Some(Background::start(&mut command, log)?);
    println!("started; it is waited for in the step peers");
    Ok(())
}

fn finish_backends(shared: &mut Run<'_>) -> Result<()> {
    shared.backends.take().map_or(Ok(()), Background::wait)
}

fn finish_preparing(shared: &mut Run<'_>) -> Result<()> {
    if let Some(preparing) = shared.preparing.take() {
        preparing.wait()?;
    }
    let prepared = Prepared::read(shared.project)?;
    println!("llama-server: {}", prepared.llama_server.display());
    println!("model:        {}", prepared.model.display());
    shared.prepared = Some(prepared);
    Ok(())
}

/// What runs tests.
enum Runner {
    Nextest,
    CargoTest,
}

fn runner(shared: &Run<'_>) -> Result<Runner> {
    let has_nextest = shared
        .project
        .cargo(["nextest", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("cannot run cargo")?
        .success();
    Ok(if has_nextest {
        Runner::Nextest
    } else {
        Runner::CargoTest
    })
}

impl Runner {
    fn command(&self, shared: &Run<'_>) -> Command {
        let mut command = match self {
            Self::Nextest => shared
                .project
                .cargo(["nextest", "run", "--profile", "whole"]),
            Self::CargoTest => shared.project.cargo(["test", "--no-fail-fast"]),
        };
        command.arg("--workspace");
        if shared.quick {
            command.args(["--lib", "--bins"]);
        } else if matches!(self, Self::CargoTest) {
            // Not --doc: the facade's have a step of their own.
            command.args(["--lib", "--bins", "--tests", "--examples"]);
        }
        command
    }
}

fn tests(shared: &mut Run<'_>) -> Result<()> {
    let runner = runner(shared)?;
    let mut command = runner.command(shared);
    with_testbed(shared, &mut command);
    match runner {
        Runner::Nextest => {
            let report = shared.project.target.join("nextest/whole/junit.xml");
            drop(std::fs::remove_file(&report));
            let outcome = run(&mut command);
            // Without a report nothing ran, and the outcome says why.
            if let Ok(report) = std::fs::read_to_string(&report) {
                shared.counts.add(Counts::from_junit(&report)?);
            }
            outcome
        }
        Runner::CargoTest => {
            // It cannot give a test that measures time the machine to itself, so all take turns.
            command.args(["--", "--test-threads=1"]);
            counted(shared, &mut command)
        }
    }
}

fn wheel_tests(shared: &mut Run<'_>) -> Result<()> {
    let installed = wheel::install(shared.project)?;
    installed.check_types(shared.project)?;
    let mut command = installed.tests(shared.project);
    with_testbed(shared, &mut command);
    drop(std::fs::remove_file(&installed.report));
    let outcome = run(&mut command);
    // Without a report nothing ran, and the outcome says why.
    if let Ok(report) = std::fs::read_to_string(&installed.report) {
        shared.counts.add(Counts::from_junit(&report)?);
    }
    outcome
}

fn doctests(shared: &mut Run<'_>) -> Result<()> {
    let mut command = shared
        .project
        .cargo(["test", "--doc", "--package", "llamatelemetry"]);
    with_testbed(shared, &mut command);
    counted(shared, &mut command)
}

/// Tells the tests where things are.
fn with_testbed(shared: &Run<'_>, command: &mut Command) {
    let testbed = shared.project.testbed();
    command.env("LLAMATELEMETRY_TEST_SKIPS", testbed.join("skips.txt"));
    if let Some(python) = &shared.python {
        let bin = python.parent().unwrap_or(&testbed);
        command.env("LLAMATELEMETRY_TEST_PYTHON", python);
        command.env("LLAMATELEMETRY_TEST_ROTEL", bin.join("rotel-agent"));
    }
    for (variable, program) in [
        ("LLAMATELEMETRY_TEST_PHOENIX", "phoenix/bin/phoenix"),
        ("LLAMATELEMETRY_TEST_MLFLOW", "mlflow/bin/mlflow"),
        ("LLAMATELEMETRY_TEST_TABLES", "tables/bin/python3"),
        (
            "LLAMATELEMETRY_TEST_PROMETHEUS",
            "prometheus/usr/bin/prometheus",
        ),
        (
            "LLAMATELEMETRY_TEST_PROMTOOL",
            "prometheus/usr/bin/promtool",
        ),
    ] {
        command.env(variable, testbed.join(program));
    }
    if let Some(prepared) = &shared.prepared {
        command.env("LLAMATELEMETRY_TEST_LLAMA_SERVER", &prepared.llama_server);
        command.env("LLAMATELEMETRY_TEST_LLAMA_SOURCE", &prepared.llama_source);
        command.env("LLAMATELEMETRY_TEST_MODEL", &prepared.model);
    }
}

/// Runs `cargo test`, passing its output on and adding its results up.
fn counted(shared: &mut Run<'_>, command: &mut Command) -> Result<()> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", shown(command)))?;
    let output = child.stdout.take().context("standard output is piped")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        shared.counts.add_line(&line);
        println!("{line}");
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{status}: {}", shown(command));
    }
    Ok(())
}
