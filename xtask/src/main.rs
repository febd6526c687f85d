//! The project's own tasks: test, bench, layers, generated files.
//!
//! `cargo xtask test` is the one test command: it installs what the tests need and runs every
//! check that a change has to pass.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people at a terminal"
)]

mod backends;
mod bench;
mod conventions;
mod fuzz;
mod generate;
mod layers;
mod licences;
mod links;
mod metadata;
mod project;
mod python;
mod soak;
mod targets;
mod test;
mod testbed;
mod wheel;

use anyhow::Result;
use clap::{Parser, Subcommand};
use project::Project;
use std::process::ExitCode;

/// The project's own tasks.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Install what tests need, then run every check and every test
    Test(test::Arguments),
    /// Hold the crates' dependencies to the edges printed in ARCHITECTURE.md
    Layers,
    /// Write what is generated: parts of the documentation, the tables of the conventions
    Generate(generate::Arguments),
    /// Compare the tables of the conventions with the packages that others generate from the same
    /// definitions
    Conventions,
    /// Check licences, sources, bans and duplicate versions of dependencies against deny.toml
    Licences,
    /// Check that links between documents lead somewhere
    Links,
    /// Bring the backends that acceptance tests send to: Phoenix, MLflow, Prometheus
    Backends,
    /// Run a benchmark beside its peers
    Bench(bench::Arguments),
    /// Run for long what is tested for a minute; the result goes to docs/measured/
    Soak(soak::Arguments),
    /// Run a fuzz target of fuzz/ for a while
    Fuzz(fuzz::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = Project::open().and_then(|project| run(&project, arguments.task));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(project: &Project, task: Task) -> Result<ExitCode> {
    match task {
        Task::Test(arguments) => return test::run(project, &arguments),
        Task::Layers => println!("{}", layers::check(project)?),
        Task::Generate(arguments) => println!("{}", generate::run(project, &arguments)?),
        Task::Conventions => println!("{}", conventions::compare(project)?),
        Task::Licences => println!("{}", licences::check(project)?),
        Task::Links => println!("{}", links::check(project)?),
        Task::Backends => backends::prepare(project)?,
        Task::Bench(arguments) => bench::run(project, &arguments)?,
        Task::Soak(arguments) => soak::run(project, &arguments)?,
        Task::Fuzz(arguments) => fuzz::run(project, &arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}
