//! The network: a node, and around it one of Cloudflare's addresses, a stranger and a balancer.
//!
//! Each peer has a pair of virtual interfaces to the node. Both ends have one MAC address and no
//! ARP, so that no packet waits for a neighbour to be found, and none is lost meanwhile.

use crate::host::{Host, search_path};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};

/// The node's addresses, which all peers can reach.
pub(crate) const NODE_V4: &str = "198.51.100.1";
pub(crate) const NODE_V6: &str = "2001:db8:1::1";
/// Addresses on Cloudflare's list.
pub(crate) const LISTED_V4: &str = "104.16.0.10";
pub(crate) const LISTED_V6: &str = "2606:4700::10";
/// Addresses that are not on it.
pub(crate) const STRANGER_V4: &str = "203.0.113.10";
pub(crate) const STRANGER_V6: &str = "2001:db8::10";
/// 131 072 more addresses of the stranger (RFC 2544).
pub(crate) const STRANGERS: [u8; 2] = [198, 18];
/// A balancer in the provider's network.
pub(crate) const BALANCER_V4: &str = "10.0.0.2";
pub(crate) const BALANCER_V6: &str = "fd00::2";

/// The namespaces of one test.
pub(crate) struct Lab {
    /// Where ravelin runs.
    pub(crate) node: Host,
    /// Has the addresses of [`LISTED_V4`] and [`LISTED_V6`].
    pub(crate) listed: Host,
    /// Is on no list.
    pub(crate) stranger: Host,
    /// Speaks PROXY protocol.
    pub(crate) balancer: Host,
    /// Of the node.
    pub(crate) kernel: Kernel,
}

/// What the node's kernel lets a process do about strangers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// Filter, as before June 2026, or with NET_ADMIN.
    Filters,
    /// Only steer them to a trap.
    Steers,
    /// The same for a process of user 65532 with NET_BIND_SERVICE alone, as the DaemonSet grants it.
    SteersForPod,
}

impl Kernel {
    /// The mode of admission, in the metrics.
    pub(crate) fn mode(self) -> &'static str {
        match self {
            Self::Filters => "kernel",
            Self::Steers | Self::SteersForPod => "trap",
        }
    }
}

/// Runs a test in a network whose node treats the process as a pod. Only for root.
pub(crate) fn as_pod(test: impl Fn(&Lab)) {
    let Some(mut lab) = Lab::build() else { return };
    if !rustix::process::geteuid().is_root() {
        return crate::skipped::skipped("only root can become another user");
    }
    lab.kernel = Kernel::SteersForPod;
    test(&lab);
}

/// Runs a test in a network whose node filters, and in one whose node does not.
pub(crate) fn on_either_kernel(test: impl Fn(&Lab)) {
    for kernel in [Kernel::Filters, Kernel::Steers] {
        let Some(mut lab) = Lab::build() else { return };
        lab.kernel = kernel;
        test(&lab);
    }
}

/// An address of the node.
pub(crate) fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse::<IpAddr>().expect("literal"), port)
}

impl Lab {
    /// Builds it. `None`: it cannot be built here, and the reason has been said.
    pub(crate) fn build() -> Option<Self> {
        let (first, privileged) = entrance()?;
        let node = Host::start(&first);
        let beside = if privileged {
            first
        } else {
            // All namespaces of the network have to belong to one of users.
            let id = node.id().to_string();
            let enter = ["nsenter", "--preserve-credentials", "-U", "-t", &id, "unshare", "-n"];
            enter.map(str::to_owned).to_vec()
        };
        let [listed, stranger, balancer] = std::array::from_fn(|_| Host::start(&beside));
        node.run(&format!(
            "ip link set lo up\n\
             ip address add {NODE_V4}/32 dev lo\n\
             ip address add {NODE_V6}/128 dev lo nodad\n"
        ));
        let lab = Self { node, listed, stranger, balancer, kernel: Kernel::Filters };
        lab.join(&lab.listed, "listed", [LISTED_V4, LISTED_V6]);
        lab.join(&lab.stranger, "stranger", [STRANGER_V4, STRANGER_V6]);
        lab.join(&lab.balancer, "balancer", [BALANCER_V4, BALANCER_V6]);
        let [a, b] = STRANGERS;
        lab.node.run(&format!("ip route add {a}.{b}.0.0/15 dev stranger"));
        lab.stranger.run(&format!("ip link set lo up\nip route add local {a}.{b}.0.0/15 dev lo"));
        Some(lab)
    }

    /// Connects a peer with the node.
    fn join(&self, peer: &Host, name: &str, [v4, v6]: [&str; 2]) {
        const MAC: &str = "02:00:00:00:00:01";
        let id = peer.id();
        self.node.run(&format!(
            "ip link add name {name} address {MAC} type veth \
                 peer name edge address {MAC} netns {id}\n\
             ip link set dev {name} arp off addrgenmode none\n\
             ip link set dev {name} up\n\
             ip route add {v4}/32 dev {name}\n\
             ip -6 route add {v6}/128 dev {name}\n"
        ));
        peer.run(&format!(
            "ip link set dev edge arp off addrgenmode none\n\
             ip link set dev edge up\n\
             ip address add {v4}/32 dev edge\n\
             ip address add {v6}/128 dev edge nodad\n\
             ip route add default dev edge\n\
             ip -6 route add default dev edge\n"
        ));
    }
}

/// The words that give a program a network namespace, and whether no namespace of users is needed
/// for that.
fn entrance() -> Option<(Vec<String>, bool)> {
    if !Path::new("/proc/net/if_inet6").exists() {
        crate::unsupported::unsupported("this kernel has no IPv6");
        return None;
    }
    if !runs(&["ip", "-Version"]) {
        return skipped("ip (iproute2) is not installed");
    }
    for (words, privileged) in [(["unshare", "-n"], true), (["unshare", "-Urn"], false)] {
        // A namespace that nothing can be set in is of no use.
        if runs(&[words[0], words[1], "ip", "link", "set", "lo", "up"]) {
            return Some((words.map(str::to_owned).to_vec(), privileged));
        }
    }
    skipped("this user may not make network namespaces")
}

fn runs(words: &[&str]) -> bool {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env("PATH", search_path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Nothing to test with, and the word that it is so.
fn skipped<T>(why: &str) -> Option<T> {
    crate::skipped::skipped(why);
    None
}
