//! The list in force at start.

use super::answer;
use super::check::{Rules, networks};
use super::life::{ClockTimes, ListState};
use super::own::{self, Found};
use super::spec::ListSpec;
use super::store;
use crate::config::{CLOUDFLARE, CLOUDFLARE_DATE, ListOrigin};
use crate::control::utc::when;
use crate::net::addr::AddrRanges;
use crate::telemetry::{ListFailure, ListSource};
use ipnet::IpNet;
use jiff::Timestamp;
use std::path::Path;

/// The list in force when the process starts, before anything was fetched.
#[derive(Clone, Debug)]
pub struct Initial {
    /// The list. Empty only if its source is [`ListSource::Nothing`].
    pub list: ListState,
    /// Deviations from the configuration, for the log and for `explain`: each names what is used instead.
    pub warnings: Vec<String>,
    /// What the operator's text was found to be.
    pub(super) seen: Option<Found>,
    /// Why the operator's list is not the one in force.
    pub(super) failed: Option<ListFailure>,
}

impl Initial {
    /// Its networks for a message: the first few, and how many more there are.
    pub fn first_networks(&self) -> String {
        named(&networks(&self.list.in_force()))
    }
}

/// The operator's file cannot be used, and there is no stored copy of it.
#[derive(Debug, thiserror::Error)]
#[error("cloudflare.file: {0}; fix the file, or remove the key to use the published list")]
pub struct InitialError(String);

/// Finds the list to start with. Reads files, and nothing from the network.
///
/// The published list: what was kept in `state`, if it is whole, from the same source and not older
/// than what is compiled in; else what is compiled in. A file: what is in it; if that is no list,
/// the last good one that was kept of it. A ConfigMap: `text`, the text under its key as far as the
/// cluster was read (ignored for other origins); likewise; and else nobody, so that a process is
/// not ready before it has its list. Further ranges that cannot be read are none: the list is in force without them.
///
/// # Errors
/// A file that is no list while none was kept: to start with another list would admit whom the
/// operator has not named.
pub fn initial(
    spec: &ListSpec,
    state: Option<&Path>,
    text: Option<&str>,
) -> Result<Initial, InitialError> {
    let now = ClockTimes::now();
    let found = match &spec.origin {
        ListOrigin::Published { .. } => {
            let mut warnings = Vec::new();
            let list = stored(spec, state, now, &mut warnings).unwrap_or_else(|| {
                let embedded = AddrRanges::new(&CLOUDFLARE);
                ListState::new(spec, ListSource::Embedded, embedded, embedded_date())
            });
            return Ok(Initial { list, warnings, seen: None, failed: None });
        }
        ListOrigin::Networks(networks) => {
            // Every network was checked when the configuration was read.
            let ranges = AddrRanges::new(networks);
            let list = ListState::new(spec, spec.source(), ranges, Some(now.unix));
            return Ok(Initial { list, warnings: Vec::new(), seen: None, failed: None });
        }
        ListOrigin::File(path) => Some(own::read_file(path)),
        ListOrigin::ConfigMap { .. } => text.map(|text| Ok(text.into())),
    };
    of_operator(spec, state, now, found)
}

fn of_operator(
    spec: &ListSpec,
    state: Option<&Path>,
    now: ClockTimes,
    seen: Option<Found>,
) -> Result<Initial, InitialError> {
    let place = spec.place();
    let mut list = ListState::new(spec, ListSource::Nothing, AddrRanges::default(), None);
    let mut warnings = Vec::new();
    let read = seen.clone().map(|found| found.and_then(|bytes| answer::text(&bytes)));
    let taken = read.map(|read| read.and_then(|read| list.take(now, Some(read))));
    let (problem, failed) = match taken {
        Some(Ok(diff)) => {
            if !diff.never.is_empty() {
                let never = named(&diff.never);
                let what = "was reassigned to WARP users and is not admitted: the list is outdated";
                warnings.push(format!("{place}: {never} {what}"));
            }
            return Ok(Initial { list, warnings, seen, failed: None });
        }
        Some(Err(failure)) => (failure.at(&place), Some(failure.why)),
        None => (format!("{place}: it has not been read yet"), None),
    };
    if let Some(stored) = stored(spec, state, now, &mut warnings) {
        warnings.push(format!("{problem}; its last good list is used"));
        return Ok(Initial { list: stored, warnings, seen, failed });
    }
    let until = match (spec.rules, &spec.origin) {
        (Rules::Extra, _) => "none of these ranges counts",
        (_, ListOrigin::File(_)) => return Err(InitialError(problem)),
        _ => "no address counts",
    };
    warnings.push(format!("{problem}; until then {until} as Cloudflare"));
    Ok(Initial { list, warnings, seen, failed })
}

/// The last good list on disk, if it may be used.
fn stored(
    spec: &ListSpec,
    state: Option<&Path>,
    now: ClockTimes,
    warnings: &mut Vec<String>,
) -> Option<ListState> {
    let directory = state?;
    let ignored = match store::load(directory, spec) {
        Ok(None) => return None,
        Ok(Some(stored)) => {
            let confirmed = stored.confirmed.0;
            if spec.rules == Rules::Published && Some(confirmed) < embedded_date() {
                let confirmed = when(confirmed);
                format!(
                    "it was last confirmed at {confirmed}, before the date of the embedded list"
                )
            } else {
                match ListState::restore(now, &stored, spec) {
                    Ok(list) => return Some(list),
                    Err(refused) => refused.words,
                }
            }
        }
        Err(error) => error.to_string(),
    };
    let path = directory.join(spec.file());
    warnings.push(format!("{}: {ignored}; the stored list is ignored", path.display()));
    None
}

/// [`CLOUDFLARE_DATE`] in seconds since the Unix epoch.
fn embedded_date() -> Option<u64> {
    let midnight: Timestamp = format!("{CLOUDFLARE_DATE}T00:00:00Z").parse().ok()?;
    u64::try_from(midnight.as_second()).ok()
}

/// Most networks that one line of the log names.
const MOST_NAMED: usize = 16;

/// Networks for a message: the first few, and how many more there are.
pub(super) fn named(networks: &[IpNet]) -> String {
    let first: Vec<String> = networks.iter().take(MOST_NAMED).map(ToString::to_string).collect();
    let more = networks.len().saturating_sub(MOST_NAMED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    first.join(", ") + &rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_cut_in_messages() {
        assert_eq!(named(&CLOUDFLARE[..2]), "173.245.48.0/20, 103.21.244.0/22");
        assert!(named(&CLOUDFLARE).ends_with(" and 6 more"));
    }
}
