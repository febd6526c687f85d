//! The report of a benchmark: a table for people, a document for machines.

use super::Measure;
use anyhow::{Result, bail};
use serde::Serialize;
use std::fmt;

/// The report of a benchmark.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    bench: String,
    machine: String,
    rows: Vec<Row>,
}

/// One figure of ours, beside the peer's where there is one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Row {
    case: String,
    metric: String,
    unit: String,
    ours: f64,
    peer: Option<String>,
    theirs: Option<f64>,
    /// How many times better ours is.
    ratio: Option<f64>,
}

impl Row {
    /// Whether there is a peer's figure beside it.
    pub(super) fn has_peer(&self) -> bool {
        self.peer.is_some()
    }

    /// A figure that has no peer.
    pub(super) fn alone(measure: Measure) -> Self {
        Self {
            case: measure.case,
            metric: measure.metric,
            unit: measure.unit,
            ours: measure.value,
            peer: None,
            theirs: None,
            ratio: None,
        }
    }
}

/// Pairs our measures with a peer's.
pub(super) fn paired(ours: Vec<Measure>, peer: &str, theirs: &[Measure]) -> Result<Vec<Row>> {
    ours.into_iter()
        .map(|our| {
            let found = theirs
                .iter()
                .find(|their| their.case == our.case && their.metric == our.metric);
            let Some(their) = found else {
                return Ok(Row::alone(our));
            };
            if let (Some(ours), Some(theirs)) = (&our.digest, &their.digest)
                && ours != theirs
            {
                bail!(
                    "{} {}: {peer} made something else: {theirs}, not {ours}",
                    our.case,
                    our.metric
                );
            }
            let ratio = if our.unit.ends_with("/s") {
                our.value / their.value
            } else {
                their.value / our.value
            };
            Ok(Row {
                peer: Some(peer.to_owned()),
                theirs: Some(their.value),
                ratio: ratio.is_finite().then_some(ratio),
                ..Row::alone(our)
            })
        })
        .collect()
}

impl Report {
    pub(super) fn new(bench: &str, rows: Vec<Row>) -> Self {
        Self {
            bench: bench.to_owned(),
            machine: machine(),
            rows,
        }
    }
}

/// The machine in a few words: `AMD EPYC 9B14, 2 processors, linux x86_64`.
fn machine() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| {
            rest.trim_start_matches([' ', '\t', ':'])
        });
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    format!("{model}, {processors} processors, {os} {arch}")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} on {}", self.bench, self.machine)?;
        let head = ["case", "metric", "ours", "theirs", "ratio", "peer"].map(str::to_owned);
        let lines: Vec<[String; 6]> = std::iter::once(head)
            .chain(self.rows.iter().map(|row| {
                let figure = |value: f64| format!("{} {}", figure(value), row.unit);
                [
                    row.case.clone(),
                    row.metric.clone(),
                    figure(row.ours),
                    row.theirs.map(figure).unwrap_or_default(),
                    row.ratio
                        .map(|ratio| format!("{ratio:.1} ×"))
                        .unwrap_or_default(),
                    row.peer.clone().unwrap_or_default(),
                ]
            }))
            .collect();
        let mut widths = [0; 6];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = cell.chars().count().max(*width);
            }
        }
        for line in &lines {
            let mut padded = String::new();
            for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
                let blank = " ".repeat(width - cell.chars().count());
                // Words stand left, figures right.
                let cell = match column {
                    2..=4 => format!("{blank}{cell}  "),
                    _ => format!("{cell}{blank}  "),
                };
                padded.push_str(&cell);
            }
            writeln!(f, "{}", padded.trim_end())?;
        }
        Ok(())
    }
}

/// Three digits that count.
fn figure(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        small if small >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(case: &str, value: f64, digest: &str) -> Measure {
        Measure {
            case: case.to_owned(),
            metric: "decode_check_ms".to_owned(),
            unit: "ms".to_owned(),
            value,
            digest: Some(digest.to_owned()),
        }
    }

    #[test]
    fn pairs_by_case_and_says_how_many_times_better() {
        let ours = vec![measure("a", 2.0, "x"), measure("b", 1.0, "y")];
        let rows = paired(ours, "peer", &[measure("a", 500.0, "x")]).expect("equal digests");
        assert_eq!(rows[0].ratio, Some(250.0));
        assert_eq!(rows[0].peer.as_deref(), Some("peer"));
        assert_eq!(rows[1].peer, None);
        let report = Report {
            bench: "gguf".to_owned(),
            machine: "m".to_owned(),
            rows,
        };
        assert_eq!(
            report.to_string(),
            "gguf on m\n\
             case  metric              ours  theirs    ratio  peer\n\
             a     decode_check_ms  2.00 ms  500 ms  250.0 ×  peer\n\
             b     decode_check_ms  1.00 ms\n"
        );
    }

    #[test]
    fn refuses_peers_that_made_something_else() {
        let ours = vec![measure("a", 2.0, "x")];
        let error = paired(ours, "peer", &[measure("a", 5.0, "z")]).expect_err("unequal digests");
        assert_eq!(
            error.to_string(),
            "a decode_check_ms: peer made something else: z, not x"
        );
    }
}
