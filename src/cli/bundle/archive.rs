//! The bundle as a compressed archive, or as files in a directory. Only its owner may read it.

use super::super::{Failure, UNWRITABLE, say};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// The directory within the archive.
const INSIDE: &str = "ravelin-bundle";

/// Files and directories are for their owner alone.
const OWN_FILE: u32 = 0o600;
const OWN_DIRECTORY: u32 = 0o700;

/// Writes the files, and says where. A file that exists is not overwritten.
pub(super) fn write(output: &Path, files: &[(&'static str, String)]) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure {
        code: UNWRITABLE,
        text: format!(
            "cannot write {}: {error}; name a new file, a directory, or - with --output",
            output.display()
        ),
    };
    if output == Path::new("-") {
        return match archived(files).and_then(|bytes| io::stdout().lock().write_all(&bytes)) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(failed(error)),
            _ => Ok(()),
        };
    }
    if output.is_dir() || output.as_os_str().as_encoded_bytes().ends_with(b"/") {
        DirBuilder::new().recursive(true).mode(OWN_DIRECTORY).create(output).map_err(failed)?;
        for (name, text) in files {
            create(&output.join(name), text.as_bytes()).map_err(failed)?;
        }
    } else {
        let bytes = archived(files).map_err(failed)?;
        create(output, &bytes).map_err(failed)?;
    }
    let shown = fs::canonicalize(output).unwrap_or_else(|_| output.to_owned());
    say(&format!(
        "{}\nRead it before you pass it on: README.md lists what is in it.\n",
        shown.display()
    ))
}

fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(OWN_FILE).open(path)?;
    file.write_all(bytes)
}

fn archived(files: &[(&'static str, String)]) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    let time = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(OWN_FILE);
        header.set_mtime(time);
        archive.append_data(&mut header, format!("{INSIDE}/{name}"), text.as_bytes())?;
    }
    archive.into_inner()?.finish()
}
