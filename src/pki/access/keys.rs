//! The public keys of a team, as `/cdn-cgi/access/certs` has them: a JSON Web Key Set (RFC 7517 section 5).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use std::fmt;

/// Largest answer that is read, in bytes. Access answers with two keys, each also as a certificate: about 8 KiB.
pub const MOST_KEYS_BYTES: usize = 256 * 1024;

/// Most keys of a team; Access has two, the current and the previous one.
pub const MOST_KEYS: usize = 16;

/// Longest `kid`, in bytes; those of Access have 64.
const MOST_KID: usize = 256;

/// Sizes of the modulus that are accepted, in bytes: RS256 needs at least 2048 bits (RFC 7518 section 3.3), and above
/// 8192 bits a verification is no longer cheap. aws-lc has the same bounds.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

/// The keys of one team at one time. Tokens are verified with these alone.
pub struct KeySet {
    /// What each was made of, for comparisons: `kid`, modulus and exponent.
    parts: Vec<KeyParts>,
    keys: Vec<DecodingKey>,
}

#[derive(Clone, PartialEq, Eq)]
struct KeyParts {
    kid: Box<str>,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

/// Why an answer is no key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not JSON, or not a key set.
    #[error("the response is no JSON Web Key Set")]
    Syntax,
    /// No RSA key for signatures in it.
    #[error("the response has no RSA key for RS256")]
    Empty,
    /// More than [`MOST_KEYS`].
    #[error("the response has more than {MOST_KEYS} keys")]
    TooMany,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Key>,
}

/// One key (RFC 7517 section 4, RFC 7518 section 6.3.1).
#[derive(Deserialize)]
struct Key {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    used_for: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl KeySet {
    /// Reads a key set. Keys that RS256 cannot use are left out.
    ///
    /// # Errors
    /// If nothing usable is in it.
    pub fn parse(body: &[u8]) -> Result<Self, KeySetError> {
        // An array would be taken for the fields in their order.
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(KeySetError::Syntax);
        }
        let Document { keys } = serde_json::from_slice(body).map_err(|_| KeySetError::Syntax)?;
        if keys.len() > MOST_KEYS {
            return Err(KeySetError::TooMany);
        }
        let mut parts: Vec<KeyParts> = Vec::new();
        for key in keys.into_iter().filter_map(Key::parts) {
            // Of two keys with one `kid` the first one counts.
            if !parts.iter().any(|known| known.kid == key.kid) {
                parts.push(key);
            }
        }
        if parts.is_empty() {
            return Err(KeySetError::Empty);
        }
        let key =
            |key: &KeyParts| DecodingKey::from_rsa_raw_components(&key.modulus, &key.exponent);
        let keys = parts.iter().map(key).collect();
        Ok(Self { parts, keys })
    }

    /// The key of this name.
    pub(super) fn get(&self, kid: &str) -> Option<&DecodingKey> {
        let position = self.parts.iter().position(|key| &*key.kid == kid)?;
        self.keys.get(position)
    }

    /// How many keys there are.
    pub fn count(&self) -> usize {
        self.parts.len()
    }
}

impl PartialEq for KeySet {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.parts.iter().map(|key| &key.kid)).finish()
    }
}

impl Key {
    /// The key, if it is one for RS256.
    fn parts(self) -> Option<KeyParts> {
        let is_signing = self.used_for.is_none_or(|used| used == "sig");
        let is_rs256 = self.kty == "RSA" && self.alg.is_none_or(|alg| alg == "RS256");
        let kid = self.kid.filter(|kid| (1..=MOST_KID).contains(&kid.len()))?;
        if !is_signing || !is_rs256 {
            return None;
        }
        let modulus = URL_SAFE_NO_PAD.decode(self.n?).ok()?;
        let exponent = URL_SAFE_NO_PAD.decode(self.e?).ok()?;
        let is_strong = MODULUS.contains(&modulus.len()) && (1..=8).contains(&exponent.len());
        is_strong.then(|| KeyParts { kid: kid.into(), modulus, exponent })
    }
}
