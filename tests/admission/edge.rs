//! `ravelin run` on the node of a network.

use crate::eventually;
use crate::lab::{Kernel, Lab, at};
use crate::orders::{Met, Told};
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

/// A running proxy without a route: whoever is served gets 404. Killed when dropped.
pub(crate) struct Edge<'l> {
    lab: &'l Lab,
    folder: TempDir,
    /// A connection within the node to the admin port.
    admin: usize,
}

/// Becomes the user of the DaemonSet's pods, with what they are granted.
const POD: [&str; 7] = [
    "setpriv",
    "--reuid=65532",
    "--regid=65532",
    "--clear-groups",
    "--inh-caps=-all,+net_bind_service",
    "--ambient-caps=-all,+net_bind_service",
    "--bounding-set=-all,+net_bind_service",
];

/// A listener's table, with further lines.
pub(crate) fn listener(name: &str, address: &str, more: &str) -> String {
    format!("[[listener]]\nname = {name:?}\naddress = {address:?}\n{more}\n")
}

impl<'l> Edge<'l> {
    /// Starts it with these listeners and whatever else its configuration is to have.
    pub(crate) fn start(lab: &'l Lab, config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self::start_in(lab, config, folder)
    }

    /// Starts it with these addresses of nodes.
    pub(crate) fn start_with_nodes(lab: &'l Lab, config: &str, nodes: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        write_nodes(&folder, "first", nodes);
        Self::start_in(lab, config, folder)
    }

    fn start_in(lab: &'l Lab, config: &str, folder: TempDir) -> Self {
        let manifests = folder.path().join("manifests");
        fs::create_dir_all(&manifests).expect("a new folder");
        let config = config.replace("FOLDER", folder.path().to_str().expect("UTF-8"));
        let file = folder.path().join("ravelin.toml");
        let text = format!(
            "workers = 1\n{config}\n[source]\nkind = \"directory\"\ndirectory = {manifests:?}\n\
             [log]\naccess = \"off\"\n[cloudflare]\nrefresh = \"off\"\n"
        );
        fs::write(&file, text).expect("a new file");
        let log = folder.path().join("log");
        let words = [env!("CARGO_BIN_EXE_ravelin"), "run", "--config"];
        let file = file.to_str().expect("UTF-8");
        let launcher = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/without.py");
        let launchers = match lab.kernel {
            Kernel::Filters => Vec::new(),
            Kernel::Steers => vec![launcher, "filter"],
            Kernel::SteersForPod => {
                // The pod's user reads it.
                let readable = fs::Permissions::from_mode(0o755);
                fs::set_permissions(folder.path(), readable).expect("a folder of ours");
                [&POD[..], &[launcher, "filter"]].concat()
            }
        };
        let words: Vec<&str> = launchers.into_iter().chain(words).chain([file]).collect();
        lab.node.launch(&words, log.to_str().expect("UTF-8"));
        let mut edge = Self { lab, folder, admin: 0 };
        // The admin port listens after the others.
        edge.admin = eventually(&format!("the proxy is up: {:?}", edge.log()), || {
            match lab.node.meet(at("127.0.0.1", 9180)) {
                Met::Connected(number) => Some(number),
                _ => None,
            }
        });
        edge
    }

    fn page(&self) -> String {
        match self.lab.node.get(self.admin, "/metrics") {
            Told::Response(200, page) => page,
            other => panic!("no metrics but {other:?}: {:?}", self.log()),
        }
    }

    /// Packets that the kernel has dropped for a listener.
    pub(crate) fn dropped(&self, listener: &str) -> u64 {
        let labels = [("listener", listener)];
        sample(&self.page(), "ravelin_admission_dropped_packets_total", &labels)
    }

    /// Connections that were reset for this reason.
    pub(crate) fn refused(&self, listener: &str, reason: &str) -> u64 {
        let labels = [("listener", listener), ("reason", reason)];
        sample(&self.page(), "ravelin_connections_refused_total", &labels)
    }

    /// Who keeps strangers out: the one mode that is in force.
    pub(crate) fn mode(&self, listener: &str) -> &'static str {
        // Of one page: the mode may change between two.
        let page = self.page();
        let in_force = |mode: &&str| {
            let labels = [("listener", listener), ("mode", *mode)];
            sample(&page, "ravelin_admission_mode", &labels) == 1
        };
        let modes = ["kernel", "trap", "user_space", "off"];
        let modes: Vec<_> = modes.into_iter().filter(in_force).collect();
        let [mode] = modes[..] else { panic!("{modes:?}") };
        mode
    }

    /// The lines of its log, as far as they are written.
    pub(crate) fn log(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| json!(line));
        whole.lines().map(line).collect()
    }

    /// The warnings that its log has about a listener, as text.
    pub(crate) fn warnings(&self, listener: &str) -> Vec<String> {
        let about = |line: &Value| line["level"] == "WARN" && line["listener"] == listener;
        self.log().iter().filter(|line| about(line)).map(Value::to_string).collect()
    }

    /// A place for a file of the test.
    pub(crate) fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// The value of a metric without labels.
    pub(crate) fn plain(&self, name: &str) -> u64 {
        let page = self.page();
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("{} "));
        line.unwrap_or_else(|| panic!("no {name}: {page}")).parse().expect("a whole number")
    }

    /// Replaces all Nodes by one with these addresses, in one step.
    pub(crate) fn replace_nodes(&self, name: &str, addresses: &[&str]) {
        write_nodes(&self.folder, name, addresses);
    }
}

impl Drop for Edge<'_> {
    fn drop(&mut self) {
        self.lab.node.stop();
    }
}

/// The value of the one sample of this name that has these labels.
fn sample(page: &str, name: &str, labels: &[(&str, &str)]) -> u64 {
    let labels: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    let fits = |line: &&str| {
        let named = line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{'));
        named && labels.iter().all(|label| line.contains(label))
    };
    let mut samples = page.lines().filter(fits);
    let sample = samples.next().unwrap_or_else(|| panic!("no {name} {labels:?}: {page}"));
    assert_eq!(samples.next(), None, "more than one {name} {labels:?}");
    let (_, value) = sample.rsplit_once(' ').expect("a value");
    value.parse().expect("a whole number")
}

/// Puts the one manifest of Nodes in place in one step.
fn write_nodes(folder: &TempDir, name: &str, addresses: &[&str]) {
    let internal = |address: &&str| json!({"type": "InternalIP", "address": address});
    let addresses: Vec<_> = addresses.iter().map(internal).collect();
    let node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "status": {"addresses": addresses},
    });
    let aside = folder.path().join("nodes.json");
    let manifests = folder.path().join("manifests");
    fs::create_dir_all(&manifests).expect("a new folder");
    fs::write(&aside, node.to_string()).expect("a new file");
    fs::rename(&aside, manifests.join("nodes.json")).expect("the same file system");
}

/// What a peer gets: a response over a connection of its own, or whatever it meets.
pub(crate) fn served(host: &crate::host::Host, to: SocketAddr) {
    let told = host.get(host.connect(to), "/");
    assert!(matches!(told, Told::Response(404, _)), "{to}: {told:?}");
}

/// Connects and is reset, either before or after the first byte.
pub(crate) fn reset(host: &crate::host::Host, to: SocketAddr) {
    // The RST follows the handshake, and may overtake the caller.
    match host.meet(to) {
        Met::Connected(number) => assert_eq!(host.get(number, "/"), Told::Reset, "{to}"),
        Met::Failed(error) if error.contains("reset") => {}
        other => panic!("{to}: {other:?}"),
    }
}
