//! Addresses: shown without secrets.

/// The address without user information and with the values of its query hidden, for people
/// and logs.
pub fn redacted(url: &str) -> String {
    let (url, fragment_free) = match url.split_once('#') {
        Some((before, _)) => (before, true),
        None => (url, false),
    };
    let (base, query) = match url.split_once('?') {
        Some((base, query)) => (base, Some(query)),
        None => (url, None),
    };
    let base = match base.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest
                .find('/')
                .map_or((rest, ""), |slash| rest.split_at(slash));
            let host = authority.rsplit('@').next().unwrap_or(authority);
            format!("{scheme}://{host}{path}")
        }
        None => base.to_owned(),
    };
    let mut text = base;
    if let Some(query) = query {
        let names: Vec<String> = query
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some((name, _)) => format!("{name}=…"),
                None => "…".to_owned(),
            })
            .collect();
        text.push('?');
        text.push_str(&names.join("&"));
    }
    let _: bool = fragment_free;
    text
}
