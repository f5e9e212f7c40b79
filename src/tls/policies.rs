//! Which policy is for which host.
//!
//! What the operator demands comes first: an Ingress may only ask for more, unless the operator has
//! switched it off. Demands that are equal are one policy; one that is already in force keeps its
//! tickets when others change.

use super::policy::Policy;
use super::tickets::TicketKeys;
use crate::model::{Host, HostPattern, TcpTlsEnd};
use crate::pki::client_certificate::{Demand, Mode};
use foldhash::fast::RandomState;
use rustls::Error;
use std::collections::HashMap;
use std::sync::Arc;

/// Demands, each with the hosts that it is for.
pub type Demands = [(HostPattern, Demand)];

/// The policies by host. The cost of a lookup does not depend on their number.
#[derive(Clone, Debug)]
pub struct Policies {
    /// For hosts of which nothing is demanded.
    off: Arc<Policy>,
    operator: ByHost,
    ingresses: ByHost,
    /// Where the keys of all their tickets come from.
    keys: Arc<TicketKeys>,
}

#[derive(Clone, Debug, Default)]
struct ByHost {
    exact: HashMap<Arc<str>, Arc<Policy>, RandomState>,
    /// By what stands behind `*.`.
    wildcard: HashMap<Arc<str>, Arc<Policy>, RandomState>,
    any: Option<Arc<Policy>>,
}

impl ByHost {
    /// The one for the host itself, else for its wildcard, else for all.
    fn find(&self, host: &str) -> Option<&Arc<Policy>> {
        let wildcard = || self.wildcard.get(host.split_once('.')?.1);
        self.exact.get(host).or_else(wildcard).or(self.any.as_ref())
    }

    /// The same for the hosts of a pattern.
    fn of_pattern(&self, host: &HostPattern) -> Option<&Arc<Policy>> {
        match host {
            HostPattern::Exact(name) => self.find(name),
            HostPattern::Wildcard(suffix) => self.wildcard.get(suffix).or(self.any.as_ref()),
            HostPattern::Any => self.any.as_ref(),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.exact.values().chain(self.wildcard.values()).chain(&self.any)
    }
}

impl Policies {
    /// No host requests client certificates.
    ///
    /// # Errors
    /// Only where the system has no random numbers.
    pub fn new() -> Result<Self, Error> {
        Self::sealing(TicketKeys::new()?)
    }

    /// The same, with ticket keys from here.
    ///
    /// # Errors
    /// Where the cryptography has no TLS 1.2 and 1.3.
    pub fn sealing(keys: Arc<TicketKeys>) -> Result<Self, Error> {
        let off = Arc::new(Policy::demanding(Demand::off(), &keys)?);
        Ok(Self { off, operator: ByHost::default(), ingresses: ByHost::default(), keys })
    }

    /// Other demands in the place of these. Of two for one host the first counts.
    ///
    /// # Errors
    /// As [`Policies::new`].
    pub fn with(&self, operator: &Demands, ingresses: &Demands) -> Result<Self, Error> {
        let mut known = vec![Arc::clone(&self.off)];
        for policy in self.operator.all().chain(self.ingresses.all()) {
            if !known.iter().any(|other| Arc::ptr_eq(other, policy)) {
                known.push(Arc::clone(policy));
            }
        }
        let operator = by_host(operator, &mut known, &self.keys)?;
        // Of what the operator demands nothing is given up where an Ingress refuses TLS 1.2.
        let of_both = |(host, demand): &(HostPattern, Demand)| {
            let above = operator.of_pattern(host).filter(|own| own.mode() >= demand.mode);
            let demand = match above {
                Some(own) if demand.tls13_only => {
                    Demand { tls13_only: true, ..own.demand().clone() }
                }
                _ => demand.clone(),
            };
            (host.clone(), demand)
        };
        let ingresses: Vec<_> = ingresses.iter().map(of_both).collect();
        let ingresses = by_host(&ingresses, &mut known, &self.keys)?;
        let (off, keys) = (Arc::clone(&self.off), Arc::clone(&self.keys));
        Ok(Self { off, operator, ingresses, keys })
    }

    /// The policy of the hosts of which nothing is demanded.
    pub(super) fn off(&self) -> &Arc<Policy> {
        &self.off
    }

    /// What the operator demands for a host, where a route at which TLS ends does not demand more.
    pub(super) fn above(&self, end: &TcpTlsEnd, host: Option<&str>) -> Option<&Arc<Policy>> {
        let host = normal(host);
        let own = self.operator.find(host.as_ref().map_or("", Host::as_str))?;
        (own.mode() != Mode::Off && own.mode() >= end.demand.mode).then_some(own)
    }

    /// The policy of a route at which TLS ends, with what is above it.
    ///
    /// # Errors
    /// Where the cryptography has no such versions.
    pub(super) fn ending(&self, end: &TcpTlsEnd, above: Option<&Policy>) -> Result<Policy, Error> {
        let TcpTlsEnd { demand, protocols, .. } = end;
        let mut both = above.map_or(demand, Policy::demand).clone();
        both.tls13_only |= demand.tls13_only;
        Policy::agreeing(both, protocols, &self.keys)
    }

    /// Whether any host requests client certificates.
    pub fn is_asking(&self) -> bool {
        self.operator.all().chain(self.ingresses.all()).any(|policy| policy.mode() != Mode::Off)
    }

    /// The policy of a host in its normal form; `None` and what is no host name: of those without
    /// one.
    pub fn of(&self, host: Option<&str>) -> &Arc<Policy> {
        let host = normal(host);
        let host = host.as_ref().map_or("", Host::as_str);
        match (self.operator.find(host), self.ingresses.find(host)) {
            (None, None) => &self.off,
            (Some(only), None) | (None, Some(only)) => only,
            (Some(operator), Some(ingress)) => {
                let may_add = operator.mode() != Mode::Off && ingress.mode() > operator.mode();
                let is_both = ingress.demand().tls13_only && ingress.mode() == operator.mode();
                if may_add || is_both { ingress } else { operator }
            }
        }
    }
}

/// A host in its normal form, if it is one.
fn normal(host: Option<&str>) -> Option<Host<'_>> {
    host.and_then(|host| Host::parse(host).ok())
}

/// `known` are the policies that there are already; new ones are added.
fn by_host(
    demands: &Demands,
    known: &mut Vec<Arc<Policy>>,
    keys: &Arc<TicketKeys>,
) -> Result<ByHost, Error> {
    let mut all = ByHost::default();
    for (host, demand) in demands {
        let same = known.iter().find(|policy| policy.demand() == demand).cloned();
        let policy = match same {
            Some(policy) => policy,
            None => {
                let policy = Arc::new(Policy::demanding(demand.clone(), keys)?);
                known.push(Arc::clone(&policy));
                policy
            }
        };
        match host {
            HostPattern::Exact(name) => {
                all.exact.entry(Arc::clone(name)).or_insert(policy);
            }
            HostPattern::Wildcard(suffix) => {
                all.wildcard.entry(Arc::clone(suffix)).or_insert(policy);
            }
            HostPattern::Any => {
                all.any.get_or_insert(policy);
            }
        }
    }
    Ok(all)
}
