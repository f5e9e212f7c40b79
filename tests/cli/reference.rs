//! `ravelin completions` and `ravelin man`, read by the shells and by `man` themselves.

use crate::VERBS;
use crate::program::ravelin;
use crate::skipped::skipped;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

/// Runs a shell on a script, and returns what it prints. `None`: it is not installed, which is said.
fn shell(program: &str, script: &str) -> Option<String> {
    let mut command = Command::new(program);
    let output = match command.args(["-c", script]).stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => {
            skipped(&format!("completions of {program}: {error}"));
            return None;
        }
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{program}: {said}");
    Some(String::from_utf8(output.stdout).expect("UTF-8"))
}

/// The script for a shell, in a file.
fn script(shell: &str) -> (tempfile::NamedTempFile, String) {
    let ran = ravelin(&["completions", shell]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{shell}");
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(ran.out.as_bytes()).expect("it can be written");
    let path = file.path().display().to_string();
    (file, path)
}

#[test]
fn bash_completes_verbs_options_and_values() {
    let (_file, path) = script("bash");
    // Bash sets these variables, and calls the function with program, word and the word before.
    let complete = |words: &str, at: usize, word: &str, before: &str| {
        let call = format!(
            "source {path}; COMP_WORDS=({words}); COMP_CWORD={at}; \
             _ravelin ravelin '{word}' {before}; echo \"${{COMPREPLY[*]}}\""
        );
        shell("bash", &call).expect("bash runs the scripts of this repository")
    };
    let verbs = complete("ravelin ''", 1, "", "ravelin");
    for verb in VERBS {
        assert!(verbs.split_whitespace().any(|word| word == verb), "{verb}: {verbs}");
    }
    assert_eq!(complete("ravelin run --con", 2, "--con", "run"), "--config\n");
    let values = complete("ravelin check --output ''", 3, "", "--output");
    assert_eq!(values, "text json\n");
}

#[test]
fn zsh_and_fish_read_their_scripts() {
    let (_file, path) = script("zsh");
    if shell("zsh", &format!("zsh -n {path}")).is_some() {
        let text = fs::read_to_string(&path).expect("a readable file");
        assert!(text.starts_with("#compdef ravelin\n"), "{text}");
    }
    let (_file, path) = script("fish");
    let complete = |line: &str| shell("fish", &format!("source {path}; complete -C '{line}'"));
    let Some(verbs) = complete("ravelin ") else { return };
    for verb in VERBS {
        assert!(
            verbs.lines().any(|line| line.starts_with(&format!("{verb}\t"))),
            "{verb}: {verbs}"
        );
    }
    let values = complete("ravelin check --output ").expect("fish has just run");
    assert!(values.contains("json\t"), "{values}");
}

#[test]
fn man_writes_a_page_for_each_verb_that_man_reads_without_a_warning() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().display();
    // It is created.
    let to = format!("{path}/share/man1");
    let ran = ravelin(&["man", &to]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let mut written: Vec<&str> = ran.out.lines().collect();
    let mut expected: Vec<String> =
        VERBS.iter().map(|verb| format!("{to}/ravelin-{verb}.1")).collect();
    expected.push(format!("{to}/ravelin.1"));
    written.sort_unstable();
    expected.sort();
    assert_eq!(written, expected);
    for page in written {
        let text = fs::read_to_string(page).expect("a readable page");
        // Lines of examples stay lines.
        assert_eq!(text.matches("\n.nf\n").count(), text.matches("\n.fi\n").count(), "{page}");
        assert!(!text.contains(".SH EXTRA"), "{page}");
        let mut man = Command::new("man");
        man.args(["--local-file", "--warnings", page]).env("MANWIDTH", "100").env("LC_ALL", "C");
        let Ok(output) = man.stdin(Stdio::null()).output() else {
            skipped("pages are not read: man is not installed");
            return;
        };
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{page}: {said}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("SYNOPSIS"), "{page}");
    }
    let page = fs::read_to_string(format!("{to}/ravelin-run.1")).expect("a readable page");
    assert!(page.contains("\n  ravelin run \\-\\-config /etc/ravelin/ravelin.toml\n"), "{page}");
}

#[test]
fn a_directory_that_cannot_be_written_is_73_and_named() {
    let ran = ravelin(&["man", "/proc/ravelin"]);
    assert_eq!((ran.code, ran.out.as_str()), (73, ""));
    assert!(ran.err.starts_with("cannot write /proc/ravelin: "), "{}", ran.err);
}
