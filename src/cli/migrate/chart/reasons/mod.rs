//! What has no line in the configuration of ravelin, and why.

mod chart;
mod entry_points;
mod flags;

use self::chart::{OF_CHART, OF_PODS};
use self::entry_points::OF_ENTRY_POINTS;
use self::flags::FLAGS;
use super::Given;
use crate::cli::migrate::pattern::like;
use serde::Serialize;

/// Whether something has to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::cli::migrate) enum Weight {
    /// Something is lost or done in another way.
    Differs,
    /// Nothing is lost: ravelin does it in any case, or it is about Traefik's own installation.
    Nothing,
}

/// A value without a line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(in crate::cli::migrate) struct Left {
    pub(in crate::cli::migrate) weight: Weight,
    /// File, object and path. Never the value, which may be secret.
    pub(in crate::cli::migrate) from: String,
    pub(in crate::cli::migrate) reason: String,
    pub(in crate::cli::migrate) fix: String,
}

impl Left {
    pub(super) fn new(weight: Weight, from: String, reason: &str, fix: &str) -> Self {
        Self { weight, from, reason: reason.to_owned(), fix: fix.to_owned() }
    }
}

/// What to do about certificates.
const ACME: &str = "give each host a cert-manager Certificate, or an Origin CA certificate of Cloudflare, and name its \
                    Secret in spec.tls";

/// Pattern of keys in lower case, weight, reason, what to do. The first that is like a key counts.
type Row = (&'static str, Weight, &'static str, &'static str);

/// What to say of a flag without a line.
pub(super) fn of_flag(name: &str, given: &Given) -> Left {
    let of_entry_point = name.strip_prefix("entrypoints.").and_then(|rest| rest.split_once('.'));
    let row = of_entry_point
        .and_then(|(_, key)| find(&OF_ENTRY_POINTS, key))
        .or_else(|| find(&FLAGS, name));
    told(row, given, "is not a flag that `ravelin migrate` knows")
}

/// What to say of a key of the chart without a line.
pub(super) fn of_chart(path: &str, given: &Given) -> Left {
    let top = path.split('.').next().unwrap_or_default();
    if OF_PODS.contains(&top) {
        let reason = "it is about Traefik's own pods";
        return Left::new(Weight::Nothing, given.from.clone(), reason, "");
    }
    told(find(&OF_CHART, path), given, "is not a key of the chart that `ravelin migrate` knows")
}

fn find(rows: &'static [Row], key: &str) -> Option<&'static Row> {
    rows.iter().find(|(pattern, ..)| like(pattern, key))
}

fn told(row: Option<&Row>, given: &Given, unknown: &str) -> Left {
    let from = given.from.clone();
    match row {
        Some((_, weight, reason, fix)) => Left::new(*weight, from, reason, fix),
        None => {
            Left::new(Weight::Differs, from, unknown, "find out what it is for before you swap")
        }
    }
}
