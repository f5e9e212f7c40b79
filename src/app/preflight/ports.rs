//! Ports: free, or held and by whom; and what the kernel does with sources that are not admitted.

use super::PreflightLine;
use super::holders::{Holder, of_sockets, servicelb};
use crate::config::{Admit, Config};
use crate::net::addr::AddrRanges;
use crate::transport::admission::trap::Trap;
use crate::transport::admission::{bpf, kernel};
use crate::transport::listen::{Listing, try_alone};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// The name of a process of ours in /proc.
const OURS: &str = "ravelin";

/// A line for each port.
pub(super) fn lines(config: &Config) -> Vec<PreflightLine> {
    let listing = Listing::read().unwrap_or_default();
    let listeners = config.listeners.iter().map(|it| (it.name.to_string(), it.address));
    let all = listeners.chain([("admin".to_owned(), config.admin.address)]);
    all.map(|(name, address)| line(&format!("port of {name}"), address, &listing)).collect()
}

fn line(what: &str, address: SocketAddr, listing: &Listing) -> PreflightLine {
    let proc = Path::new("/proc");
    let port = address.port();
    if port == 0 {
        return PreflightLine::pass(what, format!("{address}: the kernel chooses one"));
    }
    let tried = try_alone(address);
    if matches!(&tried, Err(error) if error.kind() == io::ErrorKind::AddrInUse) {
        let holder = of_sockets(proc, &listing.holding(address), None);
        return held(what, address, holder);
    }
    if let Err(error) = tried {
        let fix = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                "grant NET_BIND_SERVICE, or lower net.ipv4.ip_unprivileged_port_start"
            }
            io::ErrorKind::AddrNotAvailable => "name an address of an interface",
            _ => "",
        };
        return PreflightLine::fail(what, format!("{address}: {error}"), fix);
    }
    match servicelb(proc, port) {
        Some(holder) => led_away(what, &format!("{address} is free"), &holder),
        None => PreflightLine::pass(what, format!("{address} is free")),
    }
}

fn held(what: &str, address: SocketAddr, holder: Option<Holder>) -> PreflightLine {
    match holder {
        Some(holder) if holder.name == OURS => PreflightLine::warn(
            what,
            format!("{address} is held by {holder}"),
            "none needed, if it runs as the same user: a new process takes over from it",
        ),
        Some(holder) => PreflightLine::fail(
            what,
            format!("{address} is held by {holder}"),
            "stop it, or use another port",
        ),
        None => PreflightLine::fail(
            what,
            format!("{address} is held by a process that cannot be seen from here"),
            "run this as root on the node to see which (ss -tlnp), stop it, or use another port",
        ),
    }
}

/// A line for each port of a process that has bound them.
pub(super) fn bound_lines(config: &Config) -> Vec<PreflightLine> {
    let listing = Listing::read().unwrap_or_default();
    let listeners = config.listeners.iter().map(|it| (it.name.to_string(), it.address));
    let all = listeners.chain([("admin".to_owned(), config.admin.address)]);
    all.map(|(name, address)| bound(format!("port of {name}"), address, &listing)).collect()
}

fn bound(what: String, address: SocketAddr, listing: &Listing) -> PreflightLine {
    let proc = Path::new("/proc");
    if let Some(holder) = servicelb(proc, address.port()).filter(|_| address.port() != 0) {
        return led_away(what, &format!("{address} is bound"), &holder);
    }
    let beside = of_sockets(proc, &listing.holding(address), Some(std::process::id()));
    match beside.filter(|holder| holder.name == OURS) {
        Some(holder) => PreflightLine::pass(
            what,
            format!("{address} is bound, beside {holder} until that leaves"),
        ),
        None => PreflightLine::pass(what, format!("{address} is bound")),
    }
}

fn led_away(what: impl Into<String>, state: &str, holder: &Holder) -> PreflightLine {
    PreflightLine::warn(
        what,
        format!("{state}, but iptables lead its packets to {holder}"),
        "see \"Replace Traefik and servicelb\" in deploy/swap-from-traefik.md",
    )
}

/// A line for each gate.
pub(super) fn gates(config: &Config) -> Vec<PreflightLine> {
    let refused = refusal();
    let is_trapped = refused.is_some() && Trap::is_possible().is_ok();
    let of = |name: &str, admit: &Admit, wants_filter: bool| {
        let what = format!("gate of {name}");
        let sets: Vec<&str> = admit.sets.iter().map(|set| &*set.name).collect();
        let sets = sets.join(", ");
        match &refused {
            _ if admit.is_any() => PreflightLine::warn(
                what,
                "admits every source",
                "name sets in `admit`, if only Cloudflare should connect",
            ),
            Some(_) if wants_filter && is_trapped => PreflightLine::pass(
                what,
                format!("admits {sets}; the kernel drops all others, which it steers to a trap"),
            ),
            Some(error) if wants_filter => PreflightLine::warn(
                what,
                format!(
                    "admits {sets}; the kernel takes no filter ({error}) and sets no trap, so others are accepted and reset"
                ),
                "grant NET_ADMIN, which Linux asks for since June 2026",
            ),
            None if wants_filter => {
                PreflightLine::pass(what, format!("admits {sets}; the kernel drops all others"))
            }
            _ => PreflightLine::pass(what, format!("admits {sets}; others are accepted and reset")),
        }
    };
    let listeners = config.listeners.iter().map(|it| of(&it.name, &it.admit, it.kernel_filter));
    listeners.chain([of("admin", &config.admin.admit, true)]).collect()
}

/// Why the kernel takes no filter, tried on a socket that is bound to nothing.
fn refusal() -> Option<io::Error> {
    let program = bpf::compile(&AddrRanges::default()).ok()?;
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP));
    socket.and_then(|socket| kernel::attach(&socket, &program)).err()
}
