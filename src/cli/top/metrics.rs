//! Lines of the metrics page (OpenMetrics 1.0, section "ABNF"), as far as ravelin writes them.

/// A series with its value.
pub(super) struct Series<'l> {
    pub(super) name: &'l str,
    labels: &'l str,
    pub(super) value: f64,
}

impl<'l> Series<'l> {
    /// Reads `name{labels} value`; `None` for comments, and for what is no number.
    pub(super) fn parse(line: &'l str) -> Option<Self> {
        if line.starts_with('#') {
            return None;
        }
        let (rest, value) = line.rsplit_once(' ')?;
        let value = value.parse().ok()?;
        let (name, labels) = rest.split_once('{').unwrap_or((rest, ""));
        Some(Self { name, labels, value })
    }

    /// The value of a label, without its escapes (`\"`, `\\`, `\n`); empty if there is none.
    pub(super) fn label(&self, name: &str) -> String {
        let mut rest = self.labels;
        while let Some((key, quoted)) = rest.split_once("=\"") {
            let (value, behind) = unescaped(quoted);
            if key.trim_start_matches(',') == name {
                return value;
            }
            rest = behind;
        }
        String::new()
    }
}

/// The text up to the closing quotation mark, and what is behind it.
fn unescaped(quoted: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| match escaped {
                'n' => '\n',
                other => other,
            })),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_with_what_is_escaped_in_them() {
        let line = r#"a_total{listener="web",host="a\"b,host=\"c\\",route="x\ny"} 12"#;
        let series = Series::parse(line).expect("a series");
        assert_eq!((series.name, series.value), ("a_total", 12.0));
        let labels = ["listener", "host", "route", "service", "ost"].map(|name| series.label(name));
        assert_eq!(labels, ["web", "a\"b,host=\"c\\", "x\ny", "", ""].map(str::to_owned));
        assert_eq!(Series::parse("up 1.5").map(|series| series.value), Some(1.5));
        for line in ["", "# EOF", "# TYPE a counter", "a{b=\"c\"} many"] {
            assert!(Series::parse(line).is_none(), "{line}");
        }
        let broken = Series::parse("a{b=\"c 1").expect("a series");
        assert_eq!(broken.label("b"), "c");
    }
}
