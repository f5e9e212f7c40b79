//! SHA-crypt, the hash behind `$5$` (SHA-256) and `$6$` (SHA-512): U. Drepper, "Unix crypt using SHA-256 and SHA-512".

use super::md5_crypt::DIGITS;
use crate::model::middleware::ShaCrypt;
use aws_lc_rs::digest::{Algorithm, Context, Digest, SHA256, SHA512};

/// The longest password, in bytes, as libxcrypt has it: the work grows with the square of its length.
const MOST_PASSWORD: usize = 512;

/// The digits of a password's hash; nothing for a password that is too long for one.
pub(super) fn sha_crypt(settings: &ShaCrypt, password: &[u8]) -> Option<String> {
    if password.len() > MOST_PASSWORD {
        return None;
    }
    let algorithm = if settings.is_512 { &SHA512 } else { &SHA256 };
    let hash = |parts: &[&[u8]]| sum(algorithm, parts);
    let salt = settings.salt.as_bytes();
    let inner = hash(&[password, salt, password]);
    let inner = inner.as_ref();
    let mut first = Context::new(algorithm);
    first.update(password);
    first.update(salt);
    first.update(&repeated(inner, password.len()));
    // For each bit of the length, from the lowest.
    let mut bits = password.len();
    while bits > 0 {
        first.update(if bits & 1 == 1 { inner } else { password });
        bits >>= 1;
    }
    let mut last = first.finish();
    let of_password = hash(&[&password.repeat(password.len())]);
    let of_password = repeated(of_password.as_ref(), password.len());
    let times = 16 + usize::from(last.as_ref()[0]);
    let of_salt = repeated(hash(&[&salt.repeat(times)]).as_ref(), salt.len());
    for round in 0..settings.rounds {
        let is_odd = round % 2 == 1;
        let mut next = Context::new(algorithm);
        next.update(if is_odd { &of_password } else { last.as_ref() });
        if round % 3 != 0 {
            next.update(&of_salt);
        }
        if round % 7 != 0 {
            next.update(&of_password);
        }
        next.update(if is_odd { last.as_ref() } else { &of_password });
        last = next.finish();
    }
    Some(digits(last.as_ref()))
}

fn sum(algorithm: &'static Algorithm, parts: &[&[u8]]) -> Digest {
    let mut context = Context::new(algorithm);
    parts.iter().for_each(|part| context.update(part));
    context.finish()
}

/// So many bytes of the sum, repeated.
fn repeated(sum: &[u8], length: usize) -> Vec<u8> {
    sum.iter().copied().cycle().take(length).collect()
}

/// Which three bytes of the sum each group of four digits has, the highest first, follows a rotation; the bytes that are
/// left come last.
fn digits(sum: &[u8]) -> String {
    let third = sum.len() / 3;
    let mut out = String::with_capacity(86);
    let mut put = |high: u8, middle: u8, low: u8, count: usize| {
        let mut bits = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        for _ in 0..count {
            out.push(char::from(DIGITS[bits & 63]));
            bits >>= 6;
        }
    };
    let mut group = [0, third, 2 * third];
    for _ in 0..third {
        put(sum[group[0]], sum[group[1]], sum[group[2]], 4);
        let [high, middle, low] = group.map(|at| at + 1);
        group = if sum.len() == 64 { [middle, low, high] } else { [low, high, middle] };
    }
    match sum {
        [.., last] if sum.len() == 64 => put(0, 0, *last, 2),
        [.., before, last] => put(0, *last, *before, 3),
        _ => {}
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `openssl passwd` and of libxcrypt.
    const CASES: [(bool, u32, &str, &str, &str); 7] = [
        (false, 5000, "saltstring", "secret", "C3o4O1TC6aRHF4FI.QSZMXtHbaj2gSXr4sUc/3NcUi."),
        (false, 5000, "ab", "", "qRq/oZkUn9lJUSIcgVT3NbpSDsjn.r137TBSoCt2kCA"),
        (false, 5000, "abcdefghijklmnop", "LONG", "8WKB4.NL2sFP1pXJEgt9MPFWv29MilSNtVIu.uZ2Oq3"),
        (false, 1400, "saltsalt", "secret", "2EOiGxZvwTi3lRXmoLAXK4IAbI9nP3bTXwwlEkccfH4"),
        (
            true,
            5000,
            "saltstring",
            "secret",
            "AIsRs/Ee56G/tC8MEHhvReZTfx8u3rXXMl6eYrjCG9ibix19DxoMBLogdTET5Ukw9Sf7eZTITsuk0Ry5qulYz.",
        ),
        (
            true,
            5000,
            "abcdefghijklmnop",
            "LONG",
            "V6pdkngaZ.NUTsnsRWSDxQdNGO7vHM0kZGePPaYRF5DjanWONvSxMincLxpKgil4/uEr2gGJd5zuF6/DsrUt2/",
        ),
        (
            true,
            1400,
            "saltsalt",
            "secret",
            "IzpYjyUE2Yg9Cr0f6AEDjQZBZr858lJ0JOBqmqrMYF5Y2RtTElipnRbydVE24V4owg9SSxrgpyjl.G64Qp0QJ.",
        ),
    ];

    #[test]
    fn the_hashes_are_those_of_crypt() {
        let long =
            "a password longer than sixty-four bytes, so that every loop has more than one turn";
        for (is_512, rounds, salt, password, expected) in CASES {
            let password = if password == "LONG" { long } else { password };
            let settings = ShaCrypt { is_512, rounds, salt: salt.into(), hash: "".into() };
            let hash = sha_crypt(&settings, password.as_bytes());
            assert_eq!(hash.as_deref(), Some(expected), "{is_512} {password:?}");
        }
        let settings = ShaCrypt { is_512: false, rounds: 1000, salt: "".into(), hash: "".into() };
        assert_eq!(sha_crypt(&settings, &[b'a'; 513]), None);
    }
}
