//! Why pip failed, from what it said.

use super::PipPackage;
use super::output::clean;
use crate::FetchError;
use std::path::Path;

/// Lines of its output that are kept with an error.
const KEPT: usize = 40;

/// What pip said, all lines of both its streams.
pub(super) struct Transcript<'a> {
    pub(super) lines: &'a [String],
    /// Where it worked.
    pub(super) folder: &'a Path,
    pub(super) python: &'a Path,
}

/// The error for a pip that did not succeed.
pub(super) fn verdict(package: &PipPackage, said: &Transcript<'_>) -> FetchError {
    let lines = said.lines;
    let has = |text: &str| lines.iter().any(|line| line.contains(text));
    let package_name = package.to_string();
    if has("No module named pip") {
        return FetchError::PipMissing {
            python: said.python.to_path_buf(),
        };
    }
    if has("DO NOT MATCH THE HASHES") {
        return FetchError::PackageDigest {
            package: package_name,
            detail: lines
                .iter()
                .map(|line| line.trim())
                .filter(|line| line.starts_with("Expected sha256") || line.starts_with("Got  "))
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect::<Vec<_>>()
                .join("; "),
        };
    }
    if has("[Errno 28]") || has("No space left on device") || has("[Errno 122]") {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        return FetchError::write(&said.folder.join("file"), full, None);
    }
    if has("[Errno 27]") {
        let large = std::io::Error::from(std::io::ErrorKind::FileTooLarge);
        return FetchError::write(&said.folder.join("file"), large, None);
    }
    // With versions found the registry did answer, whatever else went wrong on the way.
    let versions = lines
        .iter()
        .find_map(|line| line.split_once("(from versions: "))
        .map(|(_, versions)| versions.trim_end_matches(')'));
    if versions.is_none_or(|versions| versions == "none")
        && let Some(reason) = unreachable(lines)
    {
        return FetchError::RegistryUnreachable {
            package: package_name,
            reason,
        };
    }
    if has("No matching distribution found") || versions.is_some() {
        let detail = match versions {
            Some("none") | None => "there is none of this name and form".to_owned(),
            Some(versions) => format!("there are: {versions}"),
        };
        return FetchError::NoSuchPackage {
            package: package_name,
            detail,
        };
    }
    let error = |line: &&String| line.trim_start().to_ascii_lowercase().starts_with("error");
    let reason = lines
        .iter()
        .rev()
        .find(error)
        .or_else(|| lines.iter().rev().find(|line| !line.trim().is_empty()))
        .map_or_else(|| "it said nothing".to_owned(), |line| clean(line.trim()));
    FetchError::Pip {
        package: package_name,
        reason,
        output: lines[lines.len().saturating_sub(KEPT)..]
            .iter()
            .map(|line| clean(line))
            .collect(),
    }
}

/// Why the registry was not reached, if that is what pip complains about.
fn unreachable(lines: &[String]) -> Option<String> {
    let line = lines.iter().rev().find(|line| {
        [
            "connection broken by",
            "Could not fetch URL",
            "Max retries exceeded",
            "Read timed out",
            "CERTIFICATE_VERIFY_FAILED",
            "Connection aborted",
            "IncompleteRead",
        ]
        .iter()
        .any(|sign| line.contains(sign))
    })?;
    for (sign, reason) in [
        (
            "CERTIFICATE_VERIFY_FAILED",
            "its certificate is not trusted",
        ),
        (
            "certificate verify failed",
            "its certificate is not trusted",
        ),
        ("name resolution", "its name cannot be resolved"),
        ("Name or service not known", "its name cannot be resolved"),
        ("nodename nor servname", "its name cannot be resolved"),
        (
            "Tunnel connection failed",
            "the proxy refuses to lead there",
        ),
        ("Cannot connect to proxy", "the proxy does not answer"),
        ("Connection refused", "it refuses connections"),
        ("Network is unreachable", "there is no network"),
        ("No route to host", "there is no way to it"),
        ("timed out", "it does not answer in time"),
        ("Connection reset", "the connection was cut"),
        ("Connection aborted", "the connection was cut"),
        ("IncompleteRead", "the connection was cut"),
    ] {
        if line.contains(sign) {
            return Some(reason.to_owned());
        }
    }
    Some("the connection failed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::PipForm;
    use super::*;

    fn judged(text: &str) -> FetchError {
        let package = PipPackage {
            name: "thing".to_owned(),
            version: "1.0".to_owned(),
            sha256: vec!["0".repeat(64)],
            form: PipForm::Wheel,
        };
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let said = Transcript {
            lines: &lines,
            folder: Path::new("/tmp"),
            python: Path::new("/usr/bin/python3"),
        };
        verdict(&package, &said)
    }

    #[test]
    fn a_wrong_digest() {
        let error = judged(
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you …\n    \
             thing==1.0 from https://mirror.example/thing.whl (from -r r.txt (line 1)):\n        \
             Expected sha256 aaaa\n             Got        bbbb\n",
        );
        assert!(
            matches!(&error, FetchError::PackageDigest { detail, .. }
                if detail == "Expected sha256 aaaa; Got bbbb"),
            "{error:?}"
        );
    }

    #[test]
    fn no_network_is_told_from_no_version() {
        let none = "ERROR: Could not find a version that satisfies the requirement thing==1.0 \
                    (from versions: none)\nERROR: No matching distribution found for thing==1.0\n";
        let retry = |why: &str| {
            format!(
                "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by '{why}': /simple/thing/\n{none}"
            )
        };
        for (why, expected) in [
            (
                "NewConnectionError('… [Errno -3] Temporary failure in name resolution')",
                "its name cannot be resolved",
            ),
            (
                "ProxyError('Cannot connect to proxy.', NewConnectionError('… Connection refused'))",
                "the proxy does not answer",
            ),
            (
                "ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 403 Forbidden'))",
                "the proxy refuses to lead there",
            ),
            (
                "ConnectTimeoutError(<…>, 'Connection to h timed out. (connect timeout=15)')",
                "it does not answer in time",
            ),
            (
                "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed'))",
                "its certificate is not trusted",
            ),
        ] {
            let error = judged(&retry(why));
            assert!(
                matches!(&error, FetchError::RegistryUnreachable { reason, .. } if reason == expected),
                "{error:?}"
            );
        }
        assert!(matches!(judged(none), FetchError::NoSuchPackage { .. }));
        let some = none.replace("none", "0.1, 0.2");
        let error = judged(&some);
        assert!(
            matches!(&error, FetchError::NoSuchPackage { detail, .. } if detail == "there are: 0.1, 0.2"),
            "{error:?}"
        );
    }

    #[test]
    fn full_disks_and_the_rest() {
        let error = judged("Traceback …\nOSError: [Errno 28] No space left on device\n");
        assert!(matches!(error, FetchError::NoSpace { .. }), "{error:?}");
        let error = judged("Traceback …\nOSError: [Errno 27] File too large\n");
        assert!(
            matches!(error, FetchError::FileTooLarge { .. }),
            "{error:?}"
        );
        let error = judged("/usr/bin/python3: No module named pip\n");
        assert!(matches!(error, FetchError::PipMissing { .. }), "{error:?}");
        let error = judged("  error: subprocess-exited-with-error\n  more\n");
        assert_eq!(
            error.to_string(),
            "pip failed: error: subprocess-exited-with-error: thing==1.0"
        );
        assert_eq!(
            judged("").to_string(),
            "pip failed: it said nothing: thing==1.0"
        );
    }
}
