//! Links between documents: each leads to a file that is there and to a heading that it has.

use crate::project::Project;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// Folders that hold documents; what lies deeper is not looked at.
const FOLDERS: &[&str] = &["", "docs"];

/// Checks every document; `Ok` holds a line for people.
pub(crate) fn check(project: &Project) -> Result<String> {
    let mut dead = Vec::new();
    let (mut documents, mut links) = (0, 0);
    for folder in FOLDERS {
        for entry in std::fs::read_dir(project.root.join(folder))? {
            let path = entry?.path();
            if path.extension() != Some("md".as_ref()) {
                continue;
            }
            let text = std::fs::read_to_string(&path)?;
            documents += 1;
            for link in targets(&text) {
                links += 1;
                if !leads_somewhere(&path, &text, link) {
                    let document = path.strip_prefix(&project.root).unwrap_or(&path);
                    dead.push(format!("{}: {link}", document.display()));
                }
            }
        }
    }
    if !dead.is_empty() {
        dead.sort();
        bail!("links that lead nowhere:\n  {}", dead.join("\n  "));
    }
    Ok(format!(
        "{links} links in {documents} documents lead somewhere"
    ))
}

/// What the document links to inside the repository. Code is no text.
fn targets(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        // Every second part of a line split at backticks is code.
        for part in line.split('`').step_by(2) {
            found.extend(inline(part));
        }
        // A link's text may be code: `[`key`](target)` is cut apart above.
        found.extend(
            line.split("`](")
                .skip(1)
                .filter_map(|rest| rest.split(')').next()),
        );
        if let Some((_, target)) = line
            .strip_prefix('[')
            .and_then(|line| line.split_once("]: "))
        {
            found.push(target);
        }
    }
    found.retain(|target| !target.contains("://") && !target.starts_with("mailto:"));
    found.sort_unstable();
    found.dedup();
    found
}

fn inline(part: &str) -> impl Iterator<Item = &str> {
    part.match_indices("](")
        .filter(|(at, _)| *at > 0)
        .filter_map(|(at, _)| part[at + 2..].split(')').next())
}

fn leads_somewhere(document: &Path, text: &str, link: &str) -> bool {
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    if file.is_empty() {
        return has_heading(text, heading);
    }
    let target: PathBuf = document.parent().unwrap_or(document).join(file);
    if heading.is_empty() {
        return target.exists();
    }
    std::fs::read_to_string(target).is_ok_and(|text| has_heading(&text, heading))
}

fn has_heading(text: &str, anchor: &str) -> bool {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .any(|line| slug(line.trim_start_matches('#').trim()) == anchor)
}

/// A heading's anchor, as the usual renderers make it.
fn slug(heading: &str) -> String {
    heading
        .chars()
        .filter_map(|char| match char {
            ' ' => Some('-'),
            '-' | '_' => Some(char),
            char if char.is_alphanumeric() => Some(char.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_links_outside_of_code() {
        let text = "see [a](a.md) and [`b`](b.md#c), not `[x](x.md)`\n\
                    ```\n[y](y.md)\n```\n[d]: ../d.md\n[web](https://example.org)\n";
        assert_eq!(targets(text), ["../d.md", "a.md", "b.md#c"]);
    }

    #[test]
    fn headings_have_anchors() {
        assert_eq!(slug("`runtime.server_path`"), "runtimeserver_path");
        assert_eq!(slug("What is not there yet"), "what-is-not-there-yet");
        assert!(has_heading(
            "# A\n## The way of a request\n",
            "the-way-of-a-request"
        ));
        assert!(!has_heading("# A\n", "b"));
    }
}
