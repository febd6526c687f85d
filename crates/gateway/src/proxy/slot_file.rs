//! The names of slot files: `POST /slots/ID?action=save` writes a file, and it must stay in its
//! folder.

use super::spelling::decoded;
use crate::refusal::Refusal;
use bytes::Bytes;
use http::request::Parts;
use http::{StatusCode, header};
use serde_json::Value;

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
            "/%u0073lots/1",
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
