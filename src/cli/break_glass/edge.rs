//! What break-glass needs beside the hosts: its switch, listeners, and limits that limit.

use crate::cli::manifests::Read;
use crate::config::{Config, Listener, ListenerProtocol, Members};
use crate::control::cloudflare::switch;
use crate::model::{ConfigText, Severity};
use serde::Serialize;

/// More requests of one visitor in a second are as good as no limit: a core serves some 30 000.
const MOST_REQUESTS: usize = 10_000;

/// Something that is missing for all hosts.
#[derive(Debug, Serialize)]
pub(super) struct EdgeLack {
    severity: &'static str,
    /// From a closed set.
    what: &'static str,
    reason: String,
    fix: &'static str,
    #[serde(skip)]
    level: Severity,
}

impl EdgeLack {
    fn new(level: Severity, what: &'static str, reason: String, fix: &'static str) -> Self {
        Self { severity: level.as_str(), what, reason, fix, level }
    }

    pub(super) fn level(&self) -> Severity {
        self.level
    }

    pub(super) fn text(&self) -> String {
        let Self { severity, reason, fix, .. } = self;
        format!("{severity}: break-glass: {reason} (fix: {fix})\n")
    }
}

/// The switch, and what is missing.
#[derive(Debug, Default)]
pub(super) struct EdgeState {
    /// Where the switch is, and what it says; `None` if there is none, or no configuration.
    pub(super) switch: Option<String>,
    pub(super) lacks: Vec<EdgeLack>,
    /// Whether a listener that admits visitors then has TLS; `None` without a configuration.
    tls: Option<bool>,
}

impl EdgeState {
    pub(super) fn of(read: &Read) -> Self {
        let Some(config) = &read.config else { return Self::default() };
        let mut state = Self::default();
        state.read_switch(read, config);
        state.read_listeners(config);
        state.read_limits(config);
        state
    }

    /// Whether certificates count. Without a configuration nobody knows the listeners.
    pub(super) fn has_tls(&self) -> bool {
        self.tls.unwrap_or(true)
    }

    /// Whether listeners and switch are not known.
    pub(super) fn is_unknown(&self) -> bool {
        self.tls.is_none()
    }

    fn lack(&mut self, level: Severity, what: &'static str, reason: String, fix: &'static str) {
        self.lacks.push(EdgeLack::new(level, what, reason, fix));
    }

    fn read_switch(&mut self, read: &Read, config: &Config) {
        let Some(origin) = &config.break_glass.switch else {
            let fix = "set break_glass.config_map, or break_glass.file, and apply \
                       deploy/components/break-glass";
            self.lack(Severity::Error, "no_switch", "there is no switch".to_owned(), fix);
            return;
        };
        let place = origin.place();
        let text = read.build.addresses.texts.get(&ConfigText::BreakGlass);
        let said = switch::read(origin, text.map(|text| &**text));
        self.switch = Some(match &said {
            Ok(true) => format!("{place}: ON"),
            Ok(false) => format!("{place}: off"),
            Err(_) => format!("{place}: off, as it cannot be read"),
        });
        if let Err(error) = said {
            let reason = format!("the switch {place} counts as off: {error}");
            let fix = "create it with the word \"off\": on another machine, or in a cluster, it may be there";
            self.lack(Severity::Warning, "switch_unreadable", reason, fix);
        }
    }

    fn read_listeners(&mut self, config: &Config) {
        let admits = |listener: &&Listener| {
            let mut sets = listener.admit.sets.iter();
            sets.any(|set| matches!(set.members, Members::Cloudflare | Members::Any))
        };
        let mut open = config.listeners.iter().filter(admits).peekable();
        if open.peek().is_none() {
            let reason = "no listener admits the set cloudflare, so the switch opens none";
            let fix = "name cloudflare in listener.admit of those that visitors are to reach";
            self.lack(Severity::Error, "no_listener", reason.to_owned(), fix);
        }
        let has_tls = open.any(|listener| listener.protocol == ListenerProtocol::Https);
        self.tls = Some(has_tls);
        if !has_tls {
            let reason =
                "no listener with TLS admits visitors: requests for https:// are not served";
            let fix =
                "add a listener on port 443 with protocol = \"https\" and admit = [\"cloudflare\"]";
            self.lack(Severity::Error, "no_tls", reason.to_owned(), fix);
        }
    }

    fn read_limits(&mut self, config: &Config) {
        let (requests, connections) =
            (config.break_glass.requests.get(), config.break_glass.connections.get());
        if requests > MOST_REQUESTS {
            let reason = format!("break_glass.requests = {requests} limits no visitor");
            let fix = "set it to what one visitor may ask for in a second: 100, say";
            self.lack(Severity::Warning, "no_rate_limit", reason, fix);
        }
        // All of them together have half.
        if connections >= config.limits.connections.get() / 2 {
            let reason = format!(
                "break_glass.connections = {connections} lets one visitor take all connections of visitors \
                 without Cloudflare, half of limits.connections"
            );
            let fix = "set it to far less: 100, say";
            self.lack(Severity::Warning, "no_connection_limit", reason, fix);
        }
    }
}
