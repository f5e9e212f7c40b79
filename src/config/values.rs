//! Single values: from what TOML has under a key to what the configuration holds.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeValue;

use super::keys::{meaning, nearest};
use super::raw::{self, Table};
use super::units::{self, Fault};

/// Longest label in bytes, as a DNS label (RFC 1123 section 2.1).
const MAX_LABEL_BYTES: usize = 63;
/// Longest `metadata.name` of an IngressClass: a DNS subdomain.
const MAX_SUBDOMAIN_BYTES: usize = 253;

/// A duration; the meaning of its key goes into every complaint.
pub(super) fn duration(table: &Table<'_>, key: &str) -> Option<Duration> {
    table.read(key, |value| {
        let parsed = match value {
            DeValue::Integer(number) => {
                let text = number.to_string();
                Err(Fault::new(
                    format!("{text} has no unit"),
                    format!("write \"{text}s\" for seconds"),
                ))
            }
            _ => raw::string(value).and_then(units::duration),
        };
        parsed.map_err(|Fault { problem, fix }| {
            let problem = match meaning(key) {
                Some(meaning) => format!("{problem} ({key}: {meaning})"),
                None => problem,
            };
            Fault { problem, fix }
        })
    })
}

pub(super) fn count(value: &DeValue<'_>, range: &RangeInclusive<usize>) -> Result<usize, Fault> {
    within(raw::integer(value)?, value, range, |bound| bound.to_string())
}

pub(super) fn bytes(value: &DeValue<'_>, range: &RangeInclusive<usize>) -> Result<usize, Fault> {
    let size = match value {
        DeValue::String(text) => Some(units::size(text)?),
        _ => raw::integer(value)?,
    };
    within(size, value, range, |bound| match bound {
        bound if bound % (1 << 20) == 0 => format!("\"{}MiB\"", bound >> 20),
        bound => format!("\"{}KiB\"", bound >> 10),
    })
}

/// A path, as written.
pub(super) fn path(value: &DeValue<'_>) -> Result<PathBuf, Fault> {
    match raw::string(value)? {
        "" => Err(Fault::new("the path is empty", "write a path, or leave the key out")),
        path => Ok(PathBuf::from(path)),
    }
}

/// Longest path of a socket, in bytes: `sun_path` has 108 (unix(7)), of which a final zero and the
/// name under which the socket is made (four more) take five.
pub const SOCKET_PATH_BYTES: usize = 103;

/// A path that the kernel takes for a socket.
pub(super) fn socket_path(value: &DeValue<'_>) -> Result<PathBuf, Fault> {
    let path = path(value)?;
    match path.as_os_str().len() {
        ..=SOCKET_PATH_BYTES => Ok(path),
        bytes => Err(Fault::new(
            format!(
                "the path has {bytes} bytes; a socket path may have at most {SOCKET_PATH_BYTES}"
            ),
            "use a shorter path, such as \"/run/ravelin/admin.sock\"",
        )),
    }
}

fn within(
    number: Option<usize>,
    value: &DeValue<'_>,
    range: &RangeInclusive<usize>,
    show: impl Fn(usize) -> String,
) -> Result<usize, Fault> {
    if let Some(number) = number.filter(|number| range.contains(number)) {
        return Ok(number);
    }
    let written = match value {
        DeValue::Integer(number) => number.to_string(),
        DeValue::String(text) => format!("\"{text}\""),
        other => other.type_str().to_owned(),
    };
    let fix = format!("give {} to {}", show(*range.start()), show(*range.end()));
    Err(Fault::new(format!("{written} is out of range"), fix))
}

pub(super) fn socket_addr(value: &DeValue<'_>) -> Result<SocketAddr, Fault> {
    let text = raw::string(value)?;
    text.parse().map_err(|_| {
        Fault::new(
            format!("\"{text}\" is not an IP address with a port"),
            "write \"[::]:80\" for all addresses, or \"192.0.2.1:80\" for one",
        )
    })
}

/// A name that becomes a metric label.
pub(super) fn label(text: &str) -> Result<Arc<str>, Fault> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=MAX_LABEL_BYTES).contains(&text.len()) && text.bytes().all(allowed) {
        return Ok(text.into());
    }
    let fix = format!("use 1 to {MAX_LABEL_BYTES} of a-z, 0-9 and -");
    Err(Fault::new(format!("\"{text}\" is not a valid name (it becomes a metric label)"), fix))
}

/// The name of an IngressClass (RFC 1123, as the API server checks it).
pub(super) fn subdomain(text: &str) -> Result<String, Fault> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(allowed)
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    if text.len() <= MAX_SUBDOMAIN_BYTES && text.split('.').all(part) {
        return Ok(text.to_owned());
    }
    let fix = "write metadata.name of the IngressClass: a-z, 0-9, - and dots";
    Err(Fault::new(format!("\"{text}\" cannot be the name of an IngressClass"), fix))
}

/// The name of a Namespace: a DNS label (RFC 1123, as the API server checks it).
pub(super) fn namespace(text: &str) -> Result<String, Fault> {
    match subdomain(text) {
        Ok(name) if name.len() <= MAX_LABEL_BYTES && !name.contains('.') => Ok(name),
        _ => Err(Fault::new(
            format!("\"{text}\" cannot be the name of a Namespace"),
            "write metadata.name of the Namespace: a-z, 0-9 and -",
        )),
    }
}

/// The value that a word stands for.
pub(super) fn one_of<T: Copy, const N: usize>(
    value: &DeValue<'_>,
    words: &[(&str, T); N],
) -> Result<T, Fault> {
    let word = raw::string(value)?;
    let meant = words.iter().find(|(known, _)| *known == word);
    meant.map(|(_, meant)| *meant).ok_or_else(|| unknown_word(word, &words.map(|(known, _)| known)))
}

pub(super) fn unknown_word(word: &str, known: &[&str]) -> Fault {
    let fix = match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("write \"{}\"", known.join("\" or \"")),
    };
    Fault::new(format!("\"{word}\" is unknown"), fix)
}
