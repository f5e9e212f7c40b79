//! The keys of Cloudflare Access: fetched for each team that a route of the table in force names.
//!
//! A thread of its own does it; workers read what is in force from [`KeyStore`]. Cloudflare rotates the key of a team
//! every six weeks, and the one before stays good for seven days ("Validate JWTs"), so an hourly look is soon enough;
//! a token with a key that is not known brings the next attempt forward ([`TeamKeys::ask`]). An attempt that fails
//! leaves the last good keys in force, however old they are: a token expires by itself, and a key that Cloudflare has
//! withdrawn is gone at the next answer.

use crate::config::Access;
use crate::control::cloudflare::fetch::Origin;
use crate::control::jitter::{doubled, fraction, spread};
use crate::model::middleware::Step;
use crate::net::shutdown::{ShutdownSignal, Stage};
use crate::pki::access::{KeySet, KeySetError, KeyStore, MOST_KEYS_BYTES, Team, TeamKeys};
use crate::routing::{Table, TableHandle};
use crate::telemetry::{AccessMetrics, ListFailure, TeamCells};
use http::Uri;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::JoinHandle;

/// From one look at the table to the next: a team that is new has its keys so soon, and the time that the answer takes.
const LOOK: Duration = Duration::from_millis(250);

/// From an answer to the next attempt.
const REFRESH: Duration = Duration::from_secs(60 * 60);

/// From a failure to the next attempt; doubled with each further one, up to [`LONGEST_RETRY`].
const RETRY: Duration = Duration::from_secs(10);

/// The longest time from a failure to the next attempt.
const LONGEST_RETRY: Duration = Duration::from_secs(600);

/// What a [`KeyKeeper`] is made of.
pub struct KeySetup {
    /// Teams whose keys are elsewhere.
    pub config: Vec<Access>,
    /// The table whose teams count.
    pub tables: TableHandle,
    /// Where the keys go.
    pub keys: Arc<KeyStore>,
    /// Where it is said how it goes.
    pub metrics: Arc<AccessMetrics>,
}

/// Keeps the keys of all teams up to date as long as the process runs.
pub struct KeyKeeper {
    setup: KeySetup,
    /// The table whose teams they are.
    generation: Option<u64>,
    running: BTreeMap<Team, JoinHandle<()>>,
}

impl KeyKeeper {
    /// Keeps none yet.
    pub fn new(setup: KeySetup) -> Self {
        Self { setup, generation: None, running: BTreeMap::new() }
    }

    /// Keeps them up to date until shutdown, on a local runtime with I/O and time.
    pub async fn run(mut self, mut shutdown: ShutdownSignal) {
        let changes = self.setup.tables.changes();
        // A look is at all routes: many changes are followed by few.
        let look = || self.look().then_some(LOOK);
        shutdown.look_or_wait(Stage::Draining, changes, look).await;
    }

    /// Begins with teams that are new in the table, and ends with those that are gone. Returns whether it is another
    /// table.
    fn look(&mut self) -> bool {
        let table = self.setup.tables.load();
        if self.generation.replace(table.generation()) == Some(table.generation()) {
            return false;
        }
        let teams = teams(&table);
        let metrics = &self.setup.metrics;
        self.running.retain(|team, task| {
            let is_named = teams.contains(team);
            if !is_named {
                task.abort();
                metrics.update(|cells| cells.forget(team.name()));
            }
            is_named
        });
        for team in teams {
            let setup = &self.setup;
            self.running.entry(team).or_insert_with_key(|team| {
                let fetcher = Fetcher {
                    team: setup.keys.team(team),
                    origin: origin(team, &setup.config),
                    metrics: Arc::clone(&setup.metrics),
                    failing: None,
                };
                tokio::task::spawn_local(fetcher.run())
            });
        }
        true
    }
}

/// The teams that the steps of a table name.
fn teams(table: &Table) -> BTreeSet<Team> {
    let chains = table.routes().filter_map(|route| table.chain(route));
    let steps = chains.flat_map(|chain| chain.iter());
    let teams = steps.filter_map(|named| match &named.step {
        Step::Access(rule) => Some(&rule.team),
        _ => None,
    });
    teams.cloned().collect()
}

/// Where the keys of a team are.
fn origin(team: &Team, config: &[Access]) -> Origin {
    let table = config.iter().find(|table| table.team == *team && table.has_source());
    let documented = || Uri::try_from(team.certs_url()).expect("a team is a label of a host");
    let url = table.and_then(|table| table.certs_url.clone()).unwrap_or_else(documented);
    let target = url.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let ca_file = table.and_then(|table| table.ca_file.clone());
    Origin::at(&url, target, ca_file, "access.ca_file").up_to(MOST_KEYS_BYTES)
}

/// Fetches the keys of one team.
struct Fetcher {
    team: Arc<TeamKeys>,
    origin: Origin,
    metrics: Arc<AccessMetrics>,
    /// Why the last attempt failed, if it did.
    failing: Option<ListFailure>,
}

impl Fetcher {
    async fn run(mut self) {
        let mut failures = 0;
        loop {
            failures = if self.attempt().await { 0 } else { failures + 1 };
            self.team.attempted();
            let pause = spread(interval(failures), fraction());
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.team.asked() => {}
            }
        }
    }

    /// Returns whether it succeeded.
    async fn attempt(&mut self) -> bool {
        match self.fetch().await {
            Ok(keys) => {
                self.succeed(keys);
                true
            }
            Err((why, words)) => {
                self.fail(why, &words);
                false
            }
        }
    }

    async fn fetch(&self) -> Result<KeySet, (ListFailure, String)> {
        let body = self.origin.get().await.map_err(|error| (error.why(), error.to_string()))?;
        KeySet::parse(&body).map_err(|error| {
            let why = match error {
                KeySetError::Syntax => ListFailure::Syntax,
                KeySetError::Empty => ListFailure::Empty,
                KeySetError::TooMany => ListFailure::TooMany,
            };
            (why, error.to_string())
        })
    }

    fn succeed(&mut self, keys: KeySet) {
        let (team, count, now) = (self.team.team(), keys.count(), now());
        let is_other = self.team.put(keys, now);
        self.metrics.update(|cells| cells.succeed(team.name(), count, is_other, now));
        if is_other {
            tracing::info!(%team, keys = count, "the keys of Cloudflare Access have changed");
        }
        if self.failing.take().is_some() {
            tracing::info!(%team, "the keys of Cloudflare Access are up to date again");
        }
    }

    fn fail(&mut self, why: ListFailure, words: &str) {
        let (team, now) = (self.team.team(), now());
        // Those of the process: an App before this one may have fetched them.
        let (keys, fetched) = (self.team.load(), self.team.fetched());
        let count = keys.as_ref().map_or(0, |keys| keys.count());
        let cells = TeamCells { keys: count, succeeded: fetched, failing: Some(why) };
        self.metrics.update(|all| all.fail(team.name(), cells, why, now));
        if self.failing.replace(why) == Some(why) {
            return;
        }
        let (server, reason) = (self.origin.to_string(), why.as_str());
        if keys.is_some() {
            let age_s = fetched.map(|at| now.saturating_sub(at));
            tracing::warn!(
                %team, server, reason, words, age_s,
                "the keys of Cloudflare Access could not be fetched: the last good ones stay in force"
            );
        } else {
            tracing::warn!(
                %team, server, reason, words,
                "the keys of Cloudflare Access could not be fetched: routes of the team get 503"
            );
        }
    }
}

/// From one attempt to the next, after so many failures in a row.
fn interval(failures: u32) -> Duration {
    if failures == 0 { REFRESH } else { doubled(RETRY, failures, LONGEST_RETRY) }
}

/// Seconds since the Unix epoch.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fetched_hourly_and_sooner_after_failures() {
        let seconds = |failures| interval(failures).as_secs();
        assert_eq!([0, 1, 2, 3, 7, 40, u32::MAX].map(seconds), [3600, 10, 20, 40, 600, 600, 600]);
    }

    #[test]
    fn a_table_of_the_configuration_says_where_the_keys_are() {
        let team = |name| Team::parse(name).expect("a team");
        let certs_url = Uri::from_static("https://mirror.example:8443/certs?x=1");
        let asking = Access {
            team: team("a"),
            hosts: Vec::new(),
            audiences: vec!["0a".into()],
            groups: Vec::new(),
            certs_url: None,
            ca_file: None,
        };
        let source = Access { certs_url: Some(certs_url), ..asking.clone() };
        let config = [asking, source];
        let of = |name| origin(&team(name), &config).identity();
        assert_eq!(of("a"), "https://mirror.example:8443/certs?x=1");
        assert_eq!(of("b"), "https://b.cloudflareaccess.com:443/cdn-cgi/access/certs");
    }
}
