//! The names of each version of the conventions, and the way from one to another.
//!
//! Everything is made in the latest names ([`names`]); [`Conventions`] renames what goes out for
//! the profile that was chosen. The tables come from the data files in `conventions/`.

mod messages;
pub mod names;
mod openinference;
mod profile;
pub mod registry;
mod tables;
mod translate;

pub use profile::{Profile, UnknownProfile};

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use registry::{Attribute, Metric, Registry};
use std::borrow::Cow;

/// Which names go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Conventions {
    profile: Profile,
    openinference: bool,
}

impl Conventions {
    /// The names of a profile and, if asked for, OpenInference's beside them.
    pub const fn new(profile: Profile, openinference: bool) -> Self {
        Self {
            profile,
            openinference,
        }
    }

    /// The profile.
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// Where the names that go out are defined.
    pub fn schema_url(&self) -> &'static str {
        self.profile.registry().schema_url
    }

    /// Renames a span that was made in the latest names.
    pub fn translate(&self, span: &mut Span) {
        let more = if self.openinference {
            openinference::attributes(span)
        } else {
            Vec::new()
        };
        self.translate_attributes(&mut span.attributes);
        for event in &mut span.events {
            self.translate_attributes(&mut event.attributes);
        }
        for link in &mut span.links {
            self.translate_attributes(&mut link.attributes);
        }
        span.attributes.extend(more);
    }

    /// Renames a log record that was made in the latest names.
    pub fn translate_log(&self, log: &mut LogRecord) {
        if let Cow::Owned(name) = translate::event_name(self.profile, &log.event_name) {
            log.event_name = name;
        }
        self.translate_attributes(&mut log.attributes);
    }

    /// Renames attributes that were made in the latest names.
    pub fn translate_attributes(&self, attributes: &mut [KeyValue]) {
        translate::forward(self.profile, attributes);
    }

    /// The way back: a span in the profile's names into the latest ones. OpenInference's
    /// attributes stay as they are.
    pub fn restore(&self, span: &mut Span) {
        translate::back(self.profile, &mut span.attributes);
        for event in &mut span.events {
            translate::back(self.profile, &mut event.attributes);
        }
        for link in &mut span.links {
            translate::back(self.profile, &mut link.attributes);
        }
    }

    /// What an attribute of the latest text is called in the profile.
    pub fn attribute_name(&self, latest: &'static str) -> Cow<'static, str> {
        translate::name(self.profile, latest)
    }

    /// The metric of this name, of the profile or of the names beside it: `hw.*`, `process.*` and
    /// our own.
    pub fn metric(&self, name: &str) -> Option<&'static Metric> {
        self.registries().find_map(|registry| registry.metric(name))
    }

    /// The attribute of this name, wherever it is defined. OpenInference's count whether they are
    /// asked for or not.
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        self.registries()
            .find_map(|registry| registry.attribute(name))
            .or_else(|| {
                // A name that the profile lacks stands under ours.
                let latest = translate::latest_of_kept(self.profile, name)?;
                tables::LATEST.attribute(&latest)
            })
    }

    /// Whether an event of this name is one of the latest text that the profile lacks.
    pub(crate) fn is_moved_event(self, name: &str) -> bool {
        let mut events = tables::LATEST.events.iter();
        events.any(|event| {
            translate::event_name(self.profile, event.name) == name && event.name != name
        })
    }

    /// All that can go out.
    pub(crate) fn registries(&self) -> impl Iterator<Item = &'static Registry> {
        [
            self.profile.registry(),
            &tables::LLAMACPP,
            &tables::CORE,
            &tables::OPENINFERENCE,
        ]
        .into_iter()
    }
}

#[cfg(test)]
mod tests;
