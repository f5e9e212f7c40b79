//! Prefix paths, which stand in the order [`by_element`]: by element, not by byte.

#[cfg(test)]
use crate::model::by_element;

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
        paths.sort_by(|a, b| by_element(a, b));
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
