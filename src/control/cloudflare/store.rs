//! The last good list on disk, for the next process.
//!
//! What is read is not trusted: the caller checks it as it does any list.

use super::life::StoredList;
use crate::config::atomic_file::replace;
use crate::control::quote::quote;
use crate::control::utc::Utc;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

/// Name of the file in the state directory.
pub const FILE: &str = "cloudflare-list.json";
/// The same for the further ranges.
pub const EXTRA_FILE: &str = "cloudflare-extra.json";
/// The only format that there has been.
const FORMAT: u32 = 1;
/// Largest file, in bytes: twice the most networks at their longest, with their times.
const MOST_BYTES: u64 = 512 * 1024;
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
    /// Kept under another configuration.
    #[error("it is the list of {theirs}; the configured source is {ours}")]
    Foreign {
        /// The source in the file.
        theirs: String,
        /// The source that is configured.
        ours: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Document {
    format: u32,
    source: String,
    confirmed: Utc,
    saved: Utc,
    networks: Vec<IpText>,
    leaving: Vec<LeavingText>,
}

#[derive(Serialize, Deserialize)]
struct LeavingText {
    network: IpText,
    until: Utc,
}

/// A network without bits behind its prefix.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct IpText(IpNet);

impl TryFrom<String> for IpText {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let net: IpNet = text.parse().map_err(|_| "not a network")?;
        if net == net.trunc() { Ok(Self(net)) } else { Err("bits behind a prefix") }
    }
}

impl From<IpText> for String {
    fn from(net: IpText) -> Self {
        net.0.to_string()
    }
}

/// Reads the stored list of `source` from this file of the state directory. `None` if there is none.
///
/// # Errors
/// Why the file is not used.
pub fn load(directory: &Path, file: &str, source: &str) -> Result<Option<StoredList>, StoreError> {
    let path = directory.join(file);
    let metadata = match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata?,
    };
    // Opening a pipe would wait for somebody to write.
    if !metadata.is_file() {
        return Err(StoreError::Corrupt("not a file".to_owned()));
    }
    let mut bytes = Vec::new();
    File::open(&path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(StoreError::Corrupt(format!("more than {MOST_BYTES} bytes")));
    }
    let document: Document = serde_json::from_slice(&bytes).map_err(|error| {
        StoreError::Corrupt(format!("line {}, column {}", error.line(), error.column()))
    })?;
    let Document { format, source: theirs, confirmed, saved, networks, leaving } = document;
    if format != FORMAT {
        return Err(StoreError::Format(format));
    }
    if theirs != source {
        return Err(StoreError::Foreign { theirs: quote(&theirs), ours: quote(source) });
    }
    Ok(Some(StoredList {
        confirmed: confirmed.0,
        saved: saved.0,
        listed: networks.iter().map(|net| net.0).collect(),
        leaving: leaving.iter().map(|entry| (entry.network.0, entry.until.0)).collect(),
    }))
}

/// Stores the list of `source` in this file of the state directory.
///
/// # Errors
/// What the file system says; the file that was there is there still.
pub fn save(directory: &Path, file: &str, source: &str, kept: &StoredList) -> io::Result<()> {
    let leaving = kept
        .leaving
        .iter()
        .map(|&(network, until)| LeavingText { network: IpText(network), until: Utc(until) });
    let document = Document {
        format: FORMAT,
        source: source.to_owned(),
        confirmed: Utc(kept.confirmed),
        saved: Utc(kept.saved),
        networks: kept.listed.iter().map(|&net| IpText(net)).collect(),
        leaving: leaving.collect(),
    };
    let mut text = serde_json::to_vec_pretty(&document)?;
    text.push(b'\n');
    replace(directory, file, MODE, |file| file.write_all(&text))
}
