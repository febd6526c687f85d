//! `llt runtime env`: lines that a shell can evaluate.

use crate::Runtime;
use std::ffi::OsStr;

/// Lines for a POSIX shell that make other programs use this runtime: `LLAMA_SERVER_PATH`, the
/// folder of its programs on `PATH`, and `LD_LIBRARY_PATH` where it needs one.
pub fn environment(runtime: &Runtime) -> Vec<String> {
    let mut lines = vec![format!(
        "export LLAMA_SERVER_PATH={}",
        quoted(runtime.server.as_os_str())
    )];
    if let Some(folder) = runtime.server.parent() {
        lines.push(format!(
            "export PATH={}${{PATH:+:$PATH}}",
            quoted(folder.as_os_str())
        ));
    }
    if !runtime.library_dirs.is_empty() {
        let folders: Vec<String> = runtime
            .library_dirs
            .iter()
            .map(|folder| quoted(folder.as_os_str()))
            .collect();
        lines.push(format!(
            "export LD_LIBRARY_PATH={}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}",
            folders.join(":")
        ));
    }
    lines
}

/// A word that a POSIX shell reads back as it is.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = word
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"/._-+,:@".contains(&byte));
    if plain && !word.is_empty() {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(quoted(OsStr::new("/a/b-1.2")), "/a/b-1.2");
        for word in ["/a b/c", "it's", "$HOME", "", "a;b", "new\nline"] {
            let output = std::process::Command::new("/bin/sh")
                .arg("-c")
                .arg(format!("printf %s {}", quoted(OsStr::new(word))))
                .output()
                .unwrap();
            assert_eq!(output.stdout, word.as_bytes());
        }
    }
}
