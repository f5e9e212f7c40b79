//! Which certificate a host gets, from where, and why: by the order of `tls::store`, in which `[[certificate]]` comes
//! before the Secrets of routes, these before certificates that cover a host by another name, and the default last.

use super::Certificates;
use crate::model::{CertificateRole, Host, HostPattern, TlsSecret};
use crate::pki::certificate::Certificate;
use crate::tls::TlsPeer;
use crate::tls::store::of_secret;
use std::sync::Arc;

/// What visitors see without any.
const NOTHING: &str = "the handshake is refused (unrecognized_name): Cloudflare answers its visitors 525, unless the zone is on Off or \
                       Flexible, and other clients get an error of TLS";

/// Why a host gets the certificate that it gets.
#[derive(Debug)]
pub(in crate::cli) struct Choice {
    /// The file or Secret; none if none is presented.
    pub(in crate::cli) from: Option<String>,
    pub(in crate::cli) why: String,
    /// The file or Secret of what clients other than Cloudflare are presented, if that is another certificate.
    pub(in crate::cli) others_from: Option<String>,
}

impl Choice {
    fn none(why: String) -> Self {
        Self { from: None, why, others_from: None }
    }
}

impl Certificates<'_> {
    /// What is presented for a server name, which a ClientHello may be without.
    pub(in crate::cli) fn choice(&self, name: Option<&str>) -> Choice {
        let snapshot = match self.snapshot() {
            Ok(snapshot) => snapshot,
            Err(failure) => return Choice::none(failure.text),
        };
        let patterns = name.map(patterns).unwrap_or_default();
        let is_its = |hosts: &[HostPattern]| patterns.iter().any(|it| hosts.contains(it));
        let broken = self.secrets.iter().find(|it| it.certificate.is_none() && is_its(&it.hosts));
        let broken = broken.map(|secret| {
            format!(
                "{} is named for it, and is not in the input or cannot be used",
                of_secret(secret)
            )
        });
        let Ok(found) = snapshot.find(name) else {
            let why = broken.unwrap_or_else(|| match name {
                Some(_) => "no route names a Secret for it, no certificate covers it, and there is no default".to_owned(),
                None => "the ClientHello has no server name, and there is no default".to_owned(),
            });
            return Choice::none(format!("{why}: {NOTHING}"));
        };
        let certificate = found.preferred().certificate();
        let is_it = |other: &Arc<Certificate>| Arc::ptr_eq(other, certificate);
        let from = self.origin(certificate);
        let others = found.for_peer(TlsPeer::Other).certificate();
        let others_from = if is_it(others) { None } else { self.origin(others) };
        let secret = self.secrets.iter().find(|it| it.certificate.as_ref().is_some_and(is_it));
        let is_of_files = self.files.iter().any(|(other, _)| is_it(other));
        let why = match secret.filter(|_| !is_of_files) {
            _ if found.by_default => {
                let default = match secret.map(|secret| secret.role) {
                    Some(CertificateRole::Store { .. }) if !is_of_files => "the default TLSStore has the default",
                    _ => "it is the default of [[certificate]]",
                };
                let nothing = broken.unwrap_or_else(|| "nothing else is for this name".to_owned());
                format!("{nothing}: {default}")
            }
            None => "a [[certificate]] of the configuration covers it, which comes before those of routes".to_owned(),
            Some(secret) => of_role(secret, &patterns),
        };
        Choice { from, why, others_from }
    }
}

impl Certificates<'_> {
    /// The file or Secret that a certificate is from.
    pub(in crate::cli) fn origin(&self, certificate: &Arc<Certificate>) -> Option<String> {
        let mut all = self.origins.iter();
        all.find(|(other, _)| Arc::ptr_eq(other, certificate)).map(|(_, from)| from.clone())
    }
}

/// Why a Secret is presented that is not the default.
fn of_role(secret: &TlsSecret, patterns: &[HostPattern]) -> String {
    let names = secret.certificate.iter().flat_map(|certificate| certificate.names());
    let covers = names.filter(|name| patterns.contains(name)).map(ToString::to_string).next();
    let covers = covers.unwrap_or_else(|| "its name".to_owned());
    let is_named = patterns.iter().any(|it| secret.hosts.contains(it));
    match secret.role {
        CertificateRole::Operator { .. } => {
            format!(
                "a [[certificate]] of the configuration names this Secret, which covers it ({covers}), and comes before those of routes"
            )
        }
        _ if is_named => "its routes name this Secret in tls".to_owned(),
        CertificateRole::Routes => format!(
            "no route names a Secret for it: this one of the namespace {} is named by other routes, and covers it ({covers})",
            secret.namespace
        ),
        CertificateRole::Store { .. } => {
            format!(
                "no route names a Secret for it: the default TLSStore has this one, which covers it ({covers})"
            )
        }
    }
}

/// The name itself, and the wildcard for its first label.
fn patterns(name: &str) -> Vec<HostPattern> {
    let Ok(host) = Host::parse(name) else { return Vec::new() };
    let name = host.as_str();
    let parent = name.split_once('.').map(|(_, parent)| HostPattern::Wildcard(parent.into()));
    std::iter::once(HostPattern::Exact(name.into())).chain(parent).collect()
}
