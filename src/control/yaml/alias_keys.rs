//! `*name:` as a key.
//!
//! In YAML 1.2 the colon belongs to the name. Before, and so for kubectl, it does not, and charts of
//! Helm releases are full of it. A blank before the colon makes one of the other. Where that is
//! needed only the parser knows: a scalar may hold the same text.

use granit_parser::{Event, Parser};
use std::borrow::Cow;

/// Most bytes that are read to look for them: a pass over the text finds the first of each document.
const MAX_BYTES: usize = 64 << 20;

/// The text with a blank between the name and the colon.
pub(super) fn mended(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    let mut read = 0;
    while has_candidate(&text) && read <= MAX_BYTES {
        read += text.len();
        let found = find(&text);
        if found.is_empty() {
            break;
        }
        let mut longer = String::with_capacity(text.len() + found.len());
        let mut from = 0;
        for at in found {
            longer.push_str(&text[from..at]);
            longer.push(' ');
            from = at;
        }
        longer.push_str(&text[from..]);
        text = Cow::Owned(longer);
    }
    text
}

/// Whether a `*name:` stands somewhere, be it in a scalar.
fn has_candidate(text: &str) -> bool {
    text.split('*').skip(1).any(|rest| {
        let name = rest.bytes().take_while(|byte| is_of_name(*byte)).count();
        name > 0 && rest.as_bytes().get(name) == Some(&b':')
    })
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// Where the colons are that were taken for a part of the name: the first of each document.
fn find(text: &str) -> Vec<usize> {
    let mut parser = Parser::new_from_str_with_options(text, super::options());
    let mut found = Vec::new();
    while let Some(next) = parser.next_event() {
        let colon = match next {
            Ok((Event::UnresolvedAlias(name), span)) => {
                let end = span.byte_range().map_or(0, |range| range.end);
                name.ends_with(':').then(|| end - 1)
            }
            Ok(_) => continue,
            // The parser looks further than it has told.
            Err(error) => {
                let end = error.marker().byte_offset().unwrap_or(0);
                let after = found.last().copied().unwrap_or(0);
                before(text, end).filter(|colon| *colon > after)
            }
        };
        found.extend(colon);
        // The following bytes were read in another state than they will be.
        if !matches!(parser.proceed_next_document(), Ok(true)) {
            break;
        }
    }
    found
}

/// The colon of the last `*name:` in the two lines before an error.
fn before(text: &str, error: usize) -> Option<usize> {
    let line_end = text.get(error..)?.find('\n').map_or(text.len(), |end| error + end);
    let mut lines = text[..line_end].rmatch_indices('\n').map(|(at, _)| at + 1);
    let start = lines.nth(1).unwrap_or(0);
    let near = &text[start..line_end];
    near.rmatch_indices('*').find_map(|(star, _)| {
        let rest = &near.as_bytes()[star + 1..];
        let name = rest.iter().take_while(|byte| is_of_name(**byte)).count();
        let is_key = name > 0
            && rest.get(name) == Some(&b':')
            && rest.get(name + 1).is_none_or(u8::is_ascii_whitespace);
        is_key.then_some(start + star + 1 + name)
    })
}
