//! With which values an annotation restricts nothing.

use super::Subject;
use crate::control::translate::annotations::{Annotations, has_everybody};
use crate::control::translate::clients::CLIENT_CERTIFICATE;

/// The values with which an annotation does nothing that matters. An empty one never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::control::translate) enum Unless {
    /// None but the empty one.
    Empty,
    /// A switch that is off.
    Off,
    /// The number 0.
    Zero,
    /// One of these.
    Is(&'static [&'static str]),
    /// A list that has every address.
    Everybody,
    /// One of these, or an annotation of ours asks clients for certificates.
    Certified(&'static [&'static str]),
    /// As `Certified`, and where the other annotation says that clients are not verified.
    Unverified,
    /// The path of every rule itself.
    OwnPath,
    /// One of these, or no path of the type ImplementationSpecific.
    Specific(&'static [&'static str]),
}

/// Says of `auth-tls-secret` whether it counts, with ingress-nginx and HAProxy Ingress.
const VERIFY_CLIENT: &str = "auth-tls-verify-client";

/// Its values without a restriction.
pub(super) const NOT_VERIFIED: &[&str] = &["off", "optional_no_ca"];

const SWITCHED_OFF: [&str; 5] = ["false", "off", "no", "none", "0"];

impl Unless {
    /// Whether an annotation with this value does nothing that matters. `prefix` is that of its name.
    pub(super) fn holds(
        self,
        value: &str,
        prefix: &str,
        annotations: Annotations<'_>,
        subject: Subject<'_>,
    ) -> bool {
        let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(value));
        let certified = || annotations.get(CLIENT_CERTIFICATE).is_some_and(|value| value != "off");
        if value.is_empty() {
            return true;
        }
        match self {
            Self::Empty => false,
            Self::Off => is(&SWITCHED_OFF),
            Self::Zero => value.trim_start_matches('0').is_empty(),
            Self::Is(words) => is(words),
            Self::Everybody => has_everybody(value),
            Self::Certified(words) => is(words) || certified(),
            Self::Unverified => {
                let verify = annotations.get(&format!("{prefix}{VERIFY_CLIENT}"));
                certified() || verify.is_some_and(|value| NOT_VERIFIED.contains(&value))
            }
            Self::OwnPath => subject.paths().all(|path| path.path.as_deref() == Some(value)),
            Self::Specific(words) => is(words) || !subject.has_specific_paths(),
        }
    }
}

/// The bytes of a size of nginx, such as `8k`, `50m` or `1g`.
pub(super) fn bytes(value: &str) -> Option<u64> {
    let (number, unit) = match value.char_indices().last()? {
        (end, 'k' | 'K') => (&value[..end], 1 << 10),
        (end, 'm' | 'M') => (&value[..end], 1 << 20),
        (end, 'g' | 'G') => (&value[..end], 1 << 30),
        _ => (value, 1),
    };
    let is_plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse::<u64>().ok().filter(|_| is_plain)?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_units_of_nginx() {
        for (text, expected) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("8k", Some(8 << 10)),
            ("50M", Some(50 << 20)),
            ("1g", Some(1 << 30)),
            ("", None),
            ("m", None),
            ("+1m", None),
            ("1t", None),
            ("1.5m", None),
            ("99999999999999999999g", None),
            ("1é", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
