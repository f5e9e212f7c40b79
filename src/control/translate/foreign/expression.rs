//! Paths that are regular expressions, for rules that keep their place and are not served.

/// The plain path below which lie all requests that an expression matches, or nearly so: elements are
/// taken whole. `None` for a plain path.
pub(in crate::control::translate) fn place(path: &str) -> Option<String> {
    let mut literal = String::new();
    let mut rest = path.chars();
    while let Some(character) = rest.next() {
        let next = rest.clone().next();
        match character {
            '^' if literal.is_empty() => {}
            '\\' if next.is_some_and(|sign| sign.is_ascii_punctuation()) => {
                literal.extend(rest.next());
            }
            // A class such as `\d`.
            '\\' => return Some(elements(&literal)),
            '|' => return Some("/".to_owned()),
            '$' if next.is_none() => return Some(whole(literal)),
            '(' | '[' | '$' | '^' => {
                let ends = is_anything(character, rest.as_str());
                return Some(if ends { whole(literal) } else { elements(&literal) });
            }
            '.' if matches!(next, Some('*' | '+')) => return Some(whole(literal)),
            '?' | '*' | '+' | '{' => {
                // What stands before it is part of the expression. A slash leaves whole elements.
                let optional = literal.pop();
                let is_slash = optional == Some('/') || optional.is_none();
                return Some(if is_slash { whole(literal) } else { elements(&literal) });
            }
            other => literal.push(other),
        }
    }
    (literal != path).then(|| whole(literal))
}

/// Whether a group that begins here lets what is before it end an element: `(/|$)`, `(?:/.*)?`,
/// `(.*)`, `(|/.*)`.
fn is_anything(sign: char, group: &str) -> bool {
    let group = group.strip_prefix("?:").unwrap_or(group);
    sign == '(' && ["/", "$", ".*", ".+", "|", ")"].iter().any(|begin| group.starts_with(begin))
}

/// A literal that ends where an element does.
fn whole(literal: String) -> String {
    if literal.starts_with('/') { literal } else { "/".to_owned() }
}

/// The elements of a literal that are whole.
fn elements(literal: &str) -> String {
    let end = literal.rfind('/').map_or(0, |slash| slash + 1);
    whole(literal[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_has_its_place_at_what_is_plain_before_it() {
        for (path, expected) in [
            ("/", None),
            ("/api", None),
            ("/robots.txt", None),
            ("/.well-known/x", None),
            ("/api(/|$)(.*)", Some("/api")),
            ("/api/?(.*)", Some("/api")),
            ("/api(.*)", Some("/api")),
            ("/api/.*", Some("/api/")),
            ("/api(?:/(.*))?", Some("/api")),
            ("/(.*)", Some("/")),
            ("/?(.*)", Some("/")),
            ("/.*", Some("/")),
            ("/()(.*)", Some("/")),
            ("^/app$", Some("/app")),
            ("/a/v[0-9]+/users", Some("/a/")),
            ("/a/b-(x|y)/c", Some("/a/")),
            (r"/index\.php", Some("/index.php")),
            (r"/a/\d+", Some("/a/")),
            (r"/a/\", Some("/a/")),
            ("/foo|/bar", Some("/")),
            ("/files?", Some("/")),
            ("/a/bc*", Some("/a/")),
            ("api(.*)", Some("/")),
            ("(.*)", Some("/")),
            ("", None),
        ] {
            assert_eq!(place(path).as_deref(), expected, "{path}");
        }
    }
}
