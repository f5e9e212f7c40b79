//! The client's half of digest authentication (RFC 7616, MD5), as far as cases need it.

use crate::client::Response;
use crate::md5_hex::md5_hex;

/// What the client answers a challenge with: `@login USER PASSWORD COUNT METHOD URI`. An answer is for
/// one challenge: the last one before it in the case.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    user: String,
    password: String,
    count: String,
    method: String,
    uri: String,
}

impl Login {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split(' ').collect();
        let [user, password, count, method, uri] = words[..] else {
            return Err(format!("@login {text}: five words"));
        };
        let [user, password, count, method, uri] =
            [user, password, count, method, uri].map(str::to_owned);
        Ok(Self { user, password, count, method, uri })
    }

    /// The value of `Authorization` for the challenge in an answer; `None` if there is none in it.
    pub(crate) fn answer(&self, challenge: &Response) -> Option<String> {
        let challenge = challenge.field("www-authenticate")?.strip_prefix("Digest ")?;
        let [realm, nonce, opaque] =
            ["realm", "nonce", "opaque"].map(|name| parameter(challenge, name));
        let (realm, nonce) = (realm?, nonce?);
        let Self { user, password, count, method, uri } = self;
        let secret = md5_hex(&format!("{user}:{realm}:{password}"));
        let request = md5_hex(&format!("{method}:{uri}"));
        let response = md5_hex(&format!("{secret}:{nonce}:{count}:c:auth:{request}"));
        let opaque = opaque.map(|opaque| format!(", opaque=\"{opaque}\"")).unwrap_or_default();
        Some(format!(
            "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
             qop=auth, nc={count}, cnonce=\"c\", response=\"{response}\", algorithm=MD5{opaque}"
        ))
    }
}

fn parameter<'c>(challenge: &'c str, name: &str) -> Option<&'c str> {
    let (_, rest) = challenge.split_once(&format!("{name}=\""))?;
    rest.split('"').next()
}
