//! The one test command.

mod background;
mod counts;
mod steps;

use crate::project::Project;
use crate::testbed::Prepared;
use anyhow::{Error, Result, bail};
use background::Background;
use counts::Counts;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use steps::{STEPS, Step};

/// Which steps to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run this step, and what it needs; may be given several times
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Unit tests and checks only: nothing that needs llama.cpp, a model or Python
    #[arg(long)]
    quick: bool,
    /// Stop at the first step that fails
    #[arg(long)]
    fail_fast: bool,
    /// Name the steps and stop
    #[arg(long)]
    list: bool,
}

/// What the steps of one run share.
struct Run<'a> {
    project: &'a Project,
    quick: bool,
    counts: Counts,
    python: Option<PathBuf>,
    preparing: Option<Background>,
    backends: Option<Background>,
    prepared: Option<Prepared>,
}

enum Outcome {
    Passed,
    Failed(Error),
    LeftOut(&'static str),
}

struct Done {
    step: &'static Step,
    outcome: Outcome,
    took: Duration,
}

/// Runs the steps, tells how each went, and ends with the line that counts the tests.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode> {
    if arguments.list {
        for step in STEPS {
            println!("{:<10} {}", step.name, step.what);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let chosen = choose(arguments)?;
    std::fs::create_dir_all(project.testbed())?;
    let skips = project.testbed().join("skips.txt");
    drop(std::fs::remove_file(&skips));
    let mut run = Run {
        project,
        quick: arguments.quick,
        counts: Counts::default(),
        python: None,
        preparing: None,
        backends: None,
        prepared: None,
    };
    let started = Instant::now();
    let mut done: Vec<Done> = Vec::new();
    for step in chosen {
        let began = Instant::now();
        let broken = step.needs.iter().copied().find(|need| {
            done.iter()
                .any(|done| done.step.name == *need && !matches!(done.outcome, Outcome::Passed))
        });
        let outcome = if let Some(need) = broken {
            Outcome::LeftOut(need)
        } else {
            println!("\n== {}: {}", step.name, step.what);
            match (step.run)(&mut run) {
                Ok(()) => Outcome::Passed,
                Err(error) => {
                    eprintln!("error: {error:#}");
                    Outcome::Failed(error)
                }
            }
        };
        let took = began.elapsed();
        let failed = !matches!(outcome, Outcome::Passed);
        done.push(Done {
            step,
            outcome,
            took,
        });
        if failed && arguments.fail_fast {
            break;
        }
    }
    drop(run.preparing.take());
    drop(run.backends.take());
    run.counts.skipped = tell_skips(&skips);
    Ok(close(&done, &run.counts, started.elapsed()))
}

/// The steps to run, in order.
fn choose(arguments: &Arguments) -> Result<Vec<&'static Step>> {
    for name in &arguments.only {
        if !STEPS.iter().any(|step| step.name == name) {
            let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
            bail!(
                "there is no step {name}; the steps are {}",
                names.join(", ")
            );
        }
    }
    let mut wanted: Vec<&str> = arguments.only.iter().map(String::as_str).collect();
    let mut at = 0;
    while at < wanted.len() {
        let step = STEPS.iter().find(|step| step.name == wanted[at]);
        wanted.extend(step.map_or(&[][..], |step| step.needs));
        at += 1;
    }
    Ok(STEPS
        .iter()
        .filter(|step| wanted.is_empty() || wanted.contains(&step.name))
        .filter(|step| !arguments.quick || step.quick)
        .collect())
}

/// Lists what tests could not run here; returns how many there are.
fn tell_skips(file: &std::path::Path) -> u64 {
    let skips = std::fs::read_to_string(file).unwrap_or_default();
    let mut lines: Vec<&str> = skips.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    if !lines.is_empty() {
        println!("\n== not seen here");
        for line in &lines {
            println!("{line}");
        }
    }
    lines.len() as u64
}

/// The table of steps, then either the line that counts the tests or the first failure.
fn close(done: &[Done], counts: &Counts, took: Duration) -> ExitCode {
    println!("\n== steps, {} in all", shown(took));
    for Done {
        step,
        outcome,
        took,
    } in done
    {
        let (word, why) = match outcome {
            Outcome::Passed => ("ok", String::new()),
            Outcome::Failed(_) => ("FAILED", String::new()),
            Outcome::LeftOut(need) => ("left out", format!("  needs {need}")),
        };
        println!("{word:>8}  {:<10} {:>9}{why}", step.name, shown(*took));
    }
    let first = done.iter().find_map(|done| match &done.outcome {
        Outcome::Failed(error) => Some((done.step.name, error)),
        _ => None,
    });
    println!("\n{counts}");
    let Some((name, error)) = first else {
        return ExitCode::SUCCESS;
    };
    println!("\nfirst failure: {name}\n{error:#}\nagain: cargo xtask test --only {name}");
    ExitCode::FAILURE
}

fn shown(took: Duration) -> String {
    let seconds = took.as_secs();
    if seconds >= 60 {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    } else {
        format!("{:.1} s", took.as_secs_f64())
    }
}
