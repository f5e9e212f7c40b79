//! The API token: read from a file or the environment, never from the command line, and never printed.

use http::HeaderValue;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The environment variable with the token, as Cloudflare's own tools name it.
pub const TOKEN_VARIABLE: &str = "CLOUDFLARE_API_TOKEN";
/// Longest token, in bytes; theirs have 40 to 60 characters.
const MOST_TOKEN: usize = 512;
/// Shortest text that may be a token.
const LEAST_TOKEN: usize = 20;

/// A token as the value of `Authorization`. `Debug` does not show it.
#[derive(Clone)]
pub struct Token(HeaderValue);

/// Why there is no token. None of these texts repeats what was read, or the name of the file: that may be
/// the token, by mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Neither the option nor the variable.
    #[error(
        "--cloudflare needs an API token: name a file with --cloudflare-token FILE, or set \
         {TOKEN_VARIABLE}; create one at https://dash.cloudflare.com/profile/api-tokens with the \
         rights Zone Read, Zone Settings Read, SSL and Certificates Read, DNS Read (zone) and Account \
         DNS Settings Read (account)"
    )]
    Missing,
    /// No such file.
    #[error(
        "--cloudflare-token takes the name of a file, and there is none with the given name; write \
         the token into a file, and never on the command line, where other users can read it"
    )]
    NoFile,
    /// The file cannot be read.
    #[error("the file of --cloudflare-token cannot be read: {0}")]
    Unreadable(String),
    /// What was read is no token.
    #[error("{0} has no API token in it: one line of letters, digits, '-' and '_'")]
    NoToken(&'static str),
}

impl Token {
    /// Takes the token from a file, else from the environment (`variable`).
    ///
    /// # Errors
    /// Why there is none.
    pub fn read(file: Option<&Path>, variable: Option<&str>) -> Result<Self, TokenError> {
        let Some(path) = file else {
            let text = variable.filter(|text| !text.trim().is_empty());
            return Self::parse(text.ok_or(TokenError::Missing)?, TOKEN_VARIABLE);
        };
        let mut text = String::new();
        let read = File::open(path).and_then(|file| {
            let limit = MOST_TOKEN as u64 + 2;
            if file.metadata()?.is_file() {
                file.take(limit).read_to_string(&mut text)
            } else {
                Err(std::io::Error::other("it is not a file"))
            }
        });
        match read {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(TokenError::NoFile),
            // The name of the file may be the token: it is longer than a name may be, say.
            Err(error) => Err(TokenError::Unreadable(error.kind().to_string())),
            Ok(_) => Self::parse(&text, "the file of --cloudflare-token"),
        }
    }

    fn parse(text: &str, from: &'static str) -> Result<Self, TokenError> {
        let text = text.trim();
        if !is_token(text) {
            return Err(TokenError::NoToken(from));
        }
        let value = HeaderValue::try_from(format!("Bearer {text}"));
        let mut value = value.map_err(|_| TokenError::NoToken(from))?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// Whether a text looks like a token and not like a path.
    pub fn is_like(text: &str) -> bool {
        text.len() >= 32 && is_token(text)
    }

    /// The value of `Authorization`.
    pub(super) fn field(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (LEAST_TOKEN..=MOST_TOKEN).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "v1-0123456789abcdefghijABCDEFGHIJ_0123456";

    #[test]
    fn a_token_is_never_in_a_text() {
        let token = Token::read(None, Some(&format!(" {SECRET}\n"))).expect("a token");
        assert_eq!(token.field(), format!("Bearer {SECRET}").as_str());
        for text in [format!("{token:?}"), format!("{:?}", token.field())] {
            assert!(!text.contains("0123456789"), "{text}");
        }
        let taken_for_a_file = Token::read(Some(Path::new(SECRET)), None).expect_err("no file");
        assert_eq!(taken_for_a_file, TokenError::NoFile);
        assert!(!taken_for_a_file.to_string().contains(SECRET));
    }

    #[test]
    fn what_is_no_token_is_told_without_repeating_it() {
        for text in ["", "  ", "\n"] {
            assert_eq!(Token::read(None, Some(text)).expect_err("nothing"), TokenError::Missing);
        }
        let long = "a".repeat(MOST_TOKEN + 1);
        for text in ["short", "two words that are long enough", "Bearer 0123456789012345678", &long]
        {
            let error = Token::read(None, Some(text)).expect_err("no token");
            assert_eq!(error, TokenError::NoToken(TOKEN_VARIABLE));
            assert!(!error.to_string().contains(text));
        }
    }

    #[test]
    fn a_token_is_read_from_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        std::fs::write(&file, format!("{SECRET}\n")).expect("a file of ours");
        let token = Token::read(Some(&file), Some("the variable is not asked")).expect("a token");
        assert_eq!(token.field(), format!("Bearer {SECRET}").as_str());
        let folder = Token::read(Some(folder.path()), None).expect_err("no file");
        assert!(matches!(folder, TokenError::Unreadable(_)), "{folder}");
    }
}
