//! Where in the table a rule stands: under which hosts, and whether host and path say all of it.

use crate::model::{
    Condition, HostPattern, Ordered, PathKind, PathPattern, bare_rule_length, rule_length,
};
use std::sync::Arc;

/// One place of a route.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::control::translate) struct Placed {
    pub(in crate::control::translate) host: HostPattern,
    /// With an order of its own, for messages alone.
    pub(in crate::control::translate) path: PathPattern,
    /// Whether it is written as a host alone.
    pub(in crate::control::translate) is_bare: bool,
    /// What it asks beyond host and path, if that is not all.
    pub(in crate::control::translate) ordered: Option<Arc<Ordered>>,
}

/// The places of a rule of so many bytes: one under each host that it may be for.
pub(super) fn places(condition: Condition, priority: Option<i64>, length: usize) -> Vec<Placed> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    if priority.is_none()
        && let Some(placed) = by_host_and_path(&condition, length)
    {
        return vec![placed];
    }
    let priority = priority.unwrap_or(length);
    let mut hosts = hosts(&condition).unwrap_or_else(|| vec![HostPattern::Any]);
    hosts.sort_unstable();
    hosts.dedup();
    if hosts.contains(&HostPattern::Any) {
        hosts = vec![HostPattern::Any];
    }
    let path = shown(&condition);
    let ordered = Arc::new(Ordered { priority, condition });
    let placed = |host| {
        let ordered = Some(Arc::clone(&ordered));
        Placed { host, path: path.clone(), is_bare: false, ordered }
    };
    hosts.into_iter().map(placed).collect()
}

/// A rule that the maps of hosts and paths find by themselves: one name, and a whole path or all of them. Its length is
/// that of an Ingress's rule, which the maps compare others with.
fn by_host_and_path(condition: &Condition, length: i64) -> Option<Placed> {
    let (host, path) = match condition {
        Condition::Host(host) => (host, None),
        Condition::All(all) => match &all[..] {
            [Condition::Host(host), path] => (host, Some(path)),
            _ => return None,
        },
        _ => return None,
    };
    let HostPattern::Exact(name) = host else {
        return None;
    };
    let (kind, text, matcher) = match path {
        None => (PathKind::Prefix, "/", None),
        Some(Condition::PathPrefix(text)) if **text == *"/" => {
            (PathKind::Prefix, "/", Some("PathPrefix"))
        }
        Some(Condition::Path(text)) => (PathKind::Exact, &**text, Some("Path")),
        Some(_) => return None,
    };
    let expected = match matcher {
        None => bare_rule_length(name),
        Some(matcher) => rule_length(name, false, matcher, text.len()),
    };
    let path = PathPattern::new(kind, text).ok()?;
    let is_bare = matcher.is_none();
    (length == expected).then(|| Placed { host: host.clone(), path, is_bare, ordered: None })
}

/// The hosts that a rule is for; nothing if it may be for any.
pub(in crate::control::translate) fn hosts(condition: &Condition) -> Option<Vec<HostPattern>> {
    match condition {
        Condition::Host(host) => Some(vec![host.clone()]),
        Condition::All(all) => all.iter().filter_map(hosts).min_by_key(Vec::len),
        Condition::Any(any) => {
            let all: Option<Vec<_>> = any.iter().map(hosts).collect();
            all.map(|all| all.into_iter().flatten().collect())
        }
        _ => None,
    }
}

/// The path that messages show: the first that the rule names, or all of them.
fn shown(condition: &Condition) -> PathPattern {
    fn first(condition: &Condition) -> Option<PathPattern> {
        match condition {
            Condition::Path(text) => PathPattern::new(PathKind::Exact, text).ok(),
            Condition::PathPrefix(text) => PathPattern::new(PathKind::Prefix, text).ok(),
            Condition::All(all) | Condition::Any(all) => all.iter().find_map(first),
            _ => None,
        }
    }
    first(condition).unwrap_or_else(PathPattern::all)
}

#[cfg(test)]
mod tests {
    use super::super::rule::{Syntax, parse};
    use super::*;

    fn placed(text: &str) -> Vec<(String, String, bool)> {
        let condition = parse(text, Syntax::V3).expect("a rule");
        let show = |Placed { host, path, ordered, .. }: Placed| {
            (host.to_string(), path.to_string(), ordered.is_some())
        };
        places(condition, None, text.len()).into_iter().map(show).collect()
    }

    #[test]
    fn a_rule_of_host_and_path_stands_in_the_maps() {
        for (text, host, path) in [
            ("Host(`a.b`)", "a.b", "Prefix /"),
            ("Host(`a.b`) && PathPrefix(`/`)", "a.b", "Prefix /"),
            ("Host(`a.b`) && Path(`/x`)", "a.b", "Exact /x"),
        ] {
            assert_eq!(placed(text), [(host.to_owned(), path.to_owned(), false)], "{text}");
        }
    }

    #[test]
    fn other_rules_stand_under_each_of_their_hosts() {
        for (text, hosts) in [
            ("Host(`a.b`) && PathPrefix(`/x`)", &["a.b"][..]),
            ("Host(`a.b`)&&PathPrefix(`/`)", &["a.b"]),
            ("Host(`*.b`)", &["*.b"]),
            ("Host(`c.d`) || Host(`a.b`)", &["a.b", "c.d"]),
            ("(Host(`c.d`) || Host(`a.b`)) && Method(`GET`)", &["a.b", "c.d"]),
            ("Host(`c.d`) && (Host(`a.b`) || Method(`GET`))", &["c.d"]),
            ("Host(`a.b`) || PathPrefix(`/x`)", &["*"]),
            ("!Host(`a.b`)", &["*"]),
            ("HostRegexp(`a`)", &["*"]),
        ] {
            let all = placed(text);
            let found: Vec<&str> = all.iter().map(|(host, ..)| host.as_str()).collect();
            assert_eq!(found, hosts, "{text}");
            assert!(all.iter().all(|(.., ordered)| *ordered), "{text}");
        }
    }
}
