//! How connections end when not by both sides: idle, drained, broken off.

use super::{Pod, TABLES, connect, edge_tcp, is_refused, read, read_to_end, route_tcp, to};
use crate::support::{Edge, edge};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

fn ended(edge: &Edge, end: &str) {
    let line = edge.await_log(1).remove(0);
    assert_eq!(line["end"], end, "{line}");
    edge.await_metric("ravelin_tcp_connections_total", &[("end", end)], 1.0);
    edge.await_metric("ravelin_tunnels_open", &[("listener", "db")], 0.0);
}

#[test]
fn a_silent_connection_ends_after_a_while_and_one_that_moves_does_not() {
    let pod = Pod::scripted(|mut socket, _| {
        let mut buffer = [0; 16];
        while let Ok(1..) = socket.read(&mut buffer) {
            let _ = socket.write_all(b".");
        }
    });
    let edge = edge_tcp(&[pod.addr()]).timeout("tunnel_idle", "1s").start();
    let mut socket = connect(&edge);
    let begun = std::time::Instant::now();
    // For longer than it may be silent.
    while begun.elapsed() < std::time::Duration::from_millis(1500) {
        socket.write_all(b"x").expect("it is open");
        assert_eq!(read(&mut socket, 1), ".");
    }
    assert_eq!(read_to_end(&mut socket), "");
    ended(&edge, "tunnel_idle");
}

#[test]
fn a_side_that_has_ended_leaves_the_other_less_time() {
    // Says nothing, and keeps its side open.
    let pod = Pod::scripted(|mut socket, _| {
        let _ = socket.read_to_end(&mut Vec::new());
        std::thread::park();
    });
    let edge = edge_tcp(&[pod.addr()]).timeout("body_progress", "500ms").start();
    let mut socket = connect(&edge);
    socket.shutdown(Shutdown::Write).expect("open");
    assert_eq!(read_to_end(&mut socket), "");
    ended(&edge, "tunnel_idle");
}

#[test]
fn a_client_that_breaks_off_is_told_from_a_pod_that_does() {
    let reset = |socket: &TcpStream| {
        socket2::SockRef::from(socket)
            .set_linger(Some(std::time::Duration::ZERO))
            .expect("a socket");
    };
    let pod = Pod::greeting("pod");
    let edge = edge_tcp(&[pod.addr()]).start();
    let mut socket = connect(&edge);
    assert_eq!(read(&mut socket, 4), "pod\n");
    reset(&socket);
    drop(socket);
    ended(&edge, "client_gone");
    let pod = Pod::scripted(move |mut socket, _| {
        let _ = socket.read(&mut [0]);
        reset(&socket);
    });
    let edge = edge_tcp(&[pod.addr()]).start();
    let mut socket = connect(&edge);
    socket.write_all(b"x").expect("open");
    assert!(is_refused(socket));
    ended(&edge, "upstream_truncated");
}

#[test]
fn connections_that_outlast_the_drain_are_cut_and_say_so() {
    let pod = Pod::greeting("pod");
    let edge = edge_tcp(&[pod.addr()]).timeout("drain", "100ms").timeout("drain_idle", "10ms");
    let folder = edge.manifests();
    let edge = edge.start();
    let mut socket = connect(&edge);
    assert_eq!(read(&mut socket, 4), "pod\n");
    // The log is gone with the folder of the proxy: what is there is read while it leaves.
    let log = folder.parent().expect("a folder").join("access.log");
    let kept = log.with_file_name("kept.log");
    std::fs::hard_link(&log, &kept).expect("one file system");
    let copy = std::fs::File::open(&kept).expect("it is there");
    drop(edge);
    assert!(is_refused(socket));
    let mut text = String::new();
    (&copy).read_to_string(&mut text).expect("text");
    assert!(text.contains("\"end\":\"cut_by_drain\""), "{text}");
}

#[test]
fn a_connection_of_an_older_table_goes_on_when_its_route_is_gone() {
    let pod = Pod::greeting("pod");
    let edge = edge()
        .tables(TABLES)
        .service("db", &[pod.addr()])
        .object("route.json", &route_tcp("route", &to("db", &json!({}))))
        .start();
    let mut socket = connect(&edge);
    assert_eq!(read(&mut socket, 4), "pod\n");
    edge.remove("route.json");
    socket.write_all(b"still here").expect("open");
    socket.shutdown(Shutdown::Write).expect("open");
    assert_eq!(read_to_end(&mut socket), "still here");
}
