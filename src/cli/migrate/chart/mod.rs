//! What an installation of Traefik was told: values of its chart, and flags.
//!
//! ```text
//! HelmChart, HelmChartConfig, values files, workloads -> sources -> Told (chart keys and flags as one set)
//!     -> entry_points, settings, reasons -> Configuration (ravelin.toml, and what has no line in it)
//! ```
//!
//! Flags and chart values that mean the same become one key, the long name of the flag in lower case.

mod access_log;
mod configuration;
mod entry_points;
mod file;
mod flags;
mod names;
mod reasons;
mod settings;
mod sources;
mod tcp_points;
#[cfg(test)]
mod tests;
mod value;

pub(super) use configuration::{Configuration, configuration};
pub(super) use entry_points::TRIALS;
pub(super) use file::in_comment;
pub(super) use reasons::{Left, Weight};

use serde_json::Value;
use std::collections::BTreeMap;

/// A value, and where it is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Given {
    pub(super) value: Value,
    /// File, object and path in the values.
    pub(super) from: String,
}

/// Everything that Traefik was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Traefik's static configuration: long names of flags, in lower case.
    pub(super) flags: BTreeMap<String, Given>,
    /// What only the chart knows: the workload, the Service, objects.
    pub(super) chart: BTreeMap<String, Given>,
    /// Entry points that routes of connections name and those of HTTP do not, each with an object that does.
    pub(super) of_tcp: BTreeMap<String, String>,
    /// What could not be read.
    pub(super) unread: Vec<Left>,
    /// Whether a chart, which has entry points of its own, was told any of it.
    pub(super) is_chart: bool,
    /// Objects and files that were read, for the head of the file.
    pub(super) sources: Vec<String>,
}

impl Told {
    pub(super) fn read(documents: &super::documents::Documents) -> Self {
        sources::read(documents)
    }

    fn flag(&self, name: &str) -> Option<&Given> {
        self.flags.get(name)
    }

    /// Flags below a name, which is without a dot at the end, with the rest of their names.
    fn below<'t>(&'t self, name: &str) -> impl Iterator<Item = (&'t str, &'t Given)> {
        let begin = format!("{name}.");
        let all = self.flags.range(begin.clone()..);
        let end = begin.len();
        all.take_while(move |(key, _)| key.starts_with(&begin))
            .map(move |(key, given)| (&key[end..], given))
    }
}
