//! What changes touch: the work list of one update.

use super::reading::Served;
use super::{Name, Set};
use crate::control::objects::{Object, service_of};
use crate::control::translate::middleware;
use crate::model::{BackendId, HostPattern, Ingress, Kind, ObjectRef};
use k8s_openapi::api::core::v1::Service;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What has to be read again, and what came of it.
#[derive(Debug, Default)]
pub(in crate::control::translate) struct Touched {
    /// Ingresses and IngressRoutes to read.
    pub(super) sources: Set<ObjectRef>,
    /// Services to read, with their slices, if a rule names them.
    pub(super) services: Set<Name>,
    /// Services that have come or gone: one of them may be the nearest to a missing one.
    pub(super) named: Set<Name>,
    /// Missing Services of which that is to be said.
    pub(super) unsaid: Set<Name>,
    /// Secrets to look at, if an Ingress names them.
    pub(super) secrets: Set<Name>,
    /// ConfigMaps that have come, gone or changed.
    pub(super) config_maps: BTreeSet<Name>,
    /// Middlewares to read.
    pub(super) middlewares: BTreeSet<Name>,
    /// Other objects of Traefik that IngressRoutes refer to.
    pub(super) referenced: BTreeSet<ObjectRef>,
    /// Services that name other Middlewares than before.
    pub(super) asking: Set<Name>,
    /// Whether to look at the IngressClasses.
    pub(super) classes: bool,
    /// Ingresses whose findings have to be listed again, by their number.
    pub(super) readings: Set<usize>,
    /// Backends with other endpoints, by their number.
    pub(super) endpoints: Set<usize>,
    /// Backends that are new or have another state, those with other endpoints among them.
    pub(super) states: Set<usize>,
    /// Those of them of which more is other than their endpoints.
    pub(super) replaced: Set<usize>,
    /// Backends that nobody names any more.
    pub(super) gone: Vec<Arc<BackendId>>,
    /// Ingresses that ask for something else, or nothing more: as they stand in the model.
    pub(super) left: Vec<Arc<Ingress>>,
    /// The hosts that they had rules or default backends for.
    pub(super) hosts: Set<HostPattern>,
    /// Whether one of them had a default backend.
    pub(super) defaults: bool,
    /// Whether one of them had routes of connections.
    pub(super) tcp: bool,
    /// Ingresses that ask for something else, or for the first time, by their number.
    pub(super) came: Vec<usize>,
    /// Whether an Ingress has come to be ours, is no longer, or has another age.
    pub(super) ours: bool,
    /// Whether the model is another one beside its endpoints.
    pub(super) routes: bool,
    /// Whether other certificates are to be shown, or to other hosts.
    pub(super) certificates: bool,
    /// Whether an Ingress asks something else of clients, or an authority is another one.
    pub(super) clients: bool,
}

impl Touched {
    /// The IngressClasses alone.
    pub(in crate::control::translate) fn of_classes() -> Self {
        Self { classes: true, ..Self::default() }
    }

    /// Notes that an Ingress of ours asks no more for what it did.
    pub(super) fn leave(&mut self, ingress: &Arc<Ingress>, served: &Served) {
        self.left.push(Arc::clone(ingress));
        self.hosts.extend(served.hosts().cloned());
        self.defaults |= !served.defaults.is_empty();
        self.tcp |= !served.tcp.is_empty();
    }

    /// Notes that more is other of a backend than its endpoints.
    pub(super) fn replace(&mut self, number: usize) {
        self.routes = true;
        self.states.insert(number);
        self.replaced.insert(number);
    }

    /// Notes that an object is other than before.
    pub(in crate::control::translate) fn note(
        &mut self,
        identity: &ObjectRef,
        before: Option<&Object>,
        now: Option<&Object>,
    ) {
        let ObjectRef { kind, namespace, name } = identity;
        let named = (Arc::clone(namespace), Arc::clone(name));
        match kind {
            Kind::Ingress | Kind::IngressRoute | Kind::IngressRouteTcp => {
                self.sources.insert(identity.clone());
            }
            Kind::IngressClass => self.classes = true,
            Kind::Service => {
                if before.is_some() != now.is_some() {
                    self.named.insert(named.clone());
                }
                if middleware::are_other_lists(service(before), service(now)) {
                    self.asking.insert(named.clone());
                }
                self.services.insert(named);
            }
            Kind::EndpointSlice => {
                for object in before.into_iter().chain(now) {
                    if let Object::EndpointSlice(slice) = object
                        && let Some(service) = service_of(slice)
                    {
                        self.services.insert((Arc::clone(namespace), service.into()));
                    }
                }
            }
            Kind::Middleware => {
                self.middlewares.insert(named);
            }
            Kind::Secret => {
                self.secrets.insert(named);
            }
            Kind::TraefikService
            | Kind::ServersTransport
            | Kind::MiddlewareTcp
            | Kind::ServersTransportTcp
            | Kind::TlsOption
            | Kind::TlsStore => {
                self.referenced.insert(identity.clone());
            }
            Kind::ConfigMap => {
                self.config_maps.insert(named);
            }
            Kind::Node | Kind::File | Kind::Cluster => {}
        }
    }
}

fn service(object: Option<&Object>) -> Option<&Service> {
    match object {
        Some(Object::Service(service)) => Some(service),
        _ => None,
    }
}
