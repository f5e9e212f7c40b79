//! One name for one public type: who reads `Outcome` need not look up whose.

use super::code::{code_only, line_of, words};
use std::collections::BTreeMap;

const KINDS: [&str; 4] = ["enum", "struct", "trait", "type"];

/// Public types at the top level of a file, with the line of each.
fn types(text: &str) -> Vec<(String, usize)> {
    let code = code_only(text);
    let mut found = Vec::new();
    let (mut offset, mut is_macro) = (0, false);
    for line in code.split_inclusive('\n') {
        is_macro = line.starts_with("labels!") || (is_macro && !line.starts_with('}'));
        let mut said = words(line).map(|(_, word)| word);
        let is_outer = line.starts_with("pub ") || (is_macro && line.starts_with("    pub "));
        if is_outer
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

/// The rooms whose stages touch heads.
const OF_HEADS: [&str; 3] = ["http", "proxy", "upstream"];

/// Where a head is kept, to send it again, or passed on to a step.
const MAY_KEEP_HEADS: [&str; 2] = ["src/upstream/replay.rs", "src/proxy/middleware/mod.rs"];

/// Where a stage names what carries a head, outside tests.
pub(crate) fn carriers(path: &str, text: &str) -> Vec<String> {
    let is_stage = OF_HEADS.iter().any(|room| path.starts_with(&format!("src/{room}/")));
    if !is_stage || MAY_KEEP_HEADS.contains(&path) || path.ends_with("/tests.rs") {
        return Vec::new();
    }
    let code = code_only(text);
    let code = code.split("#[cfg(test)]\n").next().unwrap_or_default();
    let named = words(code).filter(|(_, word)| *word == "HeaderMap");
    let report = |(at, _)| {
        let line = line_of(code, at);
        format!("{path}:{line}: take `impl Fields` of net::fields instead of `HeaderMap`")
    };
    named.map(report).collect()
}
