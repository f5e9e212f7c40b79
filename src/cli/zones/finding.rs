//! A finding about a zone, as lines for people and for programs.

use crate::model::Severity;
use serde::Serialize;

/// Up to this many hosts are named in a line; of more, the first and their number.
const MOST_NAMED: usize = 3;

/// What is set at Cloudflare, what it causes, and what changes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct ZoneFinding {
    severity: &'static str,
    zone: String,
    /// The hosts that it is about; none: the whole zone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hosts: Vec<String>,
    /// What is set, as the API names it: `ssl = "flexible"`.
    set: String,
    /// Why that does not go with what is served.
    reason: String,
    /// What visitors get.
    #[serde(skip_serializing_if = "String::is_empty")]
    visitors: String,
    /// Where to change it in the dashboard, or in ravelin's configuration.
    #[serde(skip_serializing_if = "String::is_empty")]
    fix: String,
    /// The same as commands.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    commands: Vec<String>,
    #[serde(skip)]
    level: Severity,
}

impl ZoneFinding {
    pub(super) fn new(level: Severity, zone: &str, set: impl Into<String>) -> Self {
        Self {
            severity: level.as_str(),
            zone: zone.to_owned(),
            hosts: Vec::new(),
            set: set.into(),
            reason: String::new(),
            visitors: String::new(),
            fix: String::new(),
            commands: Vec::new(),
            level,
        }
    }

    /// The same about hosts of the zone.
    pub(super) fn hosts(mut self, hosts: impl IntoIterator<Item = String>) -> Self {
        self.hosts = hosts.into_iter().collect();
        self
    }

    pub(super) fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    pub(super) fn visitors(mut self, visitors: impl Into<String>) -> Self {
        self.visitors = visitors.into();
        self
    }

    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }

    pub(super) fn command(mut self, command: impl Into<String>) -> Self {
        self.commands.push(command.into());
        self
    }

    pub(super) fn level(&self) -> Severity {
        self.level
    }

    /// A line, and one for each command.
    pub(super) fn text(&self) -> String {
        let Self { severity, zone, hosts, set, reason, visitors, fix, commands, level: _ } = self;
        let mut line = match hosts.as_slice() {
            [] => format!("{severity}: zone {zone}: {set}: {reason}"),
            [host] => format!("{severity}: host {host} (zone {zone}): {set}: {reason}"),
            [first, rest @ ..] if hosts.len() > MOST_NAMED => {
                let more = rest.len();
                format!("{severity}: host {first} and {more} more (zone {zone}): {set}: {reason}")
            }
            several => {
                let names = several.join(", ");
                format!("{severity}: hosts {names} (zone {zone}): {set}: {reason}")
            }
        };
        if !visitors.is_empty() {
            line.push_str(&format!("; visitors get {visitors}"));
        }
        if !fix.is_empty() {
            line.push_str(&format!(" (fix: {fix})"));
        }
        line.push('\n');
        for command in commands {
            line.push_str(&format!("  {command}\n"));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_hosts_are_counted() {
        let of = |number: usize| {
            let hosts = (0..number).map(|number| format!("{number}.example"));
            let finding = ZoneFinding::new(Severity::Error, "example", "ssl = \"off\"");
            finding.hosts(hosts).because("why").visitors("522").fix("do it").command("curl").text()
        };
        let rest = "ssl = \"off\": why; visitors get 522 (fix: do it)\n  curl\n";
        assert_eq!(of(0), format!("error: zone example: {rest}"));
        assert_eq!(of(1), format!("error: host 0.example (zone example): {rest}"));
        assert_eq!(of(2), format!("error: hosts 0.example, 1.example (zone example): {rest}"));
        assert_eq!(of(5), format!("error: host 0.example and 4 more (zone example): {rest}"));
    }
}
