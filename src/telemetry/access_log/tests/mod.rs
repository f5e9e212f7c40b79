//! Lines as the writer thread gets them.

mod formats;

use super::*;
use crate::net::addr::PeerAddr;
use crate::telemetry::WorkerCells;
use crate::telemetry::stuck::Stuck;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant};

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn connection() -> ConnectionText {
    let peer = PeerAddr::new("192.0.2.1:5".parse().expect("literal"));
    ConnectionText::new(peer, None, "web")
}

fn line<'a>(path: &'a str, connection: &'a ConnectionText) -> Line<'a> {
    Line {
        time: Instant::now(),
        client: b"192.0.2.9",
        connection,
        route: None,
        endpoint: Some("10.0.0.1:80"),
        cf_ray: None,
        method: "GET",
        host: b"a.example",
        path,
        protocol: "HTTP/1.1",
        status: 200,
        reason: None,
        duration: Duration::from_micros(1),
        upstream: None,
        bytes_in: 0,
        bytes_out: 2,
        retries: 0,
        user: Some(b"ann@a.example"),
        user_agent: Some(b"a\"\\\n\x01\xffb"),
        trace: None,
    }
}

#[test]
fn lines_are_json_whatever_the_client_sent() {
    let (memory, cells) = (Memory::default(), Arc::new(WorkerCells::new(1)));
    let (sink, writer) =
        start(Output::Other(Box::new(memory.clone())), Arc::default(), None).expect("a thread");
    let log = sink.worker(Arc::clone(&cells));
    let connection = connection();
    log.clock.borrow_mut().set(Instant::now(), Duration::from_millis(1_700_000_000_078));
    log.write(&line("/a\u{7f}\u{2028}", &connection));
    log.flush();
    drop((log, sink));
    assert_eq!(writer.close(|| false), 0);
    let text = String::from_utf8(memory.0.lock().expect("not poisoned").clone()).expect("UTF-8");
    assert_eq!(text.lines().count(), 1);
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let expected = serde_json::json!({
        "time": value["time"],
        "client": "192.0.2.9",
        "peer": "192.0.2.1:5",
        "listener": "web",
        "endpoint": "10.0.0.1:80",
        "method": "GET",
        "host": "a.example",
        "path": "/a\u{7f}\u{2028}",
        "protocol": "HTTP/1.1",
        "user": "ann@a.example",
        "user_agent": "a\"\\\n\u{1}\u{fffd}b",
        "status": 200,
        "duration_us": 1,
        "bytes_in": 0,
        "bytes_out": 2,
        "retries": 0,
    });
    assert_eq!(value, expected);
    let time = value["time"].as_str().expect("text");
    assert!(time.starts_with("2023-11-14T22:13:20.") && time.ends_with('Z'), "{time}");
}

#[test]
fn a_stuck_writer_costs_lines_and_never_waits() {
    let (go, gate) = mpsc::channel();
    let cells = Arc::new(WorkerCells::new(1));
    let lost = Arc::new(LogCells::default());
    let output = Output::Other(Box::new(Stuck(gate)));
    let (sink, writer) = start(output, Arc::clone(&lost), None).expect("a thread");
    let log = sink.worker(Arc::clone(&cells));
    let total = 2 * QUEUED_BUFFERS as u64;
    let connection = connection();
    for _ in 0..total {
        log.write(&line("/", &connection));
        log.flush();
    }
    let dropped = cells.log_dropped.total();
    // One buffer may be in the writer's hands beside the full queue.
    assert!((total - QUEUED_BUFFERS as u64 - 1..=total).contains(&dropped), "{dropped}");
    drop((log, sink));
    // Neither does the end of the process; what is left then is counted, too.
    let left = writer.close(|| true);
    assert_eq!((left, lost.failed.load(Ordering::Relaxed)), (total - dropped, total - dropped));
    drop(go);
}
