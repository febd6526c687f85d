//! `.tar.gz`: ustar, GNU long names and pax names. Extension records are read here, bounded,
//! because a hostile one may claim gigabytes.

use super::entry::{Entry, Kind, Refusal, guarded};
use super::meter::{Meter, Metered, Packed};
use flate2::read::MultiGzDecoder;
use std::borrow::Cow;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use tar::EntryType;

/// Bytes of one extension record at most.
const LONGEST_EXTENSION: u64 = 64 << 10;

/// Names that extension records give to the next entry.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    /// Whether a record came at all, so that an archive that ends after one is refused.
    pending: bool,
}

/// Calls `visit` for each entry, in order.
pub(super) fn walk(
    reader: impl Read,
    meter: &Meter<'_>,
    visit: &mut dyn FnMut(Entry, &mut dyn Read) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let packed = BufReader::with_capacity(
        1 << 16,
        Packed {
            inner: reader,
            meter,
        },
    );
    let unpacked = Metered {
        inner: MultiGzDecoder::new(packed),
        meter,
    };
    let mut archive = tar::Archive::new(unpacked);
    let mut extensions = Extensions::default();
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        meter.entry()?;
        let header = entry.header();
        let kind = header.entry_type();
        let size = header.entry_size()?;
        match kind {
            EntryType::GNULongName => {
                extensions.path = Some(name_record(&mut entry, size)?);
                extensions.pending = true;
                continue;
            }
            EntryType::GNULongLink => {
                extensions.link = Some(name_record(&mut entry, size)?);
                extensions.pending = true;
                continue;
            }
            EntryType::XHeader => {
                pax(&bounded(&mut entry, size)?, &mut extensions)?;
                continue;
            }
            // Comments such as the commit that `git archive` made it from.
            EntryType::XGlobalHeader => {
                bounded(&mut entry, size)?;
                continue;
            }
            _ => {}
        }
        let given = std::mem::take(&mut extensions);
        let name = given
            .path
            .unwrap_or_else(|| header.path_bytes().into_owned());
        let shown = || PathBuf::from(String::from_utf8_lossy(&name).into_owned());
        let link = given
            .link
            .or_else(|| header.link_name_bytes().map(Cow::into_owned));
        let executable = header.mode().is_ok_and(|mode| mode & 0o111 != 0);
        let Some(path) = guarded(&name)? else {
            continue;
        };
        let kind = match kind {
            EntryType::Directory => Kind::Folder,
            EntryType::Regular | EntryType::Continuous => Kind::File { executable },
            EntryType::Symlink => {
                let to = link.ok_or_else(|| Refusal::entry(&path, "it links to nothing"))?;
                let to = String::from_utf8(to).map_err(|_bytes| {
                    Refusal::entry(&path, "it links to a name that is not UTF-8")
                })?;
                Kind::Link { to: to.into() }
            }
            EntryType::Link => {
                let to = link.ok_or_else(|| Refusal::entry(&path, "it links to nothing"))?;
                let as_entry =
                    guarded(&to)?.ok_or_else(|| Refusal::entry(&path, "it links to a folder"))?;
                Kind::Same { as_entry }
            }
            _ => {
                return Err(Refusal::entry(
                    &shown(),
                    "it is neither file, folder nor link",
                ));
            }
        };
        visit(Entry { path, kind }, &mut entry)?;
    }
    if extensions.pending {
        return Err(Refusal::archive("it ends where an entry should follow"));
    }
    // What follows is padding, but the checksum of all stands behind it.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink())?;
    Ok(())
}

fn bounded(entry: &mut dyn Read, size: u64) -> Result<Vec<u8>, Refusal> {
    if size > LONGEST_EXTENSION {
        return Err(Refusal::archive(format!(
            "an extension record is longer than {LONGEST_EXTENSION} bytes"
        )));
    }
    let mut bytes = Vec::new();
    entry.take(size).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn name_record(entry: &mut dyn Read, size: u64) -> Result<Vec<u8>, Refusal> {
    let mut name = bounded(entry, size)?;
    while name.last() == Some(&0) {
        name.pop();
    }
    Ok(name)
}

fn pax(record: &[u8], extensions: &mut Extensions) -> Result<(), Refusal> {
    extensions.pending = true;
    for pair in tar::PaxExtensions::new(record) {
        let pair = pair?;
        let refuse = |reason: &str| Refusal::entry(Path::new("(pax record)"), reason);
        let key = pair
            .key()
            .map_err(|_utf8| refuse("a key of it is not UTF-8"))?;
        match key {
            "path" => extensions.path = Some(pair.value_bytes().to_vec()),
            "linkpath" => extensions.link = Some(pair.value_bytes().to_vec()),
            // Readers disagree on which size counts, which makes two archives out of one.
            "size" => return Err(refuse("it gives a second size")),
            key if key.starts_with("GNU.sparse.") => {
                return Err(refuse("sparse files are not taken"));
            }
            _ => {}
        }
    }
    Ok(())
}
