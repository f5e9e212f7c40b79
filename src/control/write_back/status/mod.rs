//! `status.loadBalancer.ingress` of Ingresses: what is to be written where.
//!
//! Everything is written by server-side apply under one field manager, so the object itself says
//! whether its status is ours, also to the next leader. An Ingress that left our class is cleared
//! only if it is: another controller on the same nodes writes the same addresses, and to compare
//! those would be to quarrel with it. Applying nothing takes away what is ours and no more.

mod apply;
mod board;

pub(super) use apply::apply;
pub(super) use board::Board;

use super::address::Address;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How the name begins under which the API server records what we wrote.
const FIELD_MANAGER: &str = "ravelin/";

/// The name under which an installation writes statuses, the same for each of its instances: its
/// Lease is its own. Two installations in one cluster leave each other's statuses alone.
///
/// At most 128 bytes, which is what the API server takes, if namespace and name have 63 and
/// [`crate::config::MAX_LEASE_BYTES`] at most.
pub fn field_manager(namespace: &str, lease: &str) -> String {
    format!("{FIELD_MANAGER}{namespace}/{lease}")
}

/// An Ingress, as far as its status is concerned. Ingresses of every class are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressRef {
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// `metadata.resourceVersion`, compared only for being the same.
    pub version: Arc<str>,
    /// Whether its class belongs to ravelin.
    pub ours: bool,
    /// The [`field_manager`] of the ravelin that wrote the status, if one did.
    pub writer: Option<Arc<str>>,
    /// The addresses in the status.
    pub addresses: Vec<Address>,
}

impl IngressRef {
    /// Reads a whole Ingress: `metadata.managedFields` shows who wrote its status.
    pub fn of(ingress: &Ingress, ours: bool) -> Self {
        let meta = &ingress.metadata;
        let text = |field: &Option<String>| field.as_deref().unwrap_or_default().into();
        let balancer = ingress.status.as_ref().and_then(|status| status.load_balancer.as_ref());
        let entries = balancer.iter().flat_map(|balancer| balancer.ingress.iter().flatten());
        let addresses = entries.flat_map(|entry| [entry.ip.as_deref(), entry.hostname.as_deref()]);
        Self {
            namespace: text(&meta.namespace),
            name: text(&meta.name),
            uid: text(&meta.uid),
            version: text(&meta.resource_version),
            ours,
            writer: writer(meta),
            addresses: addresses
                .flatten()
                .filter(|text| !text.is_empty())
                .map(Address::parse)
                .collect(),
        }
    }
}

/// Which ravelin `status.loadBalancer.ingress` was last written by, as `managedFields` say.
fn writer(meta: &ObjectMeta) -> Option<Arc<str>> {
    meta.managed_fields.iter().flatten().find_map(|entry| {
        let manager = entry.manager.as_deref().filter(|name| name.starts_with(FIELD_MANAGER))?;
        let fields = &entry.fields_v1.as_ref()?.0;
        fields.pointer("/f:status/f:loadBalancer/f:ingress").map(|_| manager.into())
    })
}

/// One write of one status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
    /// `metadata.uid`: an object that was recreated is not written to.
    pub uid: Arc<str>,
    /// The resourceVersion from which this was concluded.
    pub version: Arc<str>,
    /// The wanted addresses; empty to give up the status.
    pub addresses: Vec<Address>,
}

/// What `manager` has to write so that our Ingresses, and no others, carry `addresses`. Nothing is
/// written that is there already in any order, and nothing at all as long as there are no
/// addresses: clients that look for the cluster by its status are then better off with the old ones.
pub fn plan(ingresses: &[IngressRef], addresses: &[Address], manager: &str) -> Vec<Patch> {
    let wanted = set(addresses);
    let differs = |ingress: &&IngressRef| {
        if ingress.ours {
            !wanted.is_empty() && set(&ingress.addresses) != wanted
        } else {
            ingress.writer.as_deref() == Some(manager) && !ingress.addresses.is_empty()
        }
    };
    let patch = |ingress: &IngressRef| Patch {
        namespace: Arc::clone(&ingress.namespace),
        name: Arc::clone(&ingress.name),
        uid: Arc::clone(&ingress.uid),
        version: Arc::clone(&ingress.version),
        addresses: if ingress.ours { addresses.to_vec() } else { Vec::new() },
    };
    ingresses.iter().filter(differs).map(patch).collect()
}

fn set(addresses: &[Address]) -> BTreeSet<&Address> {
    addresses.iter().collect()
}

#[cfg(test)]
mod tests;
