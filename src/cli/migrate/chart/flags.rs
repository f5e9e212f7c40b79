//! Flags of Traefik: `--entryPoints.web.address=:80`, in any case, with `=` or with the next argument.

use super::Given;
use serde_json::Value;

/// A flag: its long name in lower case, without indices, and its value.
#[derive(Debug, PartialEq)]
pub(super) struct Flag {
    pub(super) name: String,
    pub(super) given: Given,
}

/// Reads arguments. `from` is the place of the list; what is not a text is left out, and counted by its
/// position.
pub(super) fn read(arguments: &[Value], from: &str) -> Vec<Flag> {
    let mut flags: Vec<Flag> = Vec::new();
    let mut at = 0;
    while let Some(argument) = arguments.get(at) {
        let place = format!("{from}[{at}]");
        at += 1;
        let Some(argument) = argument.as_str().map(str::trim) else { continue };
        let Some(flag) = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-')) else {
            continue;
        };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => {
                let next = arguments.get(at).and_then(Value::as_str).map(str::trim);
                match next.filter(|next| !next.starts_with('-')) {
                    Some(next) => {
                        at += 1;
                        (flag, next.to_owned())
                    }
                    None => (flag, "true".to_owned()),
                }
            }
        };
        add(&mut flags, name, unquoted(&value), place);
    }
    flags
}

/// A flag with an index is one element of a list.
fn add(flags: &mut Vec<Flag>, name: &str, value: &str, from: String) {
    let (name, is_element) = without_indices(&name.to_lowercase());
    let value = Value::String(value.to_owned());
    if is_element && let Some(known) = flags.iter_mut().find(|flag| flag.name == name) {
        if let Value::Array(all) = &mut known.given.value {
            all.push(value);
        }
        return;
    }
    let value = if is_element { Value::Array(vec![value]) } else { value };
    flags.push(Flag { name, given: Given { value, from } });
}

fn without_indices(name: &str) -> (String, bool) {
    let mut plain = String::new();
    let mut inside = false;
    for letter in name.chars() {
        match letter {
            '[' => inside = true,
            ']' => inside = false,
            letter if !inside => plain.push(letter),
            _ => {}
        }
    }
    let is_element = name.ends_with(']');
    (plain, is_element)
}

/// Quotation marks of a shell, which some write though no shell reads them.
fn unquoted(value: &str) -> &str {
    let within = |mark| value.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark));
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names(arguments: &Value) -> Vec<(String, Value)> {
        let arguments = arguments.as_array().expect("a list").clone();
        read(&arguments, "a").into_iter().map(|flag| (flag.name, flag.given.value)).collect()
    }

    #[test]
    fn a_flag_has_its_value_behind_an_equals_sign_or_in_the_next_argument() {
        let found = names(&json!([
            "--entryPoints.web.Address=:80",
            "--accesslog",
            "--log.level",
            "DEBUG",
            "-ping",
            "--api.dashboard=\"true\"",
            7,
            "stray"
        ]));
        let expected = [
            ("entrypoints.web.address", ":80"),
            ("accesslog", "true"),
            ("log.level", "DEBUG"),
            ("ping", "true"),
            ("api.dashboard", "true"),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), json!(value))));
    }

    #[test]
    fn indices_make_a_list() {
        let found = names(&json!(["--a.b[0]=x", "--a.b[1]=y", "--c[0].d=z"]));
        let expected = [("a.b", json!(["x", "y"])), ("c.d", json!("z"))];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)));
    }
}
