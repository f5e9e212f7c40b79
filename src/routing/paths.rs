//! The order of Prefix paths: by element, not by byte.
//!
//! With the slash before every other byte, all paths under a prefix stand directly behind it. So
//! the longest prefix of a path is its predecessor in this order, or one of those that the
//! predecessor itself is under.

use std::cmp::Ordering;

/// Compares element by element.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let rank = |byte: u8| if byte == b'/' { 0 } else { byte };
    let (a, b) = (a.as_bytes(), b.as_bytes());
    match a.iter().zip(b).find(|(x, y)| x != y) {
        Some((&x, &y)) => rank(x).cmp(&rank(y)),
        None => a.len().cmp(&b.len()),
    }
}

/// Whether `path` is `prefix` or below it. `prefix` has no trailing slash; empty is the root.
pub(super) fn is_under(path: &str, prefix: &str) -> bool {
    let (path, prefix) = (path.as_bytes(), prefix.as_bytes());
    path.len() >= prefix.len()
        && path.get(prefix.len()).is_none_or(|&byte| byte == b'/')
        && path.starts_with(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_under_a_prefix_stands_directly_behind_it() {
        let mut paths = ["/foo-bar", "/foo/bar", "", "/foo", "/foo/", "/foo!", "/foo.x", "/fo"];
        paths.sort_by(|a, b| compare(a, b));
        assert_eq!(paths, ["", "/fo", "/foo", "/foo/", "/foo/bar", "/foo!", "/foo-bar", "/foo.x"]);
    }

    #[test]
    fn an_element_is_never_matched_in_part() {
        assert!(is_under("/foo", "/foo"));
        assert!(is_under("/foo/", "/foo"));
        assert!(is_under("/foo/bar", "/foo"));
        assert!(is_under("/foo", ""));
        assert!(!is_under("/foobar", "/foo"));
        assert!(!is_under("/fo", "/foo"));
    }
}
