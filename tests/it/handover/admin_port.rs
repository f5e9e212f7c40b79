//! Two processes at one admin port: who is asked over TCP, and who over a socket of its own.

use super::{at, await_steered, is_steered, loopback};
use crate::support::{Client, Metrics, Upstream, edge_to, eventually};
use std::path::Path;
use std::process::Command;

/// What `ravelin probe` says of a socket.
fn probe(question: &str, socket: &Path) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ravelin"));
    let output = command.args(["probe", question, "--socket"]).arg(socket).output();
    let output = output.expect("cargo has built it");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().expect("not killed"), text)
}

#[test]
fn a_scrape_meets_the_newest_process_and_a_probe_its_own() {
    let upstream = Upstream::saying("done");
    let (builder, old_socket) = at(&upstream, loopback()).probed();
    let mut old = builder.spawn(1);
    await_steered(&old);
    for _ in 0..3 {
        assert_eq!(old.connect().get("a", "/").text(), "done");
    }
    let total = |of: &Metrics| of.sum("ravelin_requests_total", &[]);
    eventually("three requests are counted", || {
        (total(&Metrics::scrape(old.admin())) > 2.5).then_some(())
    });
    // A scraper that keeps its connection.
    let mut kept = Client::connect(old.admin());
    assert_eq!(kept.get("admin", "/livez").text(), "ok\n");

    let admin = format!("{:?}", old.admin().to_string());
    let waits = at(&upstream, old.addr()).set("admin", "address", &admin);
    let (waits, new_socket) = waits.set("cloudflare", "config_map", "\"ns/ips/list\"").probed();
    let waits = waits.spawn(1);
    // Whoever asks by the port is answered by the old one, which says that it is ready.
    assert_eq!(probe("ready", &old_socket), (0, "ok\n".to_owned()));
    assert_eq!(probe("ready", &new_socket).0, 1);
    assert_eq!(probe("live", &new_socket).0, 0);
    drop(waits);

    let new = edge_to(&[upstream.addr()]).at(old.addr()).set("admin", "address", &admin);
    let (new, new_socket) = new.probed();
    let new = new.spawn(1);
    await_steered(&new);
    // It has served nobody. The port is steered in the same look as the listener.
    let is_new = || total(&Metrics::scrape(old.admin())) < 0.5;
    eventually("a scrape meets the new one", || is_new().then_some(()));
    assert!((0..10).all(|_| is_new()));
    assert_eq!(probe("ready", &new_socket), (0, "ok\n".to_owned()));
    assert_eq!(probe("ready", &old_socket), (0, "ok\n".to_owned()));

    let mut busy = old.connect();
    assert_eq!(busy.get("a", "/").text(), "done");
    old.signal("TERM");
    kept.closes();
    assert!(is_steered(&new));
    assert_eq!(old.exit().code(), Some(0));
    assert_eq!(probe("ready", &old_socket).0, 1, "it has left");
    assert_eq!(probe("ready", &new_socket).0, 0);
}
