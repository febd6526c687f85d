//! The forms that a model's name can have.

use crate::ModelError;
use std::fmt;
use std::path::PathBuf;

/// A model's name, taken apart. Nothing is looked up yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelName {
    /// A path: it says so (`./m.gguf`, `/models`, `~/m.gguf`, `file:m.gguf`) or ends in `.gguf`.
    Path(PathBuf),
    /// `hf:owner/repo[:quant]`, `hf:owner/repo/file.gguf`, or the same after the hub's host.
    Hub(HubName),
    /// The same without a prefix: `owner/repo[:quant]`. It may also be a path, an Ollama name or
    /// a folder of LM Studio.
    PlainHub(HubName),
    /// An `http://` or `https://` address of a GGUF file.
    Url(UrlName),
    /// `pip:package==version[#member]`.
    Pip(PipName),
    /// `ollama:name[:tag]`.
    Ollama(String),
    /// A plain word: a catalogue name, an Ollama name, a file in a known folder.
    Word(String),
}

/// A repository of the model hub, and which of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubName {
    /// `owner/repo`.
    pub repo: String,
    /// Which of its files.
    pub choice: HubChoice,
}

/// Which file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubChoice {
    /// llama.cpp's default: `Q4_K_M`, else `Q8_0`, else the first.
    Default,
    /// The file of this quantization, in any case of letters.
    Quant(String),
    /// This file, by its path in the repository.
    File(String),
}

/// An address of a GGUF file.
#[derive(Clone, PartialEq, Eq)]
pub struct UrlName {
    /// The address, without the fragment.
    pub url: String,
    /// The digest from a fragment `#sha256=…`, in lower case.
    pub sha256: Option<String>,
}

// The address may hold a signature or a password.
impl fmt::Debug for UrlName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UrlName")
            .field("url", &llamatelemetry_fetch::redacted(&self.url))
            .field("sha256", &self.sha256)
            .finish()
    }
}

/// A package that ships a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipName {
    /// The package's name, as the registry writes it (lower case, words joined by `-`).
    pub package: String,
    /// Its version.
    pub version: String,
    /// Which file in it, by the end of its path; `None` means the one GGUF there is.
    pub member: Option<String>,
}

impl PipName {
    /// Whether the file that is meant may have this name.
    pub(crate) fn names_file(&self, file: &str) -> bool {
        self.member
            .as_deref()
            .is_none_or(|member| member.rsplit('/').next() == Some(file))
    }
}

impl ModelName {
    /// Takes a name apart by its form alone.
    pub fn parse(text: &str) -> Result<Self, ModelError> {
        let text = text.trim();
        let bad = |reason: &str| ModelError::BadName {
            name: text.to_owned(),
            reason: reason.to_owned(),
        };
        if text.is_empty() {
            return Err(bad("it is empty"));
        }
        if text.contains('\0') || text.contains('\n') {
            return Err(bad("it holds a line break or a null byte"));
        }
        if let Some(rest) = strip_prefix(text, "hf:") {
            return Ok(Self::Hub(hub_name(rest).map_err(|reason| bad(&reason))?));
        }
        for host in ["hf.co/", "huggingface.co/"] {
            if let Some(rest) = strip_prefix(text, host) {
                return Ok(Self::Hub(hub_name(rest).map_err(|reason| bad(&reason))?));
            }
        }
        if let Some(rest) = strip_prefix(text, "pip:") {
            return Ok(Self::Pip(pip_name(rest).map_err(|reason| bad(&reason))?));
        }
        if let Some(rest) = strip_prefix(text, "ollama:") {
            return Ok(Self::Ollama(rest.to_owned()));
        }
        if let Some(rest) = strip_prefix(text, "file:") {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            return Ok(Self::Path(PathBuf::from(path)));
        }
        if strip_prefix(text, "http://").is_some() || strip_prefix(text, "https://").is_some() {
            return Ok(Self::Url(url_name(text).map_err(|reason| bad(&reason))?));
        }
        if is_path_like(text) {
            return Ok(Self::Path(PathBuf::from(text)));
        }
        match hub_name(text) {
            // `folder/file.gguf` is a path: nobody calls a repository so.
            Ok(hub) if !has_gguf_ending(&hub.repo) => return Ok(Self::PlainHub(hub)),
            _ => {}
        }
        if has_gguf_ending(text) {
            return Ok(Self::Path(PathBuf::from(text)));
        }
        Ok(Self::Word(text.to_owned()))
    }
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.choice {
            HubChoice::Default => write!(f, "hf:{}", self.repo),
            HubChoice::Quant(quant) => write!(f, "hf:{}:{quant}", self.repo),
            HubChoice::File(file) => write!(f, "hf:{}/{file}", self.repo),
        }
    }
}

fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix)
        .then(|| &text[prefix.len()..])
}

/// Whether a name ends in `.gguf`, in any case of letters.
pub(crate) fn has_gguf_ending(name: &str) -> bool {
    name.len() > 5 && name.is_char_boundary(name.len() - 5) && {
        name[name.len() - 5..].eq_ignore_ascii_case(".gguf")
    }
}

fn is_path_like(text: &str) -> bool {
    text.starts_with(['/', '~', '.']) || text.contains('\\')
}

/// `owner/repo[:quant]`, `owner/repo:file.gguf` or `owner/repo/folder/file.gguf`.
fn hub_name(text: &str) -> Result<HubName, String> {
    let (path, tag) = match text.split_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (text, None),
    };
    let mut parts = path.splitn(3, '/');
    let (Some(owner), Some(repo)) = (parts.next(), parts.next()) else {
        return Err("a repository is OWNER/REPO".to_owned());
    };
    let file = parts.next();
    let id = format!("{owner}/{repo}");
    if !is_repo_id(&id) {
        return Err(format!("{id} is not a repository, which is OWNER/REPO"));
    }
    let choice = match (file, tag) {
        (Some(_), Some(_)) => return Err("it names both a file and a quantization".to_owned()),
        (Some(file), None) => HubChoice::File(good_file(file)?),
        (None, Some("")) => return Err("the quantization after the colon is missing".to_owned()),
        (None, Some(tag)) if has_gguf_ending(tag) => HubChoice::File(good_file(tag)?),
        (None, Some(tag)) if tag.eq_ignore_ascii_case("latest") => HubChoice::Default,
        (None, Some(tag)) if is_quant(tag) => HubChoice::Quant(tag.to_owned()),
        (None, Some(tag)) => return Err(format!("{tag} is not a quantization")),
        (None, None) => HubChoice::Default,
    };
    Ok(HubName { repo: id, choice })
}

fn good_file(file: &str) -> Result<String, String> {
    if !has_gguf_ending(file) {
        return Err(format!("{file} is not a .gguf file"));
    }
    if file
        .split('/')
        .any(|part| part.is_empty() || part == "." || part == "..")
    {
        return Err(format!("{file} is not a path inside a repository"));
    }
    Ok(file.to_owned())
}

/// The hub's rule for names, as llama.cpp checks it: letters, digits and `_`, with single `/`, `.`
/// and `-` between them, and exactly one `/`.
pub(crate) fn is_repo_id(id: &str) -> bool {
    if id.is_empty() || id.len() > 256 {
        return false;
    }
    let mut slashes = 0;
    let mut after_special = true;
    for byte in id.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' => after_special = false,
            b'/' | b'.' | b'-' if !after_special => {
                slashes += usize::from(byte == b'/');
                after_special = true;
            }
            _ => return false,
        }
    }
    !after_special && slashes == 1
}

fn is_quant(tag: &str) -> bool {
    tag.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

fn url_name(text: &str) -> Result<UrlName, String> {
    let (url, fragment) = match text.split_once('#') {
        Some((url, fragment)) => (url, Some(fragment)),
        None => (text, None),
    };
    let path = url.split('?').next().unwrap_or(url);
    if !has_gguf_ending(path) {
        return Err("the address does not end in .gguf".to_owned());
    }
    let sha256 = match fragment {
        None | Some("") => None,
        Some(text) => match text.strip_prefix("sha256=") {
            Some(digest) if is_sha256(digest) => Some(digest.to_ascii_lowercase()),
            Some(_) => return Err("what follows #sha256= is not 64 hexadecimal digits".to_owned()),
            // Whoever writes something here wants it checked.
            None => return Err("what follows # is not sha256=DIGEST".to_owned()),
        },
    };
    Ok(UrlName {
        url: url.to_owned(),
        sha256,
    })
}

/// Whether a text is a SHA-256 in hexadecimal.
pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn pip_name(text: &str) -> Result<PipName, String> {
    let (requirement, member) = match text.split_once('#') {
        Some((requirement, member)) => (requirement, Some(member)),
        None => (text, None),
    };
    let Some((package, version)) = requirement.split_once("==") else {
        return Err("the version is missing: pip:PACKAGE==VERSION".to_owned());
    };
    let word = |text: &str, more: &[u8]| {
        text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    if !word(package, b"-_.") {
        return Err(format!("{package:?} is not a package name"));
    }
    if !word(version, b".!+-_") {
        return Err(format!("{version:?} is not a version"));
    }
    Ok(PipName {
        package: normal_package(package),
        version: version.to_owned(),
        member: member.filter(|member| !member.is_empty()).map(Into::into),
    })
}

/// The registry's own spelling of a package name: lower case, runs of `-`, `_` and `.` as one `-`.
pub(crate) fn normal_package(package: &str) -> String {
    package
        .split(['-', '_', '.'])
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("-")
        .to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
