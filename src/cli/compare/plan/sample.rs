//! Texts that a regular expression takes.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Longest text that is made, in bytes: what hosts and paths have room for.
const MOST_BYTES: usize = 200;

/// How often something repeated stands there at most, where the expression leaves it open.
const MOST_REPEATED: u32 = 2;

/// Characters that are taken from a class, if it has them, before others.
const LIKED: [char; 8] = ['a', 'b', '1', '2', '-', 'A', '_', '/'];

/// Up to `most` different texts, of which the caller checks that they match: what an expression asks of the neighbours
/// of a match (`^`, `\b`) is not looked at.
pub(super) fn samples(pattern: &str, most: usize) -> Vec<String> {
    let Ok(hir) = regex_syntax::parse(pattern) else { return Vec::new() };
    let mut samples: Vec<String> = Vec::new();
    for variant in 0..most {
        let mut text = String::new();
        if write(&hir, variant, &mut text).is_some() && !samples.contains(&text) {
            samples.push(text);
        }
    }
    samples
}

/// Adds one of the texts of an expression. Nothing if there is none, or none that is short enough.
fn write(hir: &Hir, variant: usize, text: &mut String) -> Option<()> {
    if text.len() > MOST_BYTES {
        return None;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(()),
        HirKind::Literal(literal) => {
            text.push_str(std::str::from_utf8(&literal.0).ok()?);
            Some(())
        }
        HirKind::Class(class) => {
            text.push(letter(class, variant)?);
            Some(())
        }
        HirKind::Capture(capture) => write(&capture.sub, variant, text),
        HirKind::Concat(parts) => parts.iter().try_for_each(|part| write(part, variant, text)),
        HirKind::Alternation(ways) => {
            let way = ways.get(variant % ways.len())?;
            write(way, variant / ways.len(), text)
        }
        HirKind::Repetition(repeated) => {
            let most = repeated.max.unwrap_or(u32::MAX);
            // The first text has something in the place of what may be absent.
            let wanted = if variant.is_multiple_of(2) { 1 } else { MOST_REPEATED };
            let times = wanted.clamp(repeated.min, most.max(repeated.min));
            (0..times).try_for_each(|_| write(&repeated.sub, variant, text))
        }
    }
}

/// A character of a class.
fn letter(class: &Class, variant: usize) -> Option<char> {
    let ranges: Vec<(char, char)> = match class {
        Class::Unicode(class) => class.iter().map(|it| (it.start(), it.end())).collect(),
        Class::Bytes(class) => {
            class.iter().map(|it| (char::from(it.start()), char::from(it.end()))).collect()
        }
    };
    let has = |letter: char| ranges.iter().any(|(from, to)| (*from..=*to).contains(&letter));
    let mut letters: Vec<char> = LIKED.into_iter().filter(|letter| has(*letter)).collect();
    // Alternatives of one letter each are a class as well.
    let others = ranges.iter().flat_map(|(from, to)| *from..=*to).take(LIKED.len());
    for letter in others {
        if !letters.contains(&letter) && letters.len() < LIKED.len() {
            letters.push(letter);
        }
    }
    letters.get(variant).or(letters.first()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::middleware::Pattern;

    #[test]
    fn samples_match() {
        for (text, some) in [
            (r"^[a-z]+\.example\.com$", "a.example.com"),
            (r"^(foo|bar)-[0-9]{2}\.example$", "foo-11.example"),
            (r"^/api/v[12]/.*", "/api/v1/a"),
            (r"\.(jpg|png)$", ".jpg"),
            (r"^/(?P<id>[^/]+)/?$", "/a/"),
            (r"(?i)^/KEY$", "/KEY"),
            (r"^/x{3}$", "/xxx"),
            (r"^$", ""),
            (r"^\d+$", "1"),
        ] {
            let pattern = Pattern::new(text).expect("valid");
            let found = samples(text, 4);
            assert_eq!(found.first().map(String::as_str), Some(some), "{text}: {found:?}");
            assert!(found.iter().all(|it| pattern.is_match(it)), "{text}: {found:?}");
        }
    }

    #[test]
    fn alternatives_come_in_turn_and_nothing_is_long() {
        assert_eq!(samples("^(a|b|c)$", 8), ["a", "b", "c"]);
        assert_eq!(samples("^a?b$", 2), ["ab"]);
        assert_eq!(samples("^[xy]$", 3), ["x", "y"]);
        assert!(samples("^x{5000}$", 4).is_empty());
        assert!(samples("(", 4).is_empty() && samples("[^\\s\\S]", 4).is_empty());
    }
}
