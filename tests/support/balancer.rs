//! HAProxy and nginx as TCP balancers that send the header.

use crate::{eventually, program, skipped};
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A running balancer; killed when dropped.
pub(crate) struct Balancer {
    child: Child,
    addr: SocketAddr,
    _folder: TempDir,
}

impl Balancer {
    /// Starts a program that listens on a free port of `bind`, with the arguments that `prepare`
    /// makes for it.
    fn start(
        binary: &Path,
        bind: &str,
        prepare: impl Fn(&Path, SocketAddr) -> Vec<PathBuf>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Somebody may take the port before the program does: it gives up, and we take another.
        for _ in 0..10 {
            let free = TcpListener::bind(format!("{bind}:0")).and_then(|l| l.local_addr());
            let addr = free.expect("a free port");
            let mut child = Command::new(binary)
                .args(prepare(folder.path(), addr))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("it can be run");
            let up = eventually("the balancer is up or gone", || {
                if child.try_wait().expect("our child").is_some() {
                    return Some(false);
                }
                TcpStream::connect(addr).ok().map(|_| true)
            });
            if up && child.try_wait().expect("our child").is_none() {
                return Self { child, addr: canonical(addr), _folder: folder };
            }
        }
        panic!("{} does not start", binary.display());
    }

    /// Where clients connect, an IPv4-mapped address as IPv4.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What HAProxy is to do.
pub(crate) struct HaProxy<'t> {
    /// The one server behind it.
    pub(crate) to: SocketAddr,
    /// Its address.
    pub(crate) bind: &'t str,
    /// Another line of the frontend.
    pub(crate) bind_too: &'t str,
    /// Of the `server` line.
    pub(crate) options: &'t str,
}

impl HaProxy<'_> {
    /// Starts it, or says that it is not installed.
    pub(crate) fn start(&self) -> Option<Balancer> {
        let binary = program("haproxy")?;
        let Self { to, bind, bind_too, options } = self;
        Some(Balancer::start(&binary, bind, |folder, addr| {
            let config = folder.join("haproxy.cfg");
            let text = format!(
                "global\n maxconn 50\n\
                 defaults\n mode tcp\n timeout connect 20s\n timeout client 20s\n \
                 timeout server 20s\n unique-id-format %[uuid]\n\
                 frontend front\n bind {addr}\n {bind_too}\n default_backend back\n\
                 backend back\n server only {to} {options}\n"
            );
            fs::write(&config, text).expect("a new file");
            vec!["-db".into(), "-f".into(), config]
        }))
    }
}

/// Starts nginx with its stream module, or says what is not installed.
pub(crate) fn nginx(to: SocketAddr) -> Option<Balancer> {
    let binary = program("nginx")?;
    let Some(load) = stream_module(&binary) else {
        skipped("nginx has no stream module");
        return None;
    };
    Some(Balancer::start(&binary, "127.0.0.1", |folder, addr| {
        let config = folder.join("nginx.conf");
        let folder = folder.display();
        let text = format!(
            "{load}daemon off;\nmaster_process off;\npid {folder}/pid;\n\
             error_log {folder}/error.log;\nevents {{ worker_connections 256; }}\n\
             stream {{ server {{ listen {addr}; proxy_pass {to}; proxy_protocol on; }} }}\n"
        );
        fs::write(&config, text).expect("a new file");
        vec!["-p".into(), config.with_file_name(""), "-c".into(), config]
    }))
}

/// The line that loads the module, empty where it is built in; `None` where there is none.
fn stream_module(nginx: &Path) -> Option<String> {
    let output = Command::new(nginx).arg("-V").output().expect("it can be run");
    let arguments = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut arguments = arguments.split_whitespace();
    if arguments.clone().any(|argument| argument == "--with-stream") {
        return Some(String::new());
    }
    let folder = arguments.find_map(|argument| argument.strip_prefix("--modules-path="))?;
    let module = Path::new(folder).join("ngx_stream_module.so");
    module.is_file().then(|| format!("load_module {};\n", module.display()))
}

/// The same address in one form.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
