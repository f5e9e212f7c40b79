//! One token: read, and verified with the key that it names.

use super::claims::{Claims, Verified};
use super::keys::KeySet;
use super::team::Team;
use crate::error::labels;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;

/// Longest token in bytes. Those of Access have about 1 KiB; many groups may make more of it, and Cloudflare sends 128
/// KiB of request fields at most, 16 KiB of them in one field.
pub const MOST_TOKEN: usize = 16 * 1024;

/// How far our clock and Cloudflare's may differ, in seconds, for `exp`, `nbf` and `iat` alike. RFC 7519 section 4.1.4
/// allows "usually no more than a few minutes"; nodes that keep time by NTP need far less.
pub const LEEWAY: u64 = 30;

labels! { fn label;
    /// Why a token was refused: label `cause`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum TokenRefusal {
        /// The request has the field twice: two readers could read two tokens.
        Repeated = "repeated",
        /// Longer than [`MOST_TOKEN`].
        TooLong = "too_long",
        /// Not three parts of base64url, of which the first is a JSON header (RFC 7515 section 7.1).
        Malformed = "malformed",
        /// An algorithm other than RS256, which is all that Access signs with.
        Algorithm = "algorithm",
        /// A key that is not one of the team's.
        UnknownKey = "unknown_key",
        /// The signature is not that of the key.
        Signature = "signature",
        /// A claim is missing or of another type.
        Claims = "claims",
        /// `iss` is not the team.
        Issuer = "issuer",
        /// `type` is not `app`.
        Kind = "type",
        /// `exp` is past.
        Expired = "expired",
        /// `nbf` or `iat` is in the future.
        NotYet = "not_yet",
        /// `exp` is before `iat`, or more than a year after it.
        Life = "life",
        /// Issued for another application.
        Audience = "audience",
    }
}

/// The header of a token. `crit` is refused whatever it says: no extension is understood here (RFC 7515 section
/// 4.1.11).
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<serde_json::Value>,
}

/// A token that nothing has been proved of.
#[derive(Debug)]
pub struct UnverifiedToken<'t> {
    bytes: &'t [u8],
    kid: String,
}

impl<'t> UnverifiedToken<'t> {
    /// Reads which key a token names.
    ///
    /// # Errors
    /// If it could not be good whatever the keys are.
    pub fn parse(bytes: &'t [u8]) -> Result<Self, TokenRefusal> {
        if bytes.len() > MOST_TOKEN {
            return Err(TokenRefusal::TooLong);
        }
        let mut parts = bytes.split(|byte| *byte == b'.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenRefusal::Malformed);
        };
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| TokenRefusal::Malformed)?;
        let header: Header =
            serde_json::from_slice(&header).map_err(|_| TokenRefusal::Malformed)?;
        let Header { alg, kid, typ, crit } = header;
        if alg != "RS256" {
            return Err(TokenRefusal::Algorithm);
        }
        let is_jwt = typ.is_none_or(|typ| typ.eq_ignore_ascii_case("jwt"));
        if claims.is_empty() || signature.is_empty() || !is_jwt || crit.is_some() {
            return Err(TokenRefusal::Malformed);
        }
        Ok(Self { bytes, kid: kid.ok_or(TokenRefusal::UnknownKey)? })
    }

    /// Verifies signature, issuer and times. A verification with a key of 2048 bits takes 25 to 50 us.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn verify(&self, keys: &KeySet, team: &Team, now: u64) -> Result<Verified, TokenRefusal> {
        let key = keys.get(&self.kid).ok_or(TokenRefusal::UnknownKey)?;
        let decoded = jsonwebtoken::decode::<Claims>(self.bytes, key, &signature_alone());
        let claims = decoded.map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => TokenRefusal::Signature,
            ErrorKind::InvalidAlgorithm => TokenRefusal::Algorithm,
            ErrorKind::Json(_) | ErrorKind::Utf8(_) => TokenRefusal::Claims,
            _ => TokenRefusal::Malformed,
        })?;
        claims.claims.check(team, now)
    }
}

/// The one algorithm. All claims are judged by [`Claims::check`], at a time that is given, because a verdict is kept
/// for other routes and for later.
fn signature_alone() -> Validation {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}
