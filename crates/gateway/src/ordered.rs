//! Headers in their order, which removing one from a map does not keep.

use http::{HeaderMap, HeaderName};

/// All headers but these, in their order.
pub(crate) fn without(headers: HeaderMap, drops: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(headers.keys_len() + 4);
    let mut last = None;
    for (name, value) in headers {
        // Further values of a name come without it.
        if let Some(name) = name {
            last = Some(name).filter(|name| !drops(name));
        }
        if let Some(name) = &last {
            kept.append(name, value);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn what_stays_keeps_its_place_with_all_its_values() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("a", "1"),
            ("b", "1"),
            ("c", "1"),
            ("d", "1"),
            ("b", "2"),
            ("d", "2"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let kept = without(headers, |name| name == "b");
        let names: Vec<_> = kept.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["a", "c", "d"]);
        assert_eq!(kept.get_all("d").iter().count(), 2);
    }
}
