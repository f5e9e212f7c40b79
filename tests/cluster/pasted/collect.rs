//! The commands in the documentation, as a reader pastes them.

use std::fs;
use std::path::{Path, PathBuf};

/// A command, and where it is.
pub(super) struct Pasted {
    /// The page, from the root of the repository.
    pub(super) page: String,
    /// As it is written, without comments.
    pub(super) script: String,
}

impl Pasted {
    /// The same in one line with single spaces, by which it is listed.
    pub(super) fn line(&self) -> String {
        let joined = self.script.replace("\\\n", " ");
        joined.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// The commands of all pages, page by page in the order of their names.
pub(super) fn all() -> Vec<Pasted> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
    let mut folders = vec![root.join("deploy"), root.join("config")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of ours").flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|end| end == "md") => pages.push(path),
                false => {}
            }
        }
    }
    pages.sort();
    pages.iter().flat_map(|page| of_page(root, page)).collect()
}

fn of_page(root: &Path, page: &PathBuf) -> Vec<Pasted> {
    let text = fs::read_to_string(page).expect("a file of ours");
    let page = page.strip_prefix(root).expect("below it").display().to_string();
    let scripts = commands(&text).into_iter();
    scripts.map(|script| Pasted { page: page.clone(), script }).collect()
}

/// The commands in the blocks of `sh`.
fn commands(text: &str) -> Vec<String> {
    let (mut found, mut is_shell, mut begun) = (Vec::new(), false, String::new());
    for line in text.lines() {
        if let Some(language) = line.trim().strip_prefix("```") {
            assert_eq!(begun, "", "a command goes on behind its block");
            is_shell = ["sh", "bash", "shell", "console"].contains(&language);
            continue;
        }
        if !is_shell {
            continue;
        }
        let (code, is_open) = code(&begun, line);
        begun.push_str(&code);
        if is_open || goes_on(&begun) {
            begun.push('\n');
        } else if !begun.trim().is_empty() {
            found.push(std::mem::take(&mut begun).trim().to_owned());
        } else {
            begun.clear();
        }
    }
    found
}

/// A line without its comment, and whether a quote is open at its end, behind what has begun.
fn code(begun: &str, line: &str) -> (String, bool) {
    let mut quote = None;
    let mut scan = |text: &str, comments: bool| {
        let mut kept = String::new();
        for c in text.chars() {
            let is_apart = kept.is_empty() || kept.ends_with(char::is_whitespace);
            match (quote, c) {
                (None, '#') if comments && is_apart => break,
                (None, '\'' | '"') => quote = Some(c),
                (Some(open), c) if open == c => quote = None,
                _ => {}
            }
            kept.push(c);
        }
        kept
    };
    scan(begun, false);
    let kept = scan(line, !begun.contains("<<")).trim_end().to_owned();
    (kept, quote.is_some())
}

/// Whether more lines belong to it: a backslash, a document, a loop.
fn goes_on(begun: &str) -> bool {
    let ends_document = || {
        let (_, name) = begun.split_once("<<").expect("it has been found");
        let name = name.lines().next().unwrap_or_default().trim().trim_matches('\'');
        begun.lines().skip(1).any(|line| line == name)
    };
    let is_loop =
        begun.trim_start().starts_with("for ") || begun.trim_start().starts_with("while ");
    begun.ends_with('\\')
        || (begun.contains("<<") && !ends_document())
        || (is_loop && !begun.split(|c: char| !c.is_alphanumeric()).any(|word| word == "done"))
}

#[test]
fn a_command_is_whole_whatever_it_spans() {
    let page = "text\n```sh\na --b \\\n  c   # why\n\n# all of it\nfor x in 1 2; do\n  echo '# no' $x\ndone\ncat > f <<'END'\n\
                [a] # kept\nEND\nx -p '{\"a\":\n  1}' | y\n```\n```toml\nz\n```\n  ```sh\n  w\n  ```\n";
    assert_eq!(
        commands(page),
        [
            "a --b \\\n  c",
            "for x in 1 2; do\n  echo '# no' $x\ndone",
            "cat > f <<'END'\n[a] # kept\nEND",
            "x -p '{\"a\":\n  1}' | y",
            "w",
        ]
    );
}
