//! From bytes to networks: the API's JSON, and lists as text.
//!
//! A network is taken only as it has to be written, without bits behind its prefix: `104.16.0.0/1`
//! is what is left of a line that was cut off.

use super::failure::Failure;
use crate::control::quote::quote;
use crate::telemetry::ListFailure;
use http::HeaderValue;
use ipnet::IpNet;
use serde::Deserialize;
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
    /// The field `ETag` of the response.
    pub etag: Option<HeaderValue>,
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
pub fn json(bytes: &[u8], jdcloud: bool) -> Result<List, Failure> {
    bounded(bytes)?;
    let envelope: Envelope = serde_json::from_slice(bytes).map_err(|error| {
        let line = Some(error.line());
        Failure { line, ..syntax("this is not JSON of Cloudflare's API") }
    })?;
    if !envelope.success {
        let words = "the response reports a failure: \"success\" is false";
        return Err(Failure::new(ListFailure::Unsuccessful, words));
    }
    let lists = part("result", envelope.result)?;
    let v4 = part("ipv4_cidrs", lists.ipv4_cidrs)?;
    let v6 = part("ipv6_cidrs", lists.ipv6_cidrs)?;
    let both = if jdcloud { part("jdcloud_cidrs", lists.jdcloud_cidrs)? } else { Vec::new() };
    let mut networks = Vec::with_capacity(v4.len() + v6.len() + both.len());
    for (texts, family) in [(v4, Some(true)), (v6, Some(false)), (both, None)] {
        for text in &texts {
            let net = network(text)?;
            if family.is_some_and(|v4| v4 != matches!(net, IpNet::V4(_))) {
                return Err(syntax(format!("{} is of the wrong address family", quote(text))));
            }
            networks.push(net);
        }
    }
    let digest = lists.etag.filter(|etag| !etag.is_empty() && etag.len() <= MOST_DIGEST);
    Ok(List { networks, digest, etag: None })
}

/// Reads a list of the operator's: the API's JSON, or networks and addresses with white space or
/// commas between them and comments from `#` to the end of the line.
///
/// # Errors
/// The first mistake, with its line.
pub fn text(bytes: &[u8]) -> Result<List, Failure> {
    bounded(bytes)?;
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        Failure { line: Some(line), ..syntax("this is not text") }
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
            let at_line = |failure| Failure { line: Some(number), ..failure };
            networks.push(network_or_address(word).map_err(at_line)?);
        }
    }
    Ok(List { networks, ..List::default() })
}

fn bounded(bytes: &[u8]) -> Result<(), Failure> {
    if bytes.len() <= MOST_BYTES {
        return Ok(());
    }
    let words =
        format!("the text has more than {MOST_BYTES} bytes, too many for a list of networks");
    Err(Failure::new(ListFailure::TooLarge, words))
}

fn part<T>(name: &str, value: Option<T>) -> Result<T, Failure> {
    value.ok_or_else(|| {
        Failure::new(ListFailure::Missing, format!("the response has no \"{name}\""))
    })
}

fn syntax(words: impl Into<String>) -> Failure {
    Failure::new(ListFailure::Syntax, words)
}

fn network_or_address(word: &str) -> Result<IpNet, Failure> {
    if let Ok(address) = word.parse::<IpAddr>() {
        return Ok(address.into());
    }
    if is_glued(word) {
        return Err(syntax(format!(
            "{} is two networks on one line (such as /ips-v4 and /ips-v6 joined without a line break); \
                write one per line",
            quote(word)
        )));
    }
    network(word)
}

fn network(word: &str) -> Result<IpNet, Failure> {
    let shown = quote(word);
    let net: IpNet = word.parse().map_err(|_| {
        syntax(format!("{shown} is not a network; write one such as 104.16.0.0/13"))
    })?;
    if net.trunc() == net {
        return Ok(net);
    }
    let whole = net.trunc();
    let fix = format!("write {whole}, or the whole line if it was cut off");
    Err(syntax(format!("{shown} has host bits set; {fix}")))
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
