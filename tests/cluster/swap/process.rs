//! Traefik and ravelin as the containers of pods: processes in the namespace of a node.

use super::network::{HUB, Namespace};
use crate::edge::program;
use crate::eventually;
use crate::plane::{Connection, Plane};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// For the answer to a probe.
const PROBE: Duration = Duration::from_millis(500);

/// How Traefik is run.
pub(super) struct Traefik {
    pub(super) program: PathBuf,
    /// What the chart's values of the fixture mean.
    pub(super) flags: &'static [&'static str],
    /// Lines of /etc/hosts, for names that the DNS of the cluster would know.
    pub(super) hosts: &'static str,
}

/// A container. It is killed when this is dropped, and with its plane's group.
pub(super) struct Process {
    child: Child,
    probe: Probe,
    log: PathBuf,
}

enum Probe {
    /// `/ping` of Traefik.
    Ping(SocketAddr),
    /// The socket of `ravelin probe`.
    Socket(PathBuf),
}

impl Process {
    /// Starts Traefik in a namespace that has this address.
    pub(super) fn traefik(
        plane: &Plane,
        traefik: &Traefik,
        at: (&Namespace, &str),
        folder: &Path,
    ) -> Self {
        const COMMON: [&str; 9] = [
            "--global.checkNewVersion=false",
            "--global.sendAnonymousUsage=false",
            "--log.noColor=true",
            "--entryPoints.traefik.address=:8080",
            "--ping=true",
            "--providers.kubernetesIngress",
            "--providers.kubernetesIngress.allowEmptyServices=true",
            "--providers.kubernetesCRD",
            "--providers.kubernetesCRD.allowEmptyServices=true",
        ];
        let (namespace, address) = at;
        let hosts = folder.join("hosts");
        fs::write(&hosts, format!("127.0.0.1 localhost\n{}", traefik.hosts)).expect("a folder");
        let mut command = namespace.command(Path::new("unshare"));
        command.args(["-m", "sh", "-c", "mount --bind \"$0\" /etc/hosts && exec \"$@\""]);
        command.arg(hosts).arg(&traefik.program).args(COMMON).args(traefik.flags);
        command.env("KUBECONFIG", plane.for_elsewhere(&plane.admin_kubeconfig(), HUB));
        let address = SocketAddr::new(address.parse().expect("an address"), 8080);
        Self::start(plane, command, folder, Probe::Ping(address))
    }

    /// Starts ravelin on a node, with the configuration of its pod.
    pub(super) fn ravelin(
        plane: &Plane,
        namespace: &Namespace,
        pod: &Value,
        folder: &Path,
    ) -> Self {
        let socket = folder.join("admin.sock");
        let state = folder.join("state");
        fs::create_dir_all(&state).expect("a folder of ours");
        let kubeconfig = plane.for_elsewhere(&plane.kubeconfig_of("ravelin", "ravelin"), HUB);
        let source = format!("kind = \"kubernetes\"\nkubeconfig = {kubeconfig:?}\n");
        let text = [
            ("kind = \"kubernetes\"", source),
            ("\"/run/ravelin/admin.sock\"", format!("{socket:?}")),
            ("\"/var/lib/ravelin\"", format!("{state:?}")),
        ]
        .iter()
        .fold(mounted(plane, pod), |text, (theirs, ours)| {
            assert!(text.contains(theirs), "{theirs} is not in {text}");
            text.replace(theirs, ours)
        });
        let config = folder.join("ravelin.toml");
        fs::write(&config, text).expect("a folder of ours");
        let mut command = namespace.command(&program());
        command.args(["run", "--config"]).arg(config);
        let text = |path: &str| pod.pointer(path).and_then(Value::as_str).expect("a text");
        command.env("NODE_NAME", text("/spec/nodeName"));
        command.env("POD_NAMESPACE", text("/metadata/namespace"));
        command.env("POD_NAME", text("/metadata/name"));
        Self::start(plane, command, folder, Probe::Socket(socket))
    }

    fn start(plane: &Plane, mut command: Command, folder: &Path, probe: Probe) -> Self {
        let log = folder.join("log");
        let file = File::options().create(true).append(true).open(&log).expect("a folder of ours");
        command.current_dir(folder).process_group(plane.group()).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(file.try_clone().expect("an open file"));
        if matches!(probe, Probe::Ping(_)) {
            command.stdout(file);
        }
        Self { child: command.spawn().expect("a program"), probe, log }
    }

    /// Whether its readiness probe succeeds.
    pub(super) fn is_ready(&self) -> bool {
        match &self.probe {
            Probe::Ping(address) => {
                let answer = || {
                    let mut connection = Connection::open(*address, None)?;
                    connection.socket()?.set_read_timeout(Some(PROBE))?;
                    connection.get("ping", "/ping")
                };
                answer().is_ok_and(|answer| answer.status == 200)
            }
            Probe::Socket(socket) => {
                let mut command = Command::new(program());
                command.args(["probe", "ready", "--socket"]).arg(socket);
                command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
                command.status().is_ok_and(|status| status.success())
            }
        }
    }

    /// Asks for its end (SIGTERM).
    pub(super) fn terminate(&self) {
        // One that has ended is still our child.
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("our child");
    }

    /// Whether it is gone.
    pub(super) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("our child").is_some()
    }

    /// The end of its log.
    pub(super) fn last_words(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The file that the pod has in /etc/ravelin: that of the ConfigMap that its volume names.
fn mounted(plane: &Plane, pod: &Value) -> String {
    let volumes = pod["spec"]["volumes"].as_array().expect("volumes");
    let map = volumes.iter().find_map(|volume| volume["configMap"]["name"].as_str());
    let map = map.expect("a ConfigMap");
    let path = format!("/api/v1/namespaces/ravelin/configmaps/{map}");
    let map = eventually("the ConfigMap", || {
        let answer = plane.get(&path);
        (answer.status == 200).then(|| answer.json())
    });
    map["data"]["ravelin.toml"].as_str().expect("a text").to_owned()
}
