//! What a port scanner learns: segments of every kind, and what comes back.
//!
//! Linux answers a bare ACK to a listening socket with RST, as RFC 9293 section 3.10.7.2 wants, but
//! only after the socket's filter has run (`tcp_filter` in `tcp_v4_rcv` and `tcp_v6_rcv`). So the
//! filter keeps these back as well as SYN-ACKs.

use crate::edge::{Edge, listener, served};
use crate::eventually;
use crate::host::Host;
use crate::lab::{
    Kernel, LISTED_V4, LISTED_V6, Lab, NODE_V4, NODE_V6, STRANGER_V4, STRANGER_V6, at,
    on_either_kernel,
};
use crate::raw::{ACK, FIN, HOPS, Heard, PSH, RST, SYN, Segment, URG};
use std::net::SocketAddr;

/// What scanners send, and what a listening socket without a filter answers. FIN, NULL and Xmas get
/// no answer from a listening socket in any case: there it is the closed port that answers.
const KINDS: [(&str, u8, Option<u8>); 8] = [
    ("SYN", SYN, Some(SYN | ACK)),
    ("ACK", ACK, Some(RST)),
    ("SYN-ACK", SYN | ACK, Some(RST)),
    ("FIN-ACK", FIN | ACK, Some(RST)),
    ("FIN", FIN, None),
    ("NULL", 0, None),
    ("Xmas", FIN | PSH | URG, None),
    ("RST", RST, None),
];
/// A port where nobody listens. Its RST is the kernel's, who is not asked by any filter of ours.
const CLOSED: u16 = 81;
/// The source port of the first kind.
const FIRST: u16 = 40_000;

/// One segment of every kind, in the order of [`KINDS`].
fn probes(from: &str, to: SocketAddr) -> Vec<Segment> {
    let each = (FIRST..).zip(KINDS);
    each.map(|(port, (_, flags, _))| Segment { from: at(from, port), to, flags, hops: HOPS })
        .collect()
}

/// All that has come from the node by the time that the closed port has answered: of what is sent
/// before, the answers come before.
fn heard_until_the_closed_port_answers(peer: &Host, from: &str, node: &str) -> Vec<Heard> {
    let marker =
        Segment { from: at(from, FIRST - 1), to: at(node, CLOSED), flags: SYN, hops: HOPS };
    peer.send(&[marker]);
    let mut heard = Vec::new();
    eventually("the closed port answers", || {
        heard.extend(peer.hear());
        let position = heard.iter().position(|answer: &Heard| answer.from_port == CLOSED)?;
        let answer = heard.remove(position);
        assert_eq!((answer.to_port, answer.flags), (FIRST - 1, RST | ACK), "it refuses");
        Some(())
    });
    heard
}

#[test]
fn no_kind_of_segment_from_a_stranger_is_answered() {
    on_either_kernel(|lab| {
        let edge = Edge::start(lab, &listener("web", "[::]:80", "admit = [\"cloudflare\"]"));
        lab.stranger.tap();
        let kinds = u64::try_from(KINDS.len()).expect("few");
        for (from, node) in [(STRANGER_V4, NODE_V4), (STRANGER_V6, NODE_V6)] {
            let before = edge.dropped("web");
            lab.stranger.send(&probes(from, at(node, 80)));
            eventually("all are dropped", || (edge.dropped("web") - before >= kinds).then_some(()));
            assert_eq!(edge.dropped("web") - before, kinds);
            assert_eq!(heard_until_the_closed_port_answers(&lab.stranger, from, node), []);
        }
    });
}

/// The trap tells who comes through a router. A neighbour can look as if it did not, and meets a full queue.
#[test]
fn a_neighbour_that_sends_as_many_hops_as_there_are_gets_no_connection() {
    on_either_kernel(|lab| {
        let edge = Edge::start(lab, &listener("web", "[::]:80", "admit = [\"cloudflare\"]"));
        lab.stranger.tap();
        let to = at(NODE_V4, 80);
        let near = |segment| Segment { hops: u8::MAX, ..segment };
        let probes: Vec<Segment> = probes(STRANGER_V4, to).into_iter().map(near).collect();
        let before = edge.dropped("web");
        lab.stranger.send(&probes);
        let heard = heard_until_the_closed_port_answers(&lab.stranger, STRANGER_V4, NODE_V4);
        assert_eq!(heard.iter().find(|answer| answer.flags & SYN != 0), None);
        let least = if lab.kernel == Kernel::Filters { probes.len() } else { 1 };
        assert!(edge.dropped("web") - before >= u64::try_from(least).expect("few"));
        if lab.kernel == Kernel::Filters {
            assert_eq!(heard, []);
        }
    });
}

/// What the node says of full queues and of SYN cookies changes nothing.
#[test]
fn a_trap_is_silent_whatever_the_settings_of_the_node_are() {
    for (abort, cookies) in [(1, 0), (0, 2), (1, 2)] {
        let Some(mut lab) = Lab::build() else { return };
        lab.kernel = Kernel::Steers;
        let set = format!(
            "sysctl -qw net.ipv4.tcp_abort_on_overflow={abort} net.ipv4.tcp_syncookies={cookies}"
        );
        lab.node.run(&set);
        let edge = Edge::start(&lab, &listener("web", "[::]:80", "admit = [\"cloudflare\"]"));
        assert_eq!(edge.mode("web"), "trap");
        lab.stranger.tap();
        for hops in [HOPS, u8::MAX] {
            let to = at(NODE_V4, 80);
            let syns: Vec<Segment> = (FIRST..FIRST + 50)
                .map(|port| Segment { from: at(STRANGER_V4, port), to, flags: SYN, hops })
                .collect();
            let before = edge.dropped("web");
            lab.stranger.send(&syns);
            eventually("all are dropped", || (edge.dropped("web") - before >= 50).then_some(()));
            let heard = heard_until_the_closed_port_answers(&lab.stranger, STRANGER_V4, NODE_V4);
            assert_eq!(heard, [], "{set}, {hops} hops");
        }
        for node in [NODE_V4, NODE_V6] {
            served(&lab.listed, at(node, 80));
        }
    }
}

#[test]
fn whoever_is_admitted_gets_the_answers_of_any_listening_socket() {
    let Some(lab) = Lab::build() else { return };
    let _edge = Edge::start(&lab, &listener("web", "[::]:80", "admit = [\"cloudflare\"]"));
    lab.listed.tap();
    for (from, node) in [(LISTED_V4, NODE_V4), (LISTED_V6, NODE_V6)] {
        expect_answers(&lab.listed, from, node);
    }
}

/// Without this the silence above could be that of a network where nothing arrives.
#[test]
fn without_the_kernels_filter_a_stranger_finds_the_port() {
    let Some(lab) = Lab::build() else { return };
    let more = "admit = [\"cloudflare\"]\nkernel_filter = false";
    let _edge = Edge::start(&lab, &listener("web", "[::]:80", more));
    lab.stranger.tap();
    for (from, node) in [(STRANGER_V4, NODE_V4), (STRANGER_V6, NODE_V6)] {
        expect_answers(&lab.stranger, from, node);
    }
}

fn expect_answers(peer: &Host, from: &str, node: &str) {
    peer.send(&probes(from, at(node, 80)));
    let mut heard = heard_until_the_closed_port_answers(peer, from, node);
    for (port, (name, _, expected)) in (FIRST..).zip(KINDS) {
        let Some(expected) = expected else {
            assert!(heard.iter().all(|answer| answer.to_port != port), "{name}: {heard:?}");
            continue;
        };
        let answer = eventually(&format!("an answer to {name}"), || {
            heard.extend(peer.hear());
            heard.iter().find(|answer| answer.to_port == port).copied()
        });
        assert_eq!((answer.from_port, answer.flags), (80, expected), "{name}");
    }
}
