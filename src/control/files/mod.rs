//! A directory of manifests as a source of objects.
//!
//! [`Directory::scan`] compares the files with the previous scan and reads those that changed. The module
//! neither waits nor watches: its owner decides when to scan.
//!
//! Objects are removed only for a visible reason. A file that becomes invalid, an empty file (an editor
//! between truncating and writing) and an unreadable directory keep their last good objects and are
//! reported. A file that is deleted, or that has only comments, takes its objects with it.

mod beside;
mod list;
mod surroundings;
#[cfg(test)]
mod tests;

pub use beside::judge_beside;
pub use surroundings::{Surroundings, around_cluster};

use super::file_events::follow;
use super::manifest::{self, Note, ParsedManifests, Purpose};
use super::objects::{Object, Objects};
use super::source::{Changes, Source, Wake};
use super::translate::validate;
use crate::model::{Diagnostic, Kind, ObjectRef, Severity, Why};
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::time::{Duration, SystemTime};
use surroundings::{Gathered, gather};

/// Largest file that is read, in bytes. etcd takes objects of 1.5 MiB, and a file of a few thousand
/// Ingresses has about 8 MiB; what is larger is no manifest.
pub const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// A file may be written again within one tick of its file system's clock, with no change of its
/// time stamp. One that is younger than this is read again at the next scan. 2 s is the coarsest
/// clock in use (FAT; NFS and ext3 have 1 s).
const MIN_AGE: Duration = Duration::from_secs(2);

/// One or more files or directories of manifests.
#[derive(Debug)]
pub struct Directory {
    paths: Vec<PathBuf>,
    purpose: Purpose,
    /// By path: of two files with the same object the first one wins.
    files: BTreeMap<PathBuf, Entry>,
    unreadable: Vec<(PathBuf, String)>,
    objects: Objects,
    findings: Vec<Diagnostic>,
    surroundings: Surroundings,
    /// Objects and findings as of the last scan of the reconciler.
    told: (Objects, Vec<Diagnostic>),
    /// Whether they may be other now.
    untold: bool,
}

/// State of one file.
#[derive(Debug, Default)]
struct Entry {
    /// The identity of the last read; `None` if the file has to be read again anyway.
    stamp: Option<Stamp>,
    /// The parts that are served.
    objects: Vec<Object>,
    findings: Vec<Diagnostic>,
    /// Its parts that are not ours.
    notes: Vec<Note>,
    /// Whether `objects` come from a version without errors.
    good: bool,
}

/// Tells versions of a file apart. The inode, because a ConfigMap is updated by pointing a link at
/// another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    len: u64,
    file: (u64, u64),
}

impl Directory {
    /// Takes the paths of files or directories. Reads nothing yet: see [`Directory::scan`].
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            paths: paths.into_iter().collect(),
            purpose: Purpose::Serve,
            files: BTreeMap::new(),
            unreadable: Vec::new(),
            objects: Objects::default(),
            findings: Vec::new(),
            surroundings: Surroundings::default(),
            told: (Objects::default(), Vec::new()),
            untold: false,
        }
    }

    /// The same, for a verdict on what is not applied yet.
    pub fn to_judge(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { purpose: Purpose::Judge, ..Self::new(paths) }
    }

    /// Adds a text as a file of this name, which the next scan forgets.
    pub fn add_text(&mut self, name: &str, text: &str) {
        let path = PathBuf::from(name);
        let mut entry = Entry::default();
        entry.take(&path, text, self.purpose);
        self.files.insert(path, entry);
        self.merge();
    }

    /// Polls for changes and reads the files that changed. Returns whether objects or findings changed.
    /// Blocks on the file system.
    pub fn scan(&mut self) -> bool {
        let list::Listing { files, unreadable } = list::list(&self.paths);
        let known = self.files.len();
        let kept = |path: &Path| unreadable.iter().any(|(root, _)| path.starts_with(root));
        self.files.retain(|path, _| files.contains(path) || kept(path));
        let mut dirty = self.files.len() != known || unreadable != self.unreadable;
        self.unreadable = unreadable;
        for path in files {
            // Objects kept for an unreadable directory are not in this list, and stay.
            let is_new = !self.files.contains_key(&path);
            let entry = self.files.entry(path.clone()).or_default();
            dirty |= entry.refresh(&path, self.purpose) || is_new;
            if entry.stamp.is_none() && is_gone(&path) {
                // Since it was listed: no file that cannot be read, but one that was removed.
                self.files.remove(&path);
            }
        }
        if !dirty {
            return false;
        }
        self.merge()
    }

    /// The objects of all files as of the last scan.
    pub fn objects(&self) -> Objects {
        self.objects.clone()
    }

    /// What is wrong with the files as of the last scan, sorted: from reading them, from
    /// [`validate`], and objects that several files have. A finding that a translation of the same
    /// objects has too is equal to it in every field, unless its file is not served as it is.
    pub fn findings(&self) -> Vec<Diagnostic> {
        self.findings.clone()
    }

    /// The surroundings of the objects as of the last scan.
    pub fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// Puts together what is known of the files. Says whether it is other than before.
    fn merge(&mut self) -> bool {
        let notes = self.files.iter().map(|(path, entry)| (&**path, &entry.notes[..]));
        let Gathered { surroundings, mut findings, patches, kustomized } = gather(notes);
        let objects = self.join(&patches, kustomized, &mut findings);
        findings.sort();
        findings.dedup();
        let changed = objects != self.objects || findings != self.findings;
        (self.objects, self.findings, self.surroundings) = (objects, findings, surroundings);
        self.untold |= changed;
        changed
    }

    /// The objects of all files but `patches`. Where kustomize is to make others of them, one that is
    /// in several files is nothing to be told.
    fn join(
        &self,
        patches: &BTreeSet<PathBuf>,
        kustomized: bool,
        findings: &mut Vec<Diagnostic>,
    ) -> Objects {
        let mut objects = Objects::default();
        for (path, reason) in &self.unreadable {
            let fix = "make it readable; its last good content is still served";
            findings.push(unreadable(path, reason.clone(), fix));
        }
        let mut owners: BTreeMap<ObjectRef, &Path> = BTreeMap::new();
        for (path, entry) in self.files.iter().filter(|(path, _)| !patches.contains(*path)) {
            findings.extend(entry.findings.iter().cloned());
            for object in &entry.objects {
                let identity = object.identity();
                if let Some(owner) = owners.get(&identity) {
                    if kustomized {
                        continue;
                    }
                    let (first, second) = (owner.display(), path.display());
                    findings.push(Diagnostic {
                        severity: Severity::Warning,
                        object: identity,
                        field: String::new(),
                        why: Why::Duplicate,
                        reason: format!("is in {first} and in {second}; the first is used"),
                        fix: "remove one of the two".to_owned(),
                    });
                } else {
                    owners.insert(identity, path);
                    objects.insert(object.clone());
                }
            }
        }
        objects
    }
}

impl Source for Directory {
    fn look(&mut self) -> Option<Changes> {
        self.scan();
        if !std::mem::take(&mut self.untold) {
            return None;
        }
        // Objects of files that were not read again are the same by their pointers.
        let objects = self.objects.changes_from(&self.told.0);
        let findings = (self.findings != self.told.1).then(|| self.findings.clone());
        self.told = (self.objects.clone(), self.findings.clone());
        Some(Changes { objects, findings })
    }

    fn follow(&self, wake: Sender<Wake>) -> Option<Box<dyn Any>> {
        let changed = move || {
            // The receiver is gone only when the process is leaving.
            let _ = wake.send(Wake::Change);
        };
        follow(&self.paths, changed).map(|watcher| Box::new(watcher) as Box<dyn Any>)
    }
}

impl Entry {
    /// Reads the file if it is not the version that was read last; returns whether it did.
    fn refresh(&mut self, path: &Path, purpose: Purpose) -> bool {
        let (stamp, text) = match read(path, self.stamp) {
            Ok(None) => return false,
            Ok(Some(read)) => read,
            Err(error) => {
                self.stamp = None;
                let fix = "make it readable, or remove it";
                self.keep(vec![unreadable(path, error.to_string(), fix)]);
                return true;
            }
        };
        self.stamp = stamp;
        if text.is_empty() && !self.objects.is_empty() {
            let fix = "remove the file to remove its objects";
            self.keep(vec![unreadable(path, "has become empty".to_owned(), fix)]);
            return true;
        }
        self.take(path, &text, purpose);
        true
    }

    fn take(&mut self, path: &Path, text: &str, purpose: Purpose) {
        let ParsedManifests { objects, mut findings, notes } =
            manifest::parse_for(purpose, &path.to_string_lossy(), text);
        for object in &objects {
            findings.extend(validate(object));
        }
        let is_lost = |finding: &Diagnostic| {
            finding.severity == Severity::Error || finding.why == Why::Unreadable
        };
        let bad = findings.iter().any(is_lost) || notes.contains(&Note::Template);
        self.notes = notes;
        if bad && self.good {
            return self.keep(findings);
        }
        // A version without objects is nothing that could be kept.
        self.good = !bad && !objects.is_empty();
        self.objects = objects;
        self.findings = findings;
    }

    /// Goes on with what is served, and reports why.
    fn keep(&mut self, mut findings: Vec<Diagnostic>) {
        if !self.objects.is_empty() {
            for finding in &mut findings {
                if finding.severity == Severity::Error {
                    finding.reason.push_str("; the last good version of the file is still served");
                }
            }
        }
        self.findings = findings;
    }
}

/// Every manifest at and below the paths as text, for a reader of what is not an object of ravelin: `check` of the
/// same paths reports those that cannot be read.
pub fn texts(paths: &[PathBuf]) -> Vec<(PathBuf, String)> {
    let files = list::list(paths).files.into_iter();
    let text = |path: &Path| Some(read(path, None).ok()??.1);
    files.filter_map(|path| text(&path).map(|text| (path, text))).collect()
}

/// Whether nothing has this name any more. A link that leads nowhere is still there.
fn is_gone(path: &Path) -> bool {
    let found = std::fs::symlink_metadata(path);
    found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Reads a file whose stamp is not `known`, with its stamp.
fn read(path: &Path, known: Option<Stamp>) -> io::Result<Option<(Option<Stamp>, String)>> {
    // Not `File::open` first: that would wait for the writer of a named pipe.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("is not a regular file"));
    }
    let now = SystemTime::now();
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let stamp = Stamp {
        modified: metadata.modified().ok(),
        len: metadata.len(),
        file: list::identity(&metadata),
    };
    if known == Some(stamp) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other("is larger than 16 MiB"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let is_utf16 = matches!(error.as_bytes(), [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
        io::Error::other(if is_utf16 { "is UTF-16, not UTF-8" } else { "is not UTF-8" })
    })?;
    let age = stamp.modified.and_then(|modified| now.duration_since(modified).ok());
    let settled = age.is_some_and(|age| age >= MIN_AGE);
    Ok(Some((settled.then_some(stamp), text)))
}

fn unreadable(path: &Path, reason: String, fix: &str) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        object: ObjectRef::new(Kind::File, "", &path.to_string_lossy()),
        field: String::new(),
        why: Why::Unreadable,
        reason,
        fix: fix.to_owned(),
    }
}
