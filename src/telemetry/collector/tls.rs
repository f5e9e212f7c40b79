//! TLS: handshakes by outcome, until when certificates are valid, and what Cloudflare says of them.

use super::Telemetry;
use super::families::Families;
use crate::pki::client_certificate::{Mode, Verification};
use crate::telemetry::tls::{HandshakeFailure, TlsVersion};
use std::fmt;

impl Telemetry {
    pub(super) fn encode_tls(&self, encoder: &mut Families<'_>) -> fmt::Result {
        encoder.counter("ravelin_tls_handshakes", "TLS handshakes that succeeded", |family| {
            for (position, name) in self.secured() {
                for version in TlsVersion::ALL {
                    for (resumed, word) in ["false", "true"].into_iter().enumerate() {
                        let all = self.cells_of(position);
                        let done = all
                            .map(|cells| cells.handshakes.done[version as usize][resumed].total());
                        let version = version.label();
                        let labels = [("listener", name), ("version", version), ("resumed", word)];
                        family.count(&labels, done.sum())?;
                    }
                }
            }
            Ok(())
        })?;
        encoder.counter(
            "ravelin_tls_handshake_failures",
            "TLS handshakes that failed",
            |family| {
                for (position, name) in self.secured() {
                    for why in HandshakeFailure::ALL {
                        let all = self.cells_of(position);
                        let failed = all.map(|cells| cells.handshakes.failed[why as usize].total());
                        let labels = [("listener", name), ("reason", why.label())];
                        family.count(&labels, failed.sum())?;
                    }
                }
                Ok(())
            },
        )?;
        encoder.gauge(
            "ravelin_tls_handshakes_in_flight",
            "TLS handshakes in progress",
            |family| {
                self.secured().try_for_each(|(position, name)| {
                    let now = self.cells_of(position).map(|cells| cells.handshakes.in_flight.now());
                    family.gauge(&[("listener", name)], now.sum::<i64>())
                })
            },
        )?;
        self.encode_full_strict(encoder)?;
        self.encode_clients(encoder)?;
        self.encode_certificates(encoder)
    }

    fn encode_full_strict(&self, encoder: &mut Families<'_>) -> fmt::Result {
        let hosts = self.certificates.read().full_strict;
        encoder.gauge(
            "ravelin_tls_full_strict",
            "Verdict of Full (strict) on the host's certificate: 1 for the verdict",
            |family| {
                hosts.iter().try_for_each(|(host, verdict, _)| {
                    family.gauge(&[("host", host), ("verdict", verdict.label())], 1)
                })
            },
        )?;
        encoder.gauge(
            "ravelin_tls_full_strict_until_timestamp_seconds",
            "Until when Full (strict) accepts the host's certificate, if it does",
            |family| {
                let mut accepted =
                    hosts.iter().filter_map(|(host, _, until)| Some((host, (*until)?)));
                accepted.try_for_each(|(host, until)| family.gauge(&[("host", host)], until))
            },
        )
    }

    /// For all listeners: a request without TLS can lack a certificate as well.
    fn encode_clients(&self, encoder: &mut Families<'_>) -> fmt::Result {
        encoder.counter(
            "ravelin_tls_client_certificates",
            "Client certificate requests, by result; policy=request: served in any case, \
                policy=require: refused unless valid",
            |family| {
                for (position, name) in self.listeners.iter().enumerate() {
                    for mode in [Mode::Request, Mode::Require] {
                        for verification in Verification::ALL {
                            let all = self.cells_of(position);
                            let count = all.map(|cells| {
                                cells.handshakes.clients[mode as usize][verification as usize]
                                    .total()
                            });
                            let count = count.sum::<u64>();
                            // Most hosts ask nobody: what has not been is left out.
                            if count == 0 {
                                continue;
                            }
                            let labels = [
                                ("listener", &**name),
                                ("policy", mode.as_str()),
                                ("result", verification.label()),
                            ];
                            family.count(&labels, count)?;
                        }
                    }
                }
                Ok(())
            },
        )
    }

    fn encode_certificates(&self, encoder: &mut Families<'_>) -> fmt::Result {
        let certificates = self.certificates.read();
        encoder.gauge(
            "ravelin_tls_certificate_not_after_timestamp_seconds",
            "Until when the host's certificate is valid; of several, the one that expires first",
            |family| {
                let mut hosts = certificates.not_after.iter();
                hosts.try_for_each(|(host, end)| family.gauge(&[("host", host)], *end))
            },
        )?;
        encoder.gauge(
            "ravelin_tls_certificate_file_failing",
            "1 if the file cannot be used and its last good content is in use",
            |family| {
                certificates.files.iter().try_for_each(|(file, failing)| {
                    family.gauge(&[("file", file)], i64::from(*failing))
                })
            },
        )?;
        encoder.gauge(
            "ravelin_tls_secret_failing",
            "TLS Secrets that cannot be used, by what is presented instead",
            |family| {
                for (shown, word) in [(false, "nothing"), (true, "last_good")] {
                    let failing = certificates.failing_secrets.iter();
                    let count = failing.filter(|(_, has_last)| *has_last == shown).count();
                    let count = i64::try_from(count).unwrap_or(i64::MAX);
                    family.gauge(&[("shown", word)], count)?;
                }
                Ok(())
            },
        )?;
        encoder.gauge(
            "ravelin_tls_client_authority_failing",
            "CA Secrets for client certificates that cannot be used, by what applies instead",
            |family| {
                for (counts, word) in [(false, "nothing"), (true, "last_good")] {
                    let failing = certificates.failing_authorities.iter();
                    let count = failing.filter(|(_, has_last)| *has_last == counts).count();
                    let count = i64::try_from(count).unwrap_or(i64::MAX);
                    family.gauge(&[("counts", word)], count)?;
                }
                Ok(())
            },
        )
    }

    /// The listeners with TLS.
    fn secured(&self) -> impl Iterator<Item = (usize, &str)> {
        let listeners = self.listeners.iter().enumerate();
        let secured = self.secured.get().map_or(&[][..], |secured| secured);
        listeners.filter_map(|(position, name)| {
            secured.get(position).copied().unwrap_or(false).then_some((position, &**name))
        })
    }
}
