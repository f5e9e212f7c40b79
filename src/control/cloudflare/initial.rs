//! The list in force at start.

use super::check::{Refused, Rules, networks};
use super::failure::Failure;
use super::life::{Answer, ClockTimes, ListState};
use super::own::{self, ListBytes, Seen};
use super::refresh_intervals::Clock;
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
    /// Its addresses. Empty only if `source` is [`ListSource::Nothing`].
    pub ranges: AddrRanges,
    /// Where it is from.
    pub source: ListSource,
    /// When its source last confirmed it, in seconds since the Unix epoch; for the list that is
    /// compiled in, its date.
    pub confirmed: Option<u64>,
    /// Deviations from the configuration, for the log and for `explain`: each names what is used instead.
    pub warnings: Vec<String>,
    pub(super) life: ListState,
    pub(super) clock: Clock,
    /// The state of the operator's list.
    pub(super) seen: Option<Seen>,
    /// Why the operator's list is not the one in force.
    pub(super) failed: Option<ListFailure>,
}

impl Initial {
    /// Its networks for a message: the first few, and how many more there are.
    pub fn first_networks(&self) -> String {
        named(&networks(&self.ranges))
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
    let clock = Clock::start();
    let start = Start { spec, state, clock, now: clock.now() };
    match &spec.origin {
        ListOrigin::Published { .. } => Ok(start.published()),
        ListOrigin::File(path) => start.own(ListSource::File, Some(own::read(path))),
        ListOrigin::ConfigMap { .. } => {
            start.own(ListSource::ConfigMap, text.map(|text| Ok(text.into())))
        }
        ListOrigin::Networks(networks) => Ok(start.written(networks)),
    }
}

struct Start<'a> {
    spec: &'a ListSpec,
    state: Option<&'a Path>,
    clock: Clock,
    now: ClockTimes,
}

impl Start<'_> {
    fn published(self) -> Initial {
        let mut warnings = Vec::new();
        let life = self.kept(&mut warnings).unwrap_or_else(|| {
            let embedded = AddrRanges::new(&CLOUDFLARE);
            let ListSpec { removal_delay, rules, .. } = *self.spec;
            ListState::new(rules, removal_delay, ListSource::Embedded, embedded, embedded_date())
        });
        self.with(life, warnings)
    }

    /// Every network was checked when the configuration was read.
    fn written(self, networks: &[IpNet]) -> Initial {
        let ListSpec { removal_delay, rules, .. } = *self.spec;
        let (ranges, now) = (AddrRanges::new(networks), Some(self.now.unix));
        let source = ListSource::Configuration;
        self.with(ListState::new(rules, removal_delay, source, ranges, now), Vec::new())
    }

    fn own(self, source: ListSource, found: Option<ListBytes>) -> Result<Initial, InitialError> {
        let place = self.spec.place();
        let seen = found.as_ref().map(Seen::of);
        let mut warnings = Vec::new();
        let mut life = self.nobody();
        let taken = found.map(|found| {
            let answer = Answer::List(own::parse(found)?);
            Ok::<_, Failure>(life.on_answer(self.now, source, answer)?)
        });
        let problem = match &taken {
            Some(Ok(outcome)) => {
                warnings.extend(never_admitted(&place, &outcome.never));
                return Ok(Initial { seen, ..self.with(life, warnings) });
            }
            Some(Err(failure)) => failure.at(&place),
            None => format!("{place}: it has not been read yet"),
        };
        let failed = taken.and_then(Result::err).map(|failure| failure.why());
        let life = match self.kept(&mut warnings) {
            Some(life) => {
                warnings.push(format!("{problem}; its last good list is used"));
                life
            }
            None if source == ListSource::File && self.spec.rules != Rules::Extra => {
                return Err(InitialError(problem));
            }
            None => {
                let until = match self.spec.rules {
                    Rules::Extra => "none of these ranges counts",
                    Rules::Published | Rules::Override => "no address counts",
                };
                warnings.push(format!("{problem}; until then {until} as Cloudflare"));
                self.nobody()
            }
        };
        Ok(Initial { seen, failed, ..self.with(life, warnings) })
    }

    fn with(&self, life: ListState, warnings: Vec<String>) -> Initial {
        Initial {
            ranges: life.in_force(),
            source: life.source(),
            confirmed: life.confirmed(),
            warnings,
            life,
            clock: self.clock,
            seen: None,
            failed: None,
        }
    }

    fn nobody(&self) -> ListState {
        let nobody = AddrRanges::default();
        let ListSpec { removal_delay, rules, .. } = *self.spec;
        ListState::new(rules, removal_delay, ListSource::Nothing, nobody, None)
    }

    /// The last good list on disk, if it may be used.
    fn kept(&self, warnings: &mut Vec<String>) -> Option<ListState> {
        let directory = self.state?;
        let ignored = match store::load(directory, self.spec.file, &self.spec.identity()) {
            Ok(None) => return None,
            Ok(Some(kept)) if self.is_older(kept.confirmed) => format!(
                "it was last confirmed at {}, before the date of the embedded list",
                when(kept.confirmed)
            ),
            Ok(Some(kept)) => {
                let ListSpec { removal_delay, rules, .. } = *self.spec;
                let life = ListState::restore(self.now, &kept, rules, removal_delay);
                match life.map_err(|refused: Refused| refused.to_string()) {
                    Ok(life) => return Some(life),
                    Err(refused) => refused,
                }
            }
            Err(error) => error.to_string(),
        };
        let path = directory.join(self.spec.file);
        warnings.push(format!("{}: {ignored}; the stored list is ignored", path.display()));
        None
    }

    fn is_older(&self, confirmed: u64) -> bool {
        self.spec.rules == Rules::Published && embedded_date().is_some_and(|date| confirmed < date)
    }
}

/// [`CLOUDFLARE_DATE`] in seconds since the Unix epoch.
fn embedded_date() -> Option<u64> {
    let midnight: Timestamp = format!("{CLOUDFLARE_DATE}T00:00:00Z").parse().ok()?;
    u64::try_from(midnight.as_second()).ok()
}

fn never_admitted(place: &str, never: &[IpNet]) -> Option<String> {
    let list = named(never);
    let what = "was reassigned to WARP users and is not admitted: the list is outdated";
    (!never.is_empty()).then(|| format!("{place}: {list} {what}"))
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
    fn the_date_of_what_is_compiled_in_is_a_date() {
        assert_eq!(embedded_date().map(when).as_deref(), Some("2021-04-08T00:00:00Z"));
        assert_eq!(format!("{CLOUDFLARE_DATE}T00:00:00Z"), "2021-04-08T00:00:00Z");
    }

    #[test]
    fn a_long_list_is_cut_in_messages() {
        assert_eq!(named(&CLOUDFLARE[..2]), "173.245.48.0/20, 103.21.244.0/22");
        assert!(named(&CLOUDFLARE).ends_with(" and 6 more"));
    }
}
