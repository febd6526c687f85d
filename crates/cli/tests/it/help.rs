//! Help and versions. The help is the manual, so it is held word for word.

use crate::llt::{Llt, assert_ran};
use std::fmt::Write as _;

#[test]
fn the_versions_stand_apart() {
    let ran = Llt::new().run(&["--version"]);
    let runtime = llamatelemetry::runtime::pinned_build().unwrap();
    assert_eq!(
        ran.stdout,
        format!("llt {}\nllama.cpp b{runtime}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn the_overview() {
    assert_ran!(Llt::new().run(&["--help"]));
}

#[test]
fn every_command_has_help_with_examples() {
    let llt = Llt::new();
    let mut all = String::new();
    for command in COMMANDS {
        let mut args: Vec<&str> = command.split(' ').collect();
        args.push("--help");
        let ran = llt.run(&args);
        assert_eq!(ran.code, Some(0), "{}", ran.text());
        // The flags of every command stand in the overview.
        let own = ran.stdout.replace("\r\n", "\n");
        let (before, after) = own.split_once("Flags of every command:").unwrap();
        let after = after.split_once("\n\n").map_or("", |(_, after)| after);
        write!(all, "===== llt {command}\n{before}{after}").unwrap();
    }
    insta::assert_snapshot!(all);
}

/// Every command that does something.
pub(crate) const COMMANDS: &[&str] = &[
    "run",
    "chat",
    "embed",
    "rerank",
    "tokenize",
    "runtime",
    "runtime install",
    "runtime list",
    "runtime explain",
    "runtime env",
    "runtime remove",
    "models",
    "models list",
    "models search",
    "models pull",
    "models show",
    "models verify",
    "models recommend",
    "models prune",
    "models remove",
    "models pin",
    "models unpin",
    "gguf",
    "gguf inspect",
    "gguf validate",
    "trace",
    "trace list",
    "trace show",
    "trace export",
    "trace import",
    "trace check",
    "trace purge",
    "metrics",
    "logs",
    "gpu",
    "doctor",
    "config",
    "config show",
    "completions",
];

#[test]
fn every_command_takes_json() {
    let llt = Llt::new();
    for command in COMMANDS {
        let mut args: Vec<&str> = command.split(' ').collect();
        args.push("--help");
        let ran = llt.run(&args);
        assert!(ran.stdout.contains("--json"), "llt {command}");
    }
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = Llt::new().run(&["completions", shell]);
        assert_eq!(ran.code, Some(0), "{}", ran.text());
        assert!(ran.stdout.contains("recommend"), "{shell}");
        assert_eq!(ran.stderr, "");
    }
    let ran = Llt::new().run(&["completions", "bash", "--json"]);
    assert_eq!(ran.json()["shell"], "bash");
}

#[test]
fn colour_is_used_only_where_it_is_asked_for() {
    let llt = Llt::new();
    let table = |args: &[&str]| llt.run(args).stdout;
    let plain = table(&["models", "search"]);
    assert!(!plain.contains('\u{1b}'));
    let always = table(&["models", "search", "--color", "always"]);
    assert!(always.contains('\u{1b}'));
    let llt = Llt::new().with("CLICOLOR_FORCE", "1").with("NO_COLOR", "1");
    assert!(!llt.run(&["models", "search"]).stdout.contains('\u{1b}'));
}
