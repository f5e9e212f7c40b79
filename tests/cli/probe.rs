//! `probe`: what the kubelet is told, by exit code and words.

use crate::program::{Ran, await_end, command, config, ravelin};
use crate::running::Running;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;

pub(crate) fn probe(question: &str, socket: &Path) -> Ran {
    ravelin(&["probe", question, "--socket", socket.to_str().expect("UTF-8")])
}

fn said(code: i32, out: &str) -> Ran {
    Ran { code, out: out.to_owned(), err: String::new() }
}

/// What it says where there is no answer, after the path of the socket.
fn unanswered(ran: &Ran, socket: &Path) -> String {
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{}", ran.err);
    let start = format!("no response over {}: ", socket.display());
    ran.err.strip_prefix(&start).unwrap_or_else(|| panic!("{}", ran.err)).to_owned()
}

#[test]
fn a_process_that_serves_is_ready_and_alive() {
    let mut running = Running::start("[cloudflare]\nrefresh = \"off\"\n");
    running.until("admin port");
    assert_eq!(probe("ready", &running.socket()), said(0, "ok\n"));
    assert_eq!(probe("live", &running.socket()), said(0, "ok\n"));
    let file = running.folder.path().join("ravelin.toml");
    let file = file.to_str().expect("UTF-8");
    assert_eq!(ravelin(&["probe", "ready", "--config", file]), said(0, "ok\n"));
}

#[test]
fn a_process_that_is_not_ready_says_why() {
    let mut running = Running::start("[cloudflare]\nconfig_map = \"kube-system/ips/list\"\n");
    running.until("admin port");
    let ran = probe("ready", &running.socket());
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    assert!(ran.out.contains("cloudflare.config_map has not been read"), "{}", ran.out);
    assert_eq!(probe("live", &running.socket()).code, 0);
}

#[test]
fn a_process_that_leaves_is_alive_and_not_ready() {
    let mut running = Running::start("[cloudflare]\nrefresh = \"off\"\n");
    let address = running.listener();
    running.until("admin port");
    // While it is open, and idle for less than `drain_idle`, the process stays. Served once, it is
    // no longer in the queue of the kernel.
    let mut client = TcpStream::connect(address).expect("it listens");
    std::io::Write::write_all(&mut client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("it reads");
    let mut byte = [0];
    std::io::Read::read_exact(&mut client, &mut byte).expect("it answers");
    running.signal("TERM");
    running.until("shutting down");
    // The stage is told to the other threads right after the log is.
    let ready = loop {
        let ran = probe("ready", &running.socket());
        if ran.code != 0 {
            break ran;
        }
    };
    assert_eq!(ready, said(1, "leaving\n"));
    assert_eq!(probe("live", &running.socket()), said(0, "ok\n"));
    drop(client);
    assert!(await_end(&mut running.child).success());
    let why = unanswered(&probe("live", &running.socket()), &running.socket());
    assert!(why.starts_with("No such file or directory"), "{why}");
}

#[test]
fn a_socket_that_is_not_there_is_named() {
    let socket = Path::new("/nonexistent/admin.sock");
    let why = unanswered(&probe("ready", socket), socket);
    assert!(why.ends_with("; ravelin has not started fully, or has exited\n"), "{why}");
}

#[test]
fn what_a_dead_process_left_is_told_apart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("admin.sock");
    drop(UnixListener::bind(&socket).expect("a new socket"));
    let why = unanswered(&probe("ready", &socket), &socket);
    assert!(why.ends_with("; the process that created it has exited\n"), "{why}");
}

#[test]
fn a_process_that_hangs_is_given_up_after_two_seconds() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("admin.sock");
    let _listener = UnixListener::bind(&socket).expect("a new socket");
    let why = unanswered(&probe("live", &socket), &socket);
    assert_eq!(why, "no response within 2 s\n");
}

#[test]
fn who_may_not_open_the_socket_is_told_so() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("admin.sock");
    let _listener = UnixListener::bind(&socket).expect("a new socket");
    let open = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(folder.path(), open(0o755)).expect("ours");
    std::fs::set_permissions(&socket, open(0)).expect("ours");
    let path = socket.to_str().expect("UTF-8");
    let line = ["probe", "live", "--socket", path];
    let root = std::os::unix::fs::MetadataExt::uid(&folder.path().metadata().expect("ours")) == 0;
    let mut command = command(&line);
    if root {
        // Root may open everything.
        command.uid(65532).gid(65532);
    }
    let output = match command.output() {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            eprintln!("skipped: another user cannot reach the program");
            return;
        }
        output => output.expect("the program runs"),
    };
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("Permission denied"), "{said}");
    assert!(said.ends_with("; only its user and root may connect\n"), "{said}");
}

#[test]
fn a_configuration_without_the_socket_is_64() {
    let file = config(
        "[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\n\
         [source]\nkind = \"directory\"\ndirectory = \"x\"\n",
    );
    let ran = ravelin(&["probe", "ready", "--config", file.path().to_str().expect("UTF-8")]);
    assert_eq!((ran.code, ran.out.as_str()), (64, ""));
    assert!(ran.err.starts_with("admin.socket is not set in the configuration"), "{}", ran.err);
}
