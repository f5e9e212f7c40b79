//! `[break_glass]`: the switch that admits every address while Cloudflare sends visitors straight to the origin.

use super::ListOrigin;
use super::cloudflare::config_map;
use super::defaults;
use super::raw::{self, Table};
use super::units::Fault;
use super::values::{count, duration, path};
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Connections of one visitor: at most as many as a process may have.
const CONNECTIONS: RangeInclusive<usize> = 1..=1_000_000;
/// Requests of one visitor in a second.
const REQUESTS: RangeInclusive<usize> = 1..=1_000_000;

/// The section `[break_glass]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakGlass {
    /// Where the switch is: a file or a ConfigMap. `None`: there is none, and it is off.
    pub switch: Option<ListOrigin>,
    /// Most connections at a time of one visitor outside of the admission sets: an IPv4 address, or an IPv6 /64.
    pub connections: NonZeroUsize,
    /// Most requests of one such visitor in a second; twice as many at once.
    pub requests: NonZeroUsize,
    /// How long such connections have to end once it is off again.
    pub drain: Duration,
}

/// Reads the table.
pub(super) fn section(table: &Table<'_>) -> BreakGlass {
    let file = table.read("file", path).map(ListOrigin::File);
    let map = table.read("config_map", |value| raw::string(value).and_then(config_map));
    if file.is_some() && map.is_some() {
        let problem = "break_glass.file is already the switch";
        table.complain("config_map", Fault::new(problem, "remove one of them"));
    }
    let number = |key, range: &RangeInclusive<usize>, default| {
        let read = table.read(key, |value| count(value, range));
        read.and_then(NonZeroUsize::new).unwrap_or(default)
    };
    BreakGlass {
        switch: file.or(map),
        connections: number("connections", &CONNECTIONS, defaults::BREAK_GLASS_CONNECTIONS),
        requests: number("requests", &REQUESTS, defaults::BREAK_GLASS_REQUESTS),
        drain: duration(table, "drain").unwrap_or(defaults::BREAK_GLASS_DRAIN),
    }
}
