//! How long a pod keeps an idle connection, by its last answer.

use crate::net::fields::Fields;
use crate::net::http1::has_option;
use http::{HeaderName, Version, header};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// How long a pod keeps an idle connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::upstream) enum Keep {
    /// It does not say.
    Any,
    /// For this many milliseconds.
    For(u64),
    /// Not beyond this answer.
    Not,
}

impl Keep {
    /// Reads `Connection` (RFC 9112 section 9.3) and `Keep-Alive` (RFC 2068 section 19.7.1.1). Nearly no answer has
    /// them: one look at all names costs less than to search for two.
    pub(in crate::upstream) fn read(version: Version, headers: &impl Fields) -> Self {
        let mut keep = Self::Any;
        let mut is_kept = version != Version::HTTP_10;
        for (name, value) in headers.iter() {
            if *name == header::CONNECTION {
                if has_option(value, b"close") {
                    return Self::Not;
                }
                is_kept |= has_option(value, b"keep-alive");
            }
            if *name == KEEP_ALIVE {
                for item in value.as_bytes().split(|&byte| byte == b',') {
                    keep = keep.and(item);
                }
            }
        }
        if is_kept { keep } else { Self::Not }
    }

    /// With one parameter of `Keep-Alive`.
    fn and(self, parameter: &[u8]) -> Self {
        let Some((name, value)) =
            str::from_utf8(parameter).ok().and_then(|item| item.split_once('='))
        else {
            return self;
        };
        let value = value.trim().trim_matches('"').parse::<u64>();
        match (name.trim().to_ascii_lowercase().as_str(), value) {
            ("timeout" | "max", Ok(0)) => Self::Not,
            ("timeout", Ok(seconds)) if self != Self::Not => {
                let given = seconds.saturating_mul(1_000);
                // Less by a second, as a request may be on its way when the time is over.
                Self::For(given.saturating_sub(1_000).max(given / 2))
            }
            _ => self,
        }
    }

    /// When it is over for a connection that is unused from now on.
    pub(in crate::upstream) fn until(self, now_ms: u64) -> Option<u64> {
        match self {
            Self::Any => Some(u64::MAX),
            Self::For(limit) => Some(now_ms.saturating_add(limit)),
            Self::Not => None,
        }
    }
}
