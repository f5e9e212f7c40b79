//! The routes of the demo, narrow enough for a terminal.

use super::pods::Pod;
use crate::cli::table::{self, Row};
use crate::routing::Table;

/// Host, path and where it goes, a line each.
pub(super) fn lines(table: &Table, pods: &[Pod]) -> Vec<String> {
    let rows = table::rows(table);
    let cells: Vec<[String; 3]> = rows.iter().map(|row| cells(row, pods)).collect();
    let width = |column: usize| {
        let widths = cells.iter().map(|cells| cells[column].chars().count());
        widths.max().unwrap_or_default()
    };
    let (host, path) = (width(0), width(1));
    let line = |[one, two, three]: &[String; 3]| format!("{one:host$}  {two:path$}  {three}");
    cells.iter().map(line).collect()
}

fn cells(row: &Row, pods: &[Pod]) -> [String; 3] {
    let path = match row.kind {
        "Exact" => format!("= {}", row.path),
        _ => row.path.clone(),
    };
    let goes_to = match (&row.redirect, &row.answer) {
        (Some(host), _) => format!("redirect to {host}"),
        (None, Some(answer)) => answer.clone(),
        (None, None) => {
            let names: Vec<String> = row.endpoints.iter().map(|e| named(e, pods)).collect();
            names.join(" or ")
        }
    };
    [row.host.clone(), path, goes_to]
}

/// The name of the pod at an address, or the address.
pub(super) fn named(endpoint: &str, pods: &[Pod]) -> String {
    let found = pods.iter().find(|pod| endpoint.ends_with(&format!(":{}", pod.port)));
    found.map_or_else(|| endpoint.to_owned(), |pod| pod.name.to_owned())
}

/// What went and what came, between two lists of lines.
pub(super) fn difference(old: &[String], new: &[String]) -> Vec<String> {
    let words = |line: &String| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let (old, new): (Vec<_>, Vec<_>) =
        (old.iter().map(words).collect(), new.iter().map(words).collect());
    let gone = old.iter().filter(|line| !new.contains(line)).map(|line| format!("- {line}"));
    let come = new.iter().filter(|line| !old.contains(line)).map(|line| format!("+ {line}"));
    gone.chain(come).collect()
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn what_went_comes_before_what_came_and_padding_does_not_count() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let (old, new) = (lines("a  /  blue\nb  /  green"), lines("a   /   blue\nb   /   admin"));
        assert_eq!(difference(&old, &new), ["- b / green", "+ b / admin"]);
        assert_eq!(difference(&old, &old), Vec::<String>::new());
    }
}
