//! Numbers of the way to the pods.

use super::Telemetry;
use super::families::Families;
use crate::telemetry::cells::{Mirrored, Retry, UpstreamCells};
use std::fmt;

impl Telemetry {
    pub(super) fn encode_upstream(&self, encoder: &mut Families<'_>) -> fmt::Result {
        let sum = |value: fn(&UpstreamCells) -> u64| -> u64 {
            self.workers.iter().map(|worker| value(&worker.upstream)).sum()
        };
        encoder.counter(
            "ravelin_upstream_connects",
            "Connections made to endpoints",
            |family| {
                family.count(&[("result", "ok")], sum(|cells| cells.connects.total()))?;
                family.count(&[("result", "failed")], sum(|cells| cells.connect_failures.total()))
            },
        )?;
        encoder.counter(
            "ravelin_upstream_tls_failures",
            "Connections to endpoints that failed in the TLS handshake",
            |family| family.count::<0>(&[], sum(|cells| cells.tls_failures.total())),
        )?;
        encoder.counter(
            "ravelin_upstream_reuses",
            "Requests sent on a reused connection",
            |family| family.count::<0>(&[], sum(|cells| cells.reuses.total())),
        )?;
        encoder.counter(
            "ravelin_upstream_picks",
            "Endpoints picked for Services with endpoints on the same node or in the same zone, by place",
            |family| {
                family.count(&[("place", "near")], sum(|cells| cells.picks[1].total()))?;
                family.count(&[("place", "far")], sum(|cells| cells.picks[0].total()))
            },
        )?;
        self.encode_retries(encoder)?;
        encoder.gauge(
            "ravelin_upstream_idle_connections",
            "Idle connections kept for reuse",
            |family| {
                let idle: i64 = self.workers.iter().map(|worker| worker.upstream.idle.now()).sum();
                family.gauge::<0>(&[], idle)
            },
        )?;
        encoder.gauge(
            "ravelin_upstream_queued",
            "Requests queued because every endpoint has reached ravelin.dev/max-connections",
            |family| {
                let waiting = self.workers.iter().map(|worker| worker.upstream.queued.now());
                family.gauge::<0>(&[], waiting.sum::<i64>())
            },
        )?;
        self.encode_mirrors(encoder)?;
        self.encode_watching(encoder)
    }

    fn encode_mirrors(&self, encoder: &mut Families<'_>) -> fmt::Result {
        let cells = || self.workers.iter().map(|worker| &worker.upstream);
        encoder.counter(
            "ravelin_mirrored_requests",
            "Copies of requests for the mirrors of a TraefikService, by result",
            |family| {
                for result in Mirrored::ALL {
                    let copies = cells().map(|cells| cells.mirrored[result as usize].total());
                    family.count(&[("result", result.label())], copies.sum())?;
                }
                Ok(())
            },
        )?;
        encoder.gauge(
            "ravelin_mirrored_requests_under_way",
            "Copies of requests on their way to mirrors",
            |family| {
                let under_way = cells().map(|cells| cells.mirrors.now());
                family.gauge::<0>(&[], under_way.sum::<i64>())
            },
        )
    }

    /// What is asked of pods and of DNS beside requests.
    fn encode_watching(&self, encoder: &mut Families<'_>) -> fmt::Result {
        encoder.counter(
            "ravelin_health_checks",
            "Health checks of endpoints, by result",
            |family| {
                family.count(&[("result", "passed")], self.checks.ok.total())?;
                family.count(&[("result", "failed")], self.checks.failed.total())
            },
        )?;
        encoder.counter(
            "ravelin_dns_lookups",
            "DNS lookups for Services of type ExternalName, by result",
            |family| {
                family.count(&[("result", "ok")], self.dns.ok.total())?;
                family.count(&[("result", "failed")], self.dns.failed.total())
            },
        )
    }

    fn encode_retries(&self, encoder: &mut Families<'_>) -> fmt::Result {
        let cells = || self.workers.iter().map(|worker| &worker.upstream);
        encoder.counter(
            "ravelin_upstream_retries",
            "Requests retried on another endpoint or connection, by reason",
            |family| {
                for reason in Retry::ALL {
                    let retries = cells().map(|cells| cells.retries[reason as usize].total());
                    family.count(&[("reason", reason.label())], retries.sum())?;
                }
                Ok(())
            },
        )?;
        encoder.counter(
            "ravelin_upstream_retries_refused",
            "Requests not retried because the retry budget was used up",
            |family| {
                let refused = cells().map(|cells| cells.retries_refused.total());
                family.count::<0>(&[], refused.sum())
            },
        )?;
        encoder.counter(
            "ravelin_upstream_connections_retired",
            "HTTP/2 connections retired because too many of their requests were cancelled",
            |family| {
                let retired = cells().map(|cells| cells.retired.total());
                family.count::<0>(&[], retired.sum())
            },
        )?;
        encoder.counter(
            "ravelin_upstream_ejections",
            "Ejections of endpoints because of consecutive failures",
            |family| {
                let ejections = cells().map(|cells| cells.ejections.total());
                family.count::<0>(&[], ejections.sum())
            },
        )
    }
}
