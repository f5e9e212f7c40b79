//! A directory of manifests as a source of objects.
//!
//! [`Directory::scan`] compares the files with what was read before and reads those that changed.
//! The module neither waits nor watches: whoever owns the directory says when to look.
//!
//! What was served is given up only for a reason that can be seen. A file that becomes invalid, a
//! file of no bytes (an editor between truncating and writing) and a directory that cannot be read
//! keep what they served, and are reported. A file that is gone, or holds comments alone, takes its
//! objects with it.

mod events;
mod list;
#[cfg(test)]
mod tests;

use super::manifest::{self, Parsed};
use super::objects::{Object, Objects};
use super::reconcile::Wake;
use super::source::{Changes, Source};
use super::translate::validate;
use crate::model::{Kind, ObjectRef, Rejected, Severity, Why};
use std::any::Any;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::time::{Duration, SystemTime};

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
    /// By path: of two files with the same object the first one wins.
    files: BTreeMap<PathBuf, Entry>,
    unreadable: Vec<(PathBuf, String)>,
    objects: Objects,
    findings: Vec<Rejected>,
    /// Objects and findings as of the last look of the reconciler.
    told: (Objects, Vec<Rejected>),
    /// Whether they may be other now.
    untold: bool,
}

/// What is known of one file.
#[derive(Debug, Default)]
struct Entry {
    /// Of what was read last; `None` if it has to be read again anyway.
    stamp: Option<Stamp>,
    /// What is served of it.
    objects: Vec<Object>,
    findings: Vec<Rejected>,
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
            files: BTreeMap::new(),
            unreadable: Vec::new(),
            objects: Objects::default(),
            findings: Vec::new(),
            told: (Objects::default(), Vec::new()),
            untold: false,
        }
    }

    /// Looks for changes and reads the files that have one. Returns whether objects or findings
    /// are now other than before. Blocks on the file system.
    pub fn scan(&mut self) -> bool {
        let list::Listing { files, unreadable } = list::list(&self.paths);
        let known = self.files.len();
        let kept = |path: &Path| unreadable.iter().any(|(root, _)| path.starts_with(root));
        self.files.retain(|path, _| files.contains(path) || kept(path));
        let mut dirty = self.files.len() != known || unreadable != self.unreadable;
        self.unreadable = unreadable;
        for path in files {
            // What is kept out of an unreadable directory is not in this list, and left alone.
            let is_new = !self.files.contains_key(&path);
            let entry = self.files.entry(path.clone()).or_default();
            dirty |= entry.refresh(&path) || is_new;
            if entry.stamp.is_none() && is_gone(&path) {
                // Since it was listed: no file that cannot be read, but one that was removed.
                self.files.remove(&path);
            }
        }
        if !dirty {
            return false;
        }
        let (objects, findings) = self.merge();
        let changed = objects != self.objects || findings != self.findings;
        self.objects = objects;
        self.findings = findings;
        self.untold |= changed;
        changed
    }

    /// The objects of all files as of the last scan.
    pub fn objects(&self) -> Objects {
        self.objects.clone()
    }

    /// What is wrong with the files as of the last scan, sorted: from reading them, from
    /// [`validate`], and objects that several files have. A finding that a translation of the same
    /// objects has too is equal to it in every field, unless its file is not served as it stands.
    pub fn findings(&self) -> Vec<Rejected> {
        self.findings.clone()
    }

    fn merge(&self) -> (Objects, Vec<Rejected>) {
        let mut objects = Objects::default();
        let mut findings = Vec::new();
        for (path, reason) in &self.unreadable {
            let fix = "make it readable; what was served from it still is";
            findings.push(unreadable(path, reason.clone(), fix));
        }
        let mut owners: BTreeMap<ObjectRef, &Path> = BTreeMap::new();
        for (path, entry) in &self.files {
            findings.extend(entry.findings.iter().cloned());
            for object in &entry.objects {
                let identity = object.identity();
                if let Some(owner) = owners.get(&identity) {
                    let (first, second) = (owner.display(), path.display());
                    findings.push(Rejected {
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
        findings.sort();
        findings.dedup();
        (objects, findings)
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
        events::follow(&self.paths, wake).map(|watcher| Box::new(watcher) as Box<dyn Any>)
    }
}

impl Entry {
    /// Reads the file if it is not the version that was read last; returns whether it did.
    fn refresh(&mut self, path: &Path) -> bool {
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
        let Parsed { objects, mut findings } = manifest::parse(&path.to_string_lossy(), &text);
        for object in &objects {
            findings.extend(validate(object));
        }
        let bad = findings.iter().any(|finding| finding.severity == Severity::Error);
        if bad && self.good {
            self.keep(findings);
            return true;
        }
        // A version without objects is nothing that could be kept.
        self.good = !bad && !objects.is_empty();
        self.objects = objects;
        self.findings = findings;
        true
    }

    /// Goes on with what is served, and reports why.
    fn keep(&mut self, mut findings: Vec<Rejected>) {
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
    let text = String::from_utf8(bytes).map_err(|_| io::Error::other("is not UTF-8"))?;
    let age = stamp.modified.and_then(|modified| now.duration_since(modified).ok());
    let settled = age.is_some_and(|age| age >= MIN_AGE);
    Ok(Some((settled.then_some(stamp), text)))
}

fn unreadable(path: &Path, reason: String, fix: &str) -> Rejected {
    Rejected {
        severity: Severity::Error,
        object: ObjectRef::new(Kind::File, "", &path.to_string_lossy()),
        field: String::new(),
        why: Why::Unreadable,
        reason,
        fix: fix.to_owned(),
    }
}
