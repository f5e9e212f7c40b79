//! Hashes of htpasswd files (Apache, "Password Formats").

use crate::model::middleware::{PasswordHash, ShaCrypt};

/// The highest cost of bcrypt that is computed: some seconds for a password. Each step doubles it.
const MOST_COST: u8 = 15;

/// The most rounds of SHA-crypt that are computed: about a second for a password.
const MOST_ROUNDS: u32 = 1_000_000;

/// Rounds where a hash does not say, and the fewest (crypt(5), "sha512crypt").
const ROUNDS: u32 = 5000;
const LEAST_ROUNDS: u32 = 1000;

/// The alphabet of base64 (RFC 4648 section 4).
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Reads a hash.
///
/// # Errors
/// What is wrong with it, in words that follow the line.
pub(super) fn hash(text: &str) -> Result<PasswordHash, &'static str> {
    if let Some(digest) = text.strip_prefix("{SHA}") {
        return sha1(digest).map(PasswordHash::Sha1).ok_or("has no SHA-1 in base64");
    }
    for (prefix, magic) in [("$apr1$", "apr1"), ("$1$", "1")] {
        if let Some(rest) = text.strip_prefix(prefix) {
            return md5(magic, rest).ok_or("has a broken MD5 hash");
        }
    }
    for (prefix, is_512) in [("$5$", false), ("$6$", true)] {
        if let Some(rest) = text.strip_prefix(prefix) {
            return sha(is_512, rest);
        }
    }
    if ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|prefix| text.starts_with(prefix)) {
        return bcrypt(text);
    }
    Err("has no hash of bcrypt, MD5 ($apr1$, $1$), SHA ($5$, $6$) or {SHA}")
}

fn bcrypt(text: &str) -> Result<PasswordHash, &'static str> {
    let is_bcrypt_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'/';
    let rest = text[4..].split_once('$');
    let cost = rest.and_then(|(cost, hash)| {
        let is_whole = cost.len() == 2 && hash.len() == 53 && hash.bytes().all(is_bcrypt_letter);
        cost.parse::<u8>().ok().filter(|_| is_whole)
    });
    match cost {
        Some(4..=MOST_COST) => Ok(PasswordHash::Bcrypt(text.into())),
        Some(cost) if cost > MOST_COST => {
            Err("has a bcrypt hash of a cost above 15, which takes many seconds")
        }
        _ => Err("has a broken bcrypt hash"),
    }
}

fn md5(magic: &'static str, rest: &str) -> Option<PasswordHash> {
    let (salt, hash) = rest.split_once('$')?;
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'/';
    let is_whole = salt.len() <= 8 && hash.len() == 22 && hash.bytes().all(is_letter);
    is_whole.then(|| PasswordHash::Md5Crypt { magic, salt: salt.into(), hash: hash.into() })
}

fn sha(is_512: bool, rest: &str) -> Result<PasswordHash, &'static str> {
    const BROKEN: &str = "has a broken SHA hash";
    let (rounds, rest) = match rest.strip_prefix("rounds=").map(|rest| rest.split_once('$')) {
        None => (ROUNDS, rest),
        Some(Some((rounds, rest))) => (rounds.parse().map_err(|_| BROKEN)?, rest),
        Some(None) => return Err(BROKEN),
    };
    if rounds > MOST_ROUNDS {
        return Err("has a SHA hash of more than 1000000 rounds, which takes seconds");
    }
    let (salt, hash) = rest.split_once('$').ok_or(BROKEN)?;
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'/';
    let length = if is_512 { 86 } else { 43 };
    if salt.len() > 16 || hash.len() != length || !hash.bytes().all(is_letter) {
        return Err(BROKEN);
    }
    let (rounds, salt, hash) = (rounds.max(LEAST_ROUNDS), salt.into(), hash.into());
    Ok(PasswordHash::ShaCrypt(Box::new(ShaCrypt { is_512, rounds, salt, hash })))
}

/// The 20 bytes of a SHA-1: 27 letters and one `=`.
fn sha1(text: &str) -> Option<[u8; 20]> {
    let letters = text.strip_suffix('=').filter(|letters| letters.len() == 27)?;
    let (mut digest, mut length, mut bits, mut count) = ([0; 20], 0, 0_u32, 0);
    for letter in letters.bytes() {
        let value = BASE64.iter().position(|known| *known == letter)?;
        bits = (bits << 6) | u32::try_from(value).ok()?;
        count += 6;
        if count >= 8 {
            count -= 8;
            *digest.get_mut(length)? = u8::try_from((bits >> count) & 0xff).ok()?;
            length += 1;
        }
    }
    (length == 20).then_some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hashes_of_htpasswd_are_told_apart() {
        // htpasswd -nbs u password
        let sha = hash("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=");
        let Ok(PasswordHash::Sha1(digest)) = sha else { panic!("{sha:?}") };
        assert_eq!((digest[0], digest[1], digest[19]), (0x5b, 0xaa, 0xd8));
        let md5 = hash("$apr1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00");
        assert!(matches!(md5, Ok(PasswordHash::Md5Crypt { magic: "apr1", .. })), "{md5:?}");
        assert!(hash("$1$abc$eIMz/iKDkbtys/uU7LEK00").is_ok());
        let short = "2EOiGxZvwTi3lRXmoLAXK4IAbI9nP3bTXwwlEkccfH4";
        let long = "6".repeat(86);
        for (text, rounds) in [
            (format!("$5$salt${short}"), Some(5000)),
            (format!("$5$rounds=1400$salt${short}"), Some(1400)),
            (format!("$6$rounds=10$salt${long}"), Some(1000)),
            (format!("$6$0123456789abcdef${long}"), Some(5000)),
            (format!("$6$0123456789abcdefg${long}"), None),
            (format!("$6$rounds=1000001$salt${long}"), None),
            (format!("$6$rounds=x$salt${long}"), None),
            (format!("$6$rounds=1000{long}"), None),
            (format!("$6$salt${short}"), None),
            (format!("$5$salt${long}"), None),
        ] {
            let read = match hash(&text) {
                Ok(PasswordHash::ShaCrypt(settings)) => Some(settings.rounds),
                _ => None,
            };
            assert_eq!(read, rounds, "{text}");
        }
        let bcrypt = "$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC";
        assert_eq!(hash(bcrypt), Ok(PasswordHash::Bcrypt(bcrypt.into())));
        let dear = bcrypt.replace("$05$", "$31$");
        for text in
            ["", "password", "$2y$05$short", &dear, "{SHA}x", "$apr1$toolongsalt$x", "$5$a$b"]
        {
            assert!(hash(text).is_err(), "{text}");
        }
    }
}
