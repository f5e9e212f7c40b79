//! PromQL, as far as names go: which metrics an expression reads, with which matchers, and by which labels it groups.

/// A selector: a metric and what its labels have to be.
#[derive(Debug, PartialEq)]
pub(crate) struct Selector {
    pub(crate) metric: String,
    pub(crate) matchers: Vec<Matcher>,
}

/// `label OPERATOR "value"`.
#[derive(Debug, PartialEq)]
pub(crate) struct Matcher {
    pub(crate) label: String,
    pub(crate) operator: String,
    pub(crate) value: String,
}

/// What an expression names.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Names {
    pub(crate) selectors: Vec<Selector>,
    /// Labels of `by`, `without`, `on`, `ignoring` and `group_left`.
    pub(crate) grouping: Vec<String>,
}

/// Words before a list of labels.
const BEFORE_LABELS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Words that are no metrics, beside functions, which stand before a parenthesis, as aggregations need not.
const WORDS: [&str; 11] =
    ["or", "and", "unless", "offset", "bool", "inf", "sum", "min", "max", "count", "topk"];

/// Reads an expression.
///
/// # Panics
/// If a brace or a quote is not closed.
pub(crate) fn names(expression: &str) -> Names {
    let mut names = Names::default();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '[' {
            rest = rest.split_once(']').expect("a range ends").1;
        } else if first.is_ascii_alphabetic() || first == '_' {
            let (word, after) = word(rest);
            rest = after.trim_start();
            if BEFORE_LABELS.contains(&word) && rest.starts_with('(') {
                let (labels, after) = rest[1..].split_once(')').expect("a list ends");
                names.grouping.extend(labels.split(',').map(|label| label.trim().to_owned()));
                rest = after;
            } else if !WORDS.contains(&word) && !rest.starts_with('(') {
                let (matchers, after) = matchers(rest);
                names.selectors.push(Selector { metric: word.to_owned(), matchers });
                rest = after;
            }
        } else if first.is_ascii_digit() {
            // A number, or a duration.
            rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.');
        } else {
            rest = &rest[first.len_utf8()..];
        }
        rest = rest.trim_start();
    }
    names
}

/// The word at the start, and what follows it.
fn word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    text.split_at(end.unwrap_or(text.len()))
}

/// The matchers in braces at the start, if there are any, and what follows them.
fn matchers(text: &str) -> (Vec<Matcher>, &str) {
    let Some(mut rest) = text.strip_prefix('{') else { return (Vec::new(), text) };
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return (found, after);
        }
        let (label, after) = word(rest);
        let (operator, after) = after.split_once('"').expect("a value is quoted");
        // No value of ours has a quote.
        let (value, after) = after.split_once('"').expect("a quote is closed");
        let [label, operator, value] = [label, operator.trim(), value].map(str::to_owned);
        found.push(Matcher { label, operator, value });
        rest = after;
    }
}

#[test]
fn names_of_an_expression_are_found() {
    let text = "1 - (sum by (host, le) (rate(a_total{x=~\"b|c\",y!=\"\"}[5m])) or vector(0)) / on (host)\n\
                2e3 * d unless f offset 10m > 0 and count(g{z=\"(by)\"} == 1)";
    let found = names(text);
    let metrics: Vec<_> = found.selectors.iter().map(|one| one.metric.as_str()).collect();
    assert_eq!(metrics, ["a_total", "d", "f", "g"]);
    assert_eq!(found.grouping, ["host", "le", "host"]);
    let matcher = |label: &str, operator: &str, value: &str| Matcher {
        label: label.to_owned(),
        operator: operator.to_owned(),
        value: value.to_owned(),
    };
    assert_eq!(found.selectors[0].matchers, [matcher("x", "=~", "b|c"), matcher("y", "!=", "")]);
    assert_eq!(found.selectors[3].matchers, [matcher("z", "=", "(by)")]);
}
