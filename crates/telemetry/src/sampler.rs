//! Which traces are kept, by `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`.

use llamatelemetry_record::{TraceContext, TraceId};

/// Which traces are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sampler {
    /// A request with a parent follows the parent's choice.
    pub(crate) parent: Parent,
    /// For the others.
    pub(crate) root: Root,
}

/// What a parent means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parent {
    /// Its choice is followed.
    Followed,
    /// It is as if there were none.
    Ignored,
}

/// What is kept where no parent decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    /// Every trace.
    All,
    /// None.
    Nothing,
    /// Those whose id, as a 63-bit number, is below this.
    Below(u64),
}

impl Default for Sampler {
    /// `parentbased_always_on`, as the specification has it.
    fn default() -> Self {
        Self {
            parent: Parent::Followed,
            root: Root::All,
        }
    }
}

impl Sampler {
    /// The sampler of this name, if it is one that can be had here.
    pub(crate) fn named(name: &str, ratio: f64) -> Option<Self> {
        let (parent, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (Parent::Followed, root),
            None => (Parent::Ignored, name),
        };
        let root = match root {
            "always_on" => Root::All,
            "always_off" => Root::Nothing,
            "traceidratio" => Root::of_ratio(ratio),
            _ => return None,
        };
        Some(Self { parent, root })
    }

    /// Whether this trace is kept.
    pub(crate) fn keeps(&self, trace_id: TraceId, parent: Option<&TraceContext>) -> bool {
        match (self.parent, parent) {
            (Parent::Followed, Some(parent)) => parent.sampled,
            _ => match self.root {
                Root::All => true,
                Root::Nothing => false,
                Root::Below(bound) => {
                    let low = u128::from_be_bytes(trace_id.0) & u128::from(u64::MAX);
                    low >> 1 < u128::from(bound)
                }
            },
        }
    }
}

impl Root {
    /// The same traces as other OpenTelemetry SDKs keep at this ratio.
    fn of_ratio(ratio: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the product lies between 0 and 2^63"
        )]
        let bound = (ratio.clamp(0.0, 1.0) * (1_u64 << 63) as f64) as u64;
        Self::Below(bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llamatelemetry_record::SpanId;

    #[test]
    fn a_parent_decides_only_where_it_is_followed() {
        let trace_id = TraceId([1; 16]);
        let parent = |sampled| TraceContext {
            trace_id,
            span_id: SpanId([2; 8]),
            sampled,
        };
        let keeps = |name, parent: Option<TraceContext>| {
            Sampler::named(name, 1.0)
                .unwrap()
                .keeps(trace_id, parent.as_ref())
        };
        assert!(keeps("parentbased_always_off", Some(parent(true))));
        assert!(!keeps("parentbased_always_on", Some(parent(false))));
        assert!(!keeps("parentbased_always_off", None));
        assert!(keeps("always_on", Some(parent(false))));
        assert!(!keeps("always_off", Some(parent(true))));
        assert_eq!(Sampler::named("jaeger_remote", 1.0), None);
    }

    #[test]
    fn the_ratio_keeps_that_share() {
        let quarter = Sampler::named("traceidratio", 0.25).unwrap();
        let kept = (0..20_000)
            .filter(|_| quarter.keeps(TraceId::random(), None))
            .count();
        // Six standard deviations: 20 000 draws at 1/4 have one of 61.
        assert!((4634..=5366).contains(&kept), "{kept}");
        assert!(
            !Sampler::named("traceidratio", 0.0)
                .unwrap()
                .keeps(TraceId([0; 16]), None)
        );
        assert!(
            Sampler::named("traceidratio", 1.0)
                .unwrap()
                .keeps(TraceId([0xff; 16]), None)
        );
    }

    #[test]
    fn the_ratio_keeps_the_traces_that_others_keep() {
        // The rule of OpenTelemetry's SDKs: the last eight bytes, halved, below the ratio of 2^63.
        let ours = Sampler::named("traceidratio", 0.25).unwrap();
        for (low, kept) in [
            (0, true),
            ((1 << 62) - 1, true),
            (1 << 62, false),
            (u64::MAX, false),
        ] {
            let id = u128::from(u64::MAX) << 64 | u128::from(low);
            assert_eq!(ours.keeps(TraceId(id.to_be_bytes()), None), kept, "{low}");
        }
    }
}
