//! Which backend answers: each row of the Ingress rules that a client can see.

mod backends;
mod checked_services;
mod classes;
mod entry_points;
mod failovers;
mod foreign;
mod hosts;
mod hosts_sent;
mod https;
mod ingress_routes;
mod mirrors;
mod paths;
mod services;

use crate::support::{Builder, Edge, Upstream, edge};

/// What is served at a URL: the backend's own text, or status and reason of our answer.
fn served(edge: &Edge, host: &str, path: &str) -> String {
    let response = edge.get(host, path);
    let text = response.text();
    if response.status() == 200 {
        return text.to_owned();
    }
    let reason = text.lines().nth(1).and_then(|line| line.split(':').next());
    format!("{} {}", response.status(), reason.unwrap_or_default())
}

/// Checks a list of URLs: host, path, and what is served there.
fn serves(edge: &Edge, expected: &[(&str, &str, &str)]) {
    for (host, path, text) in expected {
        assert_eq!(served(edge, host, path), *text, "http://{host}{path}");
    }
}

/// A proxy with the Services `a`, `b` and `c`, whose backends say their own names.
fn three() -> (Builder, [Upstream; 3]) {
    let upstreams = ["a", "b", "c"].map(Upstream::saying);
    let mut builder = edge();
    for (name, upstream) in ["a", "b", "c"].into_iter().zip(&upstreams) {
        builder = builder.service(name, &[upstream.addr()]);
    }
    (builder, upstreams)
}
