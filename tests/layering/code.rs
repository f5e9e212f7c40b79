//! Just enough of Rust's surface for the rules: what is code, and which words are in it.

/// The text with comments and literals blanked out, byte for byte, lines kept.
pub(crate) fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = Vec::with_capacity(bytes.len());
    while code.len() < bytes.len() {
        let at = code.len();
        let end = at + blank_length(&bytes[at..], at.checked_sub(1).map(|before| bytes[before]));
        if end == at {
            code.push(bytes[at]);
        }
        let blank = |&byte: &u8| if byte == b'\n' { b'\n' } else { b' ' };
        let blanked: Vec<u8> = bytes[at..end].iter().map(blank).collect();
        code.extend(blanked);
    }
    String::from_utf8_lossy(&code).into_owned()
}

/// The comments and literals of the text, with the code between them blanked out; lines kept.
pub(crate) fn prose(text: &str) -> String {
    let code = code_only(text);
    let kept = text.bytes().zip(code.bytes());
    let kept: Vec<u8> =
        kept.map(|(byte, code)| if byte == code && byte != b'\n' { b' ' } else { byte }).collect();
    let mut prose = String::with_capacity(text.len());
    let text = String::from_utf8_lossy(&kept);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        // `\n` and its like are no part of a word.
        let escaped = if letter == '\\' { letters.next() } else { None };
        prose.push(if letter == '\\' { ' ' } else { letter });
        prose.extend(escaped.map(|escaped| if escaped == '\n' { '\n' } else { ' ' }));
    }
    prose
}

/// Bytes of the comment or literal that begins here, 0 if none does.
fn blank_length(rest: &[u8], before: Option<u8>) -> usize {
    let until = |from: usize, end: &[u8]| {
        let behind = rest.get(from..).unwrap_or_default();
        let found = behind.windows(end.len()).position(|window| window == end);
        found.map_or(rest.len(), |position| from + position + end.len())
    };
    let hashes = rest.iter().skip(1).take_while(|&&byte| byte == b'#').count();
    match rest {
        [b'/', b'/', ..] => rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => until(2, b"*/"),
        [b'r', ..]
            if rest.get(1 + hashes) == Some(&b'"')
                && !before.is_some_and(|byte| is_word(byte) && byte != b'b') =>
        {
            until(2 + hashes, format!("\"{}", "#".repeat(hashes)).as_bytes())
        }
        [b'"', ..] => quoted(rest),
        // A character, unless it is a lifetime.
        [b'\'', b'\\', ..] => until(3, b"'"),
        [b'\'', _, b'\'', ..] => 3,
        _ => 0,
    }
}

fn quoted(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    rest.len()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Every word of the code with its offset.
pub(crate) fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let pieces = code.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let offset = |word: &str| word.as_ptr() as usize - code.as_ptr() as usize;
    pieces.filter(|word| !word.is_empty()).map(move |word| (offset(word), word))
}

pub(crate) fn first_word(code: &str) -> &str {
    words(code).next().map_or("", |(_, word)| word)
}

/// The modules that `crate::` or `ravelin::` names, with offsets: `crate::a::B`, `crate::{a, b::C}`.
pub(crate) fn imports(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (at, word) in words(code).filter(|(_, word)| ["crate", "ravelin"].contains(word)) {
        let Some(path) = code[at + word.len()..].trim_start().strip_prefix("::") else {
            continue;
        };
        let path = path.trim_start();
        let Some(group) = path.strip_prefix('{') else {
            let name = if path.starts_with('*') { "*" } else { first_word(path) };
            found.push((at, name));
            continue;
        };
        let mut depth = 1;
        let mut expects_name = true;
        for (position, character) in group.char_indices() {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => expects_name = true,
                _ if expects_name && !character.is_whitespace() => {
                    found.push((
                        group.as_ptr() as usize - code.as_ptr() as usize + position,
                        first_word(&group[position..]),
                    ));
                    expects_name = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
}

/// The line of an offset, from 1.
pub(crate) fn line_of(code: &str, offset: usize) -> usize {
    code[..offset].matches('\n').count() + 1
}

/// Leading spaces of a line.
pub(crate) fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}
