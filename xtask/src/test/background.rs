//! Work beside the other steps.

use crate::project::shown;
use anyhow::{Context as _, Result, bail};
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A child whose output goes to a file. It ends with its parent's run.
#[derive(Debug)]
pub(super) struct Background {
    child: Child,
    shown: String,
    log: PathBuf,
}

impl Background {
    /// Starts it.
    pub(super) fn start(command: &mut Command, log: PathBuf) -> Result<Self> {
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdin(Stdio::piped())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot run {}", shown(command)))?;
        Ok(Self {
            child,
            shown: shown(command),
            log,
        })
    }

    /// Waits for its end, telling what it says meanwhile.
    pub(super) fn wait(mut self) -> Result<()> {
        let mut told = 0;
        loop {
            let status = self.child.try_wait()?;
            let text = std::fs::read(&self.log)?;
            let whole = text
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |at| at + 1);
            if whole > told {
                print!("{}", String::from_utf8_lossy(&text[told..whole]));
                told = whole;
            }
            match status {
                None => std::thread::sleep(std::time::Duration::from_millis(200)),
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!(
                    "{status}: {}; its output: {}",
                    self.shown,
                    self.log.display()
                ),
            }
        }
    }
}

impl Drop for Background {
    /// Closing its standard input asks it to end; it is not left behind in any case.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
