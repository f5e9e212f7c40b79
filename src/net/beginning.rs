//! Texts that are cut.

/// The beginning of a text, at most so many bytes, cut between characters.
pub fn beginning(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::beginning;

    #[test]
    fn a_text_is_cut_between_characters() {
        let text = "a\u{e9}\u{20ac}";
        let cut = |most| beginning(text, most);
        assert_eq!(
            [0, 1, 2, 3, 5, 6, 7].map(cut),
            ["", "a", "a", "a\u{e9}", "a\u{e9}", text, text]
        );
    }
}
