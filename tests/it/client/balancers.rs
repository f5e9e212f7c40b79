//! Behind HAProxy and nginx, with curl as their client.

use crate::balancer::{Balancer, HaProxy, nginx};
use crate::support::{Edge, Upstream, edge_to, eventually, program};
use std::net::SocketAddr;
use std::process::Command;

/// HAProxy with one server, or it says that it is not installed.
fn haproxy(to: SocketAddr, options: &str) -> Option<Balancer> {
    HaProxy { to, bind: "127.0.0.1", bind_too: "", options }.start()
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
    let Some(body) = curl(balancer.addr()) else { return };
    let told = format!("{CURL} {CURL} {}\n", balancer.addr().port());
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
        let Some(balancer) = haproxy(edge.addr(), options) else { return };
        assert_told_apart(&edge, &balancer, options);
    }
}

#[test]
fn a_client_of_nginx_is_known_by_its_own_address() {
    let upstream = telling();
    let edge = edge_behind(&upstream);
    let Some(balancer) = nginx(edge.addr()) else { return };
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
        let Some(_balancer) = haproxy(edge.addr(), options) else { return };
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
