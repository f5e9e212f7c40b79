//! A listening socket in the file system, for the probes of the kubelet: `ravelin probe` runs in the
//! pod's own container, and meets this process and no other one that shares the node's ports.
//!
//! The file appears in one step and listens from the first moment; a process that comes later to the same
//! path takes the name over: at once, or when it says so. It can be opened by our user alone, and goes when we go.

use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::{UnixListener, UnixStream};

/// Maximum of waiting connections. A probe comes every few seconds.
const BACKLOG: i32 = 64;

/// Appended to the path while the socket is made: four bytes, for which
/// [`crate::config::SOCKET_PATH_BYTES`] leaves room.
const ASIDE: &str = ".new";

/// Why the socket cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("admin.socket {path:?}: {problem}")]
pub struct LocalError {
    /// As configured.
    path: PathBuf,
    /// The problem, and what to do.
    problem: String,
}

/// A listening Unix socket without an acceptor yet.
#[derive(Debug)]
pub struct LocalListening {
    socket: Socket,
    name: Arc<LocalName>,
}

/// Binds the socket and replaces an existing one: left by a dead process, or still served by the
/// predecessor.
///
/// # Errors
/// Anything else than a socket has this name, or the directory cannot be written.
pub fn bind_local(path: &Path) -> Result<LocalListening, LocalError> {
    let listening = bind_local_aside(path)?;
    let wrong = |error: io::Error| wrong(path, &error);
    listening.name.take_over().map_err(wrong)?;
    Ok(listening)
}

/// Makes the socket, under a name next to its final one: the process that answers there keeps doing so until
/// [`LocalName::take_over`].
///
/// # Errors
/// As [`bind_local`].
pub fn bind_local_aside(path: &Path) -> Result<LocalListening, LocalError> {
    match fs::symlink_metadata(path) {
        Ok(there) if !there.file_type().is_socket() => {
            let problem = "exists and is not a socket; use another path".to_owned();
            return Err(LocalError { path: path.to_owned(), problem });
        }
        _ => {}
    }
    make(path).map_err(|error| wrong(path, &error))
}

fn wrong(path: &Path, error: &io::Error) -> LocalError {
    let problem = format!("{error}; use a path in a directory of its own");
    LocalError { path: path.to_owned(), problem }
}

fn make(path: &Path) -> io::Result<LocalListening> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(ASIDE);
    let aside = PathBuf::from(aside);
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(&aside)?)?;
    // Before it listens: until then nobody can connect, whatever the umask was.
    fs::set_permissions(&aside, Permissions::from_mode(0o600))?;
    socket.listen(BACKLOG)?;
    let file = identity(&aside)?;
    let (path, is_taken) = (path.to_owned(), AtomicBool::new(false));
    Ok(LocalListening { socket, name: Arc::new(LocalName { path, aside, file, is_taken }) })
}

/// Which file a path names: device and inode.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

impl LocalListening {
    /// The name of the socket.
    pub fn name(&self) -> Arc<LocalName> {
        Arc::clone(&self.name)
    }

    /// Hands the socket to the runtime within which this is called.
    pub fn accept_here(self) -> io::Result<LocalAccepting> {
        let Self { socket, name } = self;
        Ok(LocalAccepting { socket: UnixListener::from_std(socket.into())?, _name: name })
    }
}

/// A Unix socket with its acceptor. Closed and removed on drop.
#[derive(Debug)]
pub struct LocalAccepting {
    socket: UnixListener,
    _name: Arc<LocalName>,
}

impl LocalAccepting {
    /// The next connection.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        self.socket.accept().await.map(|(stream, _)| stream)
    }
}

/// The name of our socket, removed when dropped, unless it is a successor's by now.
#[derive(Debug)]
pub struct LocalName {
    path: PathBuf,
    /// Where it was made.
    aside: PathBuf,
    file: (u64, u64),
    is_taken: AtomicBool,
}

impl LocalName {
    /// Moves the socket to its path in one step; new connections there reach this process.
    ///
    /// # Errors
    /// What the file system says, or that somebody else has made a socket for the same path meanwhile.
    pub fn take_over(&self) -> io::Result<()> {
        if identity(&self.aside)? != self.file {
            return Err(io::Error::other("another process uses the same path"));
        }
        fs::rename(&self.aside, &self.path)?;
        self.is_taken.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for LocalName {
    fn drop(&mut self) {
        let path = if *self.is_taken.get_mut() { &self.path } else { &self.aside };
        if identity(path).is_ok_and(|file| file == self.file) {
            // The next process replaces it if it is left over.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SOCKET_PATH_BYTES;
    use std::os::unix::net::UnixStream;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    #[test]
    fn the_socket_is_for_our_user_alone_and_goes_with_us() {
        let folder = folder();
        let path = folder.path().join("admin.sock");
        let listening = bind_local(&path).expect("a writable folder");
        let mode = fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        UnixStream::connect(&path).expect("it listens");
        drop(listening);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn what_a_dead_process_left_is_replaced() {
        let folder = folder();
        let path = folder.path().join("admin.sock");
        // Closed, but not removed.
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a new socket"));
        fs::write(folder.path().join("admin.sock.new"), "").expect("a new file");
        let _listening = bind_local(&path).expect("it was left over");
        UnixStream::connect(&path).expect("it listens");
    }

    #[test]
    fn a_successor_takes_the_name_and_keeps_it() {
        let folder = folder();
        let path = folder.path().join("admin.sock");
        let old = bind_local(&path).expect("a writable folder");
        let new = bind_local(&path).expect("the name is taken over");
        drop(old);
        UnixStream::connect(&path).expect("the new one listens");
        drop(new);
        assert!(!path.exists());
    }

    #[test]
    fn who_waits_beside_takes_the_name_when_it_says_so_or_leaves_nothing() {
        let folder = folder();
        let path = folder.path().join("admin.sock");
        let old = bind_local(&path).expect("a writable folder");
        let own = identity(&path).expect("it is there");
        drop(bind_local_aside(&path).expect("beside it"));
        assert_eq!(identity(&path).expect("it is there"), own);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
        let new = bind_local_aside(&path).expect("beside it");
        new.name().take_over().expect("nobody else wants it");
        assert_ne!(identity(&path).expect("it is there"), own);
        drop(old);
        UnixStream::connect(&path).expect("the new one listens");
        let late = bind_local_aside(&path).expect("beside it");
        let _last = bind_local_aside(&path).expect("in its place");
        late.name().take_over().expect_err("somebody else is there");
    }

    #[test]
    fn what_is_no_socket_is_left_alone_and_named() {
        let folder = folder();
        let path = folder.path().join("admin.sock");
        fs::write(&path, "mine").expect("a new file");
        let error = bind_local(&path).expect_err("it is a file").to_string();
        assert!(error.starts_with("admin.socket ") && error.contains("not a socket"), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "mine");
        let absent = folder.path().join("absent/admin.sock");
        let error = bind_local(&absent).expect_err("there is no folder").to_string();
        assert!(error.contains("No such file or directory"), "{error}");
    }

    #[test]
    fn the_longest_path_is_just_short_enough() {
        let folder = folder();
        let left = SOCKET_PATH_BYTES - folder.path().as_os_str().len() - 1;
        bind_local(&folder.path().join("x".repeat(left))).expect("it fits");
        bind_local(&folder.path().join("x".repeat(left + 1))).expect_err("one byte too long");
    }
}
