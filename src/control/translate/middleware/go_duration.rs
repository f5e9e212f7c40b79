//! Durations as Traefik reads them: a bare number of seconds, or Go's `1h2m3.5s`.

use std::time::Duration;

/// Units in nanoseconds, the longer words before those that they begin with.
const UNITS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads one (Go, `time.ParseDuration`; Traefik, `ptypes.Duration.Set`). Nothing for a negative one, and for one
/// that does not fit into 64 bits of nanoseconds.
pub fn parse(text: &str) -> Option<Duration> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Duration::from_secs);
    }
    let (mut rest, mut total) = (text, 0_u64);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at(end);
        let (unit, nanoseconds) = UNITS.into_iter().find(|(unit, _)| {
            // `m` is no `ms`.
            behind.strip_prefix(unit).is_some_and(|rest| !rest.starts_with(char::is_alphabetic))
        })?;
        total = total.checked_add(scaled(number, nanoseconds)?)?;
        rest = &behind[unit.len()..];
    }
    (!text.is_empty()).then(|| Duration::from_nanos(total))
}

/// A decimal number times a unit.
fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut total = whole.checked_mul(unit)?;
    let mut part = unit;
    for digit in fraction.bytes() {
        if !digit.is_ascii_digit() {
            return None;
        }
        part /= 10;
        total = total.checked_add(part * u64::from(digit - b'0'))?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for (text, milliseconds) in [
            ("10", Some(10_000)),
            ("10s", Some(10_000)),
            ("1m30s", Some(90_000)),
            ("1.5h", Some(5_400_000)),
            ("100ms", Some(100)),
            (".5s", Some(500)),
            ("+1s", Some(1_000)),
            ("0", Some(0)),
            ("", None),
            ("s", None),
            ("10 s", None),
            ("-1s", None),
            ("1d", None),
            ("1s1", None),
            ("1..5s", None),
            ("99999999999h", None),
        ] {
            let read = parse(text).map(|time| time.as_millis());
            assert_eq!(read, milliseconds, "{text}");
        }
    }
}
