//! Behind HAProxy and nginx, with curl as their client.

use crate::support::{Edge, Upstream, edge_to, eventually, program, skipped};
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A running balancer; killed when dropped.
struct Balancer {
    child: Child,
    addr: SocketAddr,
    _folder: TempDir,
}

impl Balancer {
    /// Starts a program with a configuration for the address where it is to listen.
    fn start(
        binary: &Path,
        options: &[&str],
        config: impl Fn(&Path, SocketAddr) -> String,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Somebody may take the port before the program does: it gives up, and we take another.
        for _ in 0..10 {
            let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
            let addr = free.expect("a free port");
            let file = folder.path().join("balancer.conf");
            fs::write(&file, config(folder.path(), addr)).expect("a new file");
            let mut child = Command::new(binary)
                .args(options)
                .arg(&file)
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
                return Self { child, addr, _folder: folder };
            }
        }
        panic!("{} does not start", binary.display());
    }

    /// HAProxy with one server, or it says that it is not installed.
    fn haproxy(server: SocketAddr, options: &str) -> Option<Self> {
        let binary = program("haproxy")?;
        Some(Self::start(&binary, &["-db", "-f"], |_, addr| {
            format!(
                "global\n maxconn 50\n\
                 defaults\n mode tcp\n timeout connect 20s\n timeout client 20s\n \
                 timeout server 20s\n\
                 frontend front\n bind {addr}\n default_backend back\n\
                 backend back\n server only {server} {options}\n"
            )
        }))
    }

    /// nginx with its stream module, or it says what is not installed.
    fn nginx(server: SocketAddr) -> Option<Self> {
        let binary = program("nginx")?;
        let Some(module) = stream_module(&binary) else {
            skipped("nginx has no stream module");
            return None;
        };
        Some(Self::start(&binary, &["-c"], |folder, addr| {
            let folder = folder.display();
            format!(
                "{module}daemon off;\nmaster_process off;\npid {folder}/pid;\n\
                 error_log {folder}/error.log;\nevents {{ worker_connections 256; }}\n\
                 stream {{ server {{ listen {addr}; proxy_pass {server}; proxy_protocol on; }} }}\n"
            )
        }))
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The line that loads the module, empty where it is built in; `None` where there is none.
fn stream_module(nginx: &Path) -> Option<String> {
    let output = Command::new(nginx).arg("-V").output().expect("it can be run");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if text.split_whitespace().any(|argument| argument == "--with-stream") {
        return Some(String::new());
    }
    let folder = text.split_whitespace().find_map(|a| a.strip_prefix("--modules-path="))?;
    let module = Path::new(folder).join("ngx_stream_module.so");
    module.is_file().then(|| format!("load_module {};\n", module.display()))
}

/// The address that curl has, which is not the balancer's.
const CURL: &str = "127.0.0.5";

/// The body that curl gets.
fn curl(addr: SocketAddr) -> Option<String> {
    let output = Command::new(program("curl")?)
        .args(["--silent", "--show-error", "--fail", "--max-time", "20", "--noproxy", "*"])
        .args(["--interface", CURL, "--header", "X-Forwarded-For: 6.6.6.6"])
        // The second goes over the connection of the first.
        .args([format!("http://{addr}/1"), format!("http://{addr}/2")])
        .output()
        .expect("it can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A backend that says whom a request is from.
fn telling() -> Upstream {
    Upstream::scripted(|conn| {
        while let Some(request) = conn.request() {
            let names = ["x-real-ip", "x-forwarded-for", "x-forwarded-port"];
            let values = names.map(|name| request.field(name).unwrap_or("none").to_owned());
            conn.answer(&format!("{}\n", values.join(" ")));
        }
    })
}

/// A proxy whose balancer is on 127.0.0.1, and not admitted itself.
fn edge_behind(upstream: &Upstream) -> Edge {
    edge_to(&[upstream.addr()])
        .listener("proxy_protocol_from", "[\"127.0.0.1/32\"]")
        .admit_only("clients", "127.0.0.5")
        .start()
}

/// curl through a balancer is served as itself.
fn assert_told_apart(edge: &Edge, balancer: &Balancer, case: &str) {
    let Some(body) = curl(balancer.addr) else { return };
    let told = format!("{CURL} {CURL} {}\n", balancer.addr.port());
    assert_eq!(body, told.repeat(2), "{case}");
    for line in edge.await_log(2) {
        assert_eq!(line["client"], CURL, "{case}: {line}");
        let starts = |key: &str, ip: &str| line[key].as_str().is_some_and(|s| s.starts_with(ip));
        assert!(starts("peer", "127.0.0.5:") && starts("balancer", "127.0.0.1:"), "{case}: {line}");
    }
}

#[test]
fn a_client_of_haproxy_is_known_by_its_own_address() {
    for options in [
        "send-proxy",
        "send-proxy-v2",
        "send-proxy-v2 proxy-v2-options crc32c",
        "send-proxy check inter 50ms",
        "send-proxy-v2 check inter 50ms",
    ] {
        let upstream = telling();
        let edge = edge_behind(&upstream);
        let Some(balancer) = Balancer::haproxy(edge.addr(), options) else { return };
        assert_told_apart(&edge, &balancer, options);
    }
}

#[test]
fn a_client_of_nginx_is_known_by_its_own_address() {
    let upstream = telling();
    let edge = edge_behind(&upstream);
    let Some(balancer) = Balancer::nginx(edge.addr()) else { return };
    assert_told_apart(&edge, &balancer, "nginx");
}

#[test]
fn health_checks_of_haproxy_are_counted_and_refused_by_nobody() {
    // Waits for an answer, sends nothing, and closes. A bare `check` never leaves the kernel: it
    // resets the handshake.
    let mute = "check inter 50ms\n timeout check 50ms\n option tcp-check\n tcp-check connect\n \
                tcp-check expect string never";
    for options in [
        "send-proxy check inter 50ms",
        "send-proxy-v2 check inter 50ms",
        "check check-send-proxy inter 50ms",
        mute,
    ] {
        let upstream = telling();
        let edge = edge_behind(&upstream);
        let Some(_balancer) = Balancer::haproxy(edge.addr(), options) else { return };
        eventually(&format!("checks by {options}"), || {
            let metrics = edge.metrics();
            let checks = metrics.sum("ravelin_connections_health_checks_total", &[]);
            // But for the look whether the balancer is up, which it passes on.
            let refused = metrics.sum("ravelin_connections_refused_total", &[]);
            assert!(refused < 1.5, "{options}: {refused} refused");
            (checks > 4.5).then_some(())
        });
        assert_eq!(edge.await_log(0).len(), 0, "{options}: they are no requests");
    }
}
