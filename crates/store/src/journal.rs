//! The journal of one process: requests as they came, each in a frame, synced before it is
//! answered.
//!
//! ```text
//! journal := MAGIC · version (u32) · frame*
//! frame   := length of payload (u32) · checksum of signal and payload (u64) · signal (u8) · payload
//! ```
//! A frame that is cut short or does not fit its checksum ends the journal: nothing behind it was
//! answered. Journals of version 1 begin with their first frame: no frame is as long as MAGIC read
//! as a length.

use crate::StoreError;
use crate::block::Signal;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64_with_seed;

const HEAD: usize = 4 + 8 + 1;
/// The version that is written; raised when an older reader could not read what is written.
const VERSION: u32 = 2;
const MAGIC: &[u8; 4] = b"LLTJ";
/// Bytes before the first frame.
const START: u64 = 4 + 4;
/// Shorter payloads are gathered and written together.
const GATHERED: usize = 64 << 10;
/// Bytes of a request at most.
pub(crate) const LARGEST_REQUEST: usize = 64 << 20;

/// A journal that is being written.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    /// Bytes that are durable.
    length: u64,
    /// Bytes of a frame that failed may lie behind them.
    torn: bool,
}

impl Journal {
    pub(crate) fn create(path: PathBuf) -> Result<Self, StoreError> {
        let mut file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| StoreError::io("create", &path, error))?;
        let mut start = MAGIC.to_vec();
        start.extend(VERSION.to_le_bytes());
        let begun = file
            .write_all(&start)
            .map_err(|error| StoreError::io("write", &path, error))
            .and_then(|()| crate::file::sync_folder(&path));
        if let Err(error) = begun {
            // Its name must be free when this is tried again.
            std::fs::remove_file(&path).ok();
            return Err(error);
        }
        Ok(Self {
            file,
            path,
            length: START,
            torn: false,
        })
    }

    /// Whether no frame was written.
    pub(crate) fn is_empty(&self) -> bool {
        self.length == START
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Writes a frame for each payload and waits until they are on the disk. If that fails nothing
    /// of them is left.
    pub(crate) fn commit<'a>(
        &mut self,
        payloads: impl Iterator<Item = (Signal, &'a [u8])>,
    ) -> Result<(), StoreError> {
        self.mend()?;
        let written = self.write(payloads).and_then(|length| {
            self.file.sync_data()?;
            Ok(length)
        });
        match written {
            Ok(length) => {
                self.length += length;
                Ok(())
            }
            Err(error) => {
                self.torn = true;
                // If that fails too it is tried again before the next frame.
                self.mend().ok();
                Err(StoreError::io("write", &self.path, error))
            }
        }
    }

    /// Writes frames; how many bytes they took.
    fn write<'a>(
        &mut self,
        payloads: impl Iterator<Item = (Signal, &'a [u8])>,
    ) -> std::io::Result<u64> {
        let mut gathered = Vec::new();
        let mut length = 0;
        for (signal, payload) in payloads {
            head(signal, payload, &mut gathered);
            length += (HEAD + payload.len()) as u64;
            if gathered.len() + payload.len() <= GATHERED {
                gathered.extend_from_slice(payload);
            } else {
                // A large one is not copied.
                self.file.write_all(&gathered)?;
                gathered.clear();
                self.file.write_all(payload)?;
            }
        }
        self.file.write_all(&gathered)?;
        Ok(length)
    }

    /// Removes what a failed write left: half a frame would end the journal for the frames behind
    /// it.
    fn mend(&mut self) -> Result<(), StoreError> {
        if self.torn {
            self.file
                .set_len(self.length)
                .and_then(|()| self.file.sync_data())
                .map_err(|error| StoreError::io("shorten", &self.path, error))?;
            self.torn = false;
        }
        Ok(())
    }
}

/// Appends a frame to a buffer.
#[cfg(any(fuzzing, test))]
pub(crate) fn frame(signal: Signal, payload: &[u8], out: &mut Vec<u8>) {
    head(signal, payload, out);
    out.extend_from_slice(payload);
}

/// Appends what stands before a payload.
fn head(signal: Signal, payload: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let checksum = xxh3_64_with_seed(payload, u64::from(signal.code()));
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&checksum.to_le_bytes());
    out.push(signal.code());
}

/// Reads a journal that others write.
#[derive(Debug)]
pub(crate) struct JournalReader {
    file: File,
    path: PathBuf,
    at: u64,
}

/// What lies where a frame would begin.
enum Next {
    Whole(Signal, Vec<u8>),
    /// Nothing, or the beginning of a frame.
    CutShort,
    /// No frame that was written.
    Damaged,
}

impl JournalReader {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(|error| StoreError::io("open", path, error))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            at: 0,
        })
    }

    /// Steps over what stands before the first frame; `false` if that is not there yet.
    fn begin(&mut self) -> Result<bool, StoreError> {
        let mut start = [0; START as usize];
        if !self.read(&mut start, 0)? {
            return Ok(false);
        }
        let [a, b, c, d, version @ ..] = start;
        if [a, b, c, d] == *MAGIC {
            let found = u32::from_le_bytes(version);
            if found != VERSION {
                return Err(StoreError::Version {
                    found,
                    known: VERSION,
                    path: self.path.clone(),
                });
            }
            self.at = START;
        }
        Ok(true)
    }

    /// The next whole frame, if there is one by now.
    pub(crate) fn next(&mut self) -> Result<Option<(Signal, Vec<u8>)>, StoreError> {
        if self.at == 0 && !self.begin()? {
            return Ok(None);
        }
        let Next::Whole(signal, payload) = self.look()? else {
            return Ok(None);
        };
        self.at += (HEAD + payload.len()) as u64;
        Ok(Some((signal, payload)))
    }

    /// What lies where the next frame would begin.
    fn look(&self) -> Result<Next, StoreError> {
        let mut head = [0; HEAD];
        if !self.read(&mut head, self.at)? {
            return Ok(Next::CutShort);
        }
        let (length, rest) = head.split_at(4);
        let (checksum, signal) = rest.split_at(8);
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .rev()
                .fold(0_u64, |number, byte| (number << 8) | u64::from(*byte))
        };
        let (length, checksum) = (number(length) as usize, number(checksum));
        let Some(signal) = Signal::from_code(u64::from(signal[0])) else {
            return Ok(Next::Damaged);
        };
        if length > LARGEST_REQUEST {
            return Ok(Next::Damaged);
        }
        // Nothing is set aside for a length that the file does not have.
        if self.size()? < self.at + (HEAD + length) as u64 {
            return Ok(Next::CutShort);
        }
        let mut payload = vec![0; length];
        if !self.read(&mut payload, self.at + HEAD as u64)? {
            return Ok(Next::CutShort);
        }
        Ok(
            if xxh3_64_with_seed(&payload, u64::from(signal.code())) == checksum {
                Next::Whole(signal, payload)
            } else {
                Next::Damaged
            },
        )
    }

    /// Whether what is left behind the last frame read is neither a frame that was cut short nor one
    /// that came since: then the journal is damaged, and what lies behind may have been answered.
    pub(crate) fn is_damaged(&self) -> Result<bool, StoreError> {
        Ok(matches!(self.look()?, Next::Damaged))
    }

    /// Bytes read so far.
    pub(crate) fn position(&self) -> u64 {
        self.at
    }

    fn size(&self) -> Result<u64, StoreError> {
        let metadata = self.file.metadata();
        metadata
            .map(|metadata| metadata.len())
            .map_err(|error| StoreError::io("read", &self.path, error))
    }

    /// Fills the buffer; `false` if the file ends before.
    fn read(&self, buffer: &mut [u8], at: u64) -> Result<bool, StoreError> {
        match self.file.read_exact_at(buffer, at) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(StoreError::io("read", &self.path, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_and_a_torn_one_ends_the_journal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.journal");
        let mut journal = Journal::create(path.clone()).unwrap();
        let frames = [(Signal::Traces, &b"one"[..]), (Signal::Logs, b"")];
        journal.commit(frames.into_iter()).unwrap();
        let mut reader = JournalReader::open(&path).unwrap();
        assert_eq!(
            reader.next().unwrap(),
            Some((Signal::Traces, b"one".to_vec()))
        );
        assert_eq!(reader.next().unwrap(), Some((Signal::Logs, Vec::new())));
        assert_eq!(reader.next().unwrap(), None);
        // More arrives, then half a frame.
        let large = vec![7; GATHERED + 1];
        for payload in [b"two", &large[..]] {
            let frames = [(Signal::Metrics, payload)];
            journal.commit(frames.into_iter()).unwrap();
            let read = reader.next().unwrap();
            assert!(read == Some((Signal::Metrics, payload.to_vec())));
        }
        let mut frames = Vec::new();
        frame(Signal::Metrics, b"three", &mut frames);
        journal.file.write_all(&frames[..frames.len() - 1]).unwrap();
        assert_eq!(reader.next().unwrap(), None);
        assert_eq!(reader.position(), journal.length());
        assert!(!reader.is_damaged().unwrap());
        // The rest comes after the reader had come to the end.
        journal.file.write_all(&frames[frames.len() - 1..]).unwrap();
        assert!(!reader.is_damaged().unwrap(), "a frame that came since");
    }

    #[test]
    fn a_journal_of_a_newer_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.journal");
        drop(Journal::create(path.clone()).unwrap());
        let mut bytes = std::fs::read(&path).unwrap();
        assert_eq!(JournalReader::open(&path).unwrap().next().unwrap(), None);
        bytes[4] += 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(
            JournalReader::open(&path).unwrap().next(),
            Err(StoreError::Version {
                found: 3,
                known: 2,
                ..
            })
        ));
    }

    #[test]
    fn a_changed_byte_is_no_frame() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.journal");
        let mut frames = Vec::new();
        frame(Signal::Traces, b"payload", &mut frames);
        for place in 0..frames.len() {
            let mut changed = frames.clone();
            changed[place] ^= 0x40;
            std::fs::write(&path, &changed).unwrap();
            let mut reader = JournalReader::open(&path).unwrap();
            assert_eq!(reader.next().unwrap(), None, "byte {place}");
            // A length that the file does not have is that of a frame cut short.
            let cut_short = (0..3).contains(&place);
            assert_eq!(reader.is_damaged().unwrap(), !cut_short, "byte {place}");
        }
    }
}
