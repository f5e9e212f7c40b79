//! Sets that change while the proxy runs, and a flood from outside of them.

use crate::edge::{Edge, listener, reset, served};
use crate::eventually;
use crate::host::Host;
use crate::lab::{
    LISTED_V4, LISTED_V6, Lab, NODE_V4, NODE_V6, STRANGER_V4, STRANGER_V6, STRANGERS, as_pod, at,
    on_either_kernel,
};
use crate::orders::{Met, Told};
use crate::raw::{HOPS, SYN, Segment};
use std::net::{Ipv4Addr, SocketAddr};

/// SYNs that are sent before it is looked for their drops: fewer than a CPU's queue of received
/// packets holds (`net.core.netdev_max_backlog`, 1000), so that all of them arrive.
const BATCH: u16 = 100;
const BATCHES: u8 = 10;

/// SYNs from as many addresses.
fn batch(number: u8) -> Vec<Segment> {
    let [a, b] = STRANGERS;
    let from = |host: u16| {
        let [c, d] = host.to_be_bytes();
        SocketAddr::from((Ipv4Addr::new(a, b + c, number, d), 1024 + host * 7))
    };
    let to = at(NODE_V4, 80);
    (0..BATCH).map(|host| Segment { from: from(host), to, flags: SYN, hops: HOPS }).collect()
}

/// Sends 1 000 SYNs, and sees that each is dropped and none is answered.
fn expect_all_dropped(lab: &Lab, edge: &Edge<'_>) {
    expect_dropped(lab, edge, (0..BATCHES).map(batch));
}

/// Sends these, a batch at a time.
fn expect_dropped(lab: &Lab, edge: &Edge<'_>, batches: impl Iterator<Item = Vec<Segment>>) {
    let (before, mut sent) = (edge.dropped("web"), 0);
    for batch in batches {
        lab.stranger.send(&batch);
        sent += batch.len() as u64;
        eventually("the batch is dropped", || (edge.dropped("web") - before >= sent).then_some(()));
    }
    // Nobody repeats a segment that has no connection.
    assert_eq!(edge.dropped("web") - before, sent);
    // A closed port does answer, so an answer to those before would be here by now.
    let marker = Segment { to: at(NODE_V4, 81), ..batch(0)[0] };
    lab.stranger.send(&[marker]);
    let mut heard = Vec::new();
    eventually("the closed port answers", || {
        heard.extend(lab.stranger.hear());
        heard.iter().any(|answer| answer.from_port == 81).then_some(())
    });
    // The stranger's own connections have ports from 32768.
    heard.retain(|answer| answer.to_port < 32768);
    assert_eq!(heard.len(), 1, "only the closed port answers: {heard:?}");
}

/// Over a connection that is open.
fn expect_response(host: &Host, connection: usize) {
    let told = host.get(connection, "/");
    assert!(matches!(told, Told::Response(404, _)), "{told:?}");
}

#[test]
fn the_set_changes_without_a_restart_and_cuts_no_connection() {
    on_either_kernel(|lab| {
        let web = listener("web", "[::]:80", "admit = [\"nodes\"]");
        let edge = Edge::start_with_nodes(lab, &web, &[LISTED_V4, LISTED_V6]);
        let [v4, v6] = [at(NODE_V4, 80), at(NODE_V6, 80)];
        lab.stranger.tap();
        expect_all_dropped(lab, &edge);
        assert_eq!(edge.refused("web", "not_admitted"), 0, "none reached user space");
        let inside = lab.listed.connect_all(&[v4; 100]);
        assert!(inside.iter().all(|met| matches!(met, Met::Connected(_))), "{inside:?}");
        let open = [v4, v6].map(|to| lab.listed.connect(to));
        for connection in open {
            expect_response(&lab.listed, connection);
        }
        assert_eq!(lab.stranger.connect_all(&[v4, v6]), [const { Met::Silence }; 2]);

        // The one for the other, in one change.
        edge.replace_nodes("second", &[STRANGER_V4, STRANGER_V6]);
        eventually("the new node connects", || {
            matches!(lab.stranger.meet(v4), Met::Connected(_)).then_some(())
        });
        for to in [v4, v6] {
            served(&lab.stranger, to);
        }
        let before = edge.dropped("web");
        assert_eq!(lab.listed.connect_all(&[v4, v6]), [const { Met::Silence }; 2]);
        assert!(edge.dropped("web") >= before + 2);
        for connection in open {
            expect_response(&lab.listed, connection);
        }
        // Those are neither of the old set nor of the new one.
        expect_all_dropped(lab, &edge);
        assert_eq!(edge.mode("web"), lab.kernel.mode());
        assert_eq!(edge.refused("web", "not_admitted"), 0, "the kernel has refused all of them");
    });
}

/// 100 000 SYNs of IPv4 from 25 600 addresses, and as many of IPv6 from one.
#[test]
fn each_of_100_000_syns_is_dropped_and_counted_without_a_privilege() {
    const ROUNDS: u8 = 200;
    as_pod(|lab| {
        let edge = Edge::start(lab, &listener("web", "[::]:80", "admit = [\"cloudflare\"]"));
        assert_eq!(edge.mode("web"), lab.kernel.mode());
        lab.stranger.tap();
        // Batches of 500 arrive whole: see `BATCH`.
        let of_v4 = |round: u8| -> Vec<Segment> {
            (0..5).flat_map(|part| batch(round.wrapping_add(part * 50))).collect()
        };
        expect_dropped(lab, &edge, (0..ROUNDS).map(of_v4));
        let of_v6 = |round: u8| -> Vec<Segment> {
            let from = |port| at(STRANGER_V6, port + 10 * u16::from(round));
            let syn =
                |port| Segment { from: from(port), to: at(NODE_V6, 80), flags: SYN, hops: HOPS };
            (1024..1524).map(syn).collect()
        };
        expect_dropped(lab, &edge, (0..ROUNDS).map(of_v6));
        assert_eq!(edge.refused("web", "not_admitted"), 0, "none reached user space");
        served(&lab.listed, at(NODE_V4, 80));
        served(&lab.listed, at(NODE_V6, 80));
    });
}

#[test]
fn a_set_that_outgrows_the_kernel_is_enforced_in_user_space_until_it_fits_again() {
    on_either_kernel(|lab| {
        let web = listener("web", "[::]:80", "admit = [\"nodes\"]");
        let edge = Edge::start_with_nodes(lab, &web, &[LISTED_V4]);
        let to = at(NODE_V4, 80);
        assert_eq!(edge.mode("web"), lab.kernel.mode());
        let open = lab.listed.connect(to);

        // No two of them touch.
        let many: Vec<String> =
            (0..4000u32).map(|n| format!("172.16.{}.{}", n / 100, n % 100 * 2)).collect();
        let all: Vec<&str> = many.iter().map(String::as_str).chain([LISTED_V4]).collect();
        edge.replace_nodes("many", &all);
        eventually("user space", || (edge.mode("web") == "user_space").then_some(()));
        reset(&lab.stranger, to);
        served(&lab.listed, to);
        assert_eq!(edge.refused("web", "not_admitted"), 1);
        let warnings = edge.warnings("web").concat();
        assert!(warnings.contains("4001 address ranges"), "{warnings}");

        edge.replace_nodes("few", &[LISTED_V4]);
        eventually("the kernel", || (edge.mode("web") == lab.kernel.mode()).then_some(()));
        assert_eq!(lab.stranger.meet(to), Met::Silence);
        served(&lab.listed, to);
        expect_response(&lab.listed, open);
        assert_eq!(edge.refused("web", "not_admitted"), 1);
    });
}
