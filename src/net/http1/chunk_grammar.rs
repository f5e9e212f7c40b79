//! The framing of a chunked body (RFC 9112 section 7.1), to the letter.
//!
//! Decoders pass over whatever stands where an extension may be: `5;`, `5;\0` or `5 `. Two
//! readers that differ there find two ends of one body.

/// Where in a chunked body its bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkGrammar {
    at: At,
    /// The size of the chunk, as far as it is read; then its bytes that are still to come.
    left: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before the first digit of a size.
    Size,
    Digits,
    /// In space that only a semicolon may end.
    BeforeSemicolon,
    BeforeName,
    Name,
    AfterName,
    BeforeValue,
    Token,
    Quoted,
    Escaped,
    AfterQuoted,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the begin of a line behind the last chunk.
    Trailer,
    InTrailer,
    TrailerLf,
    LastLf,
}

/// The body breaks its own framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the chunk framing is not valid (RFC 9112)")]
pub struct BadChunk;

impl ChunkGrammar {
    /// Before the first chunk.
    pub fn begin() -> Self {
        Self { at: At::Size, left: 0 }
    }

    /// Reads on. Returns how many of the bytes are the body's, and whether it ends with them.
    ///
    /// # Errors
    /// They are not what the grammar allows.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(usize, bool), BadChunk> {
        let mut position = 0;
        while position < bytes.len() {
            if self.at == At::Data {
                let rest = bytes.len() - position;
                let now = usize::try_from(self.left).map_or(rest, |left| left.min(rest));
                self.left -= now as u64;
                position += now;
                if self.left == 0 {
                    self.at = At::DataCr;
                }
                continue;
            }
            let byte = bytes[position];
            position += 1;
            if self.at == At::LastLf {
                return if byte == b'\n' { Ok((position, true)) } else { Err(BadChunk) };
            }
            self.at = self.step(byte).ok_or(BadChunk)?;
        }
        Ok((position, false))
    }

    /// What comes behind a byte of a line.
    fn step(&mut self, byte: u8) -> Option<At> {
        let is_space = matches!(byte, b' ' | b'\t');
        Some(match (self.at, byte) {
            (At::Size | At::Digits, _) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16)?;
                self.left = self.left.checked_mul(16)?.checked_add(u64::from(digit))?;
                At::Digits
            }
            (At::Digits | At::Name | At::Token | At::AfterQuoted, b'\r') => At::SizeLf,
            (At::Digits | At::Token | At::AfterQuoted | At::BeforeSemicolon, _) if is_space => {
                At::BeforeSemicolon
            }
            (At::Name | At::AfterName, _) if is_space => At::AfterName,
            (
                At::Digits
                | At::BeforeSemicolon
                | At::Name
                | At::AfterName
                | At::Token
                | At::AfterQuoted,
                b';',
            ) => At::BeforeName,
            (At::BeforeName | At::BeforeValue, _) if is_space => self.at,
            (At::BeforeName | At::Name, _) if is_token(byte) => At::Name,
            (At::Name | At::AfterName, b'=') => At::BeforeValue,
            (At::BeforeValue, b'"') => At::Quoted,
            (At::BeforeValue | At::Token, _) if is_token(byte) => At::Token,
            (At::Quoted, b'"') => At::AfterQuoted,
            (At::Quoted, b'\\') => At::Escaped,
            (At::Quoted | At::Escaped, b'\t' | b' '..=b'~' | 0x80..) => At::Quoted,
            (At::SizeLf, b'\n') if self.left == 0 => At::Trailer,
            (At::SizeLf, b'\n') => At::Data,
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Size,
            (At::Trailer, b'\r') => At::LastLf,
            (At::Trailer | At::InTrailer, b'\n') => return None,
            (At::InTrailer, b'\r') => At::TrailerLf,
            (At::Trailer | At::InTrailer, _) => At::InTrailer,
            (At::TrailerLf, b'\n') => At::Trailer,
            _ => return None,
        })
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a body in pieces of this size: how long it is, if it ends and is well framed.
    fn read(body: &[u8], size: usize) -> Result<Option<usize>, BadChunk> {
        let mut chunks = ChunkGrammar::begin();
        let mut before = 0;
        for piece in body.chunks(size) {
            let (read, ends) = chunks.read(piece)?;
            if ends {
                return Ok(Some(before + read));
            }
            assert_eq!(read, piece.len());
            before += read;
        }
        Ok(None)
    }

    #[test]
    fn a_body_ends_where_it_ends_however_it_is_cut() {
        for body in [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "00a\r\n0123456789\r\nA\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\nx: y\r\nz:\r\n\r\n",
            "5;a\r\nhello\r\n0;b=c;d=\"e;\\\"\r f\"\r\n\r\n".replace("\r f", " f").as_str(),
            "5 ; a = b ;c= \"\"\r\nhello\r\n0\t;x\r\n\r\n",
        ] {
            let whole = format!("{body}GET / HTTP/1.1\r\n");
            for size in 1..whole.len() {
                let length = read(whole.as_bytes(), size);
                assert_eq!(length, Ok(Some(body.len())), "{body:?} in pieces of {size}");
            }
        }
        assert_eq!(read(b"5\r\nhell", 3), Ok(None));
    }

    #[test]
    fn what_the_grammar_does_not_have_is_an_error() {
        for body in [
            "\r\n",
            ";a\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            " 1\r\n",
            "1\n",
            "1\r\r",
            // Behind a size.
            "1 \r\n",
            "1\t\r\n",
            "1 1\r\n",
            "1;\r\n",
            "1; \r\n",
            "1;;\r\n",
            "1;=\r\n",
            "1;a=\r\n",
            "1;a=;\r\n",
            "1;a \r\n",
            "1;a b\r\n",
            "1;a=b \r\n",
            "1;\0\r\n",
            "1;a\0\r\n",
            "1;a@\r\n",
            "1;a=\"\r\n",
            "1;a=\"\0\"\r\n",
            "1;a=\"b\"c\r\n",
            "1;a\n",
            "1;a=\"\n\"\r\n",
            // Behind the bytes, and the last chunk.
            "1\r\nab\r\n",
            "1\r\na\n",
            "0\r\n\n",
            "0\r\nx: y\n",
            "0\r\nx: y\r\r",
            "0\r\n\rx",
            "10000000000000000\r\n",
        ] {
            for size in [1, body.len()] {
                assert_eq!(read(body.as_bytes(), size), Err(BadChunk), "{body:?}");
            }
        }
    }
}
