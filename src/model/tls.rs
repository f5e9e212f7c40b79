//! What Ingresses ask of TLS: the certificates that they name, and what they ask of clients.

use crate::net::host::HostPattern;
use crate::pki::certificate::Certificate;
use crate::pki::client_certificate::{Authority, BreakGlassAccess, Demand, Mode, Subjects};
use std::sync::Arc;

/// What a certificate in a Secret is presented for, beside the hosts of the routes that name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CertificateRole {
    /// Nothing.
    #[default]
    Routes,
    /// All of its names, as the configuration asks; and, if it is the default, for absent and unknown names.
    Operator {
        /// Whether it is the default.
        is_default: bool,
    },
    /// Those of its names that no namespace has a route for, as the default TLSStore of Traefik asks.
    Store {
        /// Whether it is the default, unless the configuration has one.
        is_default: bool,
    },
}

/// A Secret in `spec.tls` of Ingresses and IngressRoutes of ravelin, or one that the configuration names.
#[derive(Clone, Debug)]
pub struct TlsSecret {
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
    /// What is in it; `None` if it is missing or cannot be used, which has been reported.
    pub certificate: Option<Arc<Certificate>>,
    /// The hosts of the entries that name it, or else of the rules; sorted, without duplicates.
    pub hosts: Vec<HostPattern>,
    /// What else it is for.
    pub role: CertificateRole,
}

/// The client certificate policy of one host, from its Ingresses.
#[derive(Clone, Debug, PartialEq)]
pub struct HostClients {
    /// The host.
    pub host: HostPattern,
    /// What happens without a good certificate.
    pub mode: Mode,
    /// The required issuer. `None`, unless the mode is `off`: no certificate is accepted, which has been
    /// reported.
    pub issuer: Option<Issuer>,
    /// The accepted subjects.
    pub subjects: Subjects,
    /// Whether TLS 1.2 is refused.
    pub tls13_only: bool,
    /// Whether it is open in break-glass, where the mode is `require`.
    pub break_glass: BreakGlassAccess,
}

/// The issuer of client certificates.
#[derive(Clone, Debug, PartialEq)]
pub enum Issuer {
    /// Cloudflare's shared authority.
    Cloudflare,
    /// The authority in a Secret.
    Secret {
        /// `metadata.namespace`.
        namespace: Arc<str>,
        /// `metadata.name`.
        name: Arc<str>,
        /// What is in it; `None` if it is missing or cannot be used, which has been reported.
        authority: Option<Arc<Authority>>,
    },
}

impl HostClients {
    /// The policy; one that no certificate satisfies, if the CA is missing.
    pub fn demand(&self) -> Demand {
        let authority = match &self.issuer {
            _ if self.mode == Mode::Off => None,
            None => None,
            Some(Issuer::Cloudflare) => Some(Arc::new(Authority::cloudflare())),
            Some(Issuer::Secret { authority, .. }) => authority.clone(),
        };
        let Self { mode, tls13_only, .. } = *self;
        Demand { mode, authority, subjects: self.subjects.clone(), tls13_only }
    }
}
