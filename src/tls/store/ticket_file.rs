//! The secret behind session tickets in its file: read at the start, made where it may be, and followed.
//!
//! Either the operator names the file, or it is `ticket.key` in the state directory, which the process that comes
//! first makes. Both processes of an upgrade read the same, so that sessions go on at the successor.

use crate::config::Config;
use crate::config::atomic_file::create;
use crate::config::{FileIdentity, Followed};
use crate::pki::certificate::{LoadError, read_bounded};
use crate::tls::{MOST_SECRET_BYTES, SecretError, TicketKeys};
use aws_lc_rs::rand;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Name of the file in the state directory.
const FILE: &str = "ticket.key";

/// Bytes of a secret that is made here, before they are written as hexadecimal digits.
const MADE_BYTES: usize = 32;

/// Why a file holds no secret for tickets. Never a part of the content.
#[derive(Debug, thiserror::Error)]
pub enum TicketFileError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] LoadError),
    /// What is in it is no good.
    #[error("{path:?} {error}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: SecretError,
    },
    /// More than its owner may do too much with it.
    #[error("{path:?} has mode {mode:03o}, and {who}; chmod {right} {path:?}")]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
        /// Who may do what.
        who: &'static str,
        /// What would do.
        right: &'static str,
    },
}

/// The file of the secret, followed.
#[derive(Debug)]
pub(super) struct TicketFile {
    path: PathBuf,
    /// Whether it is that of the state directory, which is ours alone.
    is_ours: bool,
    followed: Followed<FileIdentity>,
}

impl TicketFile {
    /// Puts the secret that the configuration has in force. `None` where it has none, and the process
    /// keeps to secrets of its own.
    ///
    /// # Errors
    /// A file that is there and cannot be used: a process that starts is better not started with it.
    pub(super) fn read(
        config: &Config,
        keys: &TicketKeys,
    ) -> Result<Option<Self>, TicketFileError> {
        let (path, is_ours) = match (&config.ticket_key_file, &config.state) {
            _ if !config.has_tls() => return Ok(None),
            (Some(path), _) => (path.clone(), false),
            (None, Some(state)) => (state.join(FILE), true),
            (None, None) => return Ok(None),
        };
        if is_ours && let Err(error) = make(&path) {
            tracing::warn!(
                ?path,
                %error,
                "the secret of session tickets cannot be stored: sessions end with this process"
            );
            return Ok(None);
        }
        let followed = Followed::new(FileIdentity::of(&path));
        let file = Self { path, is_ours, followed };
        file.load(keys)?;
        Ok(Some(file))
    }

    /// Checks the file; an unusable one leaves the last good secret in force.
    pub(super) fn look(&mut self, keys: &TicketKeys) {
        if !self.followed.is_due(FileIdentity::of(&self.path)) {
            return;
        }
        match self.load(keys) {
            Ok(()) => {
                self.followed.succeed();
                let path = &self.path;
                tracing::info!(?path, "the secret of session tickets can be read again");
            }
            Err(error) => {
                let error = error.to_string();
                if self.followed.fail(&error) {
                    tracing::error!(error, "the last good secret of session tickets is in use");
                }
            }
        }
    }

    /// The file, and whether what is in it now cannot be used.
    pub(super) fn status(&self) -> (Arc<str>, bool) {
        (Arc::from(self.path.to_string_lossy()), self.followed.is_failing())
    }

    fn load(&self, keys: &TicketKeys) -> Result<(), TicketFileError> {
        let path = || self.path.clone();
        let bytes = read_bounded(&self.path)?;
        let found = fs::metadata(&self.path);
        let found = found.map_err(|error| LoadError::File { path: path(), error })?;
        let mode = found.mode() & 0o777;
        // A mounted Secret can be read by the pod's group, and by all of the pod: it is the pod's alone.
        let (refused, who, right) = match self.is_ours {
            true => (0o077, "users other than its owner have access", "600"),
            false => (0o002, "everyone may write to it", "o-w"),
        };
        if mode & refused != 0 {
            return Err(TicketFileError::Mode { path: path(), mode, who, right });
        }
        keys.give(&bytes).map_err(|error| TicketFileError::Content { path: path(), error })
    }
}

/// Makes the file with a new secret, unless it is there: whole, and by one of several that try at once.
fn make(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok() {
        return Ok(());
    }
    let mut secret = [0; MADE_BYTES];
    rand::fill(&mut secret).map_err(|_| io::Error::other("no random numbers"))?;
    let digits: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    debug_assert!(digits.len() <= MOST_SECRET_BYTES);
    create(path, 0o600, |file| writeln!(file, "{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn config(folder: &Path, more: &str) -> Config {
        let text = format!(
            "[[listener]]\nname = \"tls\"\naddress = \"127.0.0.1:0\"\nprotocol = \"https\"\n\
             admit = [\"loopback\"]\n[source]\nkind = \"directory\"\ndirectory = {folder:?}\n{more}"
        );
        Config::parse(&text, "test").expect("a configuration")
    }

    fn named(folder: &Path) -> (PathBuf, Config) {
        let path = folder.join("key");
        let config = config(folder, &format!("[tls]\nticket_key_file = {path:?}\n"));
        (path, config)
    }

    fn keys() -> Arc<TicketKeys> {
        TicketKeys::new().expect("random numbers")
    }

    #[test]
    fn the_state_directory_gets_one_secret_whoever_comes_first() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = config(folder.path(), &format!("[state]\ndirectory = {:?}\n", folder.path()));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let keys = keys();
                    TicketFile::read(&config, &keys).expect("made").expect("a directory");
                    assert!(keys.is_given());
                });
            }
        });
        let path = folder.path().join(FILE);
        let made = fs::read_to_string(&path).expect("it is there");
        assert_eq!(made.trim_end().len(), 2 * MADE_BYTES);
        assert_eq!(fs::metadata(&path).expect("it is there").mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
        TicketFile::read(&config, &keys()).expect("it is there");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), made);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("ours");
        let error = TicketFile::read(&config, &keys()).expect_err("others may read it");
        assert!(error.to_string().contains("mode 640") && error.to_string().contains("chmod 600"));
    }

    #[test]
    fn without_a_file_or_a_directory_for_it_secrets_are_those_of_the_process() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let absent = format!("[state]\ndirectory = {:?}\n", folder.path().join("absent"));
        for more in ["", &absent] {
            let keys = keys();
            let file = TicketFile::read(&config(folder.path(), more), &keys).expect("no error");
            assert!(file.is_none() && !keys.is_given());
        }
    }

    #[test]
    fn a_file_that_is_no_good_is_an_error_that_names_it_and_shows_nothing_of_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (path, config) = named(folder.path());
        let error = || {
            let error = TicketFile::read(&config, &keys()).expect_err("no good").to_string();
            assert!(error.starts_with(&format!("{path:?} ")) && !error.contains("0123"), "{error}");
            error
        };
        assert!(error().contains("cannot be read"));
        fs::write(&path, &SECRET[1..]).expect("a new file");
        assert!(error().contains("31 bytes"));
        fs::write(&path, SECRET).expect("a file");
        fs::set_permissions(&path, Permissions::from_mode(0o666)).expect("ours");
        assert!(error().contains("everyone may write"));
    }

    #[test]
    fn a_file_that_breaks_leaves_its_last_secret_and_is_told_at_the_second_look() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (path, config) = named(folder.path());
        fs::write(&path, SECRET).expect("a new file");
        let keys = keys();
        let mut file = TicketFile::read(&config, &keys).expect("good").expect("named");
        fs::write(&path, "short").expect("a file");
        file.look(&keys);
        assert!(!file.status().1 && keys.is_given());
        file.look(&keys);
        assert!(file.status().1 && keys.is_given());
        fs::write(&path, SECRET.repeat(2)).expect("a file");
        file.look(&keys);
        assert!(!file.status().1);
    }
}
