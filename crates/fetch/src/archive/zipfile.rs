//! `.zip`, and wheels, which are zip files.

use super::entry::{Entry, Kind, Refusal, guarded};
use super::meter::{Meter, Metered, Packed};
use std::io::{BufReader, Read, Seek};
use zip::result::ZipError;

/// The longest link target that is taken.
const LONGEST_LINK: u64 = 4096;
const TYPE_MASK: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

/// Calls `visit` for each entry, in the order of the directory.
pub(super) fn walk(
    reader: impl Read + Seek,
    meter: &Meter<'_>,
    visit: &mut dyn FnMut(Entry, &mut dyn Read) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let packed = Packed {
        inner: BufReader::with_capacity(1 << 16, reader),
        meter,
    };
    let mut archive = zip::ZipArchive::new(packed)?;
    if archive.has_duplicate_names() {
        return Err(Refusal::archive("a name occurs twice"));
    }
    if archive.has_overlapping_files()? {
        return Err(Refusal::archive("entries overlap"));
    }
    for index in 0..archive.len() {
        meter.entry()?;
        let raw = archive.by_index_raw(index)?;
        let name = raw.name_raw().to_vec();
        let (folder, encrypted, mode) = (raw.is_dir(), raw.encrypted(), raw.unix_mode());
        drop(raw);
        let Some(path) = guarded(&name)? else {
            continue;
        };
        if encrypted {
            return Err(Refusal::entry(&path, "it is encrypted"));
        }
        let mode = mode.unwrap_or(0);
        let mut data = Metered {
            inner: archive.by_index(index)?,
            meter,
        };
        let kind = match mode & TYPE_MASK {
            0 | FOLDER if folder => Kind::Folder,
            0 | REGULAR => Kind::File {
                executable: mode & 0o111 != 0,
            },
            LINK => {
                let mut to = String::new();
                (&mut data)
                    .take(LONGEST_LINK)
                    .read_to_string(&mut to)
                    .map_err(|_read| Refusal::entry(&path, "where it links to cannot be read"))?;
                Kind::Link { to: to.into() }
            }
            _ => return Err(Refusal::entry(&path, "it is neither file, folder nor link")),
        };
        visit(Entry { path, kind }, &mut data)?;
    }
    Ok(())
}

impl From<ZipError> for Refusal {
    fn from(error: ZipError) -> Self {
        match error {
            ZipError::Io(error) => Self::Read(error),
            other => Self::archive(format!("it is damaged or unusual: {other}")),
        }
    }
}
