//! A host whose own certificates are of Cloudflare Origin CA alone has none that browsers trust. Where a wildcard of a
//! public CA covers it, clients other than Cloudflare are presented that one; Cloudflare is presented its own as ever.
//!
//! The wildcard has to belong to whom the host belongs to, or be for all namespaces, so that nobody can present a
//! certificate for another one's site.

use crate::model::HostPattern;
use crate::tls::Entry;
use std::collections::HashMap;
use std::sync::Arc;

/// To which namespace each host belongs; to none: it is the operator's.
pub(super) type Owners<'s> = HashMap<&'s HostPattern, Option<&'s str>>;

/// Adds the hosts that a certificate with a wildcard is presented for beside their own. `is_for_all` says of which entries,
/// by position, that is in every namespace.
pub(super) fn add(entries: &mut [Entry], owners: &Owners<'_>, is_for_all: impl Fn(usize) -> bool) {
    let mut wildcards: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut alone: HashMap<&HostPattern, bool> = HashMap::new();
    for (position, entry) in entries.iter().enumerate() {
        let of_origin_ca = entry.certificate.is_of_origin_ca();
        for host in &entry.hosts {
            match host {
                HostPattern::Wildcard(suffix) if !of_origin_ca => {
                    wildcards.entry(suffix).or_default().push(position);
                }
                HostPattern::Exact(_) => *alone.entry(host).or_insert(true) &= of_origin_ca,
                HostPattern::Wildcard(_) | HostPattern::Any => {}
            }
        }
    }
    if wildcards.is_empty() {
        return;
    }
    let mut added = Vec::new();
    for host in alone.into_iter().filter_map(|(host, is_alone)| is_alone.then_some(host)) {
        let HostPattern::Exact(name) = host else { continue };
        let Some((_, parent)) = name.split_once('.') else { continue };
        let above = HostPattern::Wildcard(Arc::from(parent));
        let is_same_owner = owners.get(&above) == owners.get(host);
        let usable = wildcards.get(parent).into_iter().flatten().filter(|position| {
            (is_same_owner || is_for_all(**position))
                && entries[**position].certificate.covers(name)
        });
        added.extend(usable.map(|position| (*position, host.clone())));
    }
    for (position, host) in added {
        entries[position].hosts.push(host);
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{CertificateRole, HostPattern, TlsSecret};
    use crate::pki::certificate::Certificate;
    use crate::tls::store::{OfFile, entries};
    use crate::tls::{Policies, Snapshot, TlsPeer};
    use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
    use std::sync::Arc;

    /// A certificate for these names, of Cloudflare Origin CA by its own words, or of somebody else.
    fn mk_certificate(is_origin: bool, names: &[&str]) -> Arc<Certificate> {
        let unit = if is_origin { "CloudFlare Origin SSL Certificate Authority" } else { "Other" };
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::OrganizationalUnitName, unit);
        let issuer = Issuer::new(authority, KeyPair::generate().expect("a key"));
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let key = KeyPair::generate().expect("a key");
        let own = CertificateParams::new(names).expect("names").signed_by(&key, &issuer);
        let (chain, key) = (own.expect("signed").pem(), key.serialize_pem());
        Arc::new(Certificate::from_pem(chain.as_bytes(), key.as_bytes()).expect("a pair"))
    }

    fn mk_secret(namespace: &str, certificate: &Arc<Certificate>, hosts: &[&str]) -> TlsSecret {
        let host = |host: &&str| HostPattern::parse(Some(host)).expect("a host");
        TlsSecret {
            namespace: namespace.into(),
            name: "s".into(),
            certificate: Some(Arc::clone(certificate)),
            hosts: hosts.iter().map(host).collect(),
            role: CertificateRole::Routes,
        }
    }

    /// What Cloudflare and others are presented for a name.
    fn presented(files: &[OfFile], secrets: &[TlsSecret], name: &str) -> [Arc<Certificate>; 2] {
        let policies = Policies::new().expect("random numbers");
        let snapshot = Snapshot::build(&policies, &entries(files, secrets));
        let found = snapshot.find(Some(name)).expect("a certificate");
        [TlsPeer::Cloudflare, TlsPeer::Other]
            .map(|peer| Arc::clone(found.for_peer(peer).certificate()))
    }

    #[test]
    fn a_wildcard_that_others_may_trust_comes_before_a_certificate_of_origin_ca_for_the_name() {
        let origin = mk_certificate(true, &["app.example.com"]);
        let public = mk_certificate(false, &["*.example.com"]);
        let own = mk_certificate(false, &["app.example.com"]);
        let app = mk_secret("shop", &origin, &["app.example.com"]);
        let wide = |namespace| mk_secret(namespace, &public, &["*.example.com"]);
        let of = |role| TlsSecret { role, ..wide("infra") };
        let default = CertificateRole::Store { is_default: false };
        let operator = CertificateRole::Operator { is_default: false };
        for (files, secrets, others) in [
            (vec![], vec![app.clone(), wide("shop")], &public),
            (vec![], vec![wide("shop"), app.clone()], &public),
            (vec![(Arc::clone(&public), false)], vec![app.clone()], &public),
            (vec![(Arc::clone(&origin), false), (Arc::clone(&public), false)], vec![], &public),
            (vec![], vec![of(operator), app.clone()], &public),
            (vec![], vec![app.clone(), of(default)], &public),
            // Not of another namespace, and not where the host has one of its own.
            (vec![], vec![app.clone(), wide("thief")], &origin),
            (vec![], vec![app, wide("shop"), mk_secret("shop", &own, &[])], &own),
        ] {
            let found = presented(&files, &secrets, "app.example.com");
            assert!(Arc::ptr_eq(&found[0], &origin), "Cloudflare: {files:?} {secrets:?}");
            assert!(Arc::ptr_eq(&found[1], others), "others: {files:?} {secrets:?}");
        }
    }

    #[test]
    fn a_wildcard_that_does_not_name_the_host_or_is_of_origin_ca_too_is_no_better() {
        let origin = mk_certificate(true, &["app.example.com"]);
        let app = mk_secret("shop", &origin, &["app.example.com"]);
        for (is_origin, names) in [(true, "*.example.com"), (false, "*.other.example")] {
            let wide = mk_certificate(is_origin, &[names]);
            let secrets = [app.clone(), mk_secret("shop", &wide, &["*.example.com"])];
            let found = presented(&[], &secrets, "app.example.com");
            assert!(found.iter().all(|found| Arc::ptr_eq(found, &origin)), "{names}");
        }
    }
}
