//! Who sends: the resource that stands with every signal.

use crate::value::key_value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use std::collections::BTreeMap;

/// What the program knows of itself and its machine.
#[derive(Debug, Clone, Default)]
pub struct ResourceFacts {
    /// Further attributes.
    pub attributes: Vec<(String, String)>,
}

/// What is true of every sender, what the program says, what variables say; the later wins.
pub(crate) fn describe(facts: ResourceFacts, variables: Vec<(String, String)>) -> Resource {
    let own = [
        ("service.name", "llamatelemetry"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.sdk.name", "llamatelemetry"),
        ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
    ];
    let all: BTreeMap<String, String> = own
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into_iter()
        .chain(facts.attributes)
        .chain(variables)
        .collect();
    Resource {
        attributes: all
            .into_iter()
            .map(|(key, value)| key_value(key, value))
            .collect(),
        ..Resource::default()
    }
}
