//! The certificates that Ingresses name.

use super::reading::Certificate;
use super::{Map, Name, Routes};
use crate::model::TlsSecret;

impl Routes {
    /// The Secrets of the configuration and of the TLSStore, and those that Ingresses name, in the order of the first
    /// Ingress that does.
    pub(super) fn certificates(&self) -> Vec<TlsSecret> {
        let mut all: Vec<TlsSecret> = Vec::new();
        let mut known: Map<&Name, usize> = Map::default();
        for secret in self.pool.secrets() {
            known.insert(secret, all.len());
            all.push(self.pooled(secret));
        }
        let ours = self.readings.iter().map(|(_, reading)| reading);
        let mut ours: Vec<_> = ours.filter(|reading| !reading.served.tls.is_empty()).collect();
        ours.sort_by(|a, b| a.ingress.by_age(&b.ingress));
        for Certificate { position: _, secret, hosts } in
            ours.into_iter().flat_map(|reading| &reading.served.tls)
        {
            let at = *known.entry(secret).or_insert_with(|| {
                all.push(self.pooled(secret));
                all.len() - 1
            });
            all[at].hosts.extend(hosts.iter().cloned());
        }
        for secret in &mut all {
            secret.hosts.sort();
            secret.hosts.dedup();
        }
        all
    }
}
