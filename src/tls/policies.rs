//! Which policy is for which host.
//!
//! What the operator demands comes first: an Ingress may only ask for more, unless the operator has
//! switched it off. Demands that are equal are one policy; one that is already in force keeps its
//! tickets when others change.

use super::policy::Policy;
use super::snapshot::TlsPeer;
use super::tickets::TicketKeys;
use crate::model::{Host, HostPattern, TcpTlsEnd};
use crate::pki::client_certificate::{BreakGlassAccess, Demand, Mode};
use foldhash::fast::RandomState;
use rustls::Error;
use std::collections::HashMap;
use std::sync::Arc;

/// What is demanded of the clients of a host.
#[derive(Clone, Debug)]
pub struct HostDemand {
    /// The host.
    pub host: HostPattern,
    /// The demand. Hosts with equal ones share connections and sessions of Cloudflare, whatever else is different.
    pub demand: Demand,
    /// Whether visitors whom break-glass alone admits have to meet it, where it requires a certificate.
    pub break_glass: BreakGlassAccess,
}

/// The policy of a host.
#[derive(Clone, Debug)]
struct HostPolicy {
    policy: Arc<Policy>,
    break_glass: BreakGlassAccess,
    /// For visitors whom break-glass alone admits, where the host is open for them.
    opened: Option<Arc<Policy>>,
}

/// What counts for a host of what operator and Ingresses demand.
#[derive(Clone, Copy)]
struct Counting<'p> {
    policy: &'p Arc<Policy>,
    /// Of all who require a certificate, the strictest.
    break_glass: BreakGlassAccess,
    opened: Option<&'p Arc<Policy>>,
}

impl<'p> From<&'p HostPolicy> for Counting<'p> {
    fn from(of: &'p HostPolicy) -> Self {
        let HostPolicy { policy, break_glass, opened } = of;
        Self { policy, break_glass: *break_glass, opened: opened.as_ref() }
    }
}

impl HostPolicy {
    fn requires(&self) -> bool {
        self.policy.mode() == Mode::Require
    }
}

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
    exact: HashMap<Arc<str>, HostPolicy, RandomState>,
    /// By what stands behind `*.`.
    wildcard: HashMap<Arc<str>, HostPolicy, RandomState>,
    any: Option<HostPolicy>,
}

impl ByHost {
    /// The one for the host itself, else for its wildcard, else for all.
    fn find(&self, host: &str) -> Option<&HostPolicy> {
        let wildcard = || self.wildcard.get(host.split_once('.')?.1);
        self.exact.get(host).or_else(wildcard).or(self.any.as_ref())
    }

    /// The same for the hosts of a pattern.
    fn of_pattern(&self, host: &HostPattern) -> Option<&HostPolicy> {
        match host {
            HostPattern::Exact(name) => self.find(name),
            HostPattern::Wildcard(suffix) => self.wildcard.get(suffix).or(self.any.as_ref()),
            HostPattern::Any => self.any.as_ref(),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Policy>> {
        let all = self.exact.values().chain(self.wildcard.values()).chain(&self.any);
        all.flat_map(|of| [Some(&of.policy), of.opened.as_ref()]).flatten()
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
    pub fn with(&self, operator: &[HostDemand], ingresses: &[HostDemand]) -> Result<Self, Error> {
        let mut known = vec![Arc::clone(&self.off)];
        for policy in self.operator.all().chain(self.ingresses.all()) {
            if !known.iter().any(|other| Arc::ptr_eq(other, policy)) {
                known.push(Arc::clone(policy));
            }
        }
        let operator = by_host(operator, &mut known, &self.keys)?;
        // Of what the operator demands nothing is given up where an Ingress refuses TLS 1.2.
        let of_both = |of: &HostDemand| {
            let HostDemand { host, demand, break_glass } = of;
            let above = operator.of_pattern(host).map(|own| &own.policy);
            let demand = match above.filter(|own| own.mode() >= demand.mode) {
                Some(own) if demand.tls13_only => {
                    Demand { tls13_only: true, ..own.demand().clone() }
                }
                _ => demand.clone(),
            };
            HostDemand { host: host.clone(), demand, break_glass: *break_glass }
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
        let own = &self.operator.find(host.as_ref().map_or("", Host::as_str))?.policy;
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
        self.counting(host).policy
    }

    /// The same for this client.
    pub fn for_peer(&self, host: Option<&str>, peer: TlsPeer) -> &Arc<Policy> {
        let Counting { policy, opened, .. } = self.counting(host);
        match peer {
            TlsPeer::Stranger => opened.unwrap_or(policy),
            TlsPeer::Cloudflare | TlsPeer::Other => policy,
        }
    }

    /// What becomes of a host in break-glass that requires a certificate; `None` if it does not.
    pub fn break_glass(&self, host: Option<&str>) -> Option<BreakGlassAccess> {
        let Counting { policy, break_glass, .. } = self.counting(host);
        (policy.mode() == Mode::Require).then_some(break_glass)
    }

    fn counting(&self, host: Option<&str>) -> Counting<'_> {
        let host = normal(host);
        let host = host.as_ref().map_or("", Host::as_str);
        match (self.operator.find(host), self.ingresses.find(host)) {
            (None, None) => {
                let break_glass = BreakGlassAccess::Unsaid;
                Counting { policy: &self.off, break_glass, opened: None }
            }
            (Some(only), None) | (None, Some(only)) => only.into(),
            (Some(operator), Some(ingress)) => {
                let (own, other) = (&operator.policy, &ingress.policy);
                let may_add = own.mode() != Mode::Off && other.mode() > own.mode();
                let is_both = other.demand().tls13_only && other.mode() == own.mode();
                let mut counting = Counting::from(match may_add || is_both {
                    true => ingress,
                    false => operator,
                });
                // Of two who require a certificate, neither opens the host for the other.
                if operator.requires() && ingress.requires() {
                    counting.break_glass = operator.break_glass.min(ingress.break_glass);
                    let is_open = counting.break_glass == BreakGlassAccess::Open;
                    counting.opened = counting.opened.filter(|_| is_open);
                }
                counting
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
    demands: &[HostDemand],
    known: &mut Vec<Arc<Policy>>,
    keys: &Arc<TicketKeys>,
) -> Result<ByHost, Error> {
    let mut all = ByHost::default();
    let mut policy = |demand: &Demand| {
        if let Some(same) = known.iter().find(|policy| policy.demand() == demand) {
            return Ok(Arc::clone(same));
        }
        let policy = Arc::new(Policy::demanding(demand.clone(), keys)?);
        known.push(Arc::clone(&policy));
        Ok::<_, Error>(policy)
    };
    for HostDemand { host, demand, break_glass } in demands {
        let is_open = demand.mode == Mode::Require && *break_glass == BreakGlassAccess::Open;
        let opened = is_open.then(|| policy(&demand.without_certificate())).transpose()?;
        let of = HostPolicy { policy: policy(demand)?, break_glass: *break_glass, opened };
        match host {
            HostPattern::Exact(name) => {
                all.exact.entry(Arc::clone(name)).or_insert(of);
            }
            HostPattern::Wildcard(suffix) => {
                all.wildcard.entry(Arc::clone(suffix)).or_insert(of);
            }
            HostPattern::Any => {
                all.any.get_or_insert(of);
            }
        }
    }
    Ok(all)
}
