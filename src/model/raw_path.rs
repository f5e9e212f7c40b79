//! A path that is forwarded as it was sent.
//!
//! Some backends take the path by its bytes: S3 signs it, imgproxy has a URL in it, others have `%2F` in
//! the names of things. They get the bytes that came, if those can mean nothing else than the canonical
//! path that the rule was found by.

/// The check that a raw path needs before it is forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawPath {
    /// Nothing: a reader arrives at the canonical path, or at one with the same segments.
    Clear,
    /// Some servers take its escaped separators for real ones, and read this. It has to lead to the same
    /// rule.
    Decoded(String),
    /// It can be read as another path: a dot segment, which not all resolve, or two slashes to begin
    /// with, by which some take the first segment for a host.
    Ambiguous,
}

impl RawPath {
    /// Judges a raw path that has the canonical form `canonical`.
    pub fn judge(raw: &str, canonical: &str) -> Self {
        let is_dot = |segment: &str| {
            let plain = segment.replace("%2e", ".").replace("%2E", ".");
            matches!(plain.as_str(), "." | "..")
        };
        if raw.starts_with("//") || raw.split('/').any(is_dot) {
            return Self::Ambiguous;
        }
        if !canonical.contains("%2F") && !canonical.contains("%5C") {
            return Self::Clear;
        }
        let mut decoded = canonical.replace("%2F", "/").replace("%5C", "/");
        while decoded.contains("//") {
            decoded = decoded.replace("//", "/");
        }
        Self::Decoded(decoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CanonicalPath;

    fn judge(raw: &str) -> RawPath {
        let canonical = CanonicalPath::parse(raw).expect("a path");
        RawPath::judge(raw, canonical.as_str())
    }

    #[test]
    fn a_path_is_clear_if_all_who_read_it_see_the_same_segments() {
        for raw in ["/a", "/a//b", "/a/%7Ex", "/a%20b", "/https://x.example/y.jpg", "/a%252Fb"] {
            assert_eq!(judge(raw), RawPath::Clear, "{raw}");
        }
        for raw in ["/a/../b", "/a/./b", "/a/%2e%2e/b", "/a/.%2E", "//a", "//", "/a/."] {
            assert_eq!(judge(raw), RawPath::Ambiguous, "{raw}");
        }
    }

    #[test]
    fn what_a_server_that_decodes_separators_would_read_is_told() {
        for (raw, decoded) in
            [("/a%2fb", "/a/b"), ("/a%5Cb", "/a/b"), ("/a/%2F/b", "/a/b"), ("/%2Fa", "/a")]
        {
            assert_eq!(judge(raw), RawPath::Decoded(decoded.to_owned()), "{raw}");
        }
    }
}
