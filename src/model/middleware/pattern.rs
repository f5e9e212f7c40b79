//! Regular expressions of users, with a bound for what they may cost.

use regex::{Regex, RegexBuilder};
use std::borrow::Cow;
use std::sync::Arc;

/// The most bytes that one compiled expression may hold.
const MOST_BYTES: usize = 256 * 1024;

/// A regular expression. Matching takes time linear in the text: there is no backtracking (`regex` crate).
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

/// Why a text is not a regular expression that is used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(String);

impl Pattern {
    /// Compiles an expression in the syntax of RE2, which Go and Rust share but for what neither uses often.
    ///
    /// # Errors
    /// If it is none, or too large when compiled.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let regex =
            RegexBuilder::new(text).size_limit(MOST_BYTES).dfa_size_limit(MOST_BYTES).build();
        regex.map(Self).map_err(|error| PatternError(one_line(&error)))
    }

    /// The expression.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether a replacement can name this group, by name or number.
    pub fn has_group(&self, name: &str) -> bool {
        match name.parse::<usize>() {
            Ok(number) => number < self.0.captures_len(),
            Err(_) => self.0.capture_names().flatten().any(|group| group == name),
        }
    }

    /// Whether it matches anywhere in a text.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// Replaces every match.
    pub fn replace_all<'t>(&self, text: &'t str, replacement: &Replacement) -> Cow<'t, str> {
        self.0.replace_all(text, &*replacement.0)
    }

    /// Where it matches first: start and end in bytes.
    pub fn find(&self, text: &str) -> Option<(usize, usize)> {
        self.0.find(text).map(|found| (found.start(), found.end()))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

/// What replaces a match, with `$1` and `${name}` for its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement(Arc<str>);

impl Replacement {
    /// Reads a replacement as Go writes it. A name in Go ends before the first character that is neither letter,
    /// digit nor `_`, in Rust as well; a bare `$` that names nothing is one of `$$` in both.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The last line of a message of `regex` says what is wrong; those before draw where.
fn one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_that_is_none_says_what_is_wrong_in_one_line() {
        let text = |pattern| Pattern::new(pattern).expect_err("no expression").to_string();
        assert_eq!(text("a("), "unclosed group");
        assert!(text("(?=a)").contains("look-around"), "{}", text("(?=a)"));
        assert!(text("(a{1000}){1000}").contains("size limit"), "{}", text("(a{1000}){1000}"));
    }

    #[test]
    fn groups_are_named_in_the_replacement() {
        let pattern = Pattern::new("^/api/(.*)$").expect("valid");
        let replaced =
            |text: &str| pattern.replace_all("/api/v1", &Replacement::new(text)).into_owned();
        assert_eq!(replaced("/$1"), "/v1");
        assert_eq!(replaced("/${1}x"), "/v1x");
    }
}
