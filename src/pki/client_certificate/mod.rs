//! Client certificates of a host (Authenticated Origin Pulls): the policy, and the result of a check.
//!
//! Cloudflare presents a client certificate to the origin, if configured to. What it proves depends on
//! the certificate. The shared one ("global" Authenticated Origin Pulls) is the same for all customers: it
//! proves that a request came through Cloudflare, for any zone. A certificate that you uploaded (for a
//! zone or a host) proves that zone or host.
//!
//! Source: Cloudflare's documentation, SSL/TLS, "Authenticated Origin Pulls".

mod authority;
mod subject;
mod told;

pub use authority::{Authority, AuthorityError, CLOUDFLARE, CLOUDFLARE_FINGERPRINT};
pub use subject::{Subjects, SubjectsError, validity};
pub use told::told;

use crate::error::labels;
use std::fmt;
use std::sync::Arc;

labels! { fn as_str;
    /// What happens to clients without a certificate that is good.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Mode {
        /// No client is asked for one.
        #[default]
        Off = "off",
        /// Requested, counted and logged, but served in any case.
        Request = "request",
        /// Refused.
        Require = "require",
    }
}

impl Mode {
    /// The values in configuration and annotations.
    pub const WORDS: [(&'static str, Self); 3] =
        [("off", Self::Off), ("request", Self::Request), ("require", Self::Require)];
}

labels! { fn as_str;
    /// What becomes of a host that requires a certificate, for visitors whom break-glass alone admits. In the order of
    /// strictness: of several that count, the least does.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum BreakGlassAccess {
        /// It stays closed, as somebody has decided.
        Closed = "closed",
        /// Nobody has said anything: it stays closed.
        #[default]
        Unsaid = "unsaid",
        /// They are asked for no certificate.
        Open = "open",
    }
}

impl BreakGlassAccess {
    /// The values in configuration and annotations.
    pub const WORDS: [(&'static str, Self); 2] = [("open", Self::Open), ("closed", Self::Closed)];
}

/// The client certificate policy of a host. Equal values are one policy: connections and sessions may be
/// shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// What happens without a good certificate.
    pub mode: Mode,
    /// The required CA. `None` with another mode than `off`: no CA is known, and every certificate is
    /// refused.
    pub authority: Option<Arc<Authority>>,
    /// The accepted subjects; empty: every certificate of the CA.
    pub subjects: Subjects,
    /// Whether TLS 1.2 is refused.
    pub tls13_only: bool,
}

impl Demand {
    /// No certificate is requested.
    pub fn off() -> Self {
        Self::default()
    }

    /// The same for clients of whom no certificate is asked.
    pub fn without_certificate(&self) -> Self {
        Self { tls13_only: self.tls13_only, ..Self::off() }
    }

    /// A demand that no client can meet: what a broken one becomes.
    pub fn unsatisfiable() -> Self {
        Self { mode: Mode::Require, ..Self::default() }
    }
}

/// In words, with what it proves.
impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.mode.as_str())?;
        if self.tls13_only {
            f.write_str(", TLS 1.3 alone")?;
        }
        if self.mode == Mode::Off {
            return Ok(());
        }
        match &self.authority {
            None => f.write_str(", without a known CA: every certificate is refused")?,
            Some(authority) => {
                write!(f, ", of {authority}")?;
                if authority.is_cloudflare() {
                    write!(f, ": {}", authority::CLOUDFLARE_PROVES)?;
                }
            }
        }
        if !self.subjects.is_empty() {
            write!(f, ", for {}", self.subjects)?;
        }
        Ok(())
    }
}

labels! { fn label;
    /// What became of the demand: label `result`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Verification {
        /// A certificate of the authority, for one of the subjects, and the client has its key.
        Valid = "valid",
        /// The client showed none.
        None = "none",
        /// Of another authority.
        Untrusted = "untrusted",
        /// No longer valid.
        Expired = "expired",
        /// Not yet valid.
        NotYetValid = "not_yet_valid",
        /// Of the authority, for none of the subjects.
        WrongSubject = "wrong_subject",
        /// Its extended key usage is not that of clients (RFC 5280 section 4.2.1.12).
        WrongPurpose = "wrong_purpose",
        /// It cannot be read, or is of a version below 3.
        Malformed = "malformed",
        /// The client did not prove that it has the key.
        Unproven = "unproven",
        /// The authority itself is missing or cannot be used.
        NoAuthority = "no_authority",
        /// A request without TLS.
        Plaintext = "plaintext",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_have_labels_of_their_own_and_modes_are_in_order() {
        let labels: std::collections::BTreeSet<_> =
            Verification::ALL.iter().map(|verification| verification.label()).collect();
        assert_eq!(labels.len(), Verification::ALL.len());
        for (position, verification) in Verification::ALL.into_iter().enumerate() {
            assert_eq!(verification as usize, position);
        }
        assert!(Mode::ALL.is_sorted());
        assert!(Mode::WORDS.iter().all(|(word, mode)| mode.as_str() == *word));
    }

    #[test]
    fn a_demand_says_what_it_proves() {
        let demand = Demand {
            mode: Mode::Require,
            authority: Some(Arc::new(Authority::cloudflare())),
            subjects: Subjects::parse("origin-pull.cloudflare.net").expect("a name"),
            tls13_only: false,
        };
        let words = demand.to_string();
        assert!(words.contains("any Cloudflare customer, not your zone"), "{words}");
        assert!(words.ends_with("for origin-pull.cloudflare.net"), "{words}");
        assert_eq!(Demand::off().to_string(), "off");
        assert!(Demand::unsatisfiable().to_string().contains("every certificate is refused"));
    }
}
