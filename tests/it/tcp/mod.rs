//! Connections of IngressRouteTCPs without TLS: to which pod, who may, and how they end.

mod admitted;
mod ends;
mod handover;
mod pod;
mod routes;
mod spread;

use crate::support::{Builder, Edge, edge};
use pod::Pod;
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

/// The listener `db` for connections, at position 1, and the entry point of that name.
const TABLES: &str = r#"
[[listener]]
name = "db"
address = "127.0.0.1:0"
protocol = "tcp"
admit = ["loopback"]
[[entry_point]]
name = "db"
listeners = ["db"]
default = false
"#;

/// An IngressRouteTCP `ns/name` with these routes, at the entry point `db`.
fn route_tcp(name: &str, routes: &Value) -> Value {
    json!({
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRouteTCP",
        "metadata": {"namespace": "ns", "name": name},
        "spec": {"ingressClassName": "ravelin", "entryPoints": ["db"], "routes": routes},
    })
}

/// A route of all connections to a Service, with further fields of that.
fn to(service: &str, more: &Value) -> Value {
    let mut target = json!({"name": service, "port": "http"});
    if let (Some(all), Some(more)) = (target.as_object_mut(), more.as_object()) {
        all.extend(more.clone());
    }
    json!([{"match": "HostSNI(`*`)", "services": [target]}])
}

/// A proxy whose listener for connections leads to these pods.
fn edge_tcp(pods: &[SocketAddr]) -> Builder {
    edge()
        .tables(TABLES)
        .service("db", pods)
        .object("route.json", &route_tcp("route", &to("db", &json!({}))))
}

fn connect(edge: &Edge) -> TcpStream {
    let socket = TcpStream::connect(edge.listener(1)).expect("it listens");
    socket.set_read_timeout(Some(crate::PATIENCE)).expect("a time");
    socket
}

/// What comes next, up to so many bytes.
fn read(socket: &mut TcpStream, count: usize) -> String {
    let mut bytes = vec![0; count];
    socket.read_exact(&mut bytes).expect("they come");
    String::from_utf8(bytes).expect("text")
}

/// Everything that still comes.
fn read_to_end(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).expect("it ends");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether the connection ends without a byte.
fn is_refused(mut socket: TcpStream) -> bool {
    match socket.read(&mut [0]) {
        Ok(count) => count == 0,
        // Time that is over is no end.
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// What the pod answers to a text, on a connection of its own.
fn ask(edge: &Edge, text: &str) -> String {
    let mut socket = connect(edge);
    socket.write_all(text.as_bytes()).expect("it reads");
    socket.shutdown(Shutdown::Write).expect("open");
    read_to_end(&mut socket)
}
