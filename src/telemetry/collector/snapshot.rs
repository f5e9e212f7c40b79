//! The table in force, its endpoints, and what is not served as written.

use super::Telemetry;
use super::families::Families;
use crate::model::{EndpointState, Severity};
use crate::telemetry::cells::ChangeEffect;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;

/// Findings by kind, cause and severity.
type Rejections = BTreeMap<(&'static str, &'static str, &'static str), i64>;

impl Telemetry {
    pub(super) fn encode_snapshot(&self, encoder: &mut Families<'_>) -> fmt::Result {
        let snapshot = self.snapshot();
        let mut plain = |name, help, value: f64| {
            encoder.gauge(name, help, |family| family.gauge_f64::<0>(&[], value))
        };
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
        {
            plain(
                "ravelin_snapshot_generation",
                "Generation of the routing table; a change of endpoints alone does not advance it",
                snapshot.generation as f64,
            )?;
            plain("ravelin_snapshot_routes", "Routes in the table", snapshot.routes as f64)?;
            plain("ravelin_snapshot_hosts", "Distinct hosts in the table", snapshot.hosts as f64)?;
        }
        plain(
            "ravelin_snapshot_published_timestamp_seconds",
            "When the table was put in force",
            snapshot.published,
        )?;
        plain(
            "ravelin_snapshot_build_seconds",
            "Time taken to build the table: translating changes and compiling",
            snapshot.build_seconds,
        )?;
        plain(
            "ravelin_config_reload_failing",
            "1 if the last reload failed, and the configuration before it is still in force",
            f64::from(u8::from(self.reload_failing.load(Ordering::Relaxed))),
        )?;
        self.encode_grace(encoder)?;
        encoder.counter(
            "ravelin_object_changes",
            "Batches of object changes put in force, by effect",
            |family| {
                for effect in ChangeEffect::ALL {
                    let count = self.changes[effect as usize].total();
                    family.count(&[("effect", effect.as_str())], count)?;
                }
                Ok(())
            },
        )?;
        encoder.gauge(
            "ravelin_rejected_objects",
            "Findings about objects that are not served as written",
            |family| {
                for ((kind, why, severity), count) in self.rejections() {
                    family
                        .gauge(&[("kind", kind), ("reason", why), ("severity", severity)], count)?;
                }
                Ok(())
            },
        )?;
        self.encode_endpoints(encoder)
    }

    fn encode_grace(&self, encoder: &mut Families<'_>) -> fmt::Result {
        encoder.gauge(
            "ravelin_ingress_class_grace_until_timestamp_seconds",
            "Until when the Ingresses of a deleted IngressClass are served",
            |family| {
                self.class_grace.read().iter().try_for_each(|(class, until)| {
                    let until = i64::try_from(*until).unwrap_or(i64::MAX);
                    family.gauge(&[("class", class)], until)
                })
            },
        )
    }

    /// Findings by kind, cause and severity, without what is merely not for us.
    fn rejections(&self) -> Rejections {
        let findings = self.findings();
        let mut counts = Rejections::new();
        for finding in findings.iter().filter(|finding| finding.severity != Severity::Info) {
            let key =
                (finding.object.kind.as_str(), finding.why.as_str(), finding.severity.as_str());
            *counts.entry(key).or_insert(0) += 1;
        }
        counts
    }

    /// Counted now, from the cells of the table in force: they change without a new table.
    fn encode_endpoints(&self, encoder: &mut Families<'_>) -> fmt::Result {
        let table = self.tables.get().map(crate::routing::TableHandle::load);
        let backends = || {
            let backends = table.iter().flat_map(|table| table.backends());
            backends.filter(|backend| backend.broken.is_none())
        };
        encoder.gauge(
            "ravelin_endpoints",
            "Endpoints of the Services in use, by state",
            |family| {
                for backend in backends() {
                    let service = format!("{}:{}", backend.key.service, backend.key.port);
                    let endpoints = backend.endpoints();
                    for state in EndpointState::ALL {
                        let count = endpoints.count(state);
                        // Of thousands of Services, hardly one has endpoints that are not ready.
                        if count == 0 && state != EndpointState::Ready {
                            continue;
                        }
                        let labels = [
                            ("namespace", &*backend.key.namespace),
                            ("service", &*service),
                            ("state", state.as_str()),
                        ];
                        family.gauge(&labels, i64::from(count))?;
                    }
                }
                Ok(())
            },
        )?;
        encoder.gauge(
            "ravelin_endpoints_ejected",
            "Endpoints of the Services in use that are ejected because of consecutive failures",
            |family| {
                for backend in backends() {
                    let service = format!("{}:{}", backend.key.service, backend.key.port);
                    let labels = [("namespace", &*backend.key.namespace), ("service", &*service)];
                    let ejected = backend.endpoints().ejected();
                    if ejected > 0 {
                        family.gauge(&labels, i64::from(ejected))?;
                    }
                }
                Ok(())
            },
        )
    }
}
