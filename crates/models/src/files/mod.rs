//! Which of several GGUF files is meant: quantizations, split files, projectors.
//!
//! The rules are llama.cpp's own, so that `llama-server -hf` and we take the same files of a
//! repository. All of this works on file names alone.

use crate::name::has_gguf_ending;
use std::cmp::Reverse;

/// What a GGUF file's name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileName {
    /// The path without ending and split suffix.
    pub(crate) prefix: String,
    /// The last word of the prefix in upper case: `Q4_K_M`. Empty if there is none.
    pub(crate) tag: String,
    /// Which part of a split file it is, from 1.
    pub(crate) index: u32,
    /// How many parts there are; 1 for a whole file.
    pub(crate) count: u32,
}

impl FileName {
    /// What the name of a `.gguf` file says; `None` for other files.
    pub(crate) fn read(path: &str) -> Option<Self> {
        if !has_gguf_ending(path) {
            return None;
        }
        let stem = &path[..path.len() - ".gguf".len()];
        let (prefix, index, count) = split_suffix(stem).unwrap_or((stem, 1, 1));
        Some(Self {
            prefix: prefix.to_owned(),
            tag: last_word(prefix).to_ascii_uppercase(),
            index,
            count,
        })
    }

    /// The path of part `index`.
    pub(crate) fn part(&self, index: u32) -> String {
        format!("{}-{index:05}-of-{:05}.gguf", self.prefix, self.count)
    }

    /// The bits of the quantization: 4 for `Q4_K_M`, 16 for `F16`, 0 if there are none.
    fn bits(&self) -> u32 {
        let digits: String = self
            .tag
            .chars()
            .skip_while(|letter| !letter.is_ascii_digit())
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse().unwrap_or(0)
    }
}

/// `NAME-00001-of-00003` taken apart.
fn split_suffix(stem: &str) -> Option<(&str, u32, u32)> {
    const SUFFIX: usize = "-00001-of-00003".len();
    let cut = stem.len().checked_sub(SUFFIX).filter(|cut| *cut > 0)?;
    let suffix = stem.get(cut..)?;
    let (index, count) = (suffix.get(1..6)?, suffix.get(10..)?);
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let well_formed = suffix.starts_with('-')
        && suffix.get(6..10)?.eq_ignore_ascii_case("-of-")
        && digits(index)
        && digits(count);
    if !well_formed {
        return None;
    }
    Some((stem.get(..cut)?, index.parse().ok()?, count.parse().ok()?))
}

/// What follows the last `-` or `.`, if it is one word of letters, digits and `_`.
fn last_word(prefix: &str) -> &str {
    let word = prefix
        .rfind(['-', '.'])
        .map_or("", |separator| &prefix[separator + 1..]);
    let plain = word
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain { word } else { "" }
}

/// Whether a file is a model by itself, not a companion of one (projector, importance matrix,
/// draft head).
pub(crate) fn is_model(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    has_gguf_ending(path)
        && !["mmproj", "imatrix", "mtp-", "eagle3-", "dflash-", "dspark-"]
            .iter()
            .any(|companion| name.contains(companion))
}

/// The quantizations tried when none was asked for.
pub(crate) const DEFAULT_QUANTS: [&str; 2] = ["Q4_K_M", "Q8_0"];

/// The model file of this quantization: the first whose path holds it, followed by `.` or `-`.
pub(crate) fn of_quant<'a>(files: &[&'a str], quant: &str) -> Option<&'a str> {
    first_model(files, |path| holds_quant(path, quant))
}

/// The model file that is taken when none was asked for.
pub(crate) fn default_model<'a>(files: &[&'a str]) -> Option<&'a str> {
    DEFAULT_QUANTS
        .iter()
        .find_map(|quant| of_quant(files, quant))
        .or_else(|| first_model(files, |_| true))
}

fn first_model<'a>(files: &[&'a str], fits: impl Fn(&str) -> bool) -> Option<&'a str> {
    files.iter().copied().find(|path| {
        is_model(path)
            && fits(path)
            && FileName::read(path).is_some_and(|name| name.count <= 1 || name.index == 1)
    })
}

fn holds_quant(path: &str, quant: &str) -> bool {
    let (path, quant) = (path.to_ascii_lowercase(), quant.to_ascii_lowercase());
    path.match_indices(&quant)
        .any(|(at, _)| path[at + quant.len()..].starts_with(['.', '-']))
}

/// The quantizations of the models among these files, each once, in their order.
pub(crate) fn quants(files: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for path in files.iter().filter(|path| is_model(path)) {
        if let Some(name) = FileName::read(path) {
            let shown = if name.tag.is_empty() {
                (*path).to_owned()
            } else {
                name.tag
            };
            if !found.contains(&shown) {
                found.push(shown);
            }
        }
    }
    found
}

/// All parts of the model whose first (or only) file this is, in order. The second list holds
/// those that are not among the files.
pub(crate) fn parts(files: &[&str], first: &str) -> (Vec<String>, Vec<String>) {
    match FileName::read(first) {
        Some(name) if name.count > 1 => (1..=name.count)
            .map(|index| name.part(index))
            .partition(|part| files.contains(&part.as_str())),
        _ => (vec![first.to_owned()], Vec::new()),
    }
}

/// The projector that goes with a model: in the deepest folder on the way to the model, of the
/// quantization nearest to the model's in bits, else the first.
pub(crate) fn projector<'a>(files: &[&'a str], model: &str) -> Option<&'a str> {
    let bits = FileName::read(model).map_or(0, |name| name.bits());
    let model_folder = folder(model);
    files
        .iter()
        .copied()
        .filter(|path| path.contains("mmproj"))
        .filter(|path| model_folder.starts_with(&folder(path)))
        .filter_map(|path| Some((path, FileName::read(path)?)))
        .min_by_key(|(path, name)| (Reverse(folder(path).len()), name.bits().abs_diff(bits)))
        .map(|(path, _)| path)
}

fn folder(path: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    parts
}

#[cfg(test)]
mod tests;
