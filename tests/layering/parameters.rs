//! What a function may take: no tuple pattern, which only hides how many parameters there are.

use crate::code::{code_only, first_word, line_of, words};

/// Functions, outside tests, with a parameter that is taken apart in the signature.
pub(crate) fn tuple_parameters(path: &str, text: &str) -> Vec<String> {
    if path.contains("/tests/") || path.ends_with("/tests.rs") {
        return Vec::new();
    }
    let code = code_only(text);
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let functions = words(code).filter(|(_, word)| *word == "fn").filter_map(|(at, _)| {
        // `fn(u8)` is a type.
        let behind = code[at + 2..].strip_prefix(' ')?;
        let pattern = parameters(behind).into_iter().any(is_tuple_pattern);
        pattern.then(|| (at, first_word(behind)))
    });
    let report = |(at, name)| {
        let line = line_of(code, at);
        format!("{path}:{line}: `{name}` takes a tuple apart: name the parameters, or a struct")
    };
    functions.map(report).collect()
}

fn is_tuple_pattern(parameter: &str) -> bool {
    let pattern = parameter.trim_start().trim_start_matches('&').trim_start();
    pattern.strip_prefix("mut ").unwrap_or(pattern).trim_start().starts_with('(')
}

/// The parameters of a function whose name comes first.
fn parameters(function: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut depth, mut start, mut before) = (0_usize, None, ' ');
    for (at, character) in function.char_indices() {
        match character {
            '(' if depth == 0 => (depth, start) = (1, Some(at + 1)),
            '(' | '[' | '{' | '<' => depth += 1,
            // Of an arrow.
            '>' if before == '-' => {}
            ')' | ']' | '}' | '>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if let Some(from) = start
            && (depth == 0 || depth == 1 && character == ',')
        {
            found.push(&function[from..at]);
            start = Some(at + 1);
            if depth == 0 {
                break;
            }
        }
        before = character;
    }
    found
}
