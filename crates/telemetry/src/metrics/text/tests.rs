use super::*;
use crate::metrics::sample;

fn resource() -> Vec<(String, String)> {
    [
        ("service.name", "llamatelemetry"),
        ("a.b", "1"),
        ("a_b", "2"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

#[test]
fn classic_text() {
    let text = render(&sample::registry(false), &resource(), Format::Classic);
    insta::assert_snapshot!(text);
}

#[test]
fn openmetrics_text_with_exemplars() {
    let text = render(&sample::registry(true), &resource(), Format::OpenMetrics);
    insta::assert_snapshot!(text);
}

#[test]
fn numbers_are_short() {
    let shown = [0.0, 1.0, 0.25, 1e-12, 1.5e300].map(|number| Number(number).to_string());
    assert_eq!(shown, ["0", "1", "0.25", "1e-12", "1.5e300"]);
}
