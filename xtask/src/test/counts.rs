//! How many tests ran, read from what the runners report.

use anyhow::{Context as _, Result};
use std::fmt;

/// How many tests ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: u64,
    pub(super) failed: u64,
    /// Said by the tests themselves; a test that skips passes in its runner's eyes.
    pub(super) skipped: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// Adds a line of `cargo test`: `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    pub(super) fn add_line(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        let Some((_, numbers)) = result.split_once(". ") else {
            return;
        };
        for part in numbers.split(';') {
            let Some((number, what)) = part.trim().split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                _ => {}
            }
        }
    }

    /// Reads the head of a `JUnit` report: `<testsuites tests="9" failures="1" errors="0" …>`, or of
    /// its only suite, where pytest counts.
    pub(super) fn from_junit(report: &str) -> Result<Self> {
        let head = ["<testsuites ", "<testsuite "]
            .into_iter()
            .filter_map(|element| report.split_once(element))
            .filter_map(|(_, rest)| rest.split_once('>'))
            .map(|(head, _)| head)
            .find(|head| head.contains("tests=\""))
            .context("the test report has no head")?;
        let number = |name: &str| -> Result<u64> {
            head.split_once(&format!("{name}=\""))
                .and_then(|(_, rest)| rest.split_once('"'))
                .and_then(|(number, _)| number.parse().ok())
                .with_context(|| format!("the test report does not count {name}"))
        };
        let failed = number("failures")? + number("errors")?;
        Ok(Self {
            passed: number("tests")?.saturating_sub(failed),
            failed,
            skipped: 0,
        })
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "tests: {} passed, {} failed",
            self.passed.saturating_sub(self.skipped),
            self.failed
        )?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_cargo_test_says() {
        let mut counts = Counts::default();
        counts.add_line("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured");
        counts.add_line("test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured");
        counts.add_line("test a::b ... ok");
        assert_eq!(counts.to_string(), "tests: 5 passed, 1 failed");
    }

    #[test]
    fn reads_what_nextest_reports() {
        let report = "<?xml version=\"1.0\"?>\n<testsuites name=\"n\" tests=\"9\" failures=\"1\" errors=\"0\" uuid=\"u\">";
        let mut counts = Counts::from_junit(report).expect("a head");
        counts.skipped = 2;
        assert_eq!(counts.to_string(), "tests: 6 passed, 1 failed, 2 skipped");
        assert!(Counts::from_junit("<nothing/>").is_err());
    }
}
