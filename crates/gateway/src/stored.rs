//! The store of this machine, as one gateway uses it.

use llamatelemetry_store::{Reader, Snapshot, StoreError, Writer, compact};
use llamatelemetry_telemetry::StoreConfig;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// After so many bytes the store is made small again and what is too old or too much goes.
const TIDY: u64 = 256 << 20;

/// The store: opened when it is first needed, so that a gateway that stores and asks nothing costs
/// nothing. What this program records of its own requests goes another way, through telemetry's
/// own writer: any number of them may write.
#[derive(Debug)]
pub(crate) struct Stored {
    config: StoreConfig,
    writer: Mutex<Option<Arc<Writer>>>,
    reader: Mutex<Option<Arc<Reader>>>,
    /// Bytes since it was last made small.
    appended: AtomicU64,
    tidying: Arc<AtomicBool>,
}

impl Stored {
    pub(crate) fn new(config: StoreConfig) -> Self {
        Self {
            config,
            writer: Mutex::default(),
            reader: Mutex::default(),
            appended: AtomicU64::new(0),
            tidying: Arc::default(),
        }
    }

    /// The writer. Blocks while it is opened.
    pub(crate) fn writer(&self) -> Result<Arc<Writer>, StoreError> {
        let mut writer = lock(&self.writer);
        match &*writer {
            Some(writer) => Ok(writer.clone()),
            None => Ok(writer
                .insert(Arc::new(Writer::open(&self.config.folder)?))
                .clone()),
        }
    }

    /// Lets go of the writer, which has ended or is to: the next who needs one opens another.
    /// Blocks until what was taken is on the disk.
    pub(crate) fn close(&self) {
        let writer = lock(&self.writer).take();
        drop(writer);
    }

    /// The store as it stands now. Blocks while it is looked at.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let reader = {
            let mut reader = lock(&self.reader);
            match &*reader {
                Some(reader) => reader.clone(),
                None => reader
                    .insert(Arc::new(Reader::open(&self.config.folder)?))
                    .clone(),
            }
        };
        reader.snapshot()
    }

    /// Says that so many bytes came, and keeps the store small, on a thread of its own.
    pub(crate) fn appended(&self, bytes: u64) {
        let all = self.appended.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if all < TIDY || self.tidying.swap(true, Ordering::AcqRel) {
            return;
        }
        self.appended.store(0, Ordering::Relaxed);
        let (folder, retention) = (self.config.folder.clone(), self.config.retention());
        let done = Done(self.tidying.clone());
        let tidying = thread::Builder::new()
            .name("gateway-tidy".to_owned())
            .spawn(move || {
                let _done = done;
                if let Err(error) = compact(&folder, retention) {
                    tracing::debug!(%error, "the store was not compacted");
                }
            });
        if let Err(error) = tidying {
            tracing::debug!(%error, "the store was not compacted");
        }
    }
}

/// Says at its end, however it ends, that nobody tidies.
struct Done(Arc<AtomicBool>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
