//! What others put in front of a line: `kubectl logs --prefix` and `--timestamps`, and the files of a kubelet.

use jiff::Timestamp;

/// The text in front of a line; empty if there is none.
pub(super) type LinePrefix<'l> = &'l str;

/// A line, without what is in front of it.
pub(super) fn split(line: &str) -> (LinePrefix<'_>, &str) {
    let mut rest = line;
    // `[pod/NAME/CONTAINER] `
    if let Some((_, behind)) = rest.strip_prefix("[pod/").and_then(|inside| inside.split_once("] "))
    {
        rest = behind;
    }
    if let Some((time, behind)) = rest.split_once(' ')
        && time.len() >= "2026-01-31T12:00:00Z".len()
        && time.parse::<Timestamp>().is_ok()
    {
        rest = behind;
        // The format of container runtimes: time, stream, and `F` for a whole line.
        let streams = ["stdout F ", "stderr F "];
        rest = streams.iter().find_map(|stream| rest.strip_prefix(stream)).unwrap_or(rest);
    }
    (&line[..line.len() - rest.len()], rest)
}

/// The pod that a prefix names.
pub(super) fn pod(prefix: LinePrefix<'_>) -> Option<&str> {
    let inside = prefix.strip_prefix("[pod/")?;
    inside.split(['/', ']']).next().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_taken_off() {
        for (line, prefix, rest, name) in [
            ("{\"a\":1}", "", "{\"a\":1}", None),
            ("[pod/ravelin-x1/ravelin] {}", "[pod/ravelin-x1/ravelin] ", "{}", Some("ravelin-x1")),
            (
                "[pod/a/b] 2026-01-31T12:00:00.123456789Z {}",
                "[pod/a/b] 2026-01-31T12:00:00.123456789Z ",
                "{}",
                Some("a"),
            ),
            (
                "2026-01-31T12:00:00.1+01:00 stdout F {}",
                "2026-01-31T12:00:00.1+01:00 stdout F ",
                "{}",
                None,
            ),
            ("192.0.2.1 - - [x] \"GET", "", "192.0.2.1 - - [x] \"GET", None),
            ("[pod/a", "", "[pod/a", None),
            ("", "", "", None),
        ] {
            assert_eq!((split(line), pod(prefix)), ((prefix, rest), name), "{line}");
        }
    }
}
