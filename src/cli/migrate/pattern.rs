//! Patterns of keys and values.

/// Whether a text is like a pattern, in which `*` stands for any text, and `?` for one letter. Time: the product of
/// both lengths at most.
pub(super) fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut from) = (0, 0);
    // Where to go on when the text behind the last star does not fit.
    let mut star: Option<(usize, usize)> = None;
    while from < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(letter) if *letter == '?' || *letter == text[from] => {
                at += 1;
                from += 1;
            }
            _ => match &mut star {
                Some((place, taken)) => {
                    *taken += 1;
                    (at, from) = (*place + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

/// Whether a text is like one of several patterns.
pub(super) fn any(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| like(pattern, text))
}

#[cfg(test)]
mod tests {
    use super::like;

    #[test]
    fn a_star_stands_for_any_text_and_a_question_mark_for_a_letter() {
        for (pattern, text) in
            [("*", ""), ("a*c", "abc"), ("*.b.*", "a.b.c"), ("a?c*", "abcd"), ("a*b*c", "axbxbxc")]
        {
            assert!(like(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("?", ""), ("a*c", "abd"), ("", "a"), ("a", "ab"), ("/?*", "/")] {
            assert!(!like(pattern, text), "{pattern} {text}");
        }
    }
}
