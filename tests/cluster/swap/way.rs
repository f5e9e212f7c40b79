//! COMMANDS.md as its reader walks it: step by step, and counted.

use super::kubelet::say;
use super::objects;
use crate::edge::program;
use crate::plane::Plane;
use std::cell::{Cell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use tempfile::TempDir;

/// The directory that `migrate --write` has filled, and how far its reader is.
pub(super) struct Way<'t> {
    plane: &'t Plane,
    _folder: TempDir,
    pub(super) mine: PathBuf,
    page: String,
    commands: Cell<usize>,
    walked: RefCell<Vec<String>>,
    begun: Cell<Instant>,
}

impl<'t> Way<'t> {
    /// Writes the overlay for a fixture, beside a copy of `deploy/`.
    pub(super) fn write(plane: &'t Plane, fixture: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
        let copied =
            Command::new("cp").arg("-r").arg(from).arg(folder.path().join("deploy")).status();
        assert!(copied.expect("cp runs").success());
        let mine = folder.path().join("deploy/overlays/mine");
        let mut command = Command::new(program());
        command.arg("migrate").arg(objects::folder(fixture)).arg("--write").arg(&mine);
        let output = command.output().expect("the program runs");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code().is_some_and(|code| code <= 2), "{err}");
        let page = fs::read_to_string(mine.join("COMMANDS.md")).expect("it was written");
        let (commands, walked) = (Cell::new(0), RefCell::default());
        let begun = Cell::new(Instant::now());
        Self { plane, _folder: folder, mine, page, commands, walked, begun }
    }

    /// Runs the commands of a step.
    pub(super) fn step(&self, title: &str) {
        let (_, script) = self.section(title).split_once("```sh\n").expect("commands");
        self.run(title, script.split_once("\n```").expect("an end").0);
    }

    /// A step whose command runs in a pod: nothing here enters one. tests/traefik compares both by that command.
    pub(super) fn in_pod(&self, title: &str) {
        assert!(self.section(title).contains(" exec ds/ravelin -- "), "{title} enters no pod");
        self.count(title);
    }

    /// A step that is not done by a command has been done.
    pub(super) fn act(&self, title: &str) {
        assert!(!self.section(title).contains("```sh"), "{title} has commands");
        self.count(title);
    }

    /// Runs a command of "All the way back" that begins so.
    pub(super) fn back(&self, begins: &str) {
        let mut commands = self.way_back().split('`').skip(1).step_by(2);
        let command = commands.find(|command| command.starts_with(begins));
        let command = command.unwrap_or_else(|| panic!("no {begins:?}: {}", self.page));
        self.run("back", command);
    }

    /// Something else that it says has been done.
    pub(super) fn act_back(&self, says: &str) {
        assert!(self.way_back().contains(says), "no {says:?}: {}", self.page);
        self.count(says);
    }

    fn way_back(&self) -> &str {
        self.page.split_once("## All the way back").expect("a way back").1
    }

    fn section(&self, title: &str) -> &str {
        let all = self.page.split("\n## ").skip(1);
        let step = all.into_iter().find(|step| step.contains(&format!(". {title}")));
        step.unwrap_or_else(|| panic!("no step {title:?}:\n{}", self.page))
    }

    fn run(&self, title: &str, script: &str) {
        let path = format!("export PATH={}/bin:$PATH\n", self.mine.display());
        self.plane.shell(&self.mine, &(path + script));
        self.count(title);
    }

    fn count(&self, title: &str) {
        say(title);
        self.commands.set(self.commands.get() + 1);
        self.walked.borrow_mut().push(title.to_owned());
    }

    /// The steps of the page.
    fn steps(&self) -> impl Iterator<Item = &str> {
        let all = self.page.split("\n## ").skip(1);
        all.filter(|step| step.starts_with(|letter: char| letter.is_ascii_digit()))
    }

    /// Checks that every step of the page has been walked.
    pub(super) fn is_walked(&self) {
        let walked = self.walked.borrow();
        assert!(self.steps().count() <= 10);
        for step in self.steps() {
            assert!(walked.iter().any(|title| step.contains(title)), "not walked: {step}");
        }
    }

    /// Commands and seconds since the last time this was asked.
    pub(super) fn since(&self) -> (usize, f64) {
        let told = (self.commands.replace(0), self.begun.get().elapsed().as_secs_f64());
        self.begun.set(Instant::now());
        told
    }
}
