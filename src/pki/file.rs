//! Files that are read once, within a bound.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Reads a file, at most `most` bytes of it.
///
/// # Errors
/// Where it is no file, or cannot be read.
pub fn read_up_to(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    // Opening a pipe would wait for somebody to write.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a file of at most 1 MiB.
///
/// # Errors
/// Where it is no file, is larger, or cannot be read.
pub fn read_whole(path: &Path) -> io::Result<Vec<u8>> {
    const MOST: u64 = 1 << 20;
    let bytes = read_up_to(path, MOST + 1)?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB"));
    }
    Ok(bytes)
}
