//! Secrets that requests carry as a proof of the zone that they came through: a field that a Transform Rule of the
//! operator's zone sets, and that nobody else knows the value of.
//!
//! Values come from a Secret of the cluster or from a file. Several are accepted at a time, so that the next one can
//! be accepted before the zone sends it.
//!
//! **Invariant**: a value is in no message, no `Debug` and no metric.

use crate::error::advice;
use arc_swap::{ArcSwapOption, Guard};
use http::HeaderName;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use subtle::{Choice, ConstantTimeEq};

/// Fewest characters of a value: 16 hexadecimal digits are 64 bits, which nobody guesses over a network.
pub const LEAST_VALUE: usize = 16;

/// Most characters of a value: fields of requests are bounded.
pub const MOST_VALUE: usize = 1024;

/// Most values at a time. Each costs every request a comparison, and a rotation needs two.
pub const MOST_VALUES: usize = 16;

/// Why values cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretValuesError {
    /// There is none.
    Empty,
    /// One has fewer characters than [`LEAST_VALUE`].
    TooShort,
    /// One has more than [`MOST_VALUE`].
    TooLong,
    /// There are more than [`MOST_VALUES`].
    TooMany,
    /// One has something else in it than printable ASCII.
    NotText,
}

impl std::error::Error for SecretValuesError {}

advice! { SecretValuesError:
    SecretValuesError::Empty => "has no line with a value",
        "write the accepted values into it, one a line, such as of `openssl rand -hex 32`";
    SecretValuesError::TooShort => "has a value of fewer than 16 characters",
        "write longer ones, such as of `openssl rand -hex 32`";
    SecretValuesError::TooLong => "has a value of more than 1024 characters", "write shorter ones";
    SecretValuesError::TooMany => "has more than 16 values", "remove those that the zone no longer sends";
    SecretValuesError::NotText => "has a value that is not printable ASCII",
        "write letters and digits, such as of `openssl rand -hex 32`";
}

/// Why a name is not one for the field of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretNameError {
    /// No field has such a name.
    Syntax,
    /// It does not begin with `x-`, or it is one of ravelin's own.
    NotCustom,
}

impl std::error::Error for SecretNameError {}

advice! { SecretNameError:
    SecretNameError::Syntax => "is not a header name",
        "write a name that begins with x-, such as \"x-origin-secret\"";
    SecretNameError::NotCustom => "is not a custom header name",
        "write a name that begins with x-, such as \"x-origin-secret\"";
}

/// Reads the name of the field that carries a secret. Anything that does not begin with `x-` is Cloudflare's,
/// ravelin's or HTTP's own, or may be dropped on the way; so may a name with an underscore.
///
/// # Errors
/// Why it is not one.
pub fn secret_name(text: &str) -> Result<HeaderName, SecretNameError> {
    let name = HeaderName::try_from(text).map_err(|_| SecretNameError::Syntax)?;
    let is_ours = ["x-forwarded-", "x-real-ip"].iter().any(|ours| name.as_str().starts_with(ours));
    if !name.as_str().starts_with("x-") || text.contains('_') || is_ours {
        return Err(SecretNameError::NotCustom);
    }
    Ok(name)
}

/// Values of which a request has to have one.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValues(Box<[Box<[u8]>]>);

impl SecretValues {
    /// Reads texts with a value a line. Space around a value, and empty lines, are not part of it.
    ///
    /// # Errors
    /// Why they cannot be used. One value that cannot be used is enough: it is a mistake to be told of now, and not
    /// when the zone begins to send it.
    pub fn parse<'t>(texts: impl IntoIterator<Item = &'t [u8]>) -> Result<Self, SecretValuesError> {
        let lines = texts.into_iter().flat_map(|text| text.split(|byte| *byte == b'\n'));
        let values: Vec<&[u8]> =
            lines.map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).collect();
        for value in &values {
            if !value.iter().all(|byte| (b' '..=b'~').contains(byte)) {
                return Err(SecretValuesError::NotText);
            }
            match value.len() {
                ..LEAST_VALUE => return Err(SecretValuesError::TooShort),
                LEAST_VALUE..=MOST_VALUE => {}
                _ => return Err(SecretValuesError::TooLong),
            }
        }
        match values.len() {
            0 => Err(SecretValuesError::Empty),
            1..=MOST_VALUES => Ok(Self(values.into_iter().map(Box::from).collect())),
            _ => Err(SecretValuesError::TooMany),
        }
    }

    /// Whether what was sent is one of them. Takes a time that depends on the lengths alone, and on how many there are.
    pub fn have(&self, sent: &[u8]) -> bool {
        have(&self.0, sent)
    }
}

/// Compares with every value, in a time that depends on the lengths alone.
pub fn have(values: &[Box<[u8]>], sent: &[u8]) -> bool {
    let each = values.iter().map(|value| value.ct_eq(sent));
    each.fold(Choice::from(0), |any, one| any | one).into()
}

impl fmt::Debug for SecretValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretValues({} of them)", self.0.len())
    }
}

/// The values of one file, from who follows it to those who compare.
#[derive(Debug, Default)]
pub struct SecretCell(ArcSwapOption<SecretValues>);

impl SecretCell {
    /// The last good values; `None` before the first.
    pub fn load(&self) -> Guard<Option<Arc<SecretValues>>> {
        self.0.load()
    }

    /// Puts values in force. Returns whether they are others.
    pub fn put(&self, values: SecretValues) -> bool {
        if self.0.load().as_deref() == Some(&values) {
            return false;
        }
        self.0.store(Some(Arc::new(values)));
        true
    }
}

/// The values of all files that the configuration names, which bounds them.
#[derive(Debug, Default)]
pub struct SecretStore(Mutex<BTreeMap<PathBuf, Arc<SecretCell>>>);

impl SecretStore {
    /// Those of one file.
    pub fn file(&self, path: &Path) -> Arc<SecretCell> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(path.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "0123456789abcdef";
    const NEW: &str = "fedcba9876543210";

    fn parse(texts: &[&str]) -> Result<SecretValues, SecretValuesError> {
        SecretValues::parse(texts.iter().map(|text| text.as_bytes()))
    }

    #[test]
    fn each_line_of_each_text_is_a_value_and_nothing_else_is() {
        let values = parse(&[&format!("\n {OLD}\r\n\n"), NEW]).expect("two values");
        for sent in [OLD, NEW] {
            assert!(values.have(sent.as_bytes()), "{sent}");
        }
        let longer = format!("{OLD}0");
        for sent in ["", &OLD[1..], &longer, "0123456789ABCDEF", "0123456789abcdef\n"] {
            assert!(!values.have(sent.as_bytes()), "{sent}");
        }
        assert_eq!(format!("{values:?}"), "SecretValues(2 of them)");
    }

    #[test]
    fn what_could_be_guessed_or_not_be_sent_is_refused() {
        let (long, many) = ("a".repeat(MOST_VALUE + 1), format!("{OLD}\n").repeat(17));
        for (text, error) in [
            ("", SecretValuesError::Empty),
            (" \n\t\r\n", SecretValuesError::Empty),
            ("0123456789abcde", SecretValuesError::TooShort),
            ("0123456789abcdef\nshort", SecretValuesError::TooShort),
            (&*long, SecretValuesError::TooLong),
            (&*many, SecretValuesError::TooMany),
            ("0123456789abcdé0123456789", SecretValuesError::NotText),
            ("0123456789\u{7}abcdef", SecretValuesError::NotText),
        ] {
            assert_eq!(parse(&[text]), Err(error), "{text:?}");
        }
        assert_eq!(parse(&[]), Err(SecretValuesError::Empty));
    }

    #[test]
    fn names_are_custom_ones() {
        for name in ["X-Origin-Auth", "x-a"] {
            assert!(secret_name(name).is_ok(), "{name}");
        }
        for name in ["Authorization", "cf-x", "x-forwarded-auth", "X-Real-IP", "x_a", "x-a_b"] {
            assert_eq!(secret_name(name), Err(SecretNameError::NotCustom), "{name}");
        }
        for name in ["", "x a", "x-ä"] {
            assert_eq!(secret_name(name), Err(SecretNameError::Syntax), "{name}");
        }
    }

    #[test]
    fn a_file_has_one_cell_that_keeps_what_was_good() {
        let store = SecretStore::default();
        let cell = store.file(Path::new("a"));
        assert!(cell.load().is_none());
        let values = parse(&[OLD]).expect("a value");
        assert!(cell.put(values.clone()) && !cell.put(values));
        assert!(store.file(Path::new("a")).load().is_some());
        assert!(store.file(Path::new("b")).load().is_none());
    }
}
