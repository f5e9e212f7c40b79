//! How long files and functions may be, and how files may be called.

use crate::code::{code_only, first_word, indent, words};

/// Names that say nothing about what is in the file.
const BANNED_NAMES: [&str; 10] =
    ["common", "globals", "handy", "helper", "helpers", "misc", "shared", "types", "util", "utils"];
/// Longest file, in lines.
const MAX_FILE_LINES: usize = 400;
/// Longest function, in lines from `fn` to its closing brace.
const MAX_FUNCTION_LINES: usize = 60;

/// Files and functions that are too long, and names that say nothing.
pub(crate) fn outgrown(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_FILE_LINES {
        found.push(format!("{path}:{lines}: the file has more than {MAX_FILE_LINES} lines"));
    }
    for name in path.split('/').map(|name| name.trim_end_matches(".rs")) {
        if BANNED_NAMES.contains(&name) {
            found.push(format!("{path}:1: `{name}` does not say what is in it"));
        }
    }
    let code = code_only(text);
    let lines: Vec<&str> = code.lines().collect();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else {
            continue;
        };
        let length = function_length(&lines[start..]);
        if length > MAX_FUNCTION_LINES {
            found.push(format!("{path}:{}: `{name}` has {length} lines", start + 1));
        }
    }
    found
}

fn function_name(line: &str) -> Option<&str> {
    let mut words = words(line).skip_while(|(_, word)| *word != "fn");
    let (at, _) = words.next()?;
    // `fn(u8)` is a type.
    line[at + 2..].starts_with(' ').then(|| first_word(&line[at + 2..]))
}

/// Lines to the closing brace at the indentation of the first one, as rustfmt puts it; 1 for a
/// declaration without body.
fn function_length(lines: &[&str]) -> usize {
    let outer = indent(lines[0]);
    let mut opened = false;
    for (position, line) in lines.iter().enumerate() {
        let at_outer = indent(line) == outer && !line.trim().is_empty();
        let line = line.trim_end();
        if position == 0 && line.ends_with('}') || at_outer && line.trim_start().starts_with('}') {
            return position + 1;
        }
        opened |= at_outer && line.ends_with('{');
        if !opened && line.ends_with(';') {
            return 1;
        }
    }
    lines.len()
}
