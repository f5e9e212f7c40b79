//! The TCP balancer of a cloud, played by HAProxy with PROXY protocol: its targets are changed while it runs, and
//! connections that are there stay.

use super::network::Namespace;
use crate::eventually;
use crate::plane::Plane;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use tempfile::TempDir;

/// A port of the balancer.
pub(super) struct Service {
    pub(super) port: u16,
    pub(super) targets: Vec<Target>,
}

/// Where a port leads.
pub(super) struct Target {
    pub(super) name: String,
    pub(super) to: String,
    pub(super) is_in: bool,
}

/// A running balancer. It is killed when this is dropped, and with its plane's group.
pub(super) struct Balancer {
    child: Child,
    folder: TempDir,
}

impl Balancer {
    /// Starts it in a namespace, from whose address it connects to its targets.
    pub(super) fn start(
        plane: &Plane,
        program: &Path,
        namespace: &Namespace,
        from: &str,
        services: &[Service],
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let service = |Service { port, targets }: &Service| {
            let server = |Target { name, to, is_in }: &Target| {
                let out = if *is_in { "" } else { " disabled" };
                format!(" server {name} {to} send-proxy-v2 source {from}{out}\n")
            };
            let servers: String = targets.iter().map(server).collect();
            format!(
                "frontend in-{port}\n bind :{port}\n default_backend {port}\nbackend {port}\n{servers}"
            )
        };
        let text = format!(
            "global\n stats socket {} level admin\ndefaults\n mode tcp\n timeout connect 5s\n timeout client 1h\n \
             timeout server 1h\n{}",
            folder.path().join("socket").display(),
            services.iter().map(service).collect::<String>(),
        );
        let config = folder.path().join("haproxy.cfg");
        fs::write(&config, text).expect("a folder of ours");
        let mut command = namespace.command(program);
        command.args(["-db", "-f"]).arg(config).process_group(plane.group());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let balancer = Self { child: command.spawn().expect("a program"), folder };
        eventually("the balancer runs", || balancer.tell("show info").map(drop));
        balancer
    }

    /// Lets new connections go to a target (`PORT/NAME`), or no longer.
    pub(super) fn set(&self, target: &str, is_in: bool) {
        let state = if is_in { "ready" } else { "maint" };
        let told = self.tell(&format!("set server {target} state {state}"));
        assert_eq!(told.as_deref().map(str::trim), Some(""));
    }

    fn tell(&self, order: &str) -> Option<String> {
        let mut stream = UnixStream::connect(self.folder.path().join("socket")).ok()?;
        stream.write_all(format!("{order}\n").as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
