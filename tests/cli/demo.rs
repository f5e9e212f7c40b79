//! The demo does what it prints.

use crate::program::{PATIENCE, await_end, command};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::thread;

/// A demo that has printed its page; ended when dropped.
struct Demo {
    child: Child,
    page: Vec<String>,
}

impl Demo {
    fn start() -> Self {
        let child = command(&["demo", "--port", "0"]).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("the program runs");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            // The test may have seen enough.
            out.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        let mut demo = Self { child, page: Vec::new() };
        while demo.page.last().is_none_or(|line| line != "Ctrl-C ends the demo.") {
            demo.page.push(lines.recv_timeout(PATIENCE).expect("the page comes to its end"));
        }
        demo
    }

    /// The lines to paste, each with the line that it is said to print.
    fn tries(&self) -> Vec<(&str, &str)> {
        let lines = self.page.windows(2).map(|pair| (pair[0].trim(), pair[1].trim()));
        lines.filter(|(line, _)| line.starts_with("curl ")).collect()
    }

    /// The folder with its manifests.
    fn folder(&self) -> &Path {
        let line = self.page.iter().find_map(|line| line.strip_prefix("The manifests are in "));
        let (folder, _) = line.and_then(|line| line.split_once(": ")).expect("it says where");
        Path::new(folder)
    }

    fn terminate(&mut self) -> ExitStatus {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().expect("kill(1) is there");
        assert!(sent.success());
        await_end(&mut self.child)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It has ended already if that was the test. Killed, it would leave its folder behind.
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.terminate();
        }
    }
}

/// What a pasted line prints.
fn paste(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().expect("a shell");
    assert!(output.status.success(), "{line}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn has_curl() -> bool {
    let found = Command::new("curl").arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: curl is not installed");
    }
    found
}

fn assert_keeps_its_word(demo: &Demo) {
    let tries = demo.tries();
    assert!(tries.len() >= 9, "{:#?}", demo.page);
    let (metrics, tries) = tries.split_last().expect("not empty");
    for (line, announced) in tries {
        let printed = paste(line);
        let printed = printed.lines().next().unwrap_or_default();
        // `blue or green: GET /` means either.
        let (names, rest) = announced.split_once(':').unwrap_or((announced, ""));
        let mut names = names.split(" or ");
        assert!(
            names.any(|name| printed == *announced || printed == format!("{name}:{rest}")),
            "{line}\nprints    {printed}\nannounced {announced}"
        );
    }
    let (line, _) = metrics;
    assert!(line.ends_with("/metrics"), "{line}");
    assert!(paste(line).contains("\nravelin_"), "{line} prints no metrics of ours");
}

#[test]
fn every_printed_line_prints_what_is_announced_and_two_demos_do_not_meet() {
    if !has_curl() {
        return;
    }
    let (one, two) = (Demo::start(), Demo::start());
    assert_keeps_its_word(&one);
    assert_keeps_its_word(&two);
    assert_ne!(one.folder(), two.folder());
    for ((line, _), (other, _)) in one.tries().iter().zip(two.tries()) {
        assert_ne!(*line, other, "they have one address");
    }
}

#[test]
fn the_answers_announced_are_of_every_sort() {
    let demo = Demo::start();
    let announced: Vec<&str> = demo.tries().into_iter().map(|(_, announced)| announced).collect();
    // Either of two, in the order of their ports.
    for sort in ["blue: GET ", "admin: GET ", " or ", "503 Service Unavailable"] {
        assert!(announced.iter().any(|line| line.contains(sort)), "{sort}: {announced:#?}");
    }
}

#[test]
fn sigterm_ends_it_well_and_leaves_no_folder() {
    let mut demo = Demo::start();
    let folder = demo.folder().to_owned();
    assert!(folder.join("sites.yaml").is_file(), "{}", folder.display());
    assert_eq!(demo.terminate().code(), Some(0));
    assert!(!folder.exists(), "{} is left", folder.display());
}

#[test]
fn edited_manifests_apply_at_once() {
    if !has_curl() {
        return;
    }
    let demo = Demo::start();
    let (line, announced) = demo.tries()[0];
    assert_eq!((paste(line).lines().next(), announced), (Some(announced), "blue: GET /v1/users"));
    std::fs::remove_file(demo.folder().join("sites.yaml")).expect("it is there");
    // What no rule is for goes to the default backend.
    let started = std::time::Instant::now();
    while paste(line).lines().next() != Some("admin: GET /v1/users") {
        assert!(started.elapsed() < PATIENCE, "the rule stays in force");
    }
}
