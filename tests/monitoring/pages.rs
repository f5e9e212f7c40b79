//! `deploy/monitoring/README.md`, where tests depend on it: the panels that are empty while all is well.

use crate::deploy;
use std::collections::BTreeMap;
use std::fs;

/// Panels that are empty while all is well, as `dashboard / panel`, and the alert by whose cause each fills.
pub(crate) fn empty_panels() -> BTreeMap<String, String> {
    let page = fs::read_to_string(deploy("monitoring/README.md")).expect("the page");
    let (_, table) =
        page.split_once("| dashboard | panel | empty until | alert |").expect("a table");
    let table = table.split("\n\n").next().expect("a first part");
    let rows = table.lines().skip(2).map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 4, "{line}");
        (format!("{} / {}", cells[0], cells[1]), cells[3].trim_matches('`').to_owned())
    });
    let rows: BTreeMap<_, _> = rows.collect();
    assert!(!rows.is_empty(), "the table has rows");
    rows
}
