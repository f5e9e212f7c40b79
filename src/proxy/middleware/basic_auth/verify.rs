//! Whether a password is the one of a hash.

use super::md5_crypt::md5_crypt;
use super::sha_crypt::sha_crypt;
use crate::model::middleware::PasswordHash;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use subtle::ConstantTimeEq;

/// Whether the comparison takes so little time that it may be done between two requests.
pub(super) fn is_quick(hash: &PasswordHash) -> bool {
    match hash {
        PasswordHash::Sha1(_) | PasswordHash::Clear(_) => true,
        PasswordHash::Bcrypt(_) | PasswordHash::Md5Crypt { .. } | PasswordHash::ShaCrypt(_) => {
            false
        }
    }
}

/// Compares without telling by the time how much of a password is right.
pub(super) fn verify(hash: &PasswordHash, password: &[u8]) -> bool {
    match hash {
        // A text that is no hash of bcrypt was refused when it was read.
        PasswordHash::Bcrypt(text) => bcrypt::verify(password, text).unwrap_or(false),
        PasswordHash::Md5Crypt { magic, salt, hash } => {
            let computed = md5_crypt(password, salt.as_bytes(), magic);
            computed[..].ct_eq(hash.as_bytes()).into()
        }
        PasswordHash::ShaCrypt(settings) => {
            let computed = sha_crypt(settings, password).unwrap_or_default();
            computed.as_bytes().ct_eq(settings.hash.as_bytes()).into()
        }
        PasswordHash::Sha1(sum) => {
            digest(&SHA1_FOR_LEGACY_USE_ONLY, password).as_ref().ct_eq(&sum[..]).into()
        }
        // Of their hashes, as the time to compare texts tells their length.
        PasswordHash::Clear(text) => {
            let (given, right) = (digest(&SHA256, password), digest(&SHA256, text.as_bytes()));
            given.as_ref().ct_eq(right.as_ref()).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::middleware::ShaCrypt;

    /// `crypt("secret", "$2y$05$abcdefghijklmnopqrstuu")` of libxcrypt.
    const BCRYPT: &str = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

    #[test]
    fn each_kind_of_hash_is_for_its_password_alone() {
        let sum = digest(&SHA1_FOR_LEGACY_USE_ONLY, b"secret");
        for hash in [
            PasswordHash::Bcrypt(BCRYPT.into()),
            PasswordHash::Bcrypt(BCRYPT.replace("$2y$", "$2a$").into()),
            PasswordHash::Md5Crypt {
                magic: "apr1",
                salt: "saltsalt".into(),
                hash: "LrttParrLPdxvgutaSXWJ0".into(),
            },
            PasswordHash::ShaCrypt(Box::new(ShaCrypt {
                is_512: false,
                rounds: 1400,
                salt: "saltsalt".into(),
                hash: "2EOiGxZvwTi3lRXmoLAXK4IAbI9nP3bTXwwlEkccfH4".into(),
            })),
            PasswordHash::Sha1(sum.as_ref().try_into().expect("twenty bytes")),
            PasswordHash::Clear("secret".into()),
        ] {
            assert!(verify(&hash, b"secret"), "{hash:?}");
            for wrong in ["", "Secret", "secret ", "secre", "secret\0x"] {
                assert!(!verify(&hash, wrong.as_bytes()), "{hash:?} {wrong:?}");
            }
        }
        assert!(!verify(&PasswordHash::Bcrypt("no hash".into()), b"secret"));
    }
}
