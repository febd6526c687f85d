use super::*;
use crate::metrics::sample::{self, BEGAN, SECOND};

fn collector(temporality: Temporality) -> Collector {
    Collector::new(temporality, BEGAN)
}

fn find<'a>(metrics: &'a [Metric], name: &str) -> Option<&'a metric::Data> {
    let metric = metrics.iter().find(|metric| metric.name == name)?;
    metric.data.as_ref()
}

#[test]
fn everything_as_it_is() {
    let metrics = collector(Temporality::Cumulative).collect(&sample::registry(false), BEGAN);
    insta::assert_json_snapshot!(metrics);
}

#[test]
fn exponential_histograms_take_the_place_of_explicit_ones() {
    let metrics = collector(Temporality::Cumulative).collect(&sample::registry(true), BEGAN);
    let Some(metric::Data::ExponentialHistogram(histogram)) =
        find(&metrics, "llamacpp.decode.duration")
    else {
        panic!("no exponential histogram: {metrics:?}");
    };
    let point = &histogram.data_points[0];
    assert_eq!((point.count, point.scale), (1, 8));
    let buckets = point.positive.as_ref().expect("buckets");
    // 2^(i/256) < 0.004 <= 2^((i+1)/256)
    assert_eq!(
        (buckets.offset, &buckets.bucket_counts[..]),
        (-2040, &[1][..])
    );
    assert_eq!(point.exemplars.len(), 1);
}

#[test]
fn differences_begin_where_the_last_ended() {
    let mut registry = sample::registry(false);
    let mut collector = collector(Temporality::Delta);
    let first = collector.collect(&registry, BEGAN + SECOND);
    assert!(find(&first, "llamacpp.energy.idle").is_some());
    let second = collector.collect(&registry, BEGAN + 2 * SECOND);
    assert_eq!(find(&second, "llamacpp.decode.duration"), None);
    assert_eq!(find(&second, "llamacpp.wasted_tokens"), None);
    assert!(find(&second, "llamacpp.slot.tokens").is_some(), "a state");
    sample::decode(&mut registry);
    let third = collector.collect(&registry, BEGAN + 3 * SECOND);
    let Some(metric::Data::Histogram(histogram)) = find(&third, "llamacpp.decode.duration") else {
        panic!("no histogram: {third:?}");
    };
    let point = &histogram.data_points[0];
    assert_eq!(point.count, 1);
    assert_eq!(point.start_time_unix_nano, BEGAN + 2 * SECOND);
    assert_eq!(point.time_unix_nano, BEGAN + 3 * SECOND);
    assert_eq!(point.min, None);
}

#[test]
fn low_memory_keeps_counters_of_others_whole() {
    let registry = sample::registry(false);
    let mut collector = collector(Temporality::LowMemory);
    for _ in 0..2 {
        collector.collect(&registry, BEGAN);
    }
    let third = collector.collect(&registry, BEGAN);
    assert!(find(&third, "llamacpp.energy.idle").is_some());
    assert_eq!(find(&third, "llamacpp.wasted_tokens"), None);
}
