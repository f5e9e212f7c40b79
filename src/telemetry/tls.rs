//! What becomes of TLS handshakes, and what is known of the certificates.

use super::locked::Locked;
use crate::error::labels;
use crate::net::counters::LocalCounter;
use crate::net::counters::ScopedGauge;
use crate::pki::certificate::LeafText;
use crate::pki::client_certificate::{Mode, Verification};
use crate::pki::full_strict::Verdict;
use std::sync::Arc;

labels! { fn label;
    /// Why a handshake failed: label `reason`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum HandshakeFailure {
        /// It took longer than `timeouts.tls_handshake`.
        Timeout = "timeout",
        /// The process left meanwhile.
        Drained = "drained",
        /// It was ended to make room for another connection.
        Evicted = "evicted",
        /// No name was asked for, and there is no default certificate.
        NoSni = "no_sni",
        /// No certificate is for the name, or it is none; and there is no default.
        UnknownSni = "unknown_sni",
        /// Neither TLS 1.2 nor 1.3.
        ProtocolVersion = "protocol_version",
        /// No suite, group or signature scheme in common.
        NoSharedCipher = "no_shared_cipher",
        /// No protocol inside of TLS in common.
        NoAlpn = "no_alpn",
        /// Not TLS, or not as it has to be.
        Malformed = "malformed",
        /// The policy of the name requires a certificate of the client, and it showed none that is good.
        ClientCertificate = "client_certificate",
        /// The peer ended it with an alert.
        PeerAlert = "peer_alert",
        /// The peer closed the connection.
        Closed = "closed",
        /// Anything else.
        Other = "other",
    }
}

labels! { fn label;
    /// The version that was agreed on: label `version`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum TlsVersion {
        /// TLS 1.2 (RFC 5246).
        V1_2 = "1.2",
        /// TLS 1.3 (RFC 8446).
        V1_3 = "1.3",
    }
}

labels! { fn label;
    /// The cipher suite that was agreed on, by its name in the registry of IANA: label `tls_cipher` of Traefik's metrics.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum TlsSuite {
        /// Of TLS 1.3 (RFC 8446 section B.4).
        Aes128Gcm = "TLS_AES_128_GCM_SHA256",
        /// The same.
        Aes256Gcm = "TLS_AES_256_GCM_SHA384",
        /// The same.
        Chacha20Poly1305 = "TLS_CHACHA20_POLY1305_SHA256",
        /// Of TLS 1.2 (RFC 5289).
        EcdheEcdsaAes128Gcm = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        /// The same.
        EcdheEcdsaAes256Gcm = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        /// The same, with RSA.
        EcdheRsaAes128Gcm = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        /// The same, with RSA.
        EcdheRsaAes256Gcm = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        /// Of TLS 1.2 (RFC 7905).
        EcdheEcdsaChacha20 = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        /// The same, with RSA.
        EcdheRsaChacha20 = "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        /// Any other.
        Other = "other",
    }
}

/// The handshakes of one listener, on one worker.
#[derive(Debug, Default)]
pub struct HandshakeCells {
    /// Successful handshakes: by [`TlsVersion`], then full and resumed.
    pub(super) done: [[LocalCounter; 2]; TlsVersion::ALL.len()],
    pub(super) failed: [LocalCounter; HandshakeFailure::ALL.len()],
    /// Results of demands for a certificate: by [`Mode`] and [`Verification`].
    pub(super) clients: [[LocalCounter; Verification::ALL.len()]; Mode::ALL.len()],
    /// Handshakes in progress, including connections that have sent nothing yet.
    pub in_flight: ScopedGauge,
}

impl HandshakeCells {
    /// Counts a success. Only the owning worker may call this.
    pub fn succeed(&self, version: TlsVersion, resumed: bool) {
        self.done[version as usize][usize::from(resumed)].add(1);
    }

    /// Counts a failure. Only the owning worker may call this.
    pub fn fail(&self, why: HandshakeFailure) {
        self.failed[why as usize].add(1);
    }

    /// Counts the result of a client certificate request, or a request without TLS for a host that requires
    /// one. Only the owning worker may call this.
    pub fn judge(&self, mode: Mode, verification: Verification) {
        self.clients[mode as usize][verification as usize].add(1);
    }
}

/// State of the certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateCells {
    /// When the host's certificate expires, the earliest of several; in seconds since the Unix epoch.
    pub not_after: Vec<(String, i64)>,
    /// The certificates that are presented: sorted, each once.
    pub leaves: Vec<Arc<LeafText>>,
    /// The verdict of each host under Full (strict), and when the accepted certificate expires, in seconds
    /// since the Unix epoch.
    pub full_strict: Vec<(String, Verdict, Option<i64>)>,
    /// The files, including CA files, and whether their current content cannot be used.
    pub files: Vec<(Arc<str>, bool)>,
    /// The Secrets (`namespace/name`) that Ingresses name and that cannot be used, and whether an
    /// earlier certificate is presented instead.
    pub failing_secrets: Vec<(String, bool)>,
    /// The unusable Secrets (`namespace/name`) that Ingresses name as CA for client certificates, and
    /// whether an earlier CA applies instead.
    pub failing_authorities: Vec<(String, bool)>,
}

/// [`CertificateCells`], shared.
pub type CertificateMetrics = Locked<CertificateCells>;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_failure_is_counted_under_a_label_of_its_own() {
        let cells = HandshakeCells::default();
        for (position, why) in HandshakeFailure::ALL.into_iter().enumerate() {
            assert_eq!(why as usize, position);
            cells.fail(why);
        }
        assert!(cells.failed.iter().all(|count| count.total() == 1));
        let labels: BTreeSet<_> =
            HandshakeFailure::ALL.into_iter().map(HandshakeFailure::label).collect();
        assert_eq!(labels.len(), HandshakeFailure::ALL.len());
    }
}
