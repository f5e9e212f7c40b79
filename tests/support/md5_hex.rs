//! MD5, as clients of digest authentication need it (RFC 7616).

use md5::{Digest, Md5};
use std::fmt::Write;

/// The digest of a text, in hexadecimal digits.
pub(crate) fn md5_hex(text: &str) -> String {
    Md5::digest(text).iter().fold(String::with_capacity(32), |mut all, byte| {
        write!(all, "{byte:02x}").expect("a String takes everything");
        all
    })
}
