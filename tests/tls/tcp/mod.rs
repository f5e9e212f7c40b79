//! Connections of IngressRouteTCPs with TLS: passed on as they come, or ended here.

mod ended;
mod passed_on;
mod postgres;
mod servers;

use crate::authorities::{Authority, identified};
use crate::certificates::Issued;
use crate::client::{Client, Offer};
use crate::proxy::{Proxy, proxy};
use crate::secrets::secret;
use crate::{PATIENCE, eventually, program};
use rustls::ClientConnection;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::pki_types::ServerName;
use rustls::version::TLS13;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

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

/// An IngressRouteTCP `ns/name` with this `spec` and a route to a Service.
fn route(name: &str, spec: &Value, rule: &str, service: &str) -> Value {
    let mut all = json!({
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRouteTCP",
        "metadata": {"namespace": "ns", "name": name},
        "spec": {"ingressClassName": "ravelin", "entryPoints": ["websecure"],
                 "routes": [{"match": rule, "services": [{"name": service, "port": "http"}]}]},
    });
    let own = all["spec"].as_object_mut().expect("a map");
    own.extend(spec.as_object().expect("a map").clone());
    all
}

fn passed() -> Value {
    json!({"tls": {"passthrough": true}})
}

fn option(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "traefik.io/v1alpha1", "kind": "TLSOption",
           "metadata": {"namespace": "ns", "name": name}, "spec": spec})
}

/// A Service with one pod.
fn service(name: &str, pod: SocketAddr) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "ns", "name": name},
         "spec": {"ports": [{"name": "http", "port": 80}]}},
        {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
         "metadata": {"namespace": "ns", "name": name,
                      "labels": {"kubernetes.io/service-name": name}},
         "addressType": "IPv4",
         "endpoints": [{"addresses": [pod.ip().to_string()], "conditions": {"ready": true}}],
         "ports": [{"name": "http", "port": pod.port(), "protocol": "TCP"}]},
    ]})
}

fn place(folder: &Path, file: &str, object: &Value) {
    let aside = folder.join("aside");
    fs::write(&aside, object.to_string()).expect("a folder of ours");
    fs::rename(&aside, folder.join("manifests").join(file)).expect("the same file system");
}

/// A proxy with these objects beside the routes of HTTP for all hosts.
fn with(objects: &[Value], certificates: &[&Issued]) -> Proxy {
    let mut builder = proxy().sections(TABLES);
    for certificate in certificates {
        builder = builder.certificate(certificate);
    }
    for (number, object) in objects.iter().enumerate() {
        place(builder.folder(), &format!("{number}.json"), object);
    }
    builder.start()
}

/// A pod that repeats what it hears, and keeps it.
struct Echo {
    addr: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Echo {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let addr = listener.local_addr().expect("bound");
        let heard = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let all = Arc::clone(&heard);
        thread::spawn(move || {
            for mut socket in listener.incoming().map_while(Result::ok) {
                let all = Arc::clone(&all);
                thread::spawn(move || {
                    let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
                    while let Ok(count @ 1..) = socket.read(&mut buffer) {
                        kept.extend_from_slice(&buffer[..count]);
                        if socket.write_all(&buffer[..count]).is_err() {
                            break;
                        }
                    }
                    all.lock().expect("no panic").push(kept);
                });
            }
        });
        Self { addr, heard }
    }

    /// What the first connection has said, once it has ended.
    fn first(&self) -> Vec<u8> {
        eventually("the pod has heard", || self.heard.lock().expect("no panic").first().cloned())
    }
}

/// Whether a connection for a name is a tunnel to a pod that repeats what it hears.
fn echoes(addr: SocketAddr, name: &str, offer: Offer) -> bool {
    let Ok(mut client) = Client::offer(addr, name, &offer.config()) else { return false };
    client.send("twice");
    let mut answer = [0; 5];
    client.stream.read_exact(&mut answer).is_ok_and(|()| answer == *b"twice")
}

/// The ClientHello of a client.
fn hello(name: &str, offer: Offer) -> Vec<u8> {
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut client = ClientConnection::new(offer.config(), name).expect("a client");
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).expect("a vector");
    }
    bytes
}
