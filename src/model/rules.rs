//! The rules of a model, by host and in the order of the table.

use super::{DefaultBackend, HostPattern, PathKind, Rule, SharedMap};
use std::cmp::Ordering;
use std::sync::Arc;

/// The rules, in [`table_order`]. A copy shares all of them. A change of one host costs what that host has,
/// and about the same however many others there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RulesByHost {
    /// No list is empty.
    by_host: SharedMap<HostPattern, Arc<[Arc<Rule>]>>,
    count: usize,
}

impl RulesByHost {
    /// Those of one host.
    pub fn of(&self, host: &HostPattern) -> &[Arc<Rule>] {
        self.by_host.get(host).map_or(&[], |rules| &**rules)
    }

    /// Gives a host these rules, all of which are for it, and no others. `rules` is in [`table_order`].
    pub fn set(&mut self, host: &HostPattern, rules: Vec<Arc<Rule>>) {
        self.count += rules.len();
        let before = match rules.is_empty() {
            true => self.by_host.remove(host),
            false => self.by_host.insert(host.clone(), rules.into()),
        };
        self.count -= before.map_or(0, |before| before.len());
    }

    /// Each host that has rules, with them.
    pub fn hosts(&self) -> impl Iterator<Item = (&HostPattern, &[Arc<Rule>])> {
        self.by_host.iter().map(|(host, rules)| (host, &**rules))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.by_host.values().flat_map(|rules| rules.iter())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many chunks there are, and how many of them another one has as well.
    #[cfg(test)]
    pub(crate) fn sharing(&self, other: &Self) -> (usize, usize) {
        self.by_host.sharing(&other.by_host)
    }
}

impl FromIterator<Rule> for RulesByHost {
    fn from_iter<I: IntoIterator<Item = Rule>>(all: I) -> Self {
        let mut all: Vec<Arc<Rule>> = all.into_iter().map(Arc::new).collect();
        all.sort_by(|a, b| table_order(a, b));
        let hosts = all.chunk_by(|a, b| a.host == b.host);
        let by_host =
            hosts.filter_map(|rules| Some((rules.first()?.host.clone(), Arc::from(rules))));
        Self { by_host: by_host.collect(), count: all.len() }
    }
}

#[cfg(test)]
impl std::ops::Index<usize> for RulesByHost {
    type Output = Rule;

    fn index(&self, position: usize) -> &Rule {
        self.iter().nth(position).expect("a rule at this position")
    }
}

/// The order of rules in a table: by host, then as they take precedence, of equals the winner first.
pub fn table_order(a: &Rule, b: &Rule) -> Ordering {
    a.host.cmp(&b.host).then_with(|| precedence(a, b))
}

/// Paths of one host in the order of the table; of equals the first one wins.
fn precedence(a: &Rule, b: &Rule) -> Ordering {
    let path = match (a.path.kind, b.path.kind) {
        (PathKind::Exact, PathKind::Exact) => a.path.text.cmp(&b.path.text),
        (PathKind::Prefix, PathKind::Prefix) => {
            by_element(a.path.prefix(), b.path.prefix())
                // `/foo/` is longer than `/foo`, though both are for the same paths.
                .then_with(|| b.path.text.len().cmp(&a.path.text.len()))
                // A host alone is a shorter rule than that host with any path.
                .then_with(|| a.matching.is_bare.cmp(&b.matching.is_bare))
        }
        (a, b) => a.cmp(&b),
    };
    path.then_with(|| a.by_place(b))
}

impl DefaultBackend {
    /// The order in which default backends take precedence: one without hosts comes first, then the older Ingress.
    pub fn by_rank(&self, other: &Self) -> Ordering {
        let has_hosts = |default: &Self| !default.hosts.is_empty();
        has_hosts(self).cmp(&has_hosts(other)).then_with(|| self.ingress.by_age(&other.ingress))
    }
}

impl Rule {
    /// The order of rules for the same requests: the older Ingress comes first, and then the rule that stands first.
    pub fn by_place(&self, other: &Self) -> Ordering {
        let place = |rule: &Self| (rule.rule, rule.position);
        self.ingress.by_age(&other.ingress).then_with(|| place(self).cmp(&place(other)))
    }
}

/// Compares Prefix paths element by element.
///
/// With the slash before every other byte, all paths under a prefix stand directly behind it. So
/// the longest prefix of a path is its predecessor in this order, or one of those that the
/// predecessor itself is under.
pub fn by_element(a: &str, b: &str) -> Ordering {
    let rank = |byte: u8| if byte == b'/' { 0 } else { byte };
    let (a, b) = (a.as_bytes(), b.as_bytes());
    match a.iter().zip(b).find(|(x, y)| x != y) {
        Some((&x, &y)) => rank(x).cmp(&rank(y)),
        None => a.len().cmp(&b.len()),
    }
}
