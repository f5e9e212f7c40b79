//! The duration of requests with exemplars, which lead from a bucket of a histogram to a trace.
//!
//! Written by hand, because prometheus-client takes no exemplars but those of its own histograms.

use super::Telemetry;
use super::families::Families;
use super::requests::{DURATIONS, DURATIONS_HELP, told};
use crate::telemetry::histogram::{Exemplar, Totals};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// All families but those that [`Telemetry::encode_exemplars`] writes.
#[derive(Debug)]
pub(super) struct BesideExemplars(pub(super) Arc<Telemetry>);

impl Collector for BesideExemplars {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.encode_families(Families::new(encoder).without(DURATIONS))
    }
}

impl Telemetry {
    /// Writes the families with exemplars as OpenMetrics has them: behind the others, before the end.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn encode_exemplars(&self, out: &mut impl Write) -> fmt::Result {
        writeln!(out, "# HELP {DURATIONS} {DURATIONS_HELP}\n# TYPE {DURATIONS} histogram")?;
        let series = self.all_series();
        for (labels, flows) in &self.flows(&self.by_labels(&series)) {
            let mut totals = Totals::default();
            flows.iter().for_each(|flow| totals.add(&flow.durations));
            let labels = told(labels);
            let labels =
                labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
            write_histogram(out, &labels.collect::<Vec<_>>().join(","), &totals)?;
        }
        Ok(())
    }
}

fn write_histogram(out: &mut impl Write, labels: &str, totals: &Totals) -> fmt::Result {
    writeln!(out, "{DURATIONS}_sum{{{labels}}} {:?}", totals.sum_seconds())?;
    writeln!(out, "{DURATIONS}_count{{{labels}}} {}", totals.count())?;
    let mut below = 0;
    for (bucket, (bound, count)) in totals.bounded().iter().enumerate() {
        below += count;
        match bound.is_finite() {
            true => write!(out, "{DURATIONS}_bucket{{le=\"{bound:?}\",{labels}}} {below}")?,
            false => write!(out, "{DURATIONS}_bucket{{le=\"+Inf\",{labels}}} {below}")?,
        }
        match totals.exemplar(bucket) {
            Some(Exemplar { trace_id, duration, at }) => {
                let at = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
                let seconds = duration.as_secs_f64();
                writeln!(out, " # {{trace_id=\"{trace_id}\"}} {seconds:?} {at:?}")?;
            }
            None => out.write_char('\n')?,
        }
    }
    Ok(())
}

/// As a value of a label (OpenMetrics 1.0, "escaped-string").
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::outcome::tests::outcome;
    use crate::telemetry::traces::TraceParent;
    use prometheus_client::registry::Registry;
    use std::time::Duration;

    fn page(telemetry: &Arc<Telemetry>) -> String {
        let (mut registry, mut page) = (Registry::default(), String::new());
        telemetry.register(&mut registry);
        prometheus_client::encoding::text::encode(&mut page, &registry).expect("a page");
        page
    }

    fn page_with_exemplars(telemetry: &Arc<Telemetry>) -> String {
        let (mut registry, mut page) = (Registry::default(), String::new());
        telemetry.register_beside_exemplars(&mut registry);
        prometheus_client::encoding::text::encode(&mut page, &registry).expect("a page");
        telemetry.encode_exemplars(&mut page).expect("a text takes everything");
        page
    }

    /// The lines of the family in the order of the page.
    fn of_family(page: &str) -> Vec<&str> {
        page.lines().filter(|line| line.contains(DURATIONS)).collect()
    }

    #[test]
    fn without_a_trace_it_is_what_the_library_writes_and_with_one_its_bucket_has_it() {
        let telemetry = Telemetry::new(&[Arc::from("web"), Arc::from("a\"\\")], 2, 1 << 30);
        for (worker, millis) in [(0, 3), (1, 700), (1, 90_000)] {
            let duration = Duration::from_millis(millis);
            telemetry.workers()[worker].flows[0].record(&outcome(duration, None));
        }
        let (plain, own) = (page(&telemetry), page_with_exemplars(&telemetry));
        assert_eq!(of_family(&plain), of_family(&own));
        assert_eq!(plain.lines().count(), own.lines().count(), "the others are there once");
        let parent = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace_id = TraceParent::read(parent).expect("valid").trace_id;
        let traced = outcome(Duration::from_millis(4), Some(trace_id));
        telemetry.workers()[0].flows[0].record(&traced);
        let own = page_with_exemplars(&telemetry);
        let with: Vec<_> = own.lines().filter(|line| line.contains(" # {")).collect();
        let [line] = *with else { panic!("{with:?}") };
        let begin = "ravelin_request_duration_seconds_bucket{le=\"0.005\",listener=\"web\"} 2 # \
                     {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\"} 0.004 ";
        assert!(line.strip_prefix(begin).is_some_and(|at| at.parse::<f64>().is_ok()), "{line}");
        assert!(!page(&telemetry).contains(" # {"), "only for those who ask for it");
    }
}
