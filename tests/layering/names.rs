//! One name for one public type: who reads `Outcome` need not look up whose.

use super::code::{code_only, line_of, words};
use std::collections::BTreeMap;

const KINDS: [&str; 4] = ["enum", "struct", "trait", "type"];

/// Public types at the top level of a file, with the line of each.
fn types(text: &str) -> Vec<(String, usize)> {
    let code = code_only(text);
    let mut found = Vec::new();
    let mut offset = 0;
    for line in code.split_inclusive('\n') {
        let mut said = words(line).map(|(_, word)| word);
        if line.starts_with("pub ")
            && said.next() == Some("pub")
            && said.next().is_some_and(|word| KINDS.contains(&word))
            && let Some(name) = said.next()
        {
            found.push((name.to_owned(), line_of(&code, offset)));
        }
        offset += line.len();
    }
    found
}

/// Public types of one name in several files.
pub(crate) fn homonyms(files: &[(String, String)]) -> Vec<String> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, text) in files {
        for (name, line) in types(text) {
            places.entry(name).or_default().push(format!("{path}:{line}"));
        }
    }
    let several = places.into_iter().filter(|(_, places)| places.len() > 1);
    several.map(|(name, places)| format!("`{name}`: {}", places.join(", "))).collect()
}
