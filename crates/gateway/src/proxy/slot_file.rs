//! The names of slot files: `POST /slots/ID?action=save` writes a file, and it must stay in its
//! folder.

use crate::refusal::Refusal;
use bytes::Bytes;
use http::request::Parts;
use http::{StatusCode, header};
use serde_json::Value;
use std::borrow::Cow;

/// Refuses a request that names a slot file outside its folder. llama-server looks at the name
/// too; a client of ours shall not depend on it.
pub(crate) fn check(head: &Parts, body: &Bytes) -> Result<(), Refusal> {
    let path = decoded(head.uri.path());
    if !path.trim_start_matches('/').starts_with("slots/") {
        return Ok(());
    }
    let form = head.headers.get(header::CONTENT_TYPE);
    let form = form.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if form.to_ascii_lowercase().contains("form") {
        return Err(refused("slot files are named in JSON".into()));
    }
    let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
        return Ok(());
    };
    match fields.get("filename") {
        Some(Value::String(name)) if !is_plain(name) => Err(refused(format!(
            "a slot file is named without folders: {name:?}"
        ))),
        _ => Ok(()),
    }
}

fn is_plain(name: &str) -> bool {
    !name.contains(['/', '\\', '\0']) && !name.contains("..")
}

fn refused(message: String) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
}

/// A path with its percent codes resolved, as the server matches it.
fn decoded(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return path.into();
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| first == b'%');
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        let (byte, after) = match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => (byte, &after[2..]),
            None => (first, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn allowed(path: &str, body: &'static str) -> bool {
        let request = Request::post(path).body(()).unwrap();
        check(
            &request.into_parts().0,
            &Bytes::from_static(body.as_bytes()),
        )
        .is_ok()
    }

    #[test]
    fn a_slot_file_stays_in_its_folder() {
        assert!(allowed(
            "/slots/0?action=save",
            r#"{"filename":"chat-1.bin"}"#
        ));
        assert!(allowed("/slots/0?action=erase", ""));
        assert!(allowed("/tokenize", r#"{"filename":"../x"}"#));
        for path in [
            "/slots/0?action=save",
            "/%73lots/0?action=restore",
            "//slots/1",
        ] {
            for body in [
                r#"{"filename":"../x"}"#,
                r#"{"filename":"a/b"}"#,
                r#"{"filename":"a\\b"}"#,
                r#"{"filename":"\u002e\u002e"}"#,
                r#"{"filename":"x","filename":"/etc/passwd"}"#,
            ] {
                assert!(!allowed(path, body), "{path} {body}");
            }
        }
    }
}
