//! The last good list on disk, for the next process.
//!
//! What is read is not trusted: the caller checks it as it does any list.

use super::spec::ListSpec;
use crate::config::atomic_file::replace;
use crate::control::quote::quote;
use crate::control::utc::Utc;
use crate::pki::file::read_up_to;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::path::Path;

/// Name of the file in the state directory.
pub const FILE: &str = "cloudflare-list.json";
/// The same for the further ranges.
pub const EXTRA_FILE: &str = "cloudflare-extra.json";
/// The only format that there has been.
pub(super) const FORMAT: u32 = 1;
/// Largest file, in bytes: twice the most networks at their longest, with their times.
const MOST_BYTES: usize = 512 * 1024;
/// Anybody may read it: it holds public networks, and `explain` runs as somebody else.
const MODE: u32 = 0o644;

/// Why a stored list is not used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// Not what [`save`] writes: truncated, edited, or another file.
    #[error("it is not a list that ravelin stored: {0}")]
    Corrupt(String),
    /// Written by another version.
    #[error("its format is {0}; this version reads {FORMAT}")]
    Format(u32),
    /// Kept under another configuration: that of the file, and that of this process.
    #[error("it is the list of {0}; the configured source is {1}")]
    Foreign(String, String),
}

/// A list that outlives the process, as the file has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredList {
    pub(super) format: u32,
    /// Identifies the source.
    pub source: String,
    /// When the source last confirmed the list.
    pub confirmed: Utc,
    /// When this was written.
    pub saved: Utc,
    /// The last good list.
    pub networks: Vec<IpNet>,
    /// What is about to leave.
    pub leaving: Vec<LeavingNetwork>,
}

/// A network that is no longer listed, and admitted still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeavingNetwork {
    /// The network.
    pub network: IpNet,
    /// When it leaves.
    pub until: Utc,
}

/// Reads the stored list from the state directory. `None` if there is none.
///
/// # Errors
/// Why the file is not used.
pub fn load(directory: &Path, spec: &ListSpec) -> Result<Option<StoredList>, StoreError> {
    let bytes = match read_up_to(&directory.join(spec.file()), MOST_BYTES as u64 + 1) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    if bytes.len() > MOST_BYTES {
        return Err(StoreError::Corrupt(format!("more than {MOST_BYTES} bytes")));
    }
    let stored: StoredList = serde_json::from_slice(&bytes).map_err(|error| {
        StoreError::Corrupt(format!("line {}, column {}", error.line(), error.column()))
    })?;
    if stored.format != FORMAT {
        return Err(StoreError::Format(stored.format));
    }
    let ours = spec.identity();
    if stored.source != ours {
        return Err(StoreError::Foreign(quote(&stored.source), quote(&ours)));
    }
    let mut networks = stored.networks.iter().chain(stored.leaving.iter().map(|it| &it.network));
    match networks.find(|net| net.trunc() != **net) {
        Some(net) => Err(StoreError::Corrupt(format!("{net} has bits behind its prefix"))),
        None => Ok(Some(stored)),
    }
}

/// Stores the list in this file of the state directory.
///
/// # Errors
/// What the file system says; the file that was there is there still.
pub fn save(directory: &Path, file: &str, list: &StoredList) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(list)?;
    text.push(b'\n');
    replace(directory, file, MODE, |file| file.write_all(&text))
}
