//! `configuration-snippet` of ingress-nginx, where it does no more than to set fields. Any other directive may restrict
//! access, and is not run.

/// What a snippet with such directives alone asks for: fields, and their values; an empty one removes the field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SnippetFields {
    pub(super) request: Vec<(String, String)>,
    pub(super) response: Vec<(String, String)>,
}

/// Fields of requests that pods get as these values say in any case.
const SENT: [(&str, &str); 8] = [
    ("host", "$host"),
    ("x-real-ip", "$remote_addr"),
    ("host", "$http_host"),
    ("x-forwarded-for", "$proxy_add_x_forwarded_for"),
    ("x-forwarded-proto", "$scheme"),
    ("upgrade", "$http_upgrade"),
    ("connection", "upgrade"),
    ("connection", "$connection_upgrade"),
];

/// Reads a snippet. Nothing if it has anything else in it.
pub(super) fn read(text: &str) -> Option<SnippetFields> {
    let mut fields = SnippetFields::default();
    for words in directives(text)? {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["proxy_set_header", name, value] => {
                let is_sent = |(known, sent): &(&str, &str)| {
                    known.eq_ignore_ascii_case(name) && *sent == value
                };
                if !SENT.iter().any(is_sent) {
                    fields.request.push((name.to_owned(), literal(value)?));
                }
            }
            ["more_set_headers", line] => {
                let (name, value) = line.split_once(':')?;
                fields.response.push((name.trim().to_owned(), literal(value.trim())?));
            }
            ["add_header", name, value] | ["add_header", name, value, "always"] => {
                fields.response.push((name.to_owned(), literal(value)?));
            }
            ["more_clear_headers", name] | ["proxy_hide_header", name] if !name.contains('*') => {
                fields.response.push((name.trim_end_matches(':').to_owned(), String::new()));
            }
            _ => return None,
        }
    }
    Some(fields)
}

/// A value without variables.
fn literal(value: &str) -> Option<String> {
    (!value.contains('$')).then(|| value.to_owned())
}

/// The words of each directive (nginx, "Configuration file's structure"). Nothing if there is a block, or if one does
/// not end.
fn directives(text: &str) -> Option<Vec<Vec<String>>> {
    let (mut all, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '#' if word.is_none() => {
                rest.by_ref().find(|next| *next == '\n');
            }
            '"' | '\'' if word.is_none() => {
                let mut quoted = String::new();
                loop {
                    match rest.next()? {
                        '\\' => return None,
                        end if end == character => break,
                        other => quoted.push(other),
                    }
                }
                words.push(quoted);
            }
            '{' | '}' | '\\' => return None,
            ';' => {
                words.extend(word.take());
                if words.is_empty() {
                    return None;
                }
                all.push(std::mem::take(&mut words));
            }
            blank if blank.is_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    (words.is_empty() && word.is_none()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_that_only_sets_fields_is_read() {
        let text = r#"
            # said by the pod
            more_set_headers "X-Frame-Options: DENY";
            add_header X-A 'one two' always; proxy_hide_header Server;
            proxy_set_header X-Scheme https;
            proxy_set_header Host $host;
            proxy_set_header Upgrade $http_upgrade;
        "#;
        let pairs = |all: &[(String, String)]| {
            all.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
        };
        let read = read(text).expect("fields");
        assert_eq!(pairs(&read.request), "X-Scheme=https");
        assert_eq!(pairs(&read.response), "X-Frame-Options=DENY,X-A=one two,Server=");
    }

    #[test]
    fn a_snippet_with_anything_else_is_not() {
        for text in [
            "deny all;",
            "if ($host) { return 403; }",
            "more_set_headers \"X-A: 1\"; satisfy any;",
            "proxy_set_header X-A $remote_user;",
            "proxy_set_header X-A 1",
            "add_header X-A \"1;",
            "more_set_headers X-A;",
            "return 403; # more_set_headers",
            "more_set_headers 'X-A: 1' 'X-B: 2';",
            ";",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
