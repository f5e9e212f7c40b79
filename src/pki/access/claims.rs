//! The claims of an application token (RFC 7519 section 4; Cloudflare One, "Application token").

use super::team::Team;
use super::token::{LEEWAY, TokenRefusal};
use http::HeaderValue;
use serde::Deserialize;
use serde_json::Value;

/// The longest life that is believed, in seconds: a year. Sessions of Access last a month at most.
const MOST_LIFE: u64 = 366 * 24 * 60 * 60;

/// What a token says. Times are seconds since the Unix epoch.
#[derive(Deserialize)]
pub(super) struct Claims {
    iss: String,
    /// A list for users, a text for service tokens.
    aud: OneOrMany,
    exp: u64,
    iat: u64,
    /// Service tokens have none.
    nbf: Option<u64>,
    /// `app`; `org` is the token of the team's log-in page.
    #[serde(rename = "type")]
    kind: Option<String>,
    email: Option<String>,
    common_name: Option<String>,
    groups: Option<Value>,
    /// Where Access puts the OIDC claims and SAML attributes that the operator chose.
    custom: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(Box<str>),
    Many(Vec<Box<str>>),
}

/// A token whose signature, issuer and times are good: proof of the client's identity. It may be for another application: ask
/// [`Verified::is_for`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    audiences: Vec<Box<str>>,
    groups: Vec<Box<str>>,
    email: Option<HeaderValue>,
    common_name: Option<HeaderValue>,
    expires: u64,
}

impl Claims {
    /// Judges them for a team at a time.
    pub(super) fn check(self, team: &Team, now: u64) -> Result<Verified, TokenRefusal> {
        if !team.is_issuer(&self.iss) {
            return Err(TokenRefusal::Issuer);
        }
        if self.kind.is_some_and(|kind| kind != "app") {
            return Err(TokenRefusal::Kind);
        }
        if self.exp.saturating_add(LEEWAY) <= now {
            return Err(TokenRefusal::Expired);
        }
        let latest = now.saturating_add(LEEWAY);
        if self.iat > latest || self.nbf.is_some_and(|begin| begin > latest) {
            return Err(TokenRefusal::NotYet);
        }
        if self.exp < self.iat || self.exp - self.iat > MOST_LIFE {
            return Err(TokenRefusal::Life);
        }
        let groups = [self.groups.as_ref(), self.custom.as_ref().and_then(|own| own.get("groups"))];
        Ok(Verified {
            audiences: match self.aud {
                OneOrMany::One(one) => vec![one],
                OneOrMany::Many(many) => many,
            },
            groups: groups.into_iter().flatten().flat_map(texts).map(Box::from).collect(),
            email: field(self.email)?,
            common_name: field(self.common_name)?,
            expires: self.exp,
        })
    }
}

/// The texts of a list, or the one text.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// A name as a field for pods; empty is none.
fn field(name: Option<String>) -> Result<Option<HeaderValue>, TokenRefusal> {
    let name = name.filter(|name| !name.is_empty());
    let value = name.map(|name| HeaderValue::from_bytes(name.as_bytes()));
    value.transpose().map_err(|_| TokenRefusal::Claims)
}

impl Verified {
    /// Whether it is still good.
    ///
    /// # Errors
    /// That it has expired.
    pub fn check_time(&self, now: u64) -> Result<(), TokenRefusal> {
        match self.expires.saturating_add(LEEWAY) > now {
            true => Ok(()),
            false => Err(TokenRefusal::Expired),
        }
    }

    /// Whether one of some applications is the one that it was issued for.
    pub fn is_for(&self, audiences: &[Box<str>]) -> bool {
        self.audiences.iter().any(|audience| audiences.contains(audience))
    }

    /// Whether the user is in one of some groups.
    pub fn is_in(&self, groups: &[Box<str>]) -> bool {
        self.groups.iter().any(|group| groups.contains(group))
    }

    /// The address of the user; a service token has none.
    pub fn email(&self) -> Option<&HeaderValue> {
        self.email.as_ref()
    }

    /// The client: the address of a user, or the client id of a service token.
    pub fn user(&self) -> Option<&HeaderValue> {
        self.email.as_ref().or(self.common_name.as_ref())
    }
}
