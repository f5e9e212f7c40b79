//! Connections with headers as resources: they go when the process does, and leave nothing open.

use super::super::is_reset;
use super::{REQUEST, behind_balancer, line, local, proxied};
use crate::support::{Client, Upstream, eventually};
use std::net::Shutdown;

#[test]
fn a_process_that_leaves_does_not_wait_for_headers_without_end() {
    let upstream = Upstream::saying("ok");
    // What ends first ends it: the header's deadline, or the drain's.
    for (header, drain) in [("300ms", "1h"), ("1h", "300ms")] {
        let builder = behind_balancer(&upstream).timeout("proxy_header", header);
        let builder = builder.timeout("drain", drain).timeout("drain_idle", "20ms");
        let mut process = builder.spawn(1);
        let mut pending = [process.connect(), process.connect()];
        pending[1].send("PROXY TCP4 ");
        // The first two have been accepted when the third is served.
        let mut served = process.connect();
        served.send(line("192.0.2.1", 80));
        assert_eq!(served.get("a", "/").status(), 200);
        process.signal("TERM");
        assert_eq!(process.exit().code(), Some(0), "proxy_header {header}, drain {drain}");
        assert!(pending.iter_mut().all(Client::is_closed));
    }
}

/// One connection of each sort, to its end.
fn connect_in_every_way(connect: impl Fn() -> Client) {
    for header in [line("192.0.2.1", 80), proxied("2001:db8::7", 80)] {
        let mut client = connect();
        client.send([header, REQUEST.into()].concat());
        assert_eq!(client.response().status(), 200);
    }
    for bytes in [line("198.51.100.1", 80), REQUEST.into(), proxied("198.51.100.1", 80)] {
        let mut client = connect();
        client.send(bytes);
        is_reset(&mut client);
    }
    for bytes in [Vec::new(), b"PROXY TC".to_vec(), local(), proxied("192.0.2.1", 80)] {
        let mut client = connect();
        client.send(&bytes);
        client.wire.stream.shutdown(Shutdown::Write).expect("connected");
        assert!(client.is_closed(), "{bytes:?}");
    }
    // Never answered, and gone without waiting.
    connect().send(b"PROXY TCP4 192.0.2.1");
}

#[test]
fn a_thousand_connections_leave_no_file_open() {
    let upstream = Upstream::saying("ok");
    // On a busy machine more connections to the upstream would be kept than before.
    let process = behind_balancer(&upstream).set("upstream", "idle_per_endpoint", "0").spawn(2);
    // What is opened once and kept is open afterwards.
    for _ in 0..5 {
        connect_in_every_way(|| process.connect());
    }
    let settled = || {
        let mut before = process.open_files();
        eventually("the number of open files settles", || {
            let now = process.open_files();
            let same = now == before;
            before = now;
            same.then_some(now)
        })
    };
    let before = settled();
    for _ in 0..100 {
        connect_in_every_way(|| process.connect());
    }
    eventually("every connection is closed", || (process.open_files() <= before).then_some(()));
}
