//! Pieces of manifests in messages: escaped, so that they cannot forge a line, and not too long.

use crate::net::beginning::beginning;

/// Longest piece of a manifest that is quoted in a message, in bytes: a host or a path is readable
/// in it, a pasted certificate is not repeated.
const MAX_QUOTED_BYTES: usize = 160;

/// Puts a text in quotes, shortened and with control characters escaped.
pub(super) fn quote(text: &str) -> String {
    format!("{:?}", shorten(text))
}

/// Cuts a text to what a message has room for.
pub(super) fn shorten(text: &str) -> &str {
    beginning(text, MAX_QUOTED_BYTES)
}

#[cfg(test)]
mod tests {
    use super::{MAX_QUOTED_BYTES, quote, shorten};

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = "\u{e9}".repeat(MAX_QUOTED_BYTES);
        assert_eq!(shorten(&text).len(), MAX_QUOTED_BYTES);
        let odd = format!("a{text}");
        assert_eq!(shorten(&odd).len(), MAX_QUOTED_BYTES - 1);
    }

    #[test]
    fn a_line_break_cannot_forge_a_line() {
        assert_eq!(quote("a\nerror: b"), "\"a\\nerror: b\"");
    }
}
