//! Break-glass under load: strangers come in and go out again, and Cloudflare does not notice.

use crate::edge::{Edge, listener, served};
use crate::eventually;
use crate::lab::{Lab, NODE_V4, NODE_V6, at, on_either_kernel};
use crate::orders::{Met, Told};
use std::fs;

fn turn(edge: &Edge<'_>, word: &str) {
    let draft = edge.file("draft");
    fs::write(&draft, word).expect("a writable folder");
    fs::rename(&draft, edge.file("switch")).expect("the same folder");
}

/// Whether a stranger gets no connection that is served.
fn is_out(lab: &Lab) -> bool {
    match lab.stranger.meet(at(NODE_V4, 80)) {
        Met::Silence => true,
        Met::Connected(number) => lab.stranger.get(number, "/") == Told::Reset,
        Met::Failed(error) => error.contains("reset"),
        Met::Refused => false,
    }
}

fn on_and_off(lab: &Lab, more: &str, mode: &str) {
    let config = listener("web", "[::]:80", &format!("admit = [\"cloudflare\"]\n{more}"))
        + "[break_glass]\nfile = \"FOLDER/switch\"\ndrain = \"5s\"\nrequests = 100000\n";
    let edge = Edge::start(lab, &config);
    turn(&edge, "off");
    assert_eq!(edge.mode("web"), mode);
    assert!(is_out(lab));
    lab.listed.load(at(NODE_V4, 80));
    for _ in 0..2 {
        turn(&edge, "on");
        eventually("a stranger is served", || (!is_out(lab)).then_some(()));
        assert_eq!((edge.mode("web"), edge.plain("ravelin_break_glass")), ("off", 1));
        for address in [NODE_V4, NODE_V6] {
            served(&lab.stranger, at(address, 80));
        }
        let idle = lab.stranger.connect(at(NODE_V4, 80));
        assert!(matches!(lab.stranger.get(idle, "/"), Told::Response(404, _)));
        lab.stranger.load(at(NODE_V4, 80));
        let before = edge.plain("ravelin_break_glass_connections_total");
        eventually("strangers ask", || {
            (edge.plain("ravelin_break_glass_connections_total") > before + 50).then_some(())
        });
        turn(&edge, "off");
        eventually("the gate is closed", || (edge.mode("web") == mode).then_some(()));
        let (answered, _) = lab.stranger.unload();
        assert!(answered > 20, "{answered}");
        assert!(is_out(lab));
        eventually("strangers have left", || {
            (edge.plain("ravelin_break_glass_open_connections") == 0).then_some(())
        });
        // An orderly end, and not a reset.
        let told = lab.stranger.get(idle, "/");
        assert!(matches!(&told, Told::Failed(end) if end.contains("failed to fill")), "{told:?}");
        assert_eq!(edge.plain("ravelin_break_glass_cut_connections_total"), 0);
    }
    let (answered, failed) = lab.listed.unload();
    assert_eq!(failed, [""; 0], "beside {answered} answers");
    assert!(answered > 100, "{answered}");
    let loud =
        edge.log().iter().filter(|line| line.to_string().contains("BREAK-GLASS IS ON")).count();
    assert!(loud >= 2, "{loud}");
}

#[test]
fn strangers_come_and_go_while_the_kernel_filters_otherwise() {
    on_either_kernel(|lab| on_and_off(lab, "", lab.kernel.mode()));
}

#[test]
fn strangers_come_and_go_where_the_kernel_does_not_filter() {
    let Some(lab) = Lab::build() else { return };
    on_and_off(&lab, "kernel_filter = false", "user_space");
}
