//! `ravelin completions` and `ravelin man`: the command line as shells and `man` read it, made of the same
//! definition as `--help`.

use super::{Failure, Line, UNWRITABLE, say};
use clap::{Command, CommandFactory, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;
use std::fs;
use std::path::Path;

/// The shells that have completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum CompletionShell {
    /// GNU Bash.
    Bash,
    /// Z shell.
    Zsh,
    /// The friendly interactive shell.
    Fish,
}

impl CompletionShell {
    fn generator(self) -> Shell {
        match self {
            Self::Bash => Shell::Bash,
            Self::Zsh => Shell::Zsh,
            Self::Fish => Shell::Fish,
        }
    }
}

/// Prints a script that completes verbs, options and their values.
pub(super) fn completions(shell: CompletionShell) -> Result<u8, Failure> {
    // To memory first: the generator panics if it cannot write, and a closed pipe is not an error here.
    let mut script = Vec::new();
    clap_complete::generate(shell.generator(), &mut Line::command(), "ravelin", &mut script);
    say(&String::from_utf8_lossy(&script))?;
    Ok(0)
}

/// Writes `ravelin.1` and a page for each verb into a directory, which is created if it does not exist, and
/// prints their paths.
pub(super) fn man(directory: &Path) -> Result<u8, Failure> {
    let failure = |path: &Path, error: &std::io::Error| Failure {
        code: UNWRITABLE,
        text: format!(
            "cannot write {}: {error}; name a directory that you may write to",
            path.display()
        ),
    };
    fs::create_dir_all(directory).map_err(|error| failure(directory, &error))?;
    for (name, page) in pages()? {
        let path = directory.join(name);
        fs::write(&path, page).map_err(|error| failure(&path, &error))?;
        say(&format!("{}\n", path.display()))?;
    }
    Ok(0)
}

/// File name and text of each page.
fn pages() -> Result<Vec<(String, Vec<u8>)>, Failure> {
    // `help` repeats every verb.
    let mut all = Line::command().disable_help_subcommand(true);
    all.build();
    let verbs: Vec<Command> = all.get_subcommands().cloned().collect();
    std::iter::once(all).chain(verbs).map(page).collect()
}

fn page(command: Command) -> Result<(String, Vec<u8>), Failure> {
    let source = concat!("ravelin ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command).source(source).manual("ravelin");
    let mut text = Vec::new();
    man.render(&mut text)?;
    let text = with_lines_of_notes(&String::from_utf8_lossy(&text));
    Ok((man.get_filename(), text.into_bytes()))
}

/// Names the section of what follows the options in `--help`, and keeps its lines as they are: clap_mangen calls it
/// EXTRA, and lets `man` fill paragraphs with the commands of examples.
fn with_lines_of_notes(page: &str) -> String {
    let Some((before, notes)) = page.split_once("\n.SH EXTRA\n") else { return page.to_owned() };
    let (notes, after) = match notes.find("\n.SH ") {
        Some(end) => notes.split_at(end + 1),
        None => (notes, ""),
    };
    format!("{before}\n.SH EXAMPLES AND NOTES\n.nf\n{notes}.fi\n{after}")
}
