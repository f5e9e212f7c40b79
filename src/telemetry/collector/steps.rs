//! Numbers of the steps of routes.

use super::Telemetry;
use super::families::Families;
use crate::model::middleware::StepKind;
use crate::telemetry::steps::{StepCells, StepOutcome, StoreFailure};
use std::fmt;

impl Telemetry {
    pub(super) fn encode_steps(&self, encoder: &mut Families<'_>) -> fmt::Result {
        encoder.counter(
            "ravelin_middleware_requests",
            "Requests that reached a middleware, by its kind, and by whether it passed them on or answered them",
            |family| {
                for kind in StepKind::ALL {
                    for outcome in StepOutcome::ALL {
                        let counts = self.workers.iter();
                        let counts = counts.map(|worker| worker.steps.total(kind, outcome));
                        let labels = [("kind", kind.label()), ("outcome", outcome.label())];
                        family.count(&labels, counts.sum())?;
                    }
                }
                Ok(())
            },
        )?;
        let none = StepCells::default();
        encode_states(self.steps.get().map_or(&none, |cells| cells), encoder)
    }
}

fn encode_states(cells: &StepCells, encoder: &mut Families<'_>) -> fmt::Result {
    encoder.gauge(
        "ravelin_secret_files_failing",
        "Files of zone.secret_file that cannot be used now: the last good values stay in force",
        |family| family.gauge::<0>(&[], cells.secret_files_failing.now()),
    )?;
    encoder.gauge(
        "ravelin_rate_limit_keys",
        "Clients with a bucket of a rateLimit; at most 65536 for each middleware",
        |family| family.gauge::<0>(&[], cells.rate_keys.now()),
    )?;
    encoder.gauge(
        "ravelin_rate_limit_bytes",
        "Bytes of the buckets of all rateLimits",
        |family| family.gauge::<0>(&[], cells.rate_bytes.now()),
    )?;
    encoder.counter(
        "ravelin_rate_limit_evicted",
        "Buckets dropped for those of other clients although they were not full",
        |family| family.count::<0>(&[], cells.rate_evicted.total()),
    )?;
    encoder.counter(
        "ravelin_rate_limit_fallbacks",
        "Requests whose rateLimit with redis was decided by this process alone, by reason",
        |family| {
            for reason in StoreFailure::ALL {
                let count = cells.store_fallbacks[reason as usize].total();
                family.count(&[("reason", reason.label())], count)?;
            }
            Ok(())
        },
    )?;
    encoder.gauge(
        "ravelin_digest_nonces",
        "Nonces of digestAuth with a log-in; at most 16384 for each middleware, 1 MiB",
        |family| family.gauge::<0>(&[], cells.digest_nonces.now()),
    )?;
    encoder.gauge(
        "ravelin_rate_limit_stores",
        "Connected stores of rateLimits with redis",
        |family| family.gauge::<0>(&[], cells.stores_connected.now()),
    )?;
    encoder.counter(
        "ravelin_circuit_breaker_trips",
        "How often circuitBreaker middlewares opened",
        |family| family.count::<0>(&[], cells.breaker_trips.total()),
    )?;
    encode_compress(cells, encoder)
}

fn encode_compress(cells: &StepCells, encoder: &mut Families<'_>) -> fmt::Result {
    encoder.counter(
        "ravelin_compressed_responses",
        "Responses that a compress middleware compressed, by content coding",
        |family| {
            for (coding, count) in ["br", "gzip"].into_iter().zip(&cells.compressed) {
                family.count(&[("encoding", coding)], count.total())?;
            }
            Ok(())
        },
    )?;
    encoder.counter(
        "ravelin_compressed_bytes",
        "Bytes of the bodies of compressed responses, as they came from pods (in) and as they were sent (out)",
        |family| {
            family.count(&[("direction", "in")], cells.compressed_from.total())?;
            family.count(&[("direction", "out")], cells.compressed_to.total())
        },
    )?;
    encoder.counter(
        "ravelin_compress_refused",
        "Responses passed on as they were because there was no memory for a compressor",
        |family| family.count::<0>(&[], cells.uncompressed.total()),
    )
}
