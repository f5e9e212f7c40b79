//! Balancers that speak PROXY protocol: they connect, and whom they name has to be on the list.

use crate::edge::{Edge, listener, served};
use crate::eventually;
use crate::lab::{BALANCER_V4, BALANCER_V6, Lab, NODE_V4, NODE_V6, at, on_either_kernel};
use crate::orders::{Met, Told};

/// A connection from the balancer that names this source in a header of version 1, and a request.
fn through_the_balancer(lab: &Lab, family: &str, source: &str, node: &str) -> Told {
    let connection = lab.balancer.connect(at(node, 80));
    let request = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    let header = format!("PROXY {family} {source} {node} 5555 80\r\n");
    lab.balancer.tell(connection, &(header + request))
}

#[test]
fn the_source_that_a_balancer_names_is_checked_and_not_the_balancer() {
    on_either_kernel(|lab| {
        let more = format!(
            "admit = [\"cloudflare\"]\n\
         proxy_protocol_from = [\"{BALANCER_V4}/32\", \"{BALANCER_V6}/128\"]"
        );
        let edge = Edge::start(lab, &listener("web", "[::]:80", &more));
        assert_eq!(edge.mode("web"), lab.kernel.mode());
        for (family, listed, stranger, node) in [
            ("TCP4", "104.16.0.77", "203.0.113.77", NODE_V4),
            ("TCP6", "2606:4700::77", "2001:db8::77", NODE_V6),
        ] {
            let told = through_the_balancer(lab, family, listed, node);
            assert!(matches!(told, Told::Response(404, _)), "{listed}: {told:?}");
            assert_eq!(
                through_the_balancer(lab, family, stranger, node),
                Told::Reset,
                "{stranger}"
            );
            // Who is on the list may come without a balancer, too.
            served(&lab.listed, at(node, 80));
            assert_eq!(lab.stranger.meet(at(node, 80)), Met::Silence);
        }
        eventually("both are counted", || {
            (edge.refused("web", "source_not_admitted") == 2).then_some(())
        });
        assert_eq!(edge.refused("web", "not_admitted"), 0);
    });
}

#[test]
fn a_header_from_somebody_who_is_no_balancer_is_no_source() {
    let Some(lab) = Lab::build() else { return };
    let more = format!("admit = [\"cloudflare\"]\nproxy_protocol_from = [\"{BALANCER_V4}/32\"]");
    let edge = Edge::start(&lab, &listener("web", "[::]:80", &more));
    let connection = lab.listed.connect(at(NODE_V4, 80));
    let header = format!("PROXY TCP4 203.0.113.77 {NODE_V4} 5555 80\r\n");
    let told = lab.listed.tell(connection, &(header + "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"));
    assert!(matches!(told, Told::Response(400, _)), "{told:?}");
    assert_eq!(edge.refused("web", "source_not_admitted"), 0, "it was not read as a header");
    // The IPv6 address of the balancer is not in the set.
    assert_eq!(lab.balancer.meet(at(NODE_V6, 80)), Met::Silence);
}
