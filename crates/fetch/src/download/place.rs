//! Where a download is put while it is under way, and how it gets its name.

use crate::hash::sha256_text;
use crate::{Download, FetchError, sys};
use llamatelemetry_settings::Home;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

pub(crate) struct Place {
    /// Names the download between processes: by its bytes if their digest is known, else by its
    /// address.
    pub(crate) key: String,
    pub(super) data: PathBuf,
    pub(super) ledger: PathBuf,
    target: PathBuf,
    folder: PathBuf,
}

impl Place {
    pub(crate) fn of(download: &Download, home: &Home) -> Result<Self, FetchError> {
        let key = match &download.sha256 {
            Some(sha256) => format!("sha256-{}", sha256.to_ascii_lowercase()),
            None => format!("url-{}", sha256_text(&download.url)),
        };
        let target = download.target.clone();
        let folder = match target.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
            _ => PathBuf::from("."),
        };
        fs::create_dir_all(&folder)
            .map_err(|source| FetchError::io("make the folder", &folder, source))?;
        let downloads = home.ensure(home.downloads())?;
        let device = |path: &Path| {
            fs::metadata(path)
                .map(|metadata| metadata.dev())
                .map_err(|source| FetchError::io("read the folder", path, source))
        };
        // Beside its target if that is another file system: a name is given only within one.
        let data = if device(&downloads)? == device(&folder)? {
            downloads.join(format!("{key}.part"))
        } else {
            let home = sha256_text(&home.root().to_string_lossy());
            folder.join(format!(".{key}-{}.part", &home[..8]))
        };
        Ok(Self {
            ledger: downloads.join(format!("{key}.ledger")),
            key,
            data,
            target,
            folder,
        })
    }

    /// The data file, made if it is not there.
    pub(super) fn open(&self) -> Result<File, FetchError> {
        File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&self.data)
            .map_err(|source| FetchError::write(&self.data, source, None))
    }

    /// Checks that a file of this size can be written before a byte of it is asked for.
    pub(super) fn check_room(&self, size: u64) -> Result<(), FetchError> {
        if let Some(limit) = sys::file_size_limit()
            && limit < size
        {
            return Err(FetchError::FileTooLarge {
                limit: Some(limit),
                path: self.target.clone(),
            });
        }
        let folder = self.data.parent().unwrap_or(&self.folder);
        let here = fs::metadata(&self.data).map_or(0, |metadata| metadata.blocks() * 512);
        let needed = size.saturating_sub(here);
        let available = sys::space_available(folder)
            .map_err(|source| FetchError::io("measure the free space of", folder, source))?;
        if available < needed {
            return Err(FetchError::NoSpace {
                needed,
                available,
                path: folder.to_path_buf(),
            });
        }
        Ok(())
    }

    /// Removes what is here of the download.
    pub(crate) fn discard(&self) -> Result<(), FetchError> {
        // The ledger first: without it the data is nothing.
        for path in [&self.ledger, &self.data] {
            remove(path)?;
        }
        Ok(())
    }

    /// Gives the finished file its name, durably.
    pub(crate) fn finish(&self) -> Result<(), FetchError> {
        let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
        sync(&self.data).map_err(|source| FetchError::write(&self.data, source, None))?;
        match fs::rename(&self.data, &self.target) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => self.copy()?,
            other => {
                other.map_err(|source| FetchError::io("give its name to", &self.target, source))?;
            }
        }
        sync(&self.folder)
            .map_err(|source| FetchError::io("write the folder", &self.folder, source))?;
        remove(&self.ledger)
    }

    /// For file systems that look like one and are not, such as bind mounts.
    fn copy(&self) -> Result<(), FetchError> {
        let near = self.folder.join(format!(".{}.copy", self.key));
        fs::copy(&self.data, &near)
            .and_then(|_| File::open(&near)?.sync_all())
            .and_then(|()| fs::rename(&near, &self.target))
            .map_err(|source| {
                // The error says what matters; a leftover is overwritten by the next attempt.
                let _leftover = fs::remove_file(&near);
                FetchError::write(&near, source, None)
            })?;
        remove(&self.data)
    }
}

fn remove(path: &Path) -> Result<(), FetchError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FetchError::io("remove", path, error))
        }
        _ => Ok(()),
    }
}
