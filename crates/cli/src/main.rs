//! The command line program `llt`.
//!
//! `main` parses ([`args`]), resolves the settings, calls one module of [`commands`] and turns what
//! came of it into an exit code ([`outcome`]). Data goes to stdout, talk to stderr, both through
//! the [`printer`].

mod args;
mod commands;
mod figures;
mod interrupt;
mod logging;
mod outcome;
mod printer;
mod progress;
mod quantity;
mod setting_flags;
mod sys;
mod table;

use std::process::ExitCode;

fn main() -> ExitCode {
    sys::share_heaps();
    let environment = llamatelemetry_settings::Environment::from_process();
    match args::parse(&environment) {
        Ok(args) => commands::dispatch(args, environment),
        Err(error) => outcome::usage(&error),
    }
}
