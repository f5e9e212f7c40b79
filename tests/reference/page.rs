//! The tables of a Markdown page: each is found by its header, each row by its first cell.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Stands in a cell that a person has to fill.
const TODO: &str = "TODO";

/// One writer at a time.
static WRITING: Mutex<()> = Mutex::new(());

/// What the code knows of one row.
pub(crate) struct Row {
    /// The first cell, without its backticks.
    pub(crate) key: String,
    /// The further cells; `None` for what only a person can say.
    pub(crate) cells: Vec<Option<String>>,
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn path() -> PathBuf {
    root().join("config/README.md")
}

pub(crate) fn text() -> String {
    fs::read_to_string(path()).expect("config/README.md")
}

/// The cells of a line of a table.
pub(crate) fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix("| ")?.strip_suffix(" |")?;
    Some(inner.split(" | ").map(str::trim).collect())
}

/// The rows of all tables with this header, with their line numbers.
pub(crate) fn rows<'t>(text: &'t str, header: &[&str]) -> Vec<(usize, Vec<&'t str>)> {
    let mut found = Vec::new();
    let mut is_inside = false;
    for (number, line) in text.lines().enumerate() {
        match cells(line) {
            Some(cells) if cells == header => is_inside = true,
            Some(cells) if is_inside => found.push((number + 1, cells)),
            None if !line.starts_with("|-") => is_inside = false,
            _ => {}
        }
    }
    found
}

/// Holds the tables with this header against what the code knows, or writes that into the page.
pub(crate) fn hold(header: &[&str], expected: &[Row]) {
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let page = text();
    let (mended, complaints) = mend(&page, header, expected);
    if env::var_os("RAVELIN_WRITE_REFERENCE").is_some() {
        return fs::write(path(), mended).expect("config/README.md can be written");
    }
    assert!(
        complaints.is_empty(),
        "\n{}\n\nRAVELIN_WRITE_REFERENCE=1 cargo test --test config_files writes what the code knows",
        complaints.join("\n")
    );
}

/// The page as it should be, and what is wrong with it as it is.
fn mend(page: &str, header: &[&str], expected: &[Row]) -> (String, Vec<String>) {
    let rows = rows(page, header);
    let mut complaints = Vec::new();
    if rows.is_empty() {
        complaints.push(format!("config/README.md has no table | {} |", header.join(" | ")));
    }
    let mut lines: Vec<Option<String>> = page.lines().map(|line| Some(line.to_owned())).collect();
    let mut seen = BTreeSet::new();
    for (number, cells) in &rows {
        let at = format!("config/README.md:{number}");
        let key = cells[0].trim_matches('`');
        let known = expected.iter().find(|row| row.key == key);
        let Some(row) = known.filter(|_| seen.insert(key)) else {
            complaints
                .push(format!("{at}: `{key}`: the code has none, or the row is twice; remove it"));
            lines[number - 1] = None;
            continue;
        };
        complaints.extend(differences(row, header, cells).map(|what| format!("{at}: {what}")));
        lines[number - 1] = Some(written(row, cells));
    }
    let missing: Vec<&Row> = expected.iter().filter(|row| !seen.contains(&*row.key)).collect();
    complaints.extend(missing.iter().map(|row| format!("config/README.md lacks `{}`", row.key)));
    if let Some((last, _)) = rows.last() {
        let added = missing.iter().map(|row| format!("\n{}", written(row, &[])));
        let line = lines[last - 1].take().unwrap_or_default();
        lines[last - 1] = Some(added.fold(line, |all, row| all + &row));
    }
    let mended: Vec<String> = lines.into_iter().flatten().collect();
    (mended.join("\n") + "\n", complaints)
}

fn differences<'r>(
    row: &'r Row,
    header: &'r [&str],
    cells: &'r [&str],
) -> impl Iterator<Item = String> + 'r {
    let named = header[1..].iter().zip(&row.cells).enumerate();
    named.filter_map(|(position, (name, known))| {
        let written = cells.get(position + 1).copied().unwrap_or_default();
        let key = &row.key;
        match known {
            Some(known) if known != written => {
                Some(format!("`{key}`: {name} is \"{known}\", not \"{written}\""))
            }
            None if written.contains(TODO) || written.is_empty() => {
                Some(format!("`{key}`: say what its {name} is"))
            }
            _ => None,
        }
    })
}

fn written(row: &Row, cells: &[&str]) -> String {
    let further = row.cells.iter().enumerate().map(|(position, known)| {
        let before = cells.get(position + 1).copied();
        known.as_deref().or(before).unwrap_or(TODO)
    });
    let all: Vec<&str> = further.collect();
    format!("| `{}` | {} |", row.key, all.join(" | "))
}

#[test]
fn a_row_that_is_missing_too_many_or_wrong_is_named() {
    let row = |key: &str, status: &str| Row {
        key: key.to_owned(),
        cells: vec![Some(status.to_owned()), None],
    };
    let header = ["reason", "status", "fix"];
    let page =
        "# A\n| reason | status | fix |\n|---|---|---|\n| `a` | 1 | x |\n| `b` | 2 | y |\n\nEnd\n";
    let (same, complaints) = mend(page, &header, &[row("a", "1"), row("b", "2")]);
    assert_eq!((same.as_str(), complaints), (page, vec![]));
    let (mended, complaints) = mend(page, &header, &[row("b", "3"), row("c", "4")]);
    let expected = [
        "config/README.md:4: `a`: the code has none, or the row is twice; remove it",
        "config/README.md:5: `b`: status is \"3\", not \"2\"",
        "config/README.md lacks `c`",
    ];
    assert_eq!(complaints, expected);
    let rows = "| `b` | 3 | y |\n| `c` | 4 | TODO |\n";
    assert_eq!(mended, format!("# A\n| reason | status | fix |\n|---|---|---|\n{rows}\nEnd\n"));
    let (_, complaints) = mend(&mended, &header, &[row("b", "3"), row("c", "4")]);
    assert_eq!(complaints, ["config/README.md:5: `c`: say what its fix is"]);
}
