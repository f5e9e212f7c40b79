//! Services without an endpoint that takes requests.

use super::Obstacle;
use crate::control::objects::Objects;
use crate::model::{BackendId, BackendState, Model};
use std::sync::Arc;

/// Which Services of routes have endpoints that are not ready, and which have none at all.
pub(super) fn endpoints(objects: &Objects, model: &Model) -> Vec<Obstacle> {
    let (mut unready, mut empty) = (Vec::new(), Vec::new());
    for (id, backend) in model.backends.entries() {
        let BackendState::Resolved(known) = &backend.state else { continue };
        // `noop@internal`, which middlewares stand in front of, has no Service.
        if objects.services().get(&id.key.namespace, &id.key.service).is_none() {
            continue;
        }
        let slices = objects.slices_of(&id.key.namespace, &id.key.service);
        let mut endpoints = slices.flat_map(|(_, slice)| &slice.endpoints);
        match !known.is_empty() || endpoints.next().is_some() {
            true => unready.push(id),
            false => empty.push(id),
        }
    }
    let mut all = Vec::new();
    if let Some((namespace, name, more)) = first(&empty) {
        let missing = format!(
            "Service {namespace}/{name}{more}: spec.selector matches no pod, so there is no endpoint"
        );
        let fix = format!(
            "compare `kubectl -n {namespace} get service {name} -o wide` with `kubectl -n {namespace} get pods --show-labels`, \
             and correct the selector or start pods"
        );
        all.push(Obstacle::new(missing, fix));
    }
    if let Some((namespace, name, more)) = first(&unready) {
        let missing =
            format!("Service {namespace}/{name}{more}: none of its pods is ready on this port");
        let fix = format!(
            "`kubectl -n {namespace} get pods` and `kubectl -n {namespace} get events` say why not; see also \
             `kubectl -n {namespace} describe endpointslices -l kubernetes.io/service-name={name}`"
        );
        all.push(Obstacle::new(missing, fix));
    }
    all
}

/// Namespace and name of the first, and how many more there are.
fn first<'i>(ids: &[&'i Arc<BackendId>]) -> Option<(&'i str, &'i str, String)> {
    let key = &ids.first()?.key;
    let more = match ids.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    Some((&key.namespace, &key.service, more))
}
