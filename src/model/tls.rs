//! What Ingresses ask of TLS: the certificates that they name, and what they ask of clients.

use crate::net::host::HostPattern;
use crate::pki::certificate::Certificate;
use crate::pki::client_certificate::{Authority, Demand, Mode, Subjects};
use std::sync::Arc;

/// A Secret that Ingresses of ours name in `spec.tls`.
#[derive(Clone, Debug)]
pub struct TlsSecret {
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
    /// What is in it; `None` if it is missing or cannot be used, which has been reported.
    pub certificate: Option<Arc<Certificate>>,
    /// The hosts of the entries that name it, or else of the rules beside; sorted, each once.
    pub hosts: Vec<HostPattern>,
}

/// What is asked of the clients of one host, by its Ingresses.
#[derive(Clone, Debug, PartialEq)]
pub struct HostClients {
    /// The host.
    pub host: HostPattern,
    /// What happens without a good certificate.
    pub mode: Mode,
    /// Who has to have issued it. `None`, unless the mode is `off`: nobody, which has been reported.
    pub issuer: Option<Issuer>,
    /// Whom it has to be for.
    pub subjects: Subjects,
}

/// Who issues certificates of clients.
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
    /// The demand; one that nobody can meet, where the authority is missing.
    pub fn demand(&self) -> Demand {
        let authority = match &self.issuer {
            _ if self.mode == Mode::Off => return Demand::off(),
            None => None,
            Some(Issuer::Cloudflare) => Some(Arc::new(Authority::cloudflare())),
            Some(Issuer::Secret { authority, .. }) => authority.clone(),
        };
        Demand { mode: self.mode, authority, subjects: self.subjects.clone() }
    }
}
