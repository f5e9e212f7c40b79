//! Commands of `ravelin` in the documentation: their flags exist.

use crate::program::ravelin;
use std::path::{Path, PathBuf};

/// The Markdown files that users and developers paste from.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
    let mut folders = vec![root.join("deploy"), root.join("config")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of ours").flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|end| end == "md") => found.push(path),
                false => {}
            }
        }
    }
    found
}

/// The lines of all blocks of `sh`, with those that a backslash continues in one, and without comments.
fn commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut block = false;
    let mut begun = String::new();
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with("```") {
            block = line == "```sh";
        } else if let Some(part) = line.strip_suffix('\\').filter(|_| block) {
            begun.push_str(part);
        } else if block {
            let whole = std::mem::take(&mut begun) + line;
            let command = whole.split_once(" #").map_or(whole.as_str(), |(command, _)| command);
            commands.push(command.trim().to_owned());
        }
    }
    commands
}

/// The arguments of each call of `ravelin` in a command.
fn calls(command: &str) -> Vec<Vec<String>> {
    let parts = command.split(['|', '>', ';', '&']);
    let call = |part: &str| {
        let words: Vec<String> = words(part);
        let is_program = |word: &String| {
            ["ravelin", "/ravelin", "target/release/ravelin"].contains(&word.as_str())
        };
        let at = words.iter().rposition(is_program)?;
        // `-u ravelin`, `create namespace ravelin`, `install ravelin`: not the program.
        let leads = |word: &String| word == "--" || word == "sudo" || word == "ravelin";
        let is_call = at == 0 || words[at - 1..at].iter().all(leads);
        is_call.then(|| words[at + 1..].to_vec())
    };
    parts.filter_map(call).collect()
}

/// The words of a command as a shell splits it, without expansions.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (position, part) in command.split(['\'', '"']).enumerate() {
        match position % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

#[test]
fn every_flag_of_a_documented_call_of_ravelin_exists() {
    let mut seen = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).expect("a file of ours");
        for command in commands(&text) {
            for call in calls(&command) {
                // Arguments are parsed in their order, and nothing is run.
                let line: Vec<&str> = call.iter().map(String::as_str).chain(["--help"]).collect();
                let ran = ravelin(&line);
                assert_eq!(ran.code, 0, "{}: {command}\n{}", document.display(), ran.err);
                seen += 1;
            }
        }
    }
    assert!(seen >= 25, "only {seen} calls are found");
}

#[test]
fn a_call_is_found_wherever_a_command_has_it() {
    let found = |command: &str| calls(command).concat().join(" ");
    assert_eq!(found("helm template C | ravelin check -"), "check -");
    assert_eq!(found("kubectl -n ravelin exec POD -- /ravelin probe ready"), "probe ready");
    assert_eq!(found("sudo -u ravelin ravelin probe ready"), "probe ready");
    assert_eq!(found("sudo ravelin man DIR > /dev/null"), "man DIR");
    assert_eq!(found("helm install ravelin deploy/chart"), "");
    assert_eq!(found("kubectl -n ravelin rollout undo ds/ravelin"), "");
    let text = "```sh\nravelin check \\\n  a   # why\n```\nravelin run\n```toml\nravelin x\n```\n";
    assert_eq!(commands(text), ["ravelin check a"]);
}

#[test]
fn a_flag_that_does_not_exist_is_refused_before_the_help() {
    assert_eq!(ravelin(&["check", "--kubecfg", "x", "--help"]).code, 64);
}
