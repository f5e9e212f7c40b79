//! The file in the state directory: who may have written it, and who may read it.

use super::format::{self, StateFileError, StateFileHeader};
use crate::config::atomic_file::replace;
use crate::control::objects::{Object, Objects};
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Name of the file in the state directory.
pub const FILE: &str = "last-good.jsonl";

/// Nobody else reads it: it names every route, and may hold keys.
const MODE: u32 = 0o600;

/// The stored state.
#[derive(Debug)]
pub struct LastGood {
    /// The header of the file.
    pub header: StateFileHeader,
    /// The objects, as they were in memory except for the content of Secrets.
    pub objects: Vec<Object>,
    /// Whether users other than the owner could read the file. The mode is corrected.
    pub exposed: bool,
}

/// Reads the stored state. `None` if there is none.
///
/// A file that others may write into, or that is somebody else's, is refused: its content would be
/// served. One that others may read is used and closed for them, because what they have read they
/// have.
///
/// # Errors
/// Why the file is not used.
pub fn load(directory: &Path) -> Result<Option<LastGood>, StateFileError> {
    // Neither a link, which leads out of the directory, nor a pipe, which would be waited for.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(directory.join(FILE));
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
            return Err(StateFileError::NotAFile);
        }
        Err(error) => return Err(error.into()),
    };
    let exposed = admit(&file)?;
    let (header, objects) = format::read(&file)?;
    Ok(Some(LastGood { header, objects, exposed }))
}

/// Whether the file is ours. Returns whether others could read it.
fn admit(file: &File) -> Result<bool, StateFileError> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(StateFileError::NotAFile);
    }
    let (theirs, ours) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if theirs != ours {
        return Err(StateFileError::Owner { theirs, ours });
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o022 != 0 {
        return Err(StateFileError::Writable(mode));
    }
    let exposed = mode & 0o077 != 0;
    if exposed {
        file.set_permissions(Permissions::from_mode(MODE))?;
    }
    Ok(exposed)
}

/// Stores these objects in place of the previous ones.
///
/// # Errors
/// What the file system says, or that there is too much; the file that was there is there still.
pub fn save(directory: &Path, header: &StateFileHeader, objects: &Objects) -> io::Result<()> {
    replace(directory, FILE, MODE, |file| format::write(file, header, objects))
}
