//! The text format, a family at a time.

use crate::telemetry::histogram::Totals;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt;

/// Writes one family after the other.
pub(super) struct Families<'a> {
    encoder: DescriptorEncoder<'a>,
    /// One that is left out.
    without: &'static str,
}

type Encode<'a> = &'a mut dyn FnMut(&mut Family<'_>) -> fmt::Result;

impl<'a> Families<'a> {
    pub(super) fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self { encoder, without: "" }
    }

    /// The same but for one family.
    pub(super) fn without(self, name: &'static str) -> Self {
        Self { without: name, ..self }
    }

    fn family(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        encode: Encode<'_>,
    ) -> fmt::Result {
        if name == self.without {
            return Ok(());
        }
        encode(&mut Family(self.encoder.encode_descriptor(name, help, None, kind)?))
    }

    pub(super) fn counter(
        &mut self,
        name: &str,
        help: &str,
        mut encode: impl FnMut(&mut Family<'_>) -> fmt::Result,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Counter, &mut encode)
    }

    pub(super) fn gauge(
        &mut self,
        name: &str,
        help: &str,
        mut encode: impl FnMut(&mut Family<'_>) -> fmt::Result,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Gauge, &mut encode)
    }

    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        mut encode: impl FnMut(&mut Family<'_>) -> fmt::Result,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Histogram, &mut encode)
    }
}

/// Writes the series of one family.
pub(super) struct Family<'a>(MetricEncoder<'a>);

impl Family<'_> {
    pub(super) fn count<const N: usize>(
        &mut self,
        labels: &[(&str, &str); N],
        value: u64,
    ) -> fmt::Result {
        ConstCounter::new(value).encode(self.0.encode_family(labels)?)
    }

    pub(super) fn count_by(&mut self, labels: &[(&str, &str)], value: u64) -> fmt::Result {
        ConstCounter::new(value).encode(self.0.encode_family(&labels)?)
    }

    pub(super) fn gauge<const N: usize>(
        &mut self,
        labels: &[(&str, &str); N],
        value: i64,
    ) -> fmt::Result {
        ConstGauge::new(value).encode(self.0.encode_family(labels)?)
    }

    pub(super) fn gauge_f64<const N: usize>(
        &mut self,
        labels: &[(&str, &str); N],
        value: f64,
    ) -> fmt::Result {
        ConstGauge::new(value).encode(self.0.encode_family(labels)?)
    }

    pub(super) fn totals(&mut self, labels: &[(&str, &str)], totals: &Totals) -> fmt::Result {
        use prometheus_client::encoding::NoLabelSet;
        let (sum, count) = (totals.sum_seconds(), totals.count());
        self.0.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
            sum,
            count,
            totals.bounded(),
            None,
        )
    }
}
