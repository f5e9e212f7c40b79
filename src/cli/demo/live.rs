//! Tells of edits: which manifest changed, what became of the routes, and what is wrong with it.

use super::pods::Pod;
use super::routes::{difference, lines};
use super::samples::Samples;
use super::{judged, manifests};
use crate::app::App;
use crate::cli::{Failure, say};
use crate::model::{Diagnostic, Severity};
use crate::routing::TableHandle;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

/// How often the folder is looked through: seven files.
const EVERY: Duration = Duration::from_millis(100);

/// How long an edit may take until it is in force.
const IN_FORCE: Duration = Duration::from_secs(5);

/// The thread that tells of edits; it holds the folder.
#[derive(Debug)]
pub(super) struct Live {
    end: Sender<()>,
    thread: JoinHandle<Samples>,
}

impl Live {
    /// Starts it, with what was read before the first edit.
    pub(super) fn start(
        app: &App,
        samples: Samples,
        pods: Vec<Pod>,
        read: &manifests::Read,
    ) -> Result<Self, Failure> {
        let (end, ended) = channel();
        let watch = Watch {
            files: files(&samples.manifests()),
            routes: lines(&read.build.table, &pods),
            findings: mistakes(read),
            tables: app.tables(),
            samples,
            pods,
        };
        let thread =
            thread::Builder::new().name("edits".to_owned()).spawn(move || watch.run(&ended))?;
        Ok(Self { end, thread })
    }

    /// Ends it and removes the folder. Returns what to say of it.
    pub(super) fn end(self) -> String {
        drop(self.end);
        match self.thread.join() {
            Ok(samples) => {
                let folder = samples.folder().to_owned();
                drop(samples);
                match folder.exists() {
                    true => format!("\nThe demo has ended; remove {}.\n", folder.display()),
                    false => format!("\nThe demo has ended; {} is removed.\n", folder.display()),
                }
            }
            Err(_) => "\nThe demo has ended.\n".to_owned(),
        }
    }
}

/// What tells one version of a file from the next.
type Versions = BTreeMap<String, (SystemTime, u64)>;

struct Watch {
    samples: Samples,
    pods: Vec<Pod>,
    tables: TableHandle,
    files: Versions,
    routes: Vec<String>,
    findings: Vec<String>,
}

impl Watch {
    fn run(mut self, ended: &Receiver<()>) -> Samples {
        while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
            let now = files(&self.samples.manifests());
            if now != self.files {
                let changed = changed(&self.files, &now);
                self.files = now;
                self.tell(&changed.join(", "), ended);
            }
        }
        self.samples
    }

    fn tell(&mut self, changed: &str, ended: &Receiver<()>) {
        let Ok(read) = judged(&self.samples) else {
            let _ = say(&format!("{changed}: the manifests cannot be read\n"));
            return;
        };
        let routes = lines(&read.build.table, &self.pods);
        let findings = mistakes(&read);
        let begun = Instant::now();
        let mut in_force = lines(&self.tables.load(), &self.pods);
        while in_force != routes && begun.elapsed() < IN_FORCE {
            // The next edit, or the end, does not wait for this one.
            if ended.recv_timeout(EVERY / 10) != Err(RecvTimeoutError::Timeout)
                || files(&self.samples.manifests()) != self.files
            {
                break;
            }
            in_force = lines(&self.tables.load(), &self.pods);
        }
        let mut told = difference(&self.routes, &in_force);
        if told.is_empty() {
            told.push("the routes are the same".to_owned());
        }
        told.extend(findings.iter().filter(|line| !self.findings.contains(line)).cloned());
        let mended = self.findings.iter().filter(|line| !findings.contains(line));
        told.extend(mended.map(|line| format!("no longer: {line}")));
        let told: String = told.iter().map(|line| format!("  {line}\n")).collect();
        // If standard output is closed, nobody reads it.
        let _ = say(&format!("changed: {changed}\n{told}"));
        (self.routes, self.findings) = (in_force, findings);
    }
}

/// Errors and warnings, as `check` writes them.
pub(super) fn mistakes(read: &manifests::Read) -> Vec<String> {
    let is_mistake = |finding: &&Diagnostic| finding.severity != Severity::Info;
    read.build.findings.iter().filter(is_mistake).map(ToString::to_string).collect()
}

fn files(folder: &Path) -> Versions {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let version = |entry: std::fs::DirEntry| {
        let metadata = entry.metadata().ok()?;
        let name = entry.file_name().into_string().ok()?;
        Some((name, (metadata.modified().ok()?, metadata.len())))
    };
    entries.filter_map(version).collect()
}

/// The names of files that are new, gone or different.
fn changed(old: &Versions, new: &Versions) -> Vec<String> {
    let mut names: Vec<String> = old.keys().chain(new.keys()).cloned().collect();
    names.sort();
    names.dedup();
    names.retain(|name| old.get(name) != new.get(name));
    names
}
