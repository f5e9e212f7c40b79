//! A listener for connections goes from one process to its successor, as others do.

use super::{Pod, TABLES, read, read_to_end, route_tcp, to};
use crate::support::{Metrics, Process, edge, eventually, reserve};
use serde_json::json;
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};

fn is_steered(process: &Process) -> bool {
    Metrics::scrape(process.admin()).sum("ravelin_listener_steered", &[("listener", "db")]) > 0.5
}

fn lines(process: &Process) -> usize {
    process.log_lines().len()
}

#[test]
fn a_successor_gets_new_connections_and_the_old_process_keeps_its_own() {
    let pod = Pod::greeting("pod");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let reserved = reserve(any);
    let db = reserved.local_addr().ok().and_then(|addr| addr.as_socket()).expect("bound");
    let builder = || {
        edge()
            .at(any)
            .tables(&TABLES.replace("127.0.0.1:0", &db.to_string()))
            .timeout("drain", "20s")
            .service("db", &[pod.addr()])
            .object("route.json", &route_tcp("route", &to("db", &json!({}))))
            .spawn(1)
    };
    let connect = || {
        let socket = TcpStream::connect(db).expect("it listens");
        socket.set_read_timeout(Some(crate::PATIENCE)).expect("a time");
        socket
    };
    let mut old = builder();
    eventually("the kernel is steered", || is_steered(&old).then_some(()));
    let mut kept = connect();
    assert_eq!(read(&mut kept, 4), "pod\n");
    let new = builder();
    eventually("to the new one", || (is_steered(&new) && !is_steered(&old)).then_some(()));
    for _ in 0..10 {
        let mut socket = connect();
        socket.shutdown(Shutdown::Write).expect("open");
        assert_eq!(read_to_end(&mut socket), "pod\n");
    }
    eventually("they were those of the new one", || (lines(&new) == 10).then_some(()));
    assert_eq!(lines(&old), 0);
    // The old one waits for its own, as long as a drain takes.
    old.signal("TERM");
    old.await_message("shutting down");
    kept.write_all(b"still here").expect("it is open");
    kept.shutdown(Shutdown::Write).expect("open");
    assert_eq!(read_to_end(&mut kept), "still here");
    assert_eq!(old.exit().code(), Some(0));
    assert_eq!((lines(&old), lines(&new)), (1, 10));
}
