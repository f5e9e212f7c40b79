//! Every command of the documentation, as a reader pastes it: real kubectl and helm against a real API server, ravelin
//! as it is built, curl to what serves. What asks a kubelet (`exec`, `logs`, `get pods`) is played by a script in front
//! of kubectl, which runs the same program with the same arguments here.

mod collect;
mod reader;
mod table;

use crate::plane::Plane;
use collect::Pasted;
use reader::Reader;
use table::{COMMANDS, How, how};

#[test]
fn every_command_is_listed_with_how_it_is_tried_and_nothing_else_is() {
    let all = collect::all();
    assert!(all.len() > 100, "only {} commands are found", all.len());
    let unlisted: Vec<String> = all
        .iter()
        .filter(|pasted| how(&pasted.line()).is_none())
        .map(|pasted| format!("{}: {}", pasted.page, pasted.line()))
        .collect();
    assert_eq!(unlisted, [""; 0], "add them to tests/cluster/pasted/table.rs");
    let lines: Vec<String> = all.iter().map(Pasted::line).collect();
    let gone: Vec<&str> = COMMANDS
        .iter()
        .map(|(line, _)| *line)
        .filter(|listed| !lines.iter().any(|line| line == listed))
        .collect();
    assert_eq!(gone, [""; 0], "they are in no page any more");
}

#[test]
fn what_is_not_tried_here_says_why_and_names_tests_that_exist() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for (line, how) in COMMANDS {
        let How::NotHere(why) = how else { continue };
        assert!(why.split_whitespace().count() >= 3, "{line}: {why}");
        let words = why.split([' ', ',', ':']).filter(|word| word.starts_with("tests/"));
        words.for_each(|test| assert!(root.join(test).exists(), "{line}: {test} is not there"));
    }
}

#[test]
fn every_command_that_can_run_here_does() {
    let Some(plane) = Plane::start_for_nodes() else { return };
    let Some(mut reader) = Reader::new(&plane) else { return };
    let mut ran = 0;
    let mut failed = Vec::new();
    for pasted in collect::all() {
        let outcome = match how(&pasted.line()) {
            Some(How::Run(codes)) => reader.paste(&pasted, codes),
            Some(How::Dry) => reader.paste_dry(&pasted),
            Some(How::Serves) => {
                reader.serves(&pasted);
                Ok(())
            }
            Some(How::Visits) => reader.visits(&pasted),
            Some(How::NotHere(_)) | None => continue,
        };
        ran += 1;
        failed.extend(outcome.err());
    }
    assert!(failed.is_empty(), "{} of {ran} fail:\n{}", failed.len(), failed.join("\n"));
    assert!(ran >= 70, "only {ran} commands were run");
}
