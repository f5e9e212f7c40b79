//! The network: nodes, a balancer, and pods as namespaces of their own around the one of the tests, which is the
//! Internet to them. Cloudflare and strangers are there, by their addresses.
//!
//! Both ends of each pair of interfaces have one MAC address and no ARP, so that no packet waits for a neighbour to
//! be found, and none is lost meanwhile.

use crate::eventually;
use crate::plane::Plane;
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// The address of the namespace of the tests: API server and pods.
pub(super) const HUB: &str = "10.77.255.1";
/// Where strangers are (RFC 5737).
pub(super) const STRANGERS: &str = "203.0.113.0/24";
/// A range of Cloudflare that no list of the fixtures has. That of the visits is a route already.
pub(super) const UNLISTED: &str = "104.16.0.0/13";
/// Pods that a fixture names by their addresses.
const PODS: [&str; 1] = ["10.42.0.7"];

/// A network namespace. It ends, and all interfaces with it, when this is dropped, and with its plane's group.
pub(super) struct Namespace {
    child: Child,
}

impl Namespace {
    /// An empty one.
    pub(super) fn start(plane: &Plane) -> Self {
        let own = fs::read_link("/proc/self/ns/net").expect("Linux");
        let mut command = Command::new("unshare");
        command.args(["-n", "cat"]).env("PATH", search_path()).process_group(plane.group());
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let child = command.spawn().expect("the tests are in one already");
        let other = format!("/proc/{}/ns/net", child.id());
        eventually("the namespace is there", || {
            fs::read_link(&other).ok().filter(|other| *other != own)
        });
        let namespace = Self { child };
        namespace.run("ip link set lo up; echo 1 > /proc/sys/net/ipv4/ip_forward");
        namespace
    }

    /// The words before a program that run it there.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-n", "-t", &self.child.id().to_string(), "--"]).arg(program);
        command.env("PATH", search_path());
        command
    }

    /// Runs a script there, which has to succeed, and returns what it says.
    pub(super) fn run(&self, script: &str) -> String {
        let mut command = self.command(Path::new("sh"));
        command.args(["-e", "-c", script]);
        succeed(command, script)
    }

    /// Connects it with another namespace, or with that of the tests, and gives it an address.
    pub(super) fn join(&self, to: Option<&Self>, name: &str, address: &str) {
        const MAC: &str = "02:00:00:00:00:01";
        let id = self.child.id();
        let there = format!(
            "ip link add name {name} address {MAC} type veth peer name edge address {MAC} netns {id}\n\
             ip link set dev {name} arp off addrgenmode none\nip link set dev {name} up\n\
             ip route add {address}/32 dev {name}\n"
        );
        match to {
            Some(other) => drop(other.run(&there)),
            None => drop(hub(&there)),
        }
        self.run(&format!(
            "ip link set dev edge arp off addrgenmode none\nip link set dev edge up\n\
             ip address add {address}/32 dev edge\nip route add default dev edge\n"
        ));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // It ends at the end of its standard input.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Runs a script in the namespace of the tests.
pub(super) fn hub(script: &str) -> String {
    let mut command = Command::new("sh");
    command.args(["-e", "-c", script]).env("PATH", search_path());
    succeed(command, script)
}

/// Gives the namespace of the tests its addresses, once.
pub(super) fn prepare() {
    static PREPARED: OnceLock<()> = OnceLock::new();
    PREPARED.get_or_init(|| {
        let pods: String =
            PODS.iter().map(|pod| format!("ip address add {pod}/32 dev lo\n")).collect();
        hub(&format!(
            "ip address add {HUB}/32 dev lo\necho 1 > /proc/sys/net/ipv4/ip_forward\n\
             ip route add local {STRANGERS} dev lo\nip route add local {UNLISTED} dev lo\n{pods}"
        ));
    });
}

fn succeed(mut command: Command, script: &str) -> String {
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{script}\n{err}{out}");
    out.into_owned()
}

/// Where programs are: `ip` and `iptables` lie in /usr/sbin, which is not in every PATH.
pub(super) fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}
