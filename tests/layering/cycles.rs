//! Which modules of one parent name each other, and whether they do so in a circle.

use crate::code::code_only;
use std::collections::{BTreeMap, BTreeSet};

/// The modules of one parent, each with those of its siblings that it names.
pub(crate) type Graph = BTreeMap<String, BTreeSet<String>>;

/// The graph of the modules right below `parent`, such as `control/translate`, without their tests.
pub(crate) fn graph(parent: &str, files: &[(String, String)]) -> Graph {
    let parent: Vec<&str> = parent.split('/').collect();
    let modules: Vec<(Vec<&str>, &str)> =
        files.iter().map(|(path, text)| (module_path(path), text.as_str())).collect();
    let is_below = |path: &[&str]| path.len() > parent.len() && path.starts_with(&parent);
    let below = modules.iter().filter(|(path, _)| is_below(path) && !path.contains(&"tests"));
    let mut graph = Graph::new();
    for (path, _) in below.clone() {
        graph.entry(path[parent.len()].to_owned()).or_default();
    }
    for (path, text) in below {
        let own = path[parent.len()];
        let named = named_paths(path, text).into_iter().filter_map(|named| {
            let inner = named.strip_prefix(&*parent)?;
            inner.first().copied().filter(|other| *other != own && graph.contains_key(*other))
        });
        let named: Vec<String> = named.map(str::to_owned).collect();
        graph.entry(own.to_owned()).or_default().extend(named);
    }
    graph
}

/// The modules that are in a circle, or between two.
pub(crate) fn circles(mut graph: Graph) -> Vec<String> {
    loop {
        let named: BTreeSet<String> = graph.values().flatten().cloned().collect();
        let before = graph.len();
        graph.retain(|name, others| !others.is_empty() && named.contains(name));
        let left: BTreeSet<String> = graph.keys().cloned().collect();
        graph.values_mut().for_each(|others| others.retain(|other| left.contains(other)));
        if graph.len() == before {
            let line = |(name, others): (String, BTreeSet<String>)| {
                format!("{name} -> {}", Vec::from_iter(others).join(", "))
            };
            return graph.into_iter().map(line).collect();
        }
    }
}

/// `src/a/b.rs` and `src/a/b/mod.rs` are `a`, `b`.
fn module_path(path: &str) -> Vec<&str> {
    let inner = path.strip_prefix("src/").unwrap_or(path).trim_end_matches(".rs");
    inner.trim_end_matches("/mod").split('/').collect()
}

/// Every path that begins with `crate` or `super`, from the root of the crate.
fn named_paths<'t>(module: &[&'t str], text: &'t str) -> Vec<Vec<&'t str>> {
    let mut found = Vec::new();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code = code_only(text);
    for begin in ["crate::", "super::"] {
        for (at, _) in code.match_indices(begin) {
            let before = code[..at].chars().next_back();
            if !before.is_some_and(|it| it.is_alphanumeric() || it == '_' || it == ':') {
                // Blanked byte for byte: what is code stands at the same place in the text.
                read_tree(&text[at..], &code[at..], module.to_vec(), &mut found);
            }
        }
    }
    found
}

/// Reads a path, or a group of paths behind a prefix. Returns its length.
fn read_tree<'t>(
    text: &'t str,
    code: &str,
    mut prefix: Vec<&'t str>,
    found: &mut Vec<Vec<&'t str>>,
) -> usize {
    let mut at = 0;
    loop {
        at += code[at..].len() - code[at..].trim_start().len();
        if code[at..].starts_with('{') {
            at += 1;
            while !code[at..].trim_start().starts_with('}') && at < code.len() {
                at += read_tree(&text[at..], &code[at..], prefix.clone(), found);
                at += code[at..].find([',', '}']).map_or(code.len() - at, |end| {
                    end + usize::from(code[at + end..].starts_with(','))
                });
            }
            return at + code[at..].find('}').map_or(0, |end| end + 1);
        }
        let is_part = |it: char| it.is_alphanumeric() || it == '_';
        let end = code[at..].find(|it| !is_part(it)).map_or(code.len(), |end| at + end);
        match &text[at..end] {
            "crate" => prefix.clear(),
            "super" => drop(prefix.pop()),
            "" | "self" => {}
            name => prefix.push(name),
        }
        at = end;
        match code[at..].strip_prefix("::") {
            Some(_) => at += 2,
            None => {
                found.push(prefix);
                return at;
            }
        }
    }
}
