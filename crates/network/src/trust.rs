//! Which certificates are trusted: the system's, and those that the environment adds.

use crate::NetworkError;
use llamatelemetry_settings::Environment;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

/// Variables that name a file of certificates, as other programs read them.
const FILES: [&str; 3] = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"];
/// The variable that names folders of them.
const FOLDERS: &str = "SSL_CERT_DIR";
/// Where systems keep their own.
const SYSTEM: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The certificates to trust. Without any on this machine: those built in.
pub fn roots(environment: &Environment) -> Result<RootCerts, NetworkError> {
    let mut found = Found::default();
    let mut named = BTreeSet::new();
    for variable in FILES {
        if let Some(path) = environment.get_os(variable) {
            let path = PathBuf::from(path);
            if named.insert(path.clone()) {
                found.file(variable, &path)?;
            }
        }
    }
    if let Some(system) = SYSTEM.iter().map(Path::new).find(|path| path.is_file())
        && named.insert(system.to_path_buf())
    {
        found.file("the system", system)?;
    }
    if let Some(folders) = environment.get_os(FOLDERS) {
        for folder in std::env::split_paths(folders) {
            found.folder(&folder);
        }
    }
    if found.certificates.is_empty() {
        return Ok(RootCerts::WebPki);
    }
    Ok(RootCerts::Specific(Arc::new(found.certificates)))
}

#[derive(Default)]
struct Found {
    certificates: Vec<Certificate<'static>>,
    seen: BTreeSet<Vec<u8>>,
}

impl Found {
    fn file(&mut self, variable: &str, path: &Path) -> Result<(), NetworkError> {
        let refuse = |reason: String| NetworkError::Certificates {
            variable: variable.to_owned(),
            reason,
            path: path.to_path_buf(),
        };
        let bytes = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
        if self.pem(&bytes) == 0 {
            return Err(refuse("it holds no certificate".to_owned()));
        }
        Ok(())
    }

    /// A folder in OpenSSL's layout. What cannot be read in it is left out, as OpenSSL does.
    fn folder(&mut self, folder: &Path) {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return;
        };
        let hashed = |name: &OsStr| {
            name.to_str()
                .and_then(|name| name.rsplit_once('.'))
                .is_some_and(|(hash, number)| {
                    hash.len() == 8
                        && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
                        && number.bytes().all(|byte| byte.is_ascii_digit())
                })
        };
        for entry in entries.flatten() {
            if hashed(&entry.file_name())
                && let Ok(bytes) = std::fs::read(entry.path())
            {
                self.pem(&bytes);
            }
        }
    }

    /// Takes the certificates of a PEM text and says how many it holds, known ones included.
    fn pem(&mut self, bytes: &[u8]) -> usize {
        let mut count = 0;
        for item in parse_pem(bytes) {
            if let Ok(PemItem::Certificate(certificate)) = item {
                count += 1;
                if self.seen.insert(certificate.der().to_vec()) {
                    self.certificates.push(certificate);
                }
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_named_but_useless_is_an_error() {
        let environment = Environment::from_pairs([("SSL_CERT_FILE", "/nonexistent/roots.pem")]);
        let error = roots(&environment).map(drop).unwrap_err();
        assert!(error.to_string().contains("SSL_CERT_FILE"), "{error}");
        let empty = tempfile::NamedTempFile::new().unwrap();
        let environment = Environment::from_pairs([("REQUESTS_CA_BUNDLE", empty.path())]);
        let error = roots(&environment).map(drop).unwrap_err();
        assert!(
            error.to_string().contains("holds no certificate"),
            "{error}"
        );
    }
}
