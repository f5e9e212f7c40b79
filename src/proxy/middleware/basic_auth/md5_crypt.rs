//! MD5-crypt, the hash behind `$1$` (FreeBSD, P.-H. Kamp, 1994) and `$apr1$` (Apache, `apr_md5.c`), which differ in
//! that text alone.

use md5::{Digest, Md5};

/// The digits of the hash, of six bits each.
pub(super) const DIGITS: &[u8; 64] =
    b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Which bytes of the sum each group of four digits has, the highest first.
const GROUPS: [[usize; 3]; 5] = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];

/// The 22 digits of a password's hash. `magic` is the text between the first two `$`.
pub(super) fn md5_crypt(password: &[u8], salt: &[u8], magic: &str) -> [u8; 22] {
    let inner: [u8; 16] = Md5::new()
        .chain_update(password)
        .chain_update(salt)
        .chain_update(password)
        .finalize()
        .into();
    let mut sum = Md5::new();
    sum.update(password);
    sum.update(b"$");
    sum.update(magic);
    sum.update(b"$");
    sum.update(salt);
    for part in password.chunks(16) {
        sum.update(&inner[..part.len()]);
    }
    // For each bit of the length, from the lowest: a zero byte, or the first of the password.
    let mut bits = password.len();
    while bits > 0 {
        sum.update(if bits & 1 == 1 { &[0][..] } else { &password[..1] });
        bits >>= 1;
    }
    let mut sum: [u8; 16] = sum.finalize().into();
    for round in 0..1000 {
        let mut next = Md5::new();
        next.update(if round % 2 == 1 { password } else { &sum[..] });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if round % 2 == 1 { &sum[..] } else { password });
        sum = next.finalize().into();
    }
    digits(&sum)
}

fn digits(sum: &[u8; 16]) -> [u8; 22] {
    let mut out = [0; 22];
    let mut rest = out.iter_mut();
    let mut put = |mut bits: usize, count: usize| {
        for place in rest.by_ref().take(count) {
            *place = DIGITS[bits & 63];
            bits >>= 6;
        }
    };
    for [high, middle, low] in GROUPS {
        let byte = |at: usize| usize::from(sum[at]);
        put(byte(high) << 16 | byte(middle) << 8 | byte(low), 4);
    }
    put(usize::from(sum[11]), 2);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hashes_are_those_of_openssl_passwd() {
        let long = "a password longer than sixteen bytes, for the loops";
        for (magic, salt, password, expected) in [
            ("apr1", "saltsalt", "secret", "LrttParrLPdxvgutaSXWJ0"),
            ("apr1", "ab", "", "S8K6Sgp3W8c9Jb6LxgywZ."),
            ("apr1", "x5", long, "U2mYH8QXBAcWyL7qhQKOH0"),
            ("1", "saltsalt", "secret", "9xy1btjgzLYfb7hivXtC//"),
            ("1", "ab", "", "rn6aQS/o7141mj179E/zA."),
            ("1", "x5", long, "giRg2LYHKkTakbe76Odk./"),
        ] {
            let hash = md5_crypt(password.as_bytes(), salt.as_bytes(), magic);
            assert_eq!(str::from_utf8(&hash), Ok(expected), "{magic} {password:?}");
        }
    }
}
