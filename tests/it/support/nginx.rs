//! Debian's nginx, as a backend or as the proxy beside ravelin: a server that nobody wrote for these tests.

use super::{eventually, program};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A running nginx; killed when dropped.
pub(crate) struct Nginx {
    child: Child,
    folder: TempDir,
    addr: SocketAddr,
}

impl Nginx {
    /// Starts it with these directives in its `server` block, or says that it is not installed.
    pub(crate) fn start(server: &str) -> Option<Self> {
        Self::start_with("", server)
    }

    /// The same with further directives in its `http` block.
    pub(crate) fn start_with(http: &str, server: &str) -> Option<Self> {
        let binary = program("nginx")?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("html")).expect("a new folder");
        // Somebody may take the port before nginx does: it gives up, and we take another.
        for _ in 0..10 {
            let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
            let addr = free.expect("a free port");
            let config = folder.path().join("nginx.conf");
            fs::write(&config, text(folder.path(), addr, http, server)).expect("a new file");
            let mut child = Command::new(&binary)
                .arg("-p")
                .arg(folder.path())
                .arg("-c")
                .arg(&config)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("it can be run");
            let up = eventually("nginx is up or gone", || {
                if child.try_wait().expect("our child").is_some() {
                    return Some(false);
                }
                // Written once it listens. To connect says less: it tries for two seconds to get a port that somebody
                // else has, and it is that one who would be met.
                folder.path().join("pid").exists().then_some(true)
            });
            if up {
                return Some(Self { child, folder, addr });
            }
        }
        panic!("nginx does not start in {}", folder.path().display());
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its document root.
    pub(crate) fn root(&self) -> std::path::PathBuf {
        self.folder.path().join("html")
    }
}

fn text(folder: &Path, addr: SocketAddr, http: &str, server: &str) -> String {
    let folder = folder.display();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/error.log;\n\
         events {{ worker_connections 256; }}\n\
         http {{\n\
           access_log off;\n\
           client_body_temp_path {folder}/body;\nproxy_temp_path {folder}/proxy;\n\
           fastcgi_temp_path {folder}/fastcgi;\nuwsgi_temp_path {folder}/uwsgi;\n\
           scgi_temp_path {folder}/scgi;\n\
           client_max_body_size 0;\n{http}\n\
           server {{ listen {addr}; root {folder}/html; {server} }}\n\
         }}\n"
    )
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
