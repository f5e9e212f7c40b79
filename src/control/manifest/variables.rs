//! `${NAME}`, which Flux fills in when it applies a manifest (`postBuild.substitute`).
//!
//! For a verdict without Flux something stands in: a default that the manifest gives, or a word that may
//! stand in a host name, and that is taken back in what is printed.

use crate::control::yaml;
use serde_json::Value;
use std::collections::BTreeSet;

/// Puts something in the place of every variable, and notes their names.
pub(super) fn stand_in(value: &mut Value, names: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            if let Some(now) = filled(text, names) {
                *value = now;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| stand_in(item, names)),
        Value::Object(map) => map.values_mut().for_each(|item| stand_in(item, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The placeholder for a variable without a default.
pub fn word(name: &str) -> String {
    format!("x-{}-x", name.to_ascii_lowercase().replace('_', "-"))
}

fn filled(text: &str, names: &mut BTreeSet<String>) -> Option<Value> {
    let mut out = String::new();
    let mut rest = text;
    let (mut is_changed, mut is_default) = (false, false);
    while let Some(start) = rest.find("${") {
        let (before, variable) = (&rest[..start], &rest[start + 2..]);
        let end = variable.find('}');
        let parsed = end.and_then(|end| Some((end, parse(&variable[..end])?)));
        // `$${NAME}` is how to write it without being filled in.
        let Some((end, (name, default))) = parsed.filter(|_| !before.ends_with('$')) else {
            out.push_str(&rest[..start + 2]);
            rest = variable;
            continue;
        };
        out.push_str(before);
        is_default = out.is_empty() && variable.len() == end + 1 && default.is_some();
        match default {
            Some(default) => out.push_str(default),
            None => {
                names.insert(name.to_owned());
                out.push_str(&word(name));
            }
        }
        is_changed = true;
        rest = &variable[end + 1..];
    }
    out.push_str(rest);
    // Flux fills in the text, which is read as YAML afterwards: `${PORT:=80}` is a number.
    let plain = if is_default { yaml::plain(&out) } else { None };
    is_changed.then(|| plain.unwrap_or(Value::String(out)))
}

/// Name, and default if there is one.
fn parse(variable: &str) -> Option<(&str, Option<&str>)> {
    let of_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let end = variable.bytes().take_while(of_name).count();
    let (name, rest) = variable.split_at(end);
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let default = [":=", ":-", "=", "-"].iter().find_map(|sign| rest.strip_prefix(sign));
    (rest.is_empty() || default.is_some() || rest.starts_with(":?")).then_some((name, default))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_are_taken_and_words_stand_in_for_the_rest() {
        let mut names = BTreeSet::new();
        let mut value = json!({
            "host": "app.${MY_DOMAIN}",
            "port": "${PORT:=8080}",
            "name": ["a-${NAME:-b}-c", "$${NOT}", "$NAME", "${", "${1}", "${.Values}", "${A:?b}"],
        });
        stand_in(&mut value, &mut names);
        let expected = json!({
            "host": "app.x-my-domain-x",
            "port": 8080,
            "name": ["a-b-c", "$${NOT}", "$NAME", "${", "${1}", "${.Values}", "x-a-x"],
        });
        assert_eq!(value, expected);
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["A", "MY_DOMAIN"]);
    }
}
