//! Which files there are.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Deepest directory below a given path. A link that points upwards ends here at the latest.
const MAX_DEPTH: usize = 32;

/// Most files of a directory. At 10 000 Ingresses with a file for each of their objects there are
/// 40 000; beyond it somebody has named the wrong directory.
const MAX_FILES: usize = 100_000;

/// What a look at the file system found.
#[derive(Default)]
pub(super) struct Listing {
    /// The manifests, sorted.
    pub(super) files: BTreeSet<PathBuf>,
    /// Paths that could not be looked into, and why. What is known below them may still be there.
    pub(super) unreadable: Vec<(PathBuf, String)>,
}

/// Lists the manifests at and below the paths. A path that is given is taken as it is; below a
/// directory only `*.yaml`, `*.yml` and `*.json` count, and what begins with a dot does not (the
/// `..data` of a ConfigMap, `.git`). Links are followed, because a ConfigMap consists of them.
pub(super) fn list(paths: &[PathBuf]) -> Listing {
    let mut listing = Listing::default();
    for path in paths {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                listing.walk(path, &metadata, &mut Vec::new());
            }
            Ok(_) => listing.add(path.clone()),
            Err(error) => listing.unreadable.push((path.clone(), error.to_string())),
        }
    }
    listing
}

/// Device and inode, which tell one file from another.
pub(super) fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Listing {
    /// `above`: the directories that led here.
    fn walk(&mut self, directory: &Path, metadata: &Metadata, above: &mut Vec<(u64, u64)>) {
        let identity = identity(metadata);
        if above.contains(&identity) {
            return;
        }
        if above.len() >= MAX_DEPTH {
            let reason = format!("is more than {MAX_DEPTH} levels deep");
            return self.unreadable.push((directory.to_owned(), reason));
        }
        above.push(identity);
        if let Err(error) = self.entries(directory, above) {
            self.unreadable.push((directory.to_owned(), error.to_string()));
        }
        above.pop();
    }

    fn entries(&mut self, directory: &Path, above: &mut Vec<(u64, u64)>) -> io::Result<()> {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = entry.path();
            match std::fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => self.walk(&path, &metadata, above),
                Ok(_) if is_manifest(&path) => self.add(path),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    // Or else it was removed between the listing and this.
                    if is_manifest(&path) && path.is_symlink() {
                        self.unreadable.push((path, "is a dangling symbolic link".to_owned()));
                    }
                }
                Err(error) if is_manifest(&path) => {
                    self.unreadable.push((path, error.to_string()));
                }
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn add(&mut self, path: PathBuf) {
        if self.files.len() < MAX_FILES {
            self.files.insert(path);
        } else if !self.unreadable.iter().any(|(_, reason)| reason.starts_with("is beyond")) {
            self.unreadable.push((path, format!("is beyond the first {MAX_FILES} files")));
        }
    }
}

fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    matches!(extension, Some("yaml" | "yml" | "json"))
}
