//! Traefik as a process beside the control plane.

use crate::eventually;
use crate::plane::Plane;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The entry points and their ports: the network of the pods is this process's own, so all are free. Those
/// besides k3s' own are for routes that name them.
const ENTRY_POINTS: [(&str, u16); 6] = [
    ("web", 8000),
    ("websecure", 8443),
    ("redirecting", 8001),
    ("guarded", 8002),
    ("tcp", 8003),
    ("first", 8004),
];

/// Where an entry point listens.
pub(crate) fn address(entry_point: &str) -> SocketAddr {
    let found = ENTRY_POINTS.iter().find(|(name, _)| *name == entry_point);
    let (_, port) = found.unwrap_or_else(|| panic!("there is no entry point {entry_point:?}"));
    SocketAddr::from(([127, 0, 0, 1], *port))
}

/// Where its metrics are.
pub(crate) fn metrics() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8005))
}

/// A running Traefik. It is killed when this is dropped, and with its plane's group in any case.
pub(crate) struct Traefik {
    child: Child,
    folder: TempDir,
}

impl Traefik {
    /// Starts it with the settings of k3s' chart, and waits until it listens.
    pub(crate) fn start(program: &Path, plane: &Plane) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = File::create(folder.path().join("log")).expect("a folder of ours");
        let mut child = Command::new(program)
            .args(arguments())
            .env("KUBECONFIG", plane.admin_kubeconfig())
            .current_dir(folder.path())
            .process_group(plane.group())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("an open file"))
            .stderr(log)
            .spawn()
            .expect("a program");
        eventually("Traefik listens", || {
            let ended = child.try_wait().expect("our child");
            assert!(ended.is_none(), "Traefik has ended: {}", last_words(folder.path()));
            let listens = |(name, _): &(&str, u16)| TcpStream::connect(address(name)).is_ok();
            ENTRY_POINTS.iter().all(listens).then_some(())
        });
        Self { child, folder }
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        last_words(self.folder.path())
    }
}

impl Drop for Traefik {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn arguments() -> Vec<String> {
    let mut arguments: Vec<String> = [
        "--global.checkNewVersion=false",
        "--global.sendAnonymousUsage=false",
        "--log.level=WARN",
        "--log.noColor=true",
        "--entryPoints.web.asDefault=true",
        "--entryPoints.websecure.asDefault=true",
        "--entryPoints.websecure.http.tls=true",
        "--entryPoints.redirecting.http.redirections.entryPoint.to=:443",
        "--entryPoints.redirecting.http.redirections.entryPoint.scheme=https",
        "--entryPoints.guarded.http.middlewares=cases-guard@kubernetescrd",
        "--entryPoints.traefik.address=127.0.0.1:8005",
        "--metrics.prometheus.entryPoint=traefik",
        "--metrics.prometheus.addRoutersLabels=true",
        "--providers.providersThrottleDuration=50ms",
        "--providers.kubernetesIngress",
        "--providers.kubernetesIngress.allowEmptyServices=true",
        "--providers.kubernetesCRD",
        "--providers.kubernetesCRD.allowCrossNamespace=true",
        "--providers.kubernetesCRD.allowEmptyServices=true",
    ]
    .map(str::to_owned)
    .to_vec();
    for (name, _) in ENTRY_POINTS {
        let (to, trusted) = (address(name), crate::lab::PROXIES);
        arguments.push(format!("--entryPoints.{name}.address={to}"));
        arguments.push(format!("--entryPoints.{name}.forwardedHeaders.trustedIPs={trusted}"));
    }
    arguments
}

fn last_words(folder: &Path) -> String {
    let log = fs::read(folder.join("log")).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
