//! Sinks that are stuck: pipes that nobody reads, full disks, readers of metrics that hang. None of
//! them stops the life of the process.

use crate::eventually::eventually;
use crate::probe::probe;
use crate::program::await_end;
use crate::running::{Running, ask, folder};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The list of Cloudflare's addresses is not to be fetched.
const QUIET: &str = "[cloudflare]\nrefresh = \"off\"\n";

/// More requests than a pipe of 64 KiB has lines for, whose writer may have 8 MiB more waiting.
fn flood(address: SocketAddr, requests: usize) {
    let head = format!("User-Agent: {}\r\n", "a".repeat(512));
    for _ in 0..requests {
        ask(address, &head);
    }
}

#[test]
fn standard_output_that_nobody_reads_costs_the_last_lines_alone() {
    let mut running = Running::begin(folder(QUIET), Stdio::piped());
    let address = running.listener();
    running.until("admin port");
    flood(address, 150);
    assert!(probe("ready", &running.socket()).code == 0);
    running.signal("TERM");
    let lost = running.until("the access log sink is stuck");
    let lost: serde_json::Value = serde_json::from_str(&lost).expect("a JSON line");
    assert!(lost["lines"].as_u64().is_some_and(|lines| lines > 0), "{lost}");
    running.until("\"left\"");
    assert!(await_end(&mut running.child).success());
}

#[test]
fn standard_error_that_nobody_reads_stops_nothing() {
    let folder = folder(QUIET);
    // A finding each, a line each: more than a pipe holds.
    let mut manifests = String::new();
    for number in 0..600 {
        let _ = write!(
            manifests,
            "---\n{{apiVersion: networking.k8s.io/v1, kind: Ingress, \
             metadata: {{namespace: a, name: i{number}}}, spec: {{ingressClassName: ravelin, \
             rules: [{{host: a.example}}], tls: [{{secretName: missing{number}, hosts: [a.example]}}], \
             defaultBackend: {{service: {{name: s{number}, port: {{number: 80}}}}}}}}}}\n"
        );
    }
    fs::write(folder.path().join("manifests/wrong.yaml"), manifests).expect("a new file");
    let mut running = Running::begin(folder, Stdio::null());
    let has = |running: &Running, label: &str| {
        let page = running.metrics().unwrap_or_default();
        page.contains(&format!("listener=\"{label}\"")).then_some(())
    };
    eventually("it serves its metrics", || has(&running, "web"));
    eventually("it is ready", || (probe("ready", &running.socket()).code == 0).then_some(()));
    let file = running.folder.path().join("ravelin.toml");
    let text = fs::read_to_string(&file).expect("ours").replace("\"web\"", "\"other\"");
    fs::write(&file, text).expect("ours");
    running.signal("HUP");
    eventually("the new configuration is in force", || has(&running, "other"));
    running.signal("TERM");
    assert!(await_end(&mut running.child).success());
}

#[test]
fn lines_that_a_full_disk_loses_are_counted_and_told() {
    let mut running = Running::start(&format!("{QUIET}[log]\naccess = \"/dev/full\"\n"));
    let address = running.listener();
    running.until("admin port");
    for _ in 0..3 {
        ask(address, "");
    }
    eventually("three lines are lost", || {
        let lost = running.metric("ravelin_access_log_dropped_lines_total{cause=\"sink\"}");
        (lost == Some(3)).then_some(())
    });
    running.until("the access log cannot be written");
    running.signal("TERM");
    assert!(await_end(&mut running.child).success());
}

fn with_fifo() -> TempDir {
    let folder = folder("");
    let fifo = folder.path().join("access");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    let file = folder.path().join("ravelin.toml");
    let text = fs::read_to_string(&file).expect("ours");
    fs::write(&file, format!("{text}{QUIET}[log]\naccess = {fifo:?}\n")).expect("ours");
    folder
}

#[test]
fn a_fifo_without_a_reader_is_waited_for_beside_the_requests() {
    let mut running = Running::begin(with_fifo(), Stdio::null());
    let address = running.listener();
    running.until("admin port");
    ask(address, "");
    let fifo = running.folder.path().join("access");
    let mut reader = File::open(fifo).expect("its other end is opened");
    let mut byte = [0];
    reader.read_exact(&mut byte).expect("the line is written");
    assert_eq!(&byte, b"{");
    // Without a reader again: lines are lost, and nothing else.
    drop(reader);
    ask(address, "");
    eventually("the line is lost", || {
        let lost = running.metric("ravelin_access_log_dropped_lines_total{cause=\"sink\"}");
        (lost == Some(1)).then_some(())
    });
    running.signal("TERM");
    assert!(await_end(&mut running.child).success());
}

#[test]
fn a_fifo_that_nobody_ever_reads_keeps_no_process() {
    let mut running = Running::begin(with_fifo(), Stdio::null());
    let address = running.listener();
    running.until("admin port");
    ask(address, "");
    running.signal("HUP");
    running.until("the new configuration is in force");
    running.until("the access log sink is stuck");
    running.signal("TERM");
    assert!(await_end(&mut running.child).success());
}

#[test]
fn a_second_signal_ends_it_at_once_whatever_is_stuck() {
    let mut running = Running::begin(folder(QUIET), Stdio::piped());
    let address = running.listener();
    running.until("admin port");
    flood(address, 150);
    // A scrape whose answer is not read, and a request that is never finished.
    let mut scrape = UnixStream::connect(running.socket()).expect("it serves");
    scrape.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").expect("it reads");
    let mut client = std::net::TcpStream::connect(address).expect("it listens");
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("it reads");
    client.read_exact(&mut [0]).expect("it answers");
    client.write_all(b"GET / HT").expect("it reads");
    running.signal("TERM");
    running.until("shutting down");
    running.signal("TERM");
    running.until("the drain timeout has passed: open connections are closed");
    assert!(await_end(&mut running.child).success());
    drop((scrape, client));
}
