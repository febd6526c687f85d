//! Hiding what must not be shown.

/// A web address with the user name and password in it hidden.
pub fn url(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest.get(..authority).and_then(|host| host.rfind('@')) {
        Some(at) => format!("{scheme}://••••{}", rest.get(at..).unwrap_or_default()),
        None => address.to_owned(),
    }
}

/// The value of a variable, hidden if its name says that it is a secret.
pub fn variable(name: &str, value: &str) -> String {
    if is_secret(name) {
        "••••".to_owned()
    } else {
        url(value)
    }
}

/// Whether a variable of this name holds a secret.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    [
        "TOKEN",
        "HEADERS",
        "SECRET",
        "PASSWORD",
        "API_KEY",
        "SECRET_KEY",
    ]
    .iter()
    .any(|word| name.ends_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_hidden() {
        assert_eq!(url("https://u:p@host/x"), "https://••••@host/x");
        assert_eq!(url("https://host/a@b"), "https://host/a@b");
        assert_eq!(url("plain"), "plain");
        assert_eq!(url("https://u:p@q@host?x@y"), "https://••••@host?x@y");
    }

    #[test]
    fn headers_and_tokens_are_hidden() {
        assert_eq!(variable("OTEL_EXPORTER_OTLP_HEADERS", "a=b"), "••••");
        assert_eq!(variable("HF_TOKEN", "a"), "••••");
        assert_eq!(variable("OTEL_SERVICE_NAME", "a"), "a");
    }
}
