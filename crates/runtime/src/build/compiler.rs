//! The C and C++ compilers of this machine.

use crate::child::{self, End, on_path};
use crate::{RuntimeError, files};
use llamatelemetry_settings::{Environment, Settings};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Enough C++17 to find a compiler without its library, its headers or a linker.
const SAMPLE: &str = "#include <filesystem>\n#include <thread>\n#include <vector>\n\
    int main() { std::vector<int> v{1}; std::thread t([&] { v.push_back(2); }); t.join(); \
    return std::filesystem::exists(\"/\") ? 0 : int(v.size()); }\n";
/// A busy machine takes its time to start a compiler.
const LIMIT: Duration = Duration::from_secs(120);
/// C++ and C compilers that belong together, in the order they are looked for.
const PAIRS: &[(&str, &str)] = &[("c++", "cc"), ("g++", "gcc"), ("clang++", "clang")];

/// A C++ compiler and its C compiler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Compilers {
    /// The words of `CXX`, or a path.
    pub(crate) cxx: Vec<OsString>,
    /// The words of `CC`, or a path.
    pub(crate) c: Vec<OsString>,
    /// First line of its `--version`.
    pub(crate) version: String,
    /// Whether `CC` and `CXX` named them: cmake reads those itself.
    pub(crate) from_environment: bool,
}

impl Compilers {
    /// Flags that tell cmake which compilers to use.
    pub(crate) fn flags(&self) -> Vec<OsString> {
        if self.from_environment {
            return Vec::new();
        }
        [("CXX", &self.cxx), ("C", &self.c)]
            .into_iter()
            .filter_map(|(language, words)| {
                let mut flag = OsString::from(format!("-DCMAKE_{language}_COMPILER="));
                flag.push(words.first()?);
                Some(flag)
            })
            .collect()
    }
}

/// Finds the compilers and has the C++ compiler make a small program.
pub(crate) fn find(settings: &Settings) -> Result<Compilers, RuntimeError> {
    let mut compilers = look(&settings.environment)?;
    let environment = super::environment(&settings.environment);
    let (program, first) = compilers
        .cxx
        .split_first()
        .ok_or_else(|| missing(&settings.environment))?;
    let program = PathBuf::from(program);
    let broken = |reason: String| RuntimeError::CompilerBroken {
        compiler: program.clone(),
        reason,
    };

    let mut arguments = first.to_vec();
    arguments.push("--version".into());
    let finished = child::run(&program, &arguments, &environment, LIMIT)?;
    let text = finished.text();
    text.lines()
        .next()
        .unwrap_or_default()
        .trim()
        .clone_into(&mut compilers.version);

    let home = &settings.home;
    home.ensure(home.cache())?;
    let folder = tempfile::Builder::new()
        .prefix("compiler-")
        .tempdir_in(home.cache())
        .map_err(|source| RuntimeError::io("write to", &home.cache(), source))?;
    files::write(&folder.path().join("sample.cpp"), SAMPLE.as_bytes())?;
    let mut arguments = first.to_vec();
    arguments.extend(["-std=c++17", "-pthread", "sample.cpp", "-o", "sample"].map(OsString::from));
    let finished = child::run_in(
        Some(folder.path()),
        &program,
        &arguments,
        &environment,
        LIMIT,
    )?;
    match finished.end {
        End::Code(0) => Ok(compilers),
        End::TimedOut => Err(broken("it did not finish a small program".to_owned())),
        _ => Err(broken(first_error(&finished.text()))),
    }
}

fn first_error(output: &str) -> String {
    output
        .lines()
        .find(|line| line.contains("error") || line.contains("cannot"))
        .or_else(|| output.lines().next())
        .unwrap_or("it failed without a word")
        .trim()
        .to_owned()
}

fn look(environment: &Environment) -> Result<Compilers, RuntimeError> {
    let compilers = |cxx, c, from_environment| Compilers {
        cxx,
        c,
        version: String::new(),
        from_environment,
    };
    if let Some(cxx) = environment.get("CXX") {
        let words = resolved(environment, cxx).ok_or_else(|| missing(environment))?;
        let c = environment
            .get("CC")
            .and_then(|c| resolved(environment, c))
            .unwrap_or_default();
        return Ok(compilers(words, c, true));
    }
    for (cxx, c) in PAIRS {
        let found = on_path(environment, cxx)
            .next()
            .zip(on_path(environment, c).next());
        if let Some((cxx, c)) = found {
            return Ok(compilers(vec![cxx.into()], vec![c.into()], false));
        }
    }
    Err(missing(environment))
}

/// The words of `CXX`, the first as a path.
fn resolved(environment: &Environment, words: &str) -> Option<Vec<OsString>> {
    let mut words = words.split_whitespace();
    let first = words.next()?;
    let program = if first.contains('/') {
        Some(Path::new(first).to_path_buf()).filter(|path| child::is_program(path))
    } else {
        on_path(environment, first).next()
    }?;
    let rest = words.map(OsString::from);
    Some(std::iter::once(program.into()).chain(rest).collect())
}

fn missing(environment: &Environment) -> RuntimeError {
    let mut looked_for: Vec<String> = environment
        .get("CXX")
        .map(|cxx| format!("CXX={cxx}"))
        .into_iter()
        .collect();
    if looked_for.is_empty() {
        looked_for.extend(PAIRS.iter().map(|(cxx, _)| (*cxx).to_owned()));
    }
    RuntimeError::CompilerMissing { looked_for }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> (tempfile::TempDir, Settings) {
        let home = tempfile::tempdir().unwrap();
        let pairs = pairs
            .iter()
            .copied()
            .chain([("LLAMATELEMETRY_HOME", home.path().to_str().unwrap())]);
        let environment = Environment::from_pairs(pairs);
        let settings = llamatelemetry_settings::resolve(
            environment,
            &llamatelemetry_settings::Flags::default(),
        )
        .unwrap()
        .settings;
        (home, settings)
    }

    #[test]
    fn no_compiler_is_said_with_what_to_install() {
        let (_home, settings) = settings(&[("PATH", "/nowhere")]);
        let error = find(&settings).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no C++ compiler was found (looked for c++, g++, clang++)"
        );
        let hints = error.hints().join("\n");
        for package in ["apt install g++", "dnf install gcc-c++", "pacman -S gcc"] {
            assert!(hints.contains(package), "{hints}");
        }
    }

    #[test]
    fn a_named_compiler_that_is_not_there_is_named() {
        let (_home, settings) = settings(&[("PATH", "/nowhere"), ("CXX", "my-c++ -m64")]);
        let error = find(&settings).unwrap_err();
        assert!(error.to_string().contains("CXX=my-c++ -m64"));
    }

    #[test]
    fn a_compiler_that_makes_nothing_is_broken() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        for name in ["c++", "cc"] {
            let path = folder.path().join(name);
            let script = "#!/bin/sh\n[ \"$1\" = --version ] && echo 'fake 1.0' && exit 0\n\
                echo 'sample.cpp:1:10: fatal error: filesystem: No such file' >&2\nexit 1\n";
            std::fs::write(&path, script).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let (_home, settings) = settings(&[("PATH", folder.path().to_str().unwrap())]);
        let error = find(&settings).unwrap_err();
        assert!(
            error.to_string().contains("fatal error: filesystem"),
            "{error}"
        );
        assert!(!error.hints().is_empty());
    }
}
