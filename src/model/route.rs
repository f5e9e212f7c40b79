//! What a rule asks of a request beyond host and path: entry points, and an order of its own.

use super::Condition;
use std::sync::Arc;

/// Entry points as bits, in the order of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryPoints {
    /// Where the rule is served.
    pub own: u32,
    /// Where it is served as well, if no other rule is for the same path there.
    pub also: u32,
}

impl EntryPoints {
    /// All of them.
    pub const ALL: Self = Self { own: u32::MAX, also: 0 };
}

impl Default for EntryPoints {
    fn default() -> Self {
        Self::ALL
    }
}

/// What a rule asks of a request beyond host and path. Most ask for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matching {
    /// Where it is served.
    pub entry_points: EntryPoints,
    /// Its own order and conditions, if it has some.
    pub ordered: Option<Arc<Ordered>>,
    /// Whether it is written as a host alone, and so is shorter than one with a path.
    pub is_bare: bool,
    /// Whether its host is an alias, which every rule or default backend with that host comes before.
    pub is_alias: bool,
    /// The hash of its text, if it is of an IngressRoute.
    pub hash: Option<Arc<RuleHash>>,
}

/// The first bytes of SHA-256 of a rule as it is written, by which Traefik names a route of an IngressRoute
/// (`pkg/provider/kubernetes/crd/kubernetes_http.go`, `makeServiceKey`).
pub type RuleHash = [u8; 10];

/// A rule that has a priority of its own, or conditions that the tables of hosts and paths do not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// Traefik's `priority`: the highest that matches has the request. Without one it is the length of the rule in
    /// bytes, as Traefik writes it.
    pub priority: i64,
    /// Everything that it asks of a request, but its host where that is the one that it is listed under.
    pub condition: Condition,
}

/// The length of a rule as Traefik writes it for an Ingress, ``Host("h") && PathPrefix("/p")``, which is its
/// priority (`pkg/muxer/http/mux.go`, GetRulePriority). `host` is empty for all hosts; `written`: the bytes of the
/// matcher's text within quotes.
pub fn rule_length(host: &str, is_wildcard: bool, matcher: &str, written: usize) -> i64 {
    let of_host = match host.len() {
        0 => 0,
        length => length + if is_wildcard { "*.".len() } else { 0 } + r#"Host("") && "#.len(),
    };
    i64::try_from(of_host + matcher.len() + r#"("")"#.len() + written).unwrap_or(i64::MAX)
}

/// The length of a rule of an IngressRoute that asks for a host and nothing else, ``Host(`h`)``.
pub fn bare_rule_length(host: &str) -> i64 {
    i64::try_from(host.len() + "Host(``)".len()).unwrap_or(i64::MAX)
}
