//! Manifests change while requests go on.

use crate::support::{
    Edge, Gate, Upstream, edge, edge_to, eventually, ingress, program, rule, slice,
};
use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

/// An Ingress that sends everything to a Service, as text.
fn all_to(service: &str) -> String {
    ingress("all", &[rule("", &[("/", "Prefix", service)])]).to_string()
}

fn two() -> (Edge, [Upstream; 2]) {
    let upstreams = ["a", "b"].map(Upstream::saying);
    let edge = edge()
        .service("a", &[upstreams[0].addr()])
        .service("b", &[upstreams[1].addr()])
        .object("all.json", &ingress("all", &[rule("", &[("/", "Prefix", "a")])]))
        .start();
    (edge, upstreams)
}

#[test]
fn a_change_takes_effect_on_a_connection_that_is_open() {
    let (edge, _upstreams) = two();
    let mut client = edge.connect();
    for service in ["b", "a", "b"] {
        edge.put("all.json", &all_to(service));
        assert_eq!(client.get("h", "/").text(), service);
    }
    edge.await_metric("ravelin_connections_accepted_total", &[], 1.0);
}

#[test]
fn the_table_that_an_answer_began_with_is_freed_while_it_goes_on() {
    let upstream = Upstream::scripted(|conn| {
        if conn.request().is_some() {
            conn.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
            conn.closes();
        }
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.ask("GET", "a", "/events");
    assert_eq!(client.head().status(), 200);
    let table = edge.table();
    let other = rule("other.example", &[("/", "Prefix", "web")]);
    edge.put("other.json", &ingress("other", &[other]).to_string());
    eventually("the old table is freed", || (table.strong_count() == 0).then_some(()));
    drop(client);
    // What is logged afterwards has its route all the same.
    assert_eq!(edge.ended("client_gone")["route"], "ns/all");
}

#[test]
fn a_request_in_flight_keeps_the_rules_that_it_met() {
    let gate = Gate::default();
    let until = gate.clone();
    let upstream = Upstream::scripted(move |conn| {
        while conn.request().is_some() {
            until.wait();
            conn.answer("finished");
        }
    });
    let edge = edge_to(&[upstream.addr()]).start();
    let mut client = edge.connect();
    client.ask("GET", "h", "/");
    upstream.await_requests(1);
    edge.remove("web-ingress.json");
    edge.remove("web-0.json");
    gate.open();
    assert_eq!(client.response().text(), "finished");
    assert_eq!(client.get("h", "/").status(), 404);
}

#[test]
fn a_file_that_becomes_invalid_keeps_what_it_served_and_is_reported() {
    let (edge, _upstreams) = two();
    let errors = [("severity", "error")];
    edge.await_metric("ravelin_rejected_objects", &errors, 0.0);
    for broken in ["{\"kind\": \"Ingress\", ", "a: [", "\0"] {
        edge.put("all.json", broken);
        assert_eq!(edge.get("h", "/").text(), "a", "{broken:?}");
        edge.await_metric("ravelin_rejected_objects", &errors, 1.0);
        edge.put("all.json", &all_to("a"));
        edge.await_metric("ravelin_rejected_objects", &errors, 0.0);
    }
}

#[test]
fn the_routes_of_a_deleted_file_go() {
    let (edge, _upstreams) = two();
    assert_eq!(edge.get("h", "/").text(), "a");
    edge.remove("all.json");
    assert_eq!(edge.get("h", "/").status(), 404);
    edge.put("all.json", &all_to("b"));
    assert_eq!(edge.get("h", "/").text(), "b");
}

#[test]
fn a_config_map_is_swapped_as_a_whole() {
    let upstreams = ["a", "b"].map(Upstream::saying);
    let builder = edge().service("a", &[upstreams[0].addr()]).service("b", &[upstreams[1].addr()]);
    // As the kubelet lays out a volume: files lead through `..data` to a folder with a date.
    let volume = builder.manifests().join("volume");
    let generation = |name: &str, service: &str| {
        fs::create_dir_all(volume.join(name)).expect("a new folder");
        fs::write(volume.join(name).join("all.yaml"), all_to(service)).expect("a new file");
    };
    generation("..2026_01", "a");
    symlink("..2026_01", volume.join("..data")).expect("a new link");
    symlink("..data/all.yaml", volume.join("all.yaml")).expect("a new link");
    let edge = builder.start();
    assert_eq!(edge.get("h", "/").text(), "a");
    edge.change(|| {
        generation("..2026_02", "b");
        symlink("..2026_02", volume.join("..data_tmp")).expect("a new link");
        fs::rename(volume.join("..data_tmp"), volume.join("..data")).expect("one file system");
        fs::remove_dir_all(volume.join("..2026_01")).expect("it is there");
    });
    eventually("the new generation serves", || (edge.get("h", "/").text() == "b").then_some(()));
}

#[test]
fn no_new_request_goes_to_an_endpoint_that_was_removed() {
    let upstreams = ["stays", "goes"].map(Upstream::saying);
    let edge = Edge::to(&[upstreams[0].addr(), upstreams[1].addr()]);
    let mut client = edge.connect();
    while upstreams[1].requests().len() < 5 {
        client.get("h", "/");
    }
    edge.remove("web-1.json");
    let before = upstreams[1].requests().len();
    for _ in 0..100 {
        assert_eq!(client.get("h", "/").text(), "stays");
    }
    assert_eq!(upstreams[1].requests().len(), before);
    // And when it comes back, it serves again.
    edge.put("web-1.json", &slice("web-1", "web", "http", upstreams[1].addr()).to_string());
    while upstreams[1].requests().len() == before {
        assert_eq!(client.get("h", "/").status(), 200);
    }
}

#[test]
fn a_hundred_changes_under_load_fail_no_request_and_close_no_connection() {
    let Some(wrk) = program("wrk") else { return };
    let upstream = Upstream::saying("fine");
    let edge = edge_to(&[upstream.addr()]).start_with(2);
    let load = Command::new(wrk)
        .args(["-t1", "-c16", "-d120s", "-H", "Host: steady.example"])
        .arg(format!("http://{}/", edge.addr()))
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be run");
    edge.await_metric("ravelin_connections_open", &[], 16.0);
    let accepted = || edge.metrics().sum("ravelin_connections_accepted_total", &[]);
    let before = accepted();
    for n in 0..100 {
        let other = format!("host-{n}.example");
        let rules = [rule("", &[("/", "Prefix", "web")]), rule(&other, &[("/x", "Exact", "web")])];
        edge.put("web-ingress.json", &ingress("all", &rules).to_string());
    }
    let after = accepted();
    // wrk reports what it has when it is interrupted.
    let id = load.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &id]).status().is_ok_and(|s| s.success()));
    let output = load.wait_with_output().expect("our child");
    let report = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(!report.contains("Non-2xx") && !report.contains("Socket errors"), "{report}");
    assert!(report.contains("requests in"), "{report}");
    assert!((after - before).abs() < 0.5, "{before} connections, then {after}");
    assert!(edge.generation() >= 100);
}
