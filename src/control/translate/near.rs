//! Where we are, and which endpoints come first for that.
//!
//! The hints of slices count first (topology-aware routing and `trafficDistribution`, KEP-2433, KEP-3015
//! and KEP-4444): where every endpoint that takes requests has one, those that are for us, by node or
//! else by zone, are near. Otherwise, if it is asked for, those on our node, or else those in our zone.
//! Where that is none all are alike.

use super::balancing::Preference;
use crate::control::objects::{Objects, ZONE_LABEL};
use crate::model::{EndpointSpec, EndpointState, Prefer};
use k8s_openapi::api::discovery::v1::EndpointHints;

/// Where we are, and what goes for Services that do not say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Here<'h> {
    /// Whether slices may hold loopback addresses.
    pub(super) loopback: bool,
    /// Whether Services of type ExternalName are served.
    pub(super) external_names: bool,
    /// Whether to say of annotations what makes no difference.
    pub(super) details: bool,
    /// Which endpoints come first.
    pub(super) prefer: Prefer,
    /// Our node.
    pub(super) node: Option<&'h str>,
    /// Its zone.
    pub(super) zone: Option<&'h str>,
}

/// The zone of a Node, if it has the label.
pub(super) fn zone_of<'o>(objects: &'o Objects, node: &str) -> Option<&'o str> {
    let labels = objects.nodes().get("", node)?.metadata.labels.as_ref()?;
    labels.get(ZONE_LABEL).map(String::as_str).filter(|zone| !zone.is_empty())
}

/// How an endpoint lies to us.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Proximity {
    node: bool,
    zone: bool,
    /// Whether it has hints at all, and whether they name our node or zone.
    hinted: bool,
    for_node: bool,
    for_zone: bool,
}

impl Proximity {
    /// That of an endpoint with this `nodeName` and `zone`.
    pub(super) fn of(
        node: Option<&str>,
        zone: Option<&str>,
        hints: Option<&EndpointHints>,
        here: &Here<'_>,
    ) -> Self {
        let is = |theirs: Option<&str>, ours: Option<&str>| theirs.is_some() && theirs == ours;
        let nodes = hints.and_then(|hints| hints.for_nodes.as_deref()).unwrap_or_default();
        let zones = hints.and_then(|hints| hints.for_zones.as_deref()).unwrap_or_default();
        Self {
            node: is(node, here.node),
            zone: is(zone, here.zone),
            hinted: !(nodes.is_empty() && zones.is_empty()),
            for_node: nodes.iter().any(|node| is(Some(&node.name), here.node)),
            for_zone: zones.iter().any(|zone| is(Some(&zone.name), here.zone)),
        }
    }
}

/// Whether an endpoint is near by one measure.
type IsNear = fn(&Proximity) -> bool;

/// Marks the endpoints that come first, among those that take requests: the ready ones, or, when none
/// is ready, those that end and still serve.
pub(super) fn mark_near(endpoints: &mut [(EndpointSpec, Proximity)], preference: Preference) {
    let is_ready = |(spec, _): &(EndpointSpec, Proximity)| spec.state == EndpointState::Ready;
    let state = match endpoints.iter().any(is_ready) {
        true => EndpointState::Ready,
        false => EndpointState::Terminating,
    };
    let used = || endpoints.iter().filter(|(spec, _)| spec.state == state).map(|(_, at)| at);
    let hinted = preference.hints && used().all(|place| place.hinted);
    let tiers: [(bool, IsNear); 4] = [
        (hinted, |place| place.for_node),
        (hinted, |place| place.for_zone),
        (preference.prefer == Prefer::SameNode, |place| place.node),
        (preference.prefer != Prefer::None, |place| place.zone),
    ];
    let tier = tiers.into_iter().find(|(counts, is_near)| *counts && used().any(is_near));
    let Some((_, is_near)) = tier else {
        return;
    };
    for (spec, place) in endpoints.iter_mut().filter(|(spec, _)| spec.state == state) {
        spec.near = is_near(place);
    }
}
