//! What came of one request at one proxy, as items that can be compared: `status`, `answer.field.NAME`,
//! `answer.body`, `pods` (which of them got it, in order), and of each of these `POD.method`, `POD.target`,
//! `POD.field.NAME`, `POD.body`; the second request that a pod got is `POD#2.method` and so on.

use crate::client::Response;
use crate::differences::{Compared, Form, like};
use crate::pods::Received;
use flate2::read::GzDecoder;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

/// The value of an item that is not there.
pub(crate) const ABSENT: &str = "-";
/// Longest part of a value that is told.
const TOLD: usize = 300;

/// The items of one side.
#[derive(Debug)]
pub(crate) struct Outcome(BTreeMap<String, String>);

/// An item in which the sides differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Differing {
    pub(crate) item: String,
    pub(crate) traefik: String,
    pub(crate) ravelin: String,
}

impl fmt::Display for Differing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: Traefik {:?}, ravelin {:?}", self.item, self.traefik, self.ravelin)
    }
}

impl Outcome {
    /// Of one exchange. Where a pod closes connections in the place of answers, its first request stands for
    /// all: how often they are sent again depends on which connections there were.
    pub(crate) fn new(
        response: &Response,
        received: &[Received],
        closes: bool,
        rules: &[Compared],
    ) -> Self {
        let mut received = received.to_vec();
        if closes {
            received.dedup_by_key(|received| received.pod);
        }
        let mut outcome = Self(BTreeMap::new());
        outcome.0.insert("status".to_owned(), response.status.to_string());
        outcome.add_fields("answer", &response.fields, rules);
        outcome.0.insert("answer.body".to_owned(), body(response));
        let pods: Vec<&str> = received.iter().map(|received| received.pod).collect();
        outcome.0.insert("pods".to_owned(), pods.join(" "));
        for (at, received) in received.iter().enumerate() {
            let earlier = pods[..at].iter().filter(|pod| **pod == received.pod).count();
            let prefix = match earlier {
                0 => received.pod.to_owned(),
                earlier => format!("{}#{}", received.pod, earlier + 1),
            };
            outcome.0.insert(format!("{prefix}.method"), received.method.clone());
            outcome.0.insert(format!("{prefix}.target"), received.target.clone());
            outcome.0.insert(format!("{prefix}.body"), told(&received.body));
            outcome.add_fields(&prefix, &received.fields, rules);
        }
        outcome
    }

    /// The status, as it is told.
    pub(crate) fn status(&self) -> &str {
        &self.0["status"]
    }

    /// Whether ravelin has answered itself: such an answer is never to be cached, and says its reason.
    pub(crate) fn is_own(&self) -> bool {
        let value = |item: &str| self.0.get(item).map_or(ABSENT, String::as_str);
        let says = like("* *\n*: *.\n", value("answer.body")) || value("answer.body") == ABSENT;
        value("answer.field.server") == "ravelin"
            && value("answer.field.cache-control") == "no-store"
            && says
    }

    /// Items that differ. What only one side's pods got is told by `pods` alone.
    pub(crate) fn against(&self, ravelin: &Self, rules: &[Compared]) -> Vec<Differing> {
        let (ours, theirs) = (&ravelin.0, &self.0);
        let pod = |item: &str| item.split_once('.').map_or("", |(pod, _)| pod).to_owned();
        let both = |item: &str| {
            let method = format!("{}.method", pod(item));
            item == "pods"
                || item == "status"
                || item.starts_with("answer.")
                || (ours.contains_key(&method) && theirs.contains_key(&method))
        };
        let mut items: Vec<&String> = ours.keys().chain(theirs.keys()).collect();
        items.sort();
        items.dedup();
        let value = |of: &BTreeMap<String, String>, item: &str| {
            of.get(item).cloned().unwrap_or_else(|| ABSENT.to_owned())
        };
        let differing = items.into_iter().filter(|item| both(item)).map(|item| Differing {
            item: item.clone(),
            traefik: value(theirs, item),
            ravelin: value(ours, item),
        });
        differing.filter(|differing| !same(differing, rules)).collect()
    }

    fn add_fields(&mut self, of: &str, fields: &[(String, String)], rules: &[Compared]) {
        let mut values: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (name, value) in fields {
            let item = format!("{of}.field.{}", name.to_ascii_lowercase());
            values.entry(item).or_default().push(value);
        }
        for (item, values) in values {
            let joined = match form(&item, rules) {
                Some(Form::Ignored) => continue,
                Some(Form::List) => list(&values),
                Some(Form::Challenge) => challenge(&values.join(" | ")),
                Some(Form::Seconds) | None => values.join(" | "),
            };
            self.0.insert(item, joined);
        }
    }
}

fn form(item: &str, rules: &[Compared]) -> Option<Form> {
    rules.iter().find(|rule| rule.covers(item)).map(|rule| rule.form)
}

fn same(differing: &Differing, rules: &[Compared]) -> bool {
    if differing.traefik == differing.ravelin {
        return true;
    }
    let numbers = [&differing.traefik, &differing.ravelin].map(|value| seconds(value));
    match (form(&differing.item, rules), numbers) {
        (Some(Form::Seconds), [Some(theirs), Some(ours)]) => (theirs - ours).abs() <= 2.0,
        _ => false,
    }
}

/// Elements of a list, in lower case and in order.
fn list(values: &[&str]) -> String {
    let elements = values.iter().flat_map(|value| value.split(','));
    let mut elements: Vec<String> = elements
        .map(|element| element.trim().to_ascii_lowercase())
        .filter(|element| !element.is_empty())
        .collect();
    elements.sort();
    elements.dedup();
    elements.join(", ")
}

/// A challenge with its random parts left out.
fn challenge(value: &str) -> String {
    let mut value = value.to_owned();
    for name in ["nonce", "opaque"] {
        let key = format!("{name}=\"");
        if let Some((before, rest)) = value.split_once(&key)
            && let Some((_, after)) = rest.split_once('"')
        {
            value = format!("{before}{name}=random{after}");
        }
    }
    value
}

/// `3600`, `987.6ms`, `59m59.97s`.
fn seconds(value: &str) -> Option<f64> {
    let (mut total, mut rest) = (0.0, value);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        total += number
            * match &rest[..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" | "" => 1.0,
                "ms" => 1e-3,
                "µs" | "Âµs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    Some(total)
}

/// The body as the visitor reads it. What is compressed by other means than gzip is only told.
fn body(response: &Response) -> String {
    match response.field("content-encoding") {
        None => told(&response.body),
        Some("gzip") => {
            let mut plain = Vec::new();
            match GzDecoder::new(&response.body[..]).read_to_end(&mut plain) {
                Ok(_) => told(&plain),
                Err(error) => format!("not gzip: {error}: {}", told(&response.body)),
            }
        }
        Some(other) => format!("(compressed: {other})"),
    }
}

/// The beginning, and the length of what is longer.
fn told(body: &[u8]) -> String {
    let beginning = String::from_utf8_lossy(&body[..body.len().min(TOLD)]).into_owned();
    match body.len() {
        0 => ABSENT.to_owned(),
        length if length > TOLD => format!("{beginning}... ({length} bytes)"),
        _ => beginning,
    }
}

#[test]
fn durations_are_read_as_both_proxies_write_them() {
    assert_eq!(seconds("3600"), Some(3600.0));
    assert_eq!(seconds("59m59s"), Some(3599.0));
    assert_eq!(seconds("500ms"), Some(0.5));
    assert_eq!(seconds("soon"), None);
}
