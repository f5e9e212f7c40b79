//! From what Traefik was told to a configuration of ravelin that its own reader takes.

use super::entry_points;
use super::file::{File, Refused, Section, list, quoted};
use super::reasons::{self, Left, Weight};
use super::{Given, Told, settings};
use crate::config::{Config, ConfigError};
use serde_json::Value;
use std::collections::BTreeSet;

/// What is proposed.
#[derive(Debug)]
pub(in crate::cli::migrate) struct Configuration {
    /// `ravelin.toml`.
    pub(in crate::cli::migrate) text: String,
    /// The same without the ports that Traefik has: for nodes where both run. `None`: no entry point has a port that
    /// Cloudflare connects to.
    pub(in crate::cli::migrate) beside: Option<String>,
    /// The text, read.
    pub(in crate::cli::migrate) config: Config,
    /// What has no line in it, worst first.
    pub(in crate::cli::migrate) left: Vec<Left>,
    /// Where its values are from.
    pub(in crate::cli::migrate) sources: Vec<String>,
    /// `nodeSelector` and `tolerations` for the DaemonSet, with their places.
    pub(in crate::cli::migrate) scheduling: Vec<(&'static str, Value, String)>,
    /// Whether prefixes of Ingresses are compared by element in Traefik too.
    pub(in crate::cli::migrate) strict_prefixes: bool,
    /// Whether the file serves the class of Traefik as it is, without copies of Ingresses.
    pub(in crate::cli::migrate) takes_class: bool,
}

/// The file in the making.
pub(super) struct Draft<'t> {
    pub(super) told: &'t Told,
    pub(super) file: File,
    pub(super) left: Vec<Left>,
    /// Keys, of both sorts, about which everything is said.
    used: BTreeSet<&'t str>,
}

impl<'t> Draft<'t> {
    /// The value of a flag, which is thereby dealt with.
    pub(super) fn take(&mut self, name: &str) -> Option<&'t Given> {
        let (name, given) = self.told.flags.get_key_value(name)?;
        self.used.insert(name);
        Some(given)
    }

    /// The same for a key of the chart.
    pub(super) fn take_chart(&mut self, path: &str) -> Option<&'t Given> {
        let (path, given) = self.told.chart.get_key_value(path)?;
        self.used.insert(path);
        Some(given)
    }

    /// Adds a line, or says why it cannot be there.
    pub(super) fn line(&mut self, head: &str, key: &str, value: String, from: &str) {
        if let Err(Refused { problem, fix }) = self.file.offer_line(head, key, value, from) {
            let reason = format!("cannot be {key} of ravelin: {problem}");
            self.leave(Weight::Differs, from, &reason, &fix);
        }
    }

    pub(super) fn leave(&mut self, weight: Weight, from: &str, reason: &str, fix: &str) {
        self.left.push(Left::new(weight, from.to_owned(), reason, fix));
    }

    /// Says of everything else why it has no line.
    fn leave_the_rest(&mut self) {
        for (name, given) in
            self.told.flags.iter().filter(|(name, _)| !self.used.contains(&***name))
        {
            self.left.push(reasons::of_flag(name, given));
        }
        for (path, given) in
            self.told.chart.iter().filter(|(path, _)| !self.used.contains(&***path))
        {
            self.left.push(reasons::of_chart(path, given));
        }
    }
}

/// Tables that every installation has, as in `deploy/base`.
fn base(file: &mut File) {
    let from = "as in deploy/base";
    let mut source = Section::new("[source]", "");
    source.line("kind", quoted("kubernetes"), from);
    file.put(source);
    let mut admin = Section::new("[admin]", "Metrics, for scrapers on nodes and in pods.");
    admin.line("address", quoted("[::]:9180"), from);
    admin.line("admit", list(&["loopback", "nodes", "pods"].map(str::to_owned)), from);
    admin.line("socket", quoted("/run/ravelin/admin.sock"), from);
    file.put(admin);
    let mut state = Section::new("[state]", "");
    state.line("directory", quoted("/var/lib/ravelin"), from);
    let kept = "as in deploy/base: a restarted container knows what was served, also if Traefik's CRDs are gone";
    state.line("cluster", "true".to_owned(), kept);
    file.put(state);
    let mut limits = Section::new("[limits]", "");
    limits.line("connections", "10000".to_owned(), "as in deploy/base: for 512 MiB");
    file.put(limits);
}

/// Proposes a configuration. `class`: the class of Traefik's Ingresses; `is_default`: whether Ingresses without a
/// class are meant, too.
///
/// # Errors
/// The mistakes in the proposal, which is a defect of this program.
pub(in crate::cli::migrate) fn configuration(
    told: &Told,
    class: &str,
    is_default: bool,
) -> Result<Configuration, Vec<ConfigError>> {
    let about = match told.sources.is_empty() {
        true => "Written by `ravelin migrate`: no values of Traefik's chart and no arguments of Traefik were in the input, so \
                 these are the chart's defaults.\nEvery key: config/README.md."
            .to_owned(),
        false => format!(
            "Written by `ravelin migrate` from what Traefik was told by\n{}.\nEvery key: config/README.md.",
            told.sources.join(",\n")
        ),
    };
    let mut draft =
        Draft { told, file: File::new(about), left: told.unread.clone(), used: BTreeSet::new() };
    base(&mut draft.file);
    entry_points::add(&mut draft);
    let takes_class = settings::add(&mut draft, class, is_default);
    let scheduling = scheduling(&mut draft);
    draft.leave_the_rest();
    let Draft { file, mut left, .. } = draft;
    left.sort();
    left.dedup();
    let text = file.text();
    let beside = file.beside().map(|file| file.text());
    let config = Config::parse(&text, "ravelin.toml")?;
    let strict = told.flag("providers.kubernetesingress.strictprefixmatching");
    let strict_prefixes = strict.is_some_and(|given| super::value::is_true(&given.value));
    let sources = told.sources.clone();
    Ok(Configuration {
        text,
        beside,
        config,
        left,
        sources,
        scheduling,
        strict_prefixes,
        takes_class,
    })
}

/// What says on which nodes Traefik runs.
fn scheduling(draft: &mut Draft<'_>) -> Vec<(&'static str, Value, String)> {
    let mut found = Vec::new();
    let mut selector = serde_json::Map::new();
    let mut from = String::new();
    let told = draft.told;
    for (path, given) in told.chart.iter() {
        // The path has the keys in lower case; labels keep theirs.
        let Some(below) = path.strip_prefix("nodeselector.") else { continue };
        let Some(at) = given.from.len().checked_sub(below.len()) else { continue };
        let label = given.from.get(at..).unwrap_or(below).to_owned();
        let text = super::value::text(&given.value).unwrap_or_default();
        selector.insert(label, Value::String(text));
        draft.take_chart(path);
        given.from[..at].trim_end_matches('.').clone_into(&mut from);
    }
    if !selector.is_empty() {
        found.push(("nodeSelector", Value::Object(selector), from));
    }
    if let Some(given) = draft.take_chart("tolerations").filter(|given| given.value.is_array()) {
        found.push(("tolerations", given.value.clone(), given.from.clone()));
    }
    found
}
