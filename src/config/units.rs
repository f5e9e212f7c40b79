//! Values with a unit, as text: durations, sizes and networks.
//!
//! Pure functions from a string to a value or to a [`Fault`] that names what is wrong and what to
//! write instead. Nothing here knows keys, tables or files.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

/// Longest duration of any key. A day is beyond every phase of a request; more is a slip of the
/// unit.
pub const MAX_DURATION: Duration = Duration::from_secs(24 * 60 * 60);

/// The problem with a value, and its fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The broken rule, with the value.
    pub problem: String,
    /// The value to write instead.
    pub fix: String,
}

impl Fault {
    pub(super) fn new(problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { problem: problem.into(), fix: fix.into() }
    }
}

/// Parses `500ms`, `15s`, `2m` or `1h`: one whole number and one unit.
///
/// # Errors
/// The problem with a duration: zero and more than [`MAX_DURATION`] are refused.
pub fn duration(text: &str) -> Result<Duration, Fault> {
    let (number, unit) = split(text)
        .ok_or_else(|| Fault::new(format!("\"{text}\" is not a duration"), DURATION_FIX))?;
    let millis_per_unit: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "" => {
            return Err(Fault::new(
                format!("\"{text}\" has no unit"),
                format!("write \"{number}s\" for seconds or \"{number}ms\" for milliseconds"),
            ));
        }
        _ => {
            return Err(Fault::new(
                format!("\"{text}\" has the unknown unit \"{unit}\""),
                DURATION_FIX,
            ));
        }
    };
    // A number too large for the type is too long as well.
    let length = number.checked_mul(millis_per_unit).map_or(Duration::MAX, Duration::from_millis);
    if length.is_zero() {
        return Err(Fault::new(format!("\"{text}\" is zero"), "give \"1ms\" to \"24h\""));
    }
    if length > MAX_DURATION {
        return Err(Fault::new(format!("\"{text}\" is too long"), "give \"1ms\" to \"24h\""));
    }
    Ok(length)
}

const DURATION_FIX: &str = "write a whole number with ms, s, m or h, such as \"15s\"";

/// Parses `16KiB`, `64kB`, `1MiB`, `1MB`, `1GiB`, `1GB` or `512B` into bytes. Bounds are the caller's.
///
/// # Errors
/// What is wrong with it.
pub fn size(text: &str) -> Result<usize, Fault> {
    let fix = "write a whole number with B, kB, KiB, MB, MiB, GB or GiB, such as \"16KiB\"";
    let (number, unit) =
        split(text).ok_or_else(|| Fault::new(format!("\"{text}\" is not a size"), fix))?;
    let bytes_per_unit: u64 = match unit {
        "B" => 1,
        "kB" => 1_000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        "" => {
            return Err(Fault::new(
                format!("\"{text}\" has no unit"),
                format!("write \"{number}KiB\", or {number} without quotes for bytes"),
            ));
        }
        _ => {
            return Err(Fault::new(format!("\"{text}\" has the unknown unit \"{unit}\""), fix));
        }
    };
    number
        .checked_mul(bytes_per_unit)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| Fault::new(format!("\"{text}\" is too large"), "give a smaller size"))
}

/// Splits leading digits from the rest. `None` without digits. Saturates, as no bound is that high.
fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return None;
    }
    Some((number.parse().unwrap_or(u64::MAX), unit.trim_start_matches(' ')))
}

/// Parses a CIDR, or an address, which stands for itself alone.
///
/// Refuses host bits (a slip of the length or of the address: nobody can tell which), networks that
/// hold every address, and IPv4-mapped IPv6, which would match nothing because peers are unmapped
/// first ([`crate::net::addr::PeerAddr`]).
pub(super) fn net(text: &str) -> Result<IpNet, Fault> {
    let parsed = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let Ok(net) = parsed else {
        return Err(Fault::new(
            format!("\"{text}\" is not a network"),
            "write a CIDR such as \"192.0.2.0/24\" or an address",
        ));
    };
    if net.trunc() != net {
        return Err(Fault::new(
            format!("\"{text}\" has host bits set"),
            format!("the network is \"{}\"; the address alone is \"{}\"", net.trunc(), net.addr()),
        ));
    }
    if net.prefix_len() == 0 {
        return Err(Fault::new(
            format!("\"{text}\" is every address"),
            "name the set \"any\" if that is intended",
        ));
    }
    if let IpNet::V6(v6) = net
        && let Some(v4) = v6.addr().to_ipv4_mapped()
    {
        let length = v6.prefix_len().saturating_sub(96);
        return Err(Fault::new(
            format!("\"{text}\" is an IPv4-mapped network"),
            format!("write it as IPv4: \"{v4}/{length}\""),
        ));
    }
    Ok(net)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, millis) in [
            ("1ms", 1),
            ("500ms", 500),
            ("15s", 15_000),
            ("15 s", 15_000),
            ("2m", 120_000),
            ("24h", 86_400_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_the_reason() {
        for (text, problem) in [
            ("", "is not a duration"),
            ("soon", "is not a duration"),
            ("-1s", "is not a duration"),
            ("15", "has no unit"),
            ("15sec", "unknown unit \"sec\""),
            ("1h30m", "unknown unit \"h30m\""),
            ("1.5s", "unknown unit"),
            ("0s", "is zero"),
            ("25h", "is too long"),
            ("99999999999999999999h", "is too long"),
        ] {
            let fault = duration(text).expect_err(text);
            assert!(fault.problem.contains(problem), "{text}: {}", fault.problem);
        }
    }

    #[test]
    fn sizes_tell_binary_from_decimal() {
        for (text, bytes) in [
            ("512B", 512),
            ("64kB", 64_000),
            ("16KiB", 16_384),
            ("1MB", 1_000_000),
            ("1MiB", 1 << 20),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "KiB", "16", "16K", "16kib", "99999999999999999999MiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_is_a_network_of_one() {
        for (text, expected) in [
            ("192.0.2.1", "192.0.2.1/32"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("192.0.2.0/24", "192.0.2.0/24"),
        ] {
            assert_eq!(net(text).map(|net| net.to_string()).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn networks_that_would_mean_something_else_are_refused() {
        for (text, fix) in [
            ("192.0.2.1/24", "the network is \"192.0.2.0/24\""),
            ("2001:db8::1/32", "the network is \"2001:db8::/32\""),
            ("0.0.0.0/0", "\"any\""),
            ("::/0", "\"any\""),
            ("::ffff:192.0.2.0/120", "\"192.0.2.0/24\""),
            ("::ffff:192.0.2.1", "\"192.0.2.1/32\""),
            ("192.0.2.0/33", "write a CIDR"),
            ("office.example", "write a CIDR"),
        ] {
            let fault = net(text).expect_err(text);
            assert!(fault.fix.contains(fix), "{text}: {}", fault.fix);
        }
    }
}
