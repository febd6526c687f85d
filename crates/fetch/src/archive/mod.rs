//! Archives, unpacked without trusting them.
//!
//! Refused, each with its reason: names that leave the folder, absolute names, names that occur
//! twice, links that lead outside, devices, sockets and pipes, encrypted or overlapping entries,
//! and archives that swell beyond [`Limits`]. Links are made after all files, so nothing is ever
//! written through one. When an archive is refused, what was already written is removed.

mod entry;
mod meter;
mod place;
mod tarball;
mod zipfile;

use crate::FetchError;
use entry::{Entry, Refusal};
use llamatelemetry_progress::{Progress, Task};
use meter::Meter;
use place::Placer;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// How far an archive may swell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries at most, unpacked or not.
    pub entries: u64,
    /// Unpacked bytes at most, in all.
    pub bytes: u64,
    /// Unpacked bytes for one packed byte at most, counted once 16 MiB are unpacked.
    pub ratio: u64,
}

impl Default for Limits {
    /// Room for a llama.cpp source tree or a release with CUDA libraries.
    fn default() -> Self {
        Self {
            entries: 100_000,
            bytes: 16 << 30,
            ratio: 200,
        }
    }
}

/// What was unpacked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Files written.
    pub files: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Symbolic links made.
    pub links: u64,
    /// Symbolic links left out because what they lead to was not unpacked.
    pub dangling: u64,
}

/// Unpacks a `.tar.gz` or `.zip` (a wheel is one) into a folder, which is made if needed.
///
/// `select` is given each entry's path inside the archive and returns where it goes below `into`,
/// or `None` to leave it out. Executable bits are kept; owners, times and other mode bits are not.
/// A file that is already there is not overwritten: the archive is refused.
pub fn unpack(
    archive: &Path,
    into: &Path,
    select: &dyn Fn(&Path) -> Option<PathBuf>,
    limits: &Limits,
    progress: &dyn Progress,
) -> Result<Unpacked, FetchError> {
    let fail = |source| FetchError::io("read the archive", archive, source);
    let mut file = File::open(archive).map_err(fail)?;
    let size = file.metadata().map_err(fail)?.len();
    let mut magic = [0; 4];
    let count = read_full(&mut file, &mut magic).map_err(fail)?;
    file.seek(SeekFrom::Start(0)).map_err(fail)?;
    let name = archive.file_name().unwrap_or(archive.as_os_str());
    let task = progress.begin(Task::bytes(
        format!("unpacking {}", name.to_string_lossy()),
        Some(size),
    ));
    let _signal = crate::sys::FileSizeSignal::hold();
    let mut placer = Placer::new(into)?;
    let mut visit = |entry: Entry, data: &mut dyn Read| -> Result<(), Refusal> {
        match select(&entry.path) {
            Some(place) => placer.place(entry, &place, data),
            None => Ok(()),
        }
    };
    let meter = Meter::new(*limits, |packed| task.at(packed));
    let walked = match &magic[..count] {
        [0x1f, 0x8b, ..] => tarball::walk(file, &meter, &mut visit),
        b"PK\x03\x04" | b"PK\x05\x06" => zipfile::walk(file, &meter, &mut visit),
        _ => Err(Refusal::archive("it is neither .tar.gz nor .zip")),
    };
    let done = walked.and_then(|()| placer.finish());
    match done {
        Ok(unpacked) => Ok(unpacked),
        Err(refusal) => {
            placer.undo();
            Err(refusal.into_error(archive))
        }
    }
}

/// Walks a `.tar.gz` with every guard but without writing anything, and counts its entries.
/// For checks and fuzzing.
pub fn check_tar_gz(reader: impl Read, limits: &Limits) -> Result<u64, FetchError> {
    let mut entries = 0;
    let meter = Meter::new(*limits, |_| {});
    tarball::walk(reader, &meter, &mut |_, data| {
        entries += 1;
        std::io::copy(data, &mut std::io::sink())
            .map(drop)
            .map_err(Refusal::from)
    })
    .map(|()| entries)
    .map_err(|refusal| refusal.into_error(Path::new("(stream)")))
}

/// Walks a `.zip` with every guard but without writing anything, and counts its entries.
/// For checks and fuzzing.
pub fn check_zip(reader: impl Read + Seek, limits: &Limits) -> Result<u64, FetchError> {
    let mut entries = 0;
    let meter = Meter::new(*limits, |_| {});
    zipfile::walk(reader, &meter, &mut |_, data| {
        entries += 1;
        std::io::copy(data, &mut std::io::sink())
            .map(drop)
            .map_err(Refusal::from)
    })
    .map(|()| entries)
    .map_err(|refusal| refusal.into_error(Path::new("(stream)")))
}

/// Reads until the buffer is full or the end.
fn read_full(reader: &mut dyn Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
