//! A team of Cloudflare One: who signs the tokens, and where its keys are.

use crate::error::advice;
use std::fmt;
use std::sync::Arc;

/// The domain that all teams are below (Cloudflare One, "Team domain").
pub const DOMAIN: &str = "cloudflareaccess.com";

/// Longest name, as a DNS label (RFC 1123 section 2.1).
const MOST_BYTES: usize = 63;

/// The name of a team, in lower case: the label before [`DOMAIN`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Team(Arc<str>);

/// Why a text names no team.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TeamError {
    /// Nothing.
    Empty,
    /// `https://...`.
    Url,
    /// A name in quotes.
    Quotes,
    /// Spaces in it or around it.
    Space,
    /// A domain that is not below [`DOMAIN`].
    Domain,
    /// A character that no label has, or too many of them.
    Label,
}

impl std::error::Error for TeamError {}

advice! { TeamError:
    TeamError::Empty => "names no team", "write the team before the slash, such as \"example/AUD\"";
    TeamError::Url => "is a URL", "write the name of the team without https:// and path, such as \"example/AUD\"";
    TeamError::Quotes => "has quotation marks in it", "write the value without further quotation marks";
    TeamError::Space => "has a space in it", "write team, slash and AUD tag without spaces";
    TeamError::Domain => "names a domain that is not below cloudflareaccess.com",
        "write the name of the team, or its team domain TEAM.cloudflareaccess.com, not the application's domain";
    TeamError::Label => "does not name a team", "write the name that Zero Trust > Settings shows as team domain";
}

/// Longest AUD tag, in bytes; those of Access have 64 hexadecimal digits.
const MOST_AUDIENCE: usize = 128;

/// Whether a text may be the Application Audience (AUD) Tag of an application.
pub fn is_audience(tag: &str) -> bool {
    let is_known = tag.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_known && (1..=MOST_AUDIENCE).contains(&tag.len())
}

impl Team {
    /// Reads `TEAM` or `TEAM.cloudflareaccess.com`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, TeamError> {
        if text.is_empty() {
            return Err(TeamError::Empty);
        }
        if text.contains(['"', '\'', '`']) {
            return Err(TeamError::Quotes);
        }
        if text.contains(char::is_whitespace) {
            return Err(TeamError::Space);
        }
        if text.contains(':') {
            return Err(TeamError::Url);
        }
        let lower = text.to_ascii_lowercase();
        let below = lower.strip_suffix(DOMAIN).and_then(|rest| rest.strip_suffix('.'));
        let label = below.unwrap_or(&lower);
        if label.contains('.') {
            return Err(TeamError::Domain);
        }
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_label = (1..=MOST_BYTES).contains(&label.len())
            && label.bytes().all(is_known)
            && !label.starts_with('-')
            && !label.ends_with('-');
        if is_label { Ok(Self(label.into())) } else { Err(TeamError::Label) }
    }

    /// The name.
    pub fn name(&self) -> &Arc<str> {
        &self.0
    }

    /// Whether this is the claim `iss` of its tokens: `https://TEAM.cloudflareaccess.com`.
    pub fn is_issuer(&self, issuer: &str) -> bool {
        let host = issuer.strip_prefix("https://");
        let rest = host.and_then(|host| host.strip_prefix(&*self.0));
        rest.and_then(|rest| rest.strip_prefix('.')) == Some(DOMAIN)
    }

    /// Where its keys are (Cloudflare One, "Validate JWTs").
    pub fn certs_url(&self) -> String {
        format!("https://{self}/cdn-cgi/access/certs")
    }
}

/// The team domain.
impl fmt::Display for Team {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{DOMAIN}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_team_is_its_name_or_its_domain() {
        for text in ["example", "Example", "example.cloudflareaccess.com"] {
            let team = Team::parse(text).expect("a team");
            assert_eq!(
                (&**team.name(), &*team.to_string()),
                ("example", "example.cloudflareaccess.com")
            );
        }
        for (text, error) in [
            ("", TeamError::Empty),
            ("https://example.cloudflareaccess.com", TeamError::Url),
            ("\"example\"", TeamError::Quotes),
            ("example ", TeamError::Space),
            ("admin.example.com", TeamError::Domain),
            ("a.b.cloudflareaccess.com", TeamError::Domain),
            ("cloudflareaccess.com", TeamError::Domain),
            ("examplecloudflareaccess.com", TeamError::Domain),
            (".cloudflareaccess.com", TeamError::Label),
            ("ex_ample", TeamError::Label),
            ("-example", TeamError::Label),
        ] {
            assert_eq!(Team::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn only_its_own_address_is_the_issuer() {
        let team = Team::parse("example").expect("a team");
        assert!(team.is_issuer("https://example.cloudflareaccess.com"));
        for other in [
            "https://other.cloudflareaccess.com",
            "https://example.cloudflareaccess.com/",
            "https://example.cloudflareaccess.com.evil.example",
            "http://example.cloudflareaccess.com",
            "https://EXAMPLE.cloudflareaccess.com",
            "https://examplecloudflareaccess.com",
            "example.cloudflareaccess.com",
            "",
        ] {
            assert!(!team.is_issuer(other), "{other}");
        }
    }
}
