//! What every step from a name to a model needs.

use crate::ModelError;
use llamatelemetry_fetch::{Fetcher, HashMemory};
use llamatelemetry_progress::Progress;
use llamatelemetry_settings::Settings;
use std::cell::{Cell, OnceCell};

/// Settings, remembered digests and who watches; the fetcher is made when first needed.
pub(crate) struct Context<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) progress: &'a dyn Progress,
    memory: HashMemory,
    pub(crate) fetching: Fetching,
    fetcher: OnceCell<Fetcher>,
    fetched: Cell<bool>,
}

/// Whether files may be fetched, and whether what is here is good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fetching {
    /// Only what is here.
    Never,
    /// What is here, else fetched.
    IfMissing,
    /// The newest that the source has.
    Newest,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        settings: &'a Settings,
        progress: &'a dyn Progress,
        fetching: Fetching,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            settings,
            progress,
            memory: HashMemory::open(&settings.home)?,
            fetching,
            fetcher: OnceCell::new(),
            fetched: Cell::new(false),
        })
    }

    /// The remembered digests. The fetcher adds to its own copy, so that one is asked once it is
    /// there.
    pub(crate) fn memory(&self) -> &HashMemory {
        self.fetcher.get().map_or(&self.memory, Fetcher::memory)
    }

    /// The fetcher.
    pub(crate) fn fetcher(&self) -> Result<&Fetcher, ModelError> {
        if let Some(fetcher) = self.fetcher.get() {
            return Ok(fetcher);
        }
        let fetcher = Fetcher::new(self.settings)?;
        Ok(self.fetcher.get_or_init(|| fetcher))
    }

    /// Notes that files were fetched.
    pub(crate) fn note_fetched(&self) {
        self.fetched.set(true);
    }

    /// Whether files were fetched.
    pub(crate) fn has_fetched(&self) -> bool {
        self.fetched.get()
    }

    /// Says that the model is not here, where nothing may be fetched.
    pub(crate) fn may_fetch(&self, name: &str) -> Result<(), ModelError> {
        if self.fetching == Fetching::Never {
            return Err(ModelError::NotHere {
                name: name.to_owned(),
            });
        }
        if self.settings.network.offline {
            return Err(ModelError::Offline {
                name: name.to_owned(),
            });
        }
        Ok(())
    }
}
