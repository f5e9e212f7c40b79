//! The Services that routes lead to, and their endpoints with what the balancer knows of them.

use super::Sources;
use super::question::Search;
use super::window::Window;
use crate::balance::EndpointSet;
use crate::model::{EndpointSpec, EndpointState};
use crate::routing::Backend;
use serde::Serialize;

/// Endpoints of one Service in an answer; and of all Services, after which the answer ends.
const MOST_OF_ONE: usize = 500;
const MOST_OF_ALL: usize = 2_000;

#[derive(Debug, Serialize)]
pub(super) struct ServiceRow {
    /// `namespace/service:port`.
    service: String,
    /// What a route asks of it beside the words of the Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    protocol: String,
    /// Why it can have no endpoints, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<&'static str>,
    ready: u32,
    terminating: u32,
    not_ready: u32,
    /// How many are left out for their failures.
    ejected: u32,
    endpoints: Vec<EndpointRow>,
    /// How many more there are.
    #[serde(skip_serializing_if = "is_zero")]
    more: usize,
}

#[derive(Debug, Serialize)]
struct EndpointRow {
    address: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    /// Requests sent and not yet answered, over all workers; none is known of an endpoint that takes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_flight: Option<u32>,
    /// Requests sent to it so far, over all workers: wraps after 2^32.
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<u32>,
    /// The moving average until the response head, as the last answer left it.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64>,
    /// Whether it has failed too often in a row, or fails its health checks.
    failing: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Sources {
    /// By namespace and name.
    pub(super) fn pods(&self, search: &Search) -> Window<ServiceRow> {
        let table = self.tables.load();
        let is_asked = |backend: &&_| {
            let backend: &Backend = backend;
            search.text.is_empty() || search.matches(&[&backend.key.to_string()])
        };
        let found: Vec<&Backend> =
            table.backends().map(|backend| &**backend).filter(is_asked).collect();
        let mut rows = Vec::new();
        let mut endpoints = 0;
        for backend in &found[search.bounds.range(found.len())] {
            if endpoints >= MOST_OF_ALL {
                break;
            }
            let row = ServiceRow::of(backend);
            endpoints += row.endpoints.len();
            rows.push(row);
        }
        search.bounds.window(table.generation(), found.len(), rows)
    }
}

impl ServiceRow {
    fn of(backend: &Backend) -> Self {
        let set = backend.endpoints();
        let specs = set.specs();
        let shown = specs.iter().take(MOST_OF_ONE);
        Self {
            service: backend.key.to_string(),
            variant: backend.key.variant.as_deref().map(str::to_owned),
            protocol: backend.protocol.to_string(),
            broken: backend.broken.map(|broken| broken.reason().label()),
            ready: set.count(EndpointState::Ready),
            terminating: set.count(EndpointState::Terminating),
            not_ready: set.count(EndpointState::NotReady),
            ejected: set.ejected(),
            endpoints: shown.map(|spec| EndpointRow::of(spec, &set)).collect(),
            more: specs.len().saturating_sub(MOST_OF_ONE),
        }
    }
}

impl EndpointRow {
    fn of(spec: &EndpointSpec, set: &EndpointSet) -> Self {
        let live = set.find(spec);
        let latency = live.as_ref().and_then(|live| live.recent_latency());
        Self {
            address: spec.addr.to_string(),
            state: spec.state.as_str(),
            node: spec.node.as_deref().map(str::to_owned),
            zone: spec.zone.as_deref().map(str::to_owned),
            in_flight: live.as_ref().map(|live| live.in_flight()),
            requests: live.as_ref().map(|live| live.begun()),
            latency_ms: latency.map(|latency| latency.as_secs_f64() * 1000.0),
            failing: live.is_some_and(|live| live.is_ejected()),
        }
    }
}
