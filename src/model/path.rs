//! Request paths: the one canonical form, and the patterns that rules match it with.
//!
//! A path is brought to its canonical form once. That value is matched, logged and forwarded, so
//! that no two parts of the way (nor the pod behind it) can see different paths.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A path in canonical form: absolute, without `.`, `..` or empty segments, every escape needed and
/// in upper case (RFC 3986 section 6.2.2).
///
/// Escapes of reserved characters stay as they are: `%2F` is a character of its segment, not a
/// separator. A trailing slash stays. `..` above the root stays at the root (RFC 3986
/// section 5.2.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalPath<'a>(Cow<'a, str>);

impl<'a> CanonicalPath<'a> {
    /// Brings the path of a request target (without its query) to canonical form.
    ///
    /// Borrows where the path is canonical already, which nearly all are.
    pub fn parse(raw: &'a str) -> Result<Self, PathError> {
        if !raw.starts_with('/') {
            return Err(PathError::NotAbsolute);
        }
        if is_canonical(raw.as_bytes()) {
            return Ok(Self(Cow::Borrowed(raw)));
        }
        let decoded = normalise_escapes(raw.as_bytes())?;
        remove_dot_segments(&decoded).map(|path| Self(Cow::Owned(path)))
    }

    /// The canonical path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it differs from what was parsed, so that the request target has to be rewritten.
    pub fn is_rewritten(&self) -> bool {
        matches!(self.0, Cow::Owned(_))
    }
}

/// Whether a byte may stand in a canonical path as it is: `pchar` of RFC 3986 section 3.3 without
/// escapes, the slash, and square brackets, which browsers send raw and backends take.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
                | b'/'
                | b'['
                | b']'
        )
}

static PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0u8;
    loop {
        table[byte as usize] = is_plain(byte);
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    table
};

/// The fast answer for the usual path. May say no to a canonical path (one with an escape, or with
/// a segment like `.well-known`), never yes to another.
fn is_canonical(path: &[u8]) -> bool {
    let mut previous = 0u8;
    for &byte in path {
        if !PLAIN[usize::from(byte)] || (previous == b'/' && matches!(byte, b'/' | b'.')) {
            return false;
        }
        previous = byte;
    }
    true
}

fn normalise_escapes(raw: &[u8]) -> Result<Vec<u8>, PathError> {
    let mut out = Vec::with_capacity(raw.len() + 8);
    let mut bytes = raw.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let escaped = hex(bytes.next())? << 4 | hex(bytes.next())?;
                match escaped {
                    0 => return Err(PathError::Nul),
                    _ if escaped.is_ascii_alphanumeric() => out.push(escaped),
                    b'-' | b'.' | b'_' | b'~' => out.push(escaped),
                    _ => push_escape(&mut out, escaped),
                }
            }
            b'\\' => return Err(PathError::Backslash),
            b'#' | b'?' => return Err(PathError::NotAPath),
            0..=0x20 | 0x7f => return Err(PathError::Control),
            _ if PLAIN[usize::from(byte)] => out.push(byte),
            _ => push_escape(&mut out, byte),
        }
    }
    Ok(out)
}

fn hex(digit: Option<u8>) -> Result<u8, PathError> {
    match digit {
        Some(byte @ b'0'..=b'9') => Ok(byte - b'0'),
        Some(byte @ b'a'..=b'f') => Ok(byte - b'a' + 10),
        Some(byte @ b'A'..=b'F') => Ok(byte - b'A' + 10),
        _ => Err(PathError::BadEscape),
    }
}

fn push_escape(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: [u8; 16] = *b"0123456789ABCDEF";
    out.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

/// RFC 3986 section 5.2.4; empty segments go as well (as Traefik's `sanitizePath` has it).
fn remove_dot_segments(path: &[u8]) -> Result<String, PathError> {
    let mut out = String::with_capacity(path.len());
    let mut open = false;
    for segment in path[1..].split(|&byte| byte == b'/') {
        open = false;
        match segment {
            b"" | b"." => open = true,
            b".." => {
                out.truncate(out.rfind('/').unwrap_or(0));
                open = true;
            }
            // Servers that strip `;parameters` before they resolve dots would climb here, after
            // we had matched another path.
            [b'.', b';', ..] | [b'.', b'.', b';', ..] => return Err(PathError::DotParameters),
            _ if hides_dot_segment(segment) => return Err(PathError::EncodedSeparator),
            _ => {
                out.push('/');
                // Only ASCII is left: everything else was escaped.
                out.extend(segment.iter().map(|&byte| char::from(byte)));
            }
        }
    }
    if open || out.is_empty() {
        out.push('/');
    }
    Ok(out)
}

/// Whether a segment holds a dot segment beside an escaped separator, as `..%2Fadmin` or `..%3Bx`:
/// who decodes before he resolves dots would climb there. `%252F` is nobody's separator.
fn hides_dot_segment(segment: &[u8]) -> bool {
    if !segment.contains(&b'%') {
        return false;
    }
    let mut rest = segment;
    loop {
        let end = position(rest, &[b"%2F", b"%5C"]);
        let part = &rest[..end.unwrap_or(rest.len())];
        let name = &part[..position(part, &[b";", b"%3B", b"%3F", b"%23"]).unwrap_or(part.len())];
        if matches!(name, b"." | b"..") {
            return true;
        }
        match end {
            Some(end) => rest = &rest[end + 3..],
            None => return false,
        }
    }
}

/// Where the first of some words begins.
fn position(text: &[u8], words: &[&[u8]]) -> Option<usize> {
    (0..text.len()).find(|&at| words.iter().any(|word| text[at..].starts_with(word)))
}

/// Why a request target has no canonical path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Does not begin with a slash.
    #[error("path does not begin with a slash")]
    NotAbsolute,
    /// A `%` without two hexadecimal digits.
    #[error("path has a percent sign without two hexadecimal digits")]
    BadEscape,
    /// `%00`.
    #[error("path contains an escaped NUL")]
    Nul,
    /// A raw backslash, which some servers take for a slash.
    #[error("path contains a backslash")]
    Backslash,
    /// A raw control character or space.
    #[error("path contains a control character or a space")]
    Control,
    /// `#` or `?`.
    #[error("path contains a fragment or a query")]
    NotAPath,
    /// A segment like `..;x`.
    #[error("path has a dot segment with parameters")]
    DotParameters,
    /// A segment like `..%2Fx`.
    #[error("path has a dot segment next to an escaped separator")]
    EncodedSeparator,
}

/// `pathType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathKind {
    /// The whole path.
    Exact,
    /// Element by element. `ImplementationSpecific` means this here.
    Prefix,
}

impl PathKind {
    /// The value in manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "Exact",
            Self::Prefix => "Prefix",
        }
    }
}

/// `path` and `pathType` of a rule, the path in canonical form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathPattern {
    /// How it is compared.
    pub kind: PathKind,
    /// What it is compared with.
    pub text: Arc<str>,
}

impl PathPattern {
    /// Parses `path`, in any spelling, and `pathType`.
    pub fn new(kind: PathKind, path: &str) -> Result<Self, PathError> {
        let canonical = CanonicalPath::parse(path)?;
        Ok(Self { kind, text: canonical.as_str().into() })
    }

    /// Every path.
    pub fn all() -> Self {
        Self { kind: PathKind::Prefix, text: "/".into() }
    }

    /// The elements that a Prefix stands for: its text without trailing slash, empty for `/`.
    pub fn prefix(&self) -> &str {
        self.text.strip_suffix('/').unwrap_or(&self.text)
    }

    /// Whether the rule is for this path: the definition that the compiled table has to agree with.
    pub fn matches(&self, path: &str) -> bool {
        match self.kind {
            PathKind::Exact => &*self.text == path,
            PathKind::Prefix => path
                .strip_prefix(self.prefix())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(raw: &str) -> Result<String, PathError> {
        CanonicalPath::parse(raw).map(|path| path.as_str().to_owned())
    }

    #[test]
    fn spellings_of_one_path_become_one() {
        for (raw, expected) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("//a///b", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/../../etc", "/etc"),
            ("/%61dmin", "/admin"),
            ("/a%2fb", "/a%2Fb"),
            ("/a%5cb", "/a%5Cb"),
            ("/.well-known/x", "/.well-known/x"),
            ("/...", "/..."),
            ("/caf\u{e9}", "/caf%C3%A9"),
            ("/a\"{}|^", "/a%22%7B%7D%7C%5E"),
            ("/[slug]", "/[slug]"),
            ("/a;v=1", "/a;v=1"),
            // No dot segment, however often it is decoded by those who decode once.
            ("/..%252fadmin", "/..%252fadmin"),
            ("/a..%2fb", "/a..%2Fb"),
            ("/a%2f...%3b", "/a%2F...%3B"),
            ("/..%20", "/..%20"),
        ] {
            assert_eq!(canonical(raw).as_deref(), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn canonical_form_is_a_fixed_point() {
        for raw in ["/a%2fb/../%7euser//x/./", "/caf\u{e9}/..", "/.a/..b/c..", "/%41%3b"] {
            let once = canonical(raw).expect(raw);
            assert_eq!(canonical(&once).as_deref(), Ok(once.as_str()), "{raw}");
        }
    }

    #[test]
    fn paths_that_two_servers_could_read_differently_are_refused() {
        for (raw, error) in [
            ("a", PathError::NotAbsolute),
            ("", PathError::NotAbsolute),
            ("*", PathError::NotAbsolute),
            ("/%", PathError::BadEscape),
            ("/%4", PathError::BadEscape),
            ("/%zz", PathError::BadEscape),
            ("/a%00", PathError::Nul),
            ("/a\\..\\b", PathError::Backslash),
            ("/a\tb", PathError::Control),
            ("/a b", PathError::Control),
            ("/a#b", PathError::NotAPath),
            ("/a/..;/b", PathError::DotParameters),
            ("/a/.;x/b", PathError::DotParameters),
            ("/a/%2e%2e;/b", PathError::DotParameters),
            ("/public/..%2fadmin", PathError::EncodedSeparator),
            ("/public/.%2e%2fadmin", PathError::EncodedSeparator),
            ("/public/..%5cadmin", PathError::EncodedSeparator),
            ("/public/..%3badmin", PathError::EncodedSeparator),
            ("/public/..%3b/admin", PathError::EncodedSeparator),
            ("/public/..%3fadmin", PathError::EncodedSeparator),
            ("/public/..%23", PathError::EncodedSeparator),
            ("/public/x%2f..", PathError::EncodedSeparator),
            ("/public/x%2f..%2fadmin", PathError::EncodedSeparator),
            ("/public/x%2F..;y/admin", PathError::EncodedSeparator),
            ("/public/%2f%2e", PathError::EncodedSeparator),
        ] {
            assert_eq!(canonical(raw), Err(error), "{raw}");
        }
    }

    #[test]
    fn prefix_is_compared_by_element() {
        let prefix = |text| PathPattern::new(PathKind::Prefix, text).expect("valid");
        for pattern in ["/foo", "/foo/"] {
            assert!(prefix(pattern).matches("/foo"), "{pattern}");
            assert!(prefix(pattern).matches("/foo/"), "{pattern}");
            assert!(prefix(pattern).matches("/foo/bar"), "{pattern}");
            assert!(!prefix(pattern).matches("/foobar"), "{pattern}");
            assert!(!prefix(pattern).matches("/Foo"), "{pattern}");
        }
        assert!(prefix("/").matches("/anything"));
    }
}
