//! What is generated: parts of the documentation, and the tables of the conventions.
//!
//! A part stands in its document between `<!-- generated: NAME -->` and `<!-- end: NAME -->`;
//! what lies around it is written by people. A table is a file of its own.

use crate::conventions;
use crate::project::Project;
use anyhow::{Context as _, Result, bail};
use llamatelemetry_record::{PHASE_SOURCES, PhaseSource};

/// Whether to write or to compare.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Change nothing; fail where something is not what its source says
    #[arg(long)]
    pub(crate) check: bool,
}

/// One generated part of a document.
struct Part {
    file: &'static str,
    name: &'static str,
    text: fn(&Project) -> Result<String>,
}

const PARTS: &[Part] = &[
    Part {
        file: "docs/settings.md",
        name: "settings",
        text: |_| Ok(llamatelemetry_settings::settings_reference()),
    },
    Part {
        file: "docs/settings.md",
        name: "models",
        text: |_| Ok(llamatelemetry_settings::models_reference()),
    },
    Part {
        file: "docs/environment.md",
        name: "variables",
        text: |_| Ok(llamatelemetry_settings::variables_reference()),
    },
    Part {
        file: "docs/figures.md",
        name: "phases",
        text: |_| Ok(phases()),
    },
    Part {
        file: "docs/conventions.md",
        name: "own attributes",
        text: conventions::own_attributes,
    },
    Part {
        file: "docs/conventions.md",
        name: "own spans",
        text: conventions::own_spans,
    },
    Part {
        file: "docs/conventions.md",
        name: "profiles",
        text: conventions::profiles,
    },
    Part {
        file: "docs/conventions.md",
        name: "metrics",
        text: conventions::metrics,
    },
];

/// Writes or compares everything; `Ok` holds a line for people.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<String> {
    let mut stale = Vec::new();
    for part in PARTS {
        let path = project.root.join(part.file);
        let before =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", part.file))?;
        let after = replaced(&before, part.name, &(part.text)(project)?)
            .with_context(|| part.file.to_owned())?;
        if before != after {
            stale.push(format!("{} ({})", part.file, part.name));
            if !arguments.check {
                std::fs::write(&path, after)?;
            }
        }
    }
    let files = conventions::files(project)?;
    for (file, after) in &files {
        let path = project.root.join(file);
        // One that is not there yet is written.
        if std::fs::read_to_string(&path).ok().as_ref() != Some(after) {
            stale.push(file.clone());
            if !arguments.check {
                std::fs::write(&path, after).with_context(|| format!("cannot write {file}"))?;
            }
        }
    }
    if stale.is_empty() {
        return Ok(format!(
            "{} generated parts and {} files are up to date",
            PARTS.len(),
            files.len()
        ));
    }
    let stale = stale.join(", ");
    if arguments.check {
        bail!("not what their sources say: {stale}; `cargo xtask generate` writes it anew");
    }
    Ok(format!("written: {stale}"))
}

/// The document with the part between its marks replaced.
fn replaced(document: &str, name: &str, text: &str) -> Result<String> {
    let begin = format!("<!-- generated: {name} -->\n");
    let end = format!("<!-- end: {name} -->");
    let (before, rest) = document
        .split_once(&begin)
        .with_context(|| format!("lacks the line {}", begin.trim_end()))?;
    let (_, after) = rest
        .split_once(&end)
        .with_context(|| format!("lacks {end} after {}", begin.trim_end()))?;
    Ok(format!("{before}{begin}{}\n{end}{after}", text.trim_end()))
}

/// The table endpoint × delivery → where each phase comes from.
fn phases() -> String {
    let word = |source: PhaseSource| match source {
        PhaseSource::Stream => "stream",
        PhaseSource::ServerTimings => "server's `timings`",
        PhaseSource::Remainder => "wall − `timings`",
        PhaseSource::NotShown => "not shown",
    };
    let rows = PHASE_SOURCES.iter().map(|row| {
        let shown: Vec<&str> = row.shown.iter().map(|shown| shown.as_str()).collect();
        format!(
            "| `{}` | {} | {} | {} | {} | {} |",
            row.endpoint.path(),
            row.delivery.as_str(),
            word(row.queue),
            word(row.prefill),
            word(row.decode),
            shown.join(", "),
        )
    });
    let head = [
        "| endpoint | answer | queue | prefill | decode | also shown |".to_owned(),
        "|---|---|---|---|---|---|".to_owned(),
    ];
    head.into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_only_what_stands_between_the_marks() {
        let document = "a\n<!-- generated: t -->\nold\n<!-- end: t -->\nb\n";
        let once = replaced(document, "t", "new\n").expect("marks");
        assert_eq!(once, "a\n<!-- generated: t -->\nnew\n<!-- end: t -->\nb\n");
        assert_eq!(replaced(&once, "t", "new\n").expect("marks"), once);
        assert!(replaced(document, "other", "").is_err());
    }
}
