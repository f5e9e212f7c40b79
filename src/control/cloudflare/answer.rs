//! From bytes to networks: the API's JSON, and lists as text.
//!
//! A network is taken only as it has to be written, without bits behind its prefix: `104.16.0.0/1`
//! is what is left of a line that was cut off.

use crate::control::quote::quote;
use crate::telemetry::ListFailure;
use ipnet::IpNet;
use serde::Deserialize;
use std::fmt;
use std::net::IpAddr;

/// Largest text, in bytes. Cloudflare's answer has less than 1 KiB; the most networks that are
/// taken, written at their longest, have 48 KiB.
pub const MOST_BYTES: usize = 256 * 1024;
/// Longest `result.etag`; theirs has 32 characters.
const MOST_DIGEST: usize = 128;

/// A parsed list, not checked yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// Both families, in the order of the source.
    pub networks: Vec<IpNet>,
    /// `result.etag`: the digest of the data.
    pub digest: Option<String>,
}

/// The problem with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError {
    /// Counted from 1. `None`: the text as a whole.
    pub line: Option<usize>,
    /// The sort of mistake.
    pub problem: ListProblem,
}

/// The sorts of mistakes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListProblem {
    /// Above [`MOST_BYTES`].
    #[error("the text has more than {MOST_BYTES} bytes, too many for a list of networks")]
    TooLarge,
    /// Not UTF-8.
    #[error("this is not text")]
    NotText,
    /// Cut off, another document, or not JSON at all.
    #[error("this is not JSON of Cloudflare's API")]
    Json,
    /// `success` is not `true`.
    #[error("the response reports a failure: \"success\" is false")]
    Unsuccessful,
    /// A part of `result`.
    #[error("the response has no \"{0}\"")]
    Missing(&'static str),
    /// Not a network; the text, in quotes.
    #[error("{0} is not a network; write one such as 104.16.0.0/13")]
    NotNetwork(String),
    /// Bits behind the prefix; the text in quotes, and what it should be.
    #[error("{0} has host bits set; write {1}, or the whole line if it was cut off")]
    HostBits(String, IpNet),
    /// Two networks without anything between them; the text, in quotes.
    #[error(
        "{0} is two networks on one line (such as /ips-v4 and /ips-v6 joined without a line break); \
            write one per line"
    )]
    Glued(String),
    /// A network under the key of the other family; the text, in quotes.
    #[error("{0} is of the wrong address family")]
    Family(String),
}

impl ListProblem {
    /// The reason in metrics.
    pub fn why(&self) -> ListFailure {
        match self {
            Self::TooLarge => ListFailure::TooLarge,
            Self::Unsuccessful => ListFailure::Unsuccessful,
            Self::Missing(_) => ListFailure::Missing,
            Self::NotText
            | Self::Json
            | Self::NotNetwork(_)
            | Self::HostBits(..)
            | Self::Glued(_)
            | Self::Family(_) => ListFailure::Syntax,
        }
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        self.problem.fmt(f)
    }
}

impl std::error::Error for TextError {}

impl From<ListProblem> for TextError {
    fn from(problem: ListProblem) -> Self {
        Self { line: None, problem }
    }
}

/// The response of the API. Unknown fields are ignored.
#[derive(Deserialize)]
struct Envelope {
    success: bool,
    result: Option<Lists>,
}

/// Every field is optional in the API's schema.
#[derive(Deserialize)]
struct Lists {
    ipv4_cidrs: Option<Vec<String>>,
    ipv6_cidrs: Option<Vec<String>>,
    jdcloud_cidrs: Option<Vec<String>>,
    etag: Option<String>,
}

/// Reads an answer of the API. `jdcloud`: whether the China Network's addresses have to be in it;
/// otherwise they are left out.
///
/// # Errors
/// The first mistake. Answers are not trusted: nothing of them is repeated but, shortened and in
/// quotes, what should have been a network.
pub fn json(bytes: &[u8], jdcloud: bool) -> Result<List, TextError> {
    if bytes.len() > MOST_BYTES {
        return Err(ListProblem::TooLarge.into());
    }
    let envelope: Envelope = serde_json::from_slice(bytes)
        .map_err(|error| TextError { line: Some(error.line()), problem: ListProblem::Json })?;
    if !envelope.success {
        return Err(ListProblem::Unsuccessful.into());
    }
    let lists = envelope.result.ok_or(ListProblem::Missing("result"))?;
    let v4 = lists.ipv4_cidrs.ok_or(ListProblem::Missing("ipv4_cidrs"))?;
    let v6 = lists.ipv6_cidrs.ok_or(ListProblem::Missing("ipv6_cidrs"))?;
    let both = match (jdcloud, lists.jdcloud_cidrs) {
        (false, _) => Vec::new(),
        (true, Some(list)) => list,
        (true, None) => return Err(ListProblem::Missing("jdcloud_cidrs").into()),
    };
    let mut networks = Vec::with_capacity(v4.len() + v6.len() + both.len());
    for (texts, family) in [(v4, Some(true)), (v6, Some(false)), (both, None)] {
        for text in &texts {
            let net = network(text)?;
            if family.is_some_and(|v4| v4 != matches!(net, IpNet::V4(_))) {
                return Err(ListProblem::Family(quote(text)).into());
            }
            networks.push(net);
        }
    }
    let digest = lists.etag.filter(|etag| !etag.is_empty() && etag.len() <= MOST_DIGEST);
    Ok(List { networks, digest })
}

/// Reads a list of the operator's: the API's JSON, or networks and addresses with white space or
/// commas between them and comments from `#` to the end of the line.
///
/// # Errors
/// The first mistake, with its line.
pub fn text(bytes: &[u8]) -> Result<List, TextError> {
    if bytes.len() > MOST_BYTES {
        return Err(ListProblem::TooLarge.into());
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        TextError { line: Some(line), problem: ListProblem::NotText }
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('{') {
        // An operator's own file may contain the China Network.
        let jdcloud = text.contains("\"jdcloud_cidrs\"");
        return json(text.as_bytes(), jdcloud).map(|list| List { digest: None, ..list });
    }
    let mut networks = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let content = line.split_once('#').map_or(line, |(content, _)| content);
        let words = content.split([',', ' ', '\t', '\r']).filter(|word| !word.is_empty());
        for word in words {
            let at_line = |problem| TextError { line: Some(number), problem };
            networks.push(network_or_address(word).map_err(at_line)?);
        }
    }
    Ok(List { networks, digest: None })
}

fn network_or_address(word: &str) -> Result<IpNet, ListProblem> {
    if let Ok(address) = word.parse::<IpAddr>() {
        return Ok(address.into());
    }
    if is_glued(word) {
        return Err(ListProblem::Glued(quote(word)));
    }
    network(word)
}

fn network(word: &str) -> Result<IpNet, ListProblem> {
    let net: IpNet = word.parse().map_err(|_| ListProblem::NotNetwork(quote(word)))?;
    if net.trunc() == net { Ok(net) } else { Err(ListProblem::HostBits(quote(word), net.trunc())) }
}

/// `131.0.72.0/222400:cb00::/32`: the text can be cut in two networks behind the first prefix.
fn is_glued(word: &str) -> bool {
    let Some(slash) = word.find('/') else { return false };
    (1..=3).any(|digits| {
        let halves = word.split_at_checked(slash + 1 + digits);
        halves.is_some_and(|(first, second)| {
            first.parse::<IpNet>().is_ok()
                && (second.parse::<IpNet>().is_ok() || second.parse::<IpAddr>().is_ok())
        })
    })
}
