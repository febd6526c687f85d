//! Models that are split into several files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::facts::{ModelFacts, gather};
use crate::reader::{Gguf, Tensor};
use crate::{GgufError, SplitProblem};

/// A model in one file or in several: all its parts, opened and found to belong together.
#[derive(Debug)]
pub struct SplitGguf {
    parts: Vec<Gguf>,
}

/// Opens the model that `path` belongs to: the file itself or, if it is any part of a split model
/// (`NAME-00001-of-00003.gguf`), all parts, which must lie in the same folder.
///
/// # Errors
/// Those of [`Gguf::open`] for every part, and [`GgufError::Split`] where parts are missing or do
/// not belong together.
pub fn open_model(path: impl AsRef<Path>) -> Result<SplitGguf, GgufError> {
    SplitGguf::open(path.as_ref())
}

impl SplitGguf {
    fn open(path: &Path) -> Result<Self, GgufError> {
        let given = Gguf::open(path)?;
        let count = number(&given, "split.count")?.unwrap_or(1);
        if count <= 1 {
            return Ok(Self { parts: vec![given] });
        }
        let part = number(&given, "split.no")?
            .ok_or_else(|| GgufError::MissingKey {
                key: "split.no".to_owned(),
                path: Some(path.to_owned()),
            })?
            .saturating_add(1);
        let Some(prefix) = prefix(path, part, count) else {
            let problem = SplitProblem::Name { part, count };
            return Err(GgufError::Split {
                problem,
                path: path.to_owned(),
            });
        };
        let mut given = Some(given);
        let mut parts = Vec::new();
        for number in 1..=count {
            // The part at hand is not opened twice.
            let opened = if number == part { given.take() } else { None };
            let opened = match opened {
                Some(opened) => opened,
                None => open_part(&part_path(path, &prefix, number, count), number, count)?,
            };
            parts.push(opened);
        }
        let model = Self { parts };
        model.check_parts(count)?;
        Ok(model)
    }

    /// Whether the parts say of themselves what their names do, and share no tensor.
    fn check_parts(&self, count: u32) -> Result<(), GgufError> {
        let mut seen: BTreeMap<&[u8], u32> = BTreeMap::new();
        let mut tensors = 0_u64;
        for (place, part) in (0..).zip(&self.parts) {
            expect(part, "split.no", place.into())?;
            expect(part, "split.count", count.into())?;
            for tensor in part.tensors() {
                tensors += 1;
                if let Some(first) = seen.insert(tensor.name().as_bytes(), place + 1) {
                    let tensor = tensor.name().lossy().into_owned();
                    let problem = SplitProblem::DuplicateTensor {
                        tensor,
                        first,
                        second: place + 1,
                    };
                    return Err(GgufError::Split {
                        problem,
                        path: path_of(part),
                    });
                }
            }
        }
        match self.parts.first() {
            Some(first) => expect(first, "split.tensors.count", tensors),
            None => Ok(()),
        }
    }

    /// The parts in their order; one for a model that is not split.
    pub fn parts(&self) -> &[Gguf] {
        &self.parts
    }

    /// The paths of the parts, in their order.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.parts.iter().filter_map(Gguf::path)
    }

    /// The part with the metadata: the first.
    pub fn first(&self) -> Option<&Gguf> {
        self.parts.first()
    }

    /// The tensors of all parts.
    pub fn tensors(&self) -> impl Iterator<Item = Tensor<'_>> + Clone {
        self.parts.iter().flat_map(Gguf::tensors)
    }

    /// Bytes of all parts.
    pub fn file_length(&self) -> u64 {
        self.parts.iter().map(Gguf::file_length).sum()
    }

    /// The facts about the model: metadata of the first part, tensors of all.
    ///
    /// # Errors
    /// Those of [`Gguf::facts`].
    pub fn facts(&self) -> Result<ModelFacts, GgufError> {
        match self.parts.first() {
            Some(first) => gather(first, self.tensors()).map_err(|error| first.in_this_file(error)),
            None => Err(GgufError::MissingKey {
                key: "general.architecture".into(),
                path: None,
            }),
        }
    }
}

/// The path of a part, counted from 1, of a model split into `count`: `PREFIX-00001-of-00003.gguf`.
pub fn split_name(prefix: &str, part: u32, count: u32) -> String {
    format!("{prefix}-{part:05}-of-{count:05}.gguf")
}

/// The prefix, part and count that a file name states, if it is that of a part.
pub fn parse_split_name(name: &str) -> Option<(&str, u32, u32)> {
    let stem = name.strip_suffix(".gguf")?;
    let (stem, count) = stem.rsplit_once("-of-")?;
    let (prefix, part) = stem.rsplit_once('-')?;
    let number = |digits: &str| {
        let plain = digits.len() >= 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten()
    };
    let (part, count) = (number(part)?, number(count)?);
    (part >= 1 && part <= count).then_some((prefix, part, count))
}

/// The prefix of a file name that says what the metadata says.
fn prefix(path: &Path, part: u32, count: u32) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let (prefix, ..) = parse_split_name(name).filter(|&(_, p, c)| (p, c) == (part, count))?;
    Some(prefix.to_owned())
}

fn part_path(beside: &Path, prefix: &str, part: u32, count: u32) -> PathBuf {
    beside.with_file_name(split_name(prefix, part, count))
}

fn open_part(path: &Path, part: u32, count: u32) -> Result<Gguf, GgufError> {
    Gguf::open(path).map_err(|error| match error {
        GgufError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            let problem = SplitProblem::Missing { part, count };
            GgufError::Split {
                problem,
                path: path.to_owned(),
            }
        }
        other => other,
    })
}

fn path_of(part: &Gguf) -> PathBuf {
    part.path().map(Path::to_owned).unwrap_or_default()
}

fn number(file: &Gguf, key: &'static str) -> Result<Option<u32>, GgufError> {
    let Some(value) = file.get(key) else {
        return Ok(None);
    };
    // llama.cpp writes the part and its count as u16: larger numbers cannot be meant.
    match value.as_u64().filter(|&number| number <= u16::MAX.into()) {
        Some(number) => Ok(u32::try_from(number).ok()),
        None => Err(GgufError::WrongType {
            key: key.to_owned(),
            found: format!("{value:?}"),
            expected: "an integer of 0 to 65535",
            offset: file.value_offset(key).unwrap_or(0),
            path: file.path().map(Path::to_owned),
        }),
    }
}

fn expect(part: &Gguf, key: &'static str, expected: u64) -> Result<(), GgufError> {
    let found = part.get(key).and_then(|value| value.as_u64());
    // Only the first part must state the number of tensors; llama.cpp reads it nowhere else.
    if found == Some(expected) || (found.is_none() && key == "split.tensors.count") {
        return Ok(());
    }
    let found = found.map_or_else(|| "not there".to_owned(), |number| number.to_string());
    let problem = SplitProblem::Mismatch {
        key,
        found,
        expected,
    };
    Err(GgufError::Split {
        problem,
        path: path_of(part),
    })
}
