//! Services of type ExternalName, against a name server that says what a test tells it to.

use crate::support::{Builder, Upstream, edge, eventually, ingress, rule, unsupported};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What is said of a name.
#[derive(Clone)]
enum Says {
    Addresses(Vec<Ipv4Addr>),
    NoSuchName,
    Failure,
}

/// A name server on loopback (RFC 1035 section 4.1); of a name that it does not know it says nothing.
struct NameServer {
    addr: SocketAddr,
    names: Arc<Mutex<BTreeMap<String, Says>>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a time");
        let addr = socket.local_addr().expect("bound");
        let names = Arc::new(Mutex::new(BTreeMap::<String, Says>::new()));
        let stopping = Arc::new(AtomicBool::new(false));
        let (known, stop) = (Arc::clone(&names), Arc::clone(&stopping));
        let thread = thread::spawn(move || {
            let mut query = [0; 1500];
            while !stop.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut query) else { continue };
                let (name, end) = question(&query[..length]);
                let says = known.lock().expect("no panic").get(&name).cloned();
                if let Some(says) = says {
                    socket.send_to(&answer(&query[..end], &says), from).expect("it is sent");
                }
            }
        });
        Self { addr, names, stopping, thread: Some(thread) }
    }

    fn say(&self, name: &str, says: Says) {
        self.names.lock().expect("no panic").insert(name.to_owned(), says);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_none_or(|ended| ended.is_ok()) || thread::panicking());
    }
}

/// The name that is asked for, and where its question ends.
fn question(query: &[u8]) -> (String, usize) {
    let (mut labels, mut at) = (Vec::new(), 12);
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).into_owned());
        at = end;
    }
    (labels.join("."), at + 5)
}

/// A question, and what is said to it; A records have a time to live of nothing.
fn answer(question: &[u8], says: &Says) -> Vec<u8> {
    let is_a = question[question.len() - 4..] == [0, 1, 0, 1];
    let (code, addresses) = match says {
        Says::Addresses(addresses) if is_a => (0, addresses.clone()),
        Says::Addresses(_) => (0, Vec::new()),
        Says::NoSuchName => (3, Vec::new()),
        Says::Failure => (2, Vec::new()),
    };
    let count = u8::try_from(addresses.len()).expect("a few");
    let mut message = question.to_vec();
    message[2..12].copy_from_slice(&[0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
    for address in addresses {
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        message.extend(address.octets());
    }
    message
}

/// An address of this machine that is not a loopback one.
fn own_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: the kernel chooses the address that it would send from.
    socket.connect("192.0.2.1:9").ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(ip) if !ip.is_loopback() && !ip.is_link_local() => Some(ip),
        _ => {
            unsupported("an address beside the loopback one");
            None
        }
    }
}

fn external(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": "ns", "name": "web"},
        "spec": {"type": "ExternalName", "externalName": name},
    })
}

/// A proxy that sends everything to `name`, at this port.
fn edge_to_name(name: &str, port: u16, servers: &[SocketAddr]) -> Builder {
    let mut everything = ingress("all", &[rule("", &[("/", "Prefix", "web")])]);
    let backend = &mut everything["spec"]["rules"][0]["http"]["paths"][0]["backend"];
    backend["service"]["port"] = json!({"number": port});
    let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
    edge()
        .set("dns", "external_names", "true")
        .set("dns", "servers", &format!("{servers:?}"))
        .object("web.json", &external(name))
        .object("web-ingress.json", &everything)
}

#[test]
fn a_name_is_followed_from_address_to_address_and_when_it_is_gone_so_are_its_addresses() {
    let Some(own) = own_address() else { return };
    let upstream = Upstream::saying_at((own, 0).into(), "by name");
    let names = NameServer::start();
    names.say("api.example.com", Says::Addresses(vec![own]));
    let edge = edge_to_name("api.example.com", upstream.addr().port(), &[names.addr]).start();
    eventually("an answer", || (edge.get("a", "/").status() == 200).then_some(()));
    assert_eq!(edge.get("a", "/").text(), "by name");
    // Whoever does not answer takes nothing away.
    names.say("api.example.com", Says::Failure);
    edge.await_metric("ravelin_dns_lookups_total", &[("result", "failed")], 1.0);
    assert_eq!(edge.get("a", "/").status(), 200);
    names.say("api.example.com", Says::NoSuchName);
    eventually("no address", || (edge.get("a", "/").status() == 503).then_some(()));
    names.say("api.example.com", Says::Addresses(vec![own]));
    eventually("an address again", || (edge.get("a", "/").status() == 200).then_some(()));
}

#[test]
fn the_name_itself_is_the_host_where_pods_are_to_get_their_own() {
    let Some(own) = own_address() else { return };
    let upstream = Upstream::saying_at((own, 0).into(), "by name");
    let names = NameServer::start();
    names.say("api.example.com", Says::Addresses(vec![own]));
    let port = upstream.addr().port();
    let mut service = external("api.example.com");
    service["metadata"]["annotations"] =
        json!({"traefik.ingress.kubernetes.io/service.passhostheader": "false"});
    let edge =
        edge_to_name("api.example.com", port, &[names.addr]).object("web.json", &service).start();
    eventually("an answer", || (edge.get("a", "/").status() == 200).then_some(()));
    let expected = format!("api.example.com:{port}");
    assert_eq!(upstream.requests()[0].field("host"), Some(expected.as_str()));
}

#[test]
fn a_name_that_leads_to_this_node_or_its_link_is_refused() {
    let upstream = Upstream::saying("never");
    let names = NameServer::start();
    let bad = [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED, Ipv4Addr::new(169, 254, 169, 254)];
    names.say("api.example.com", Says::Addresses(bad.into()));
    let edge = edge_to_name("api.example.com", upstream.addr().port(), &[names.addr]).start();
    edge.await_metric("ravelin_dns_lookups_total", &[("result", "ok")], 1.0);
    assert_eq!(edge.get("a", "/").status(), 503);
    assert_eq!(edge.await_log(1)[0]["reason"], "no_endpoint");
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn without_leave_no_name_is_asked_for() {
    let names = NameServer::start();
    names.say("api.example.com", Says::Addresses(vec![Ipv4Addr::new(192, 0, 2, 1)]));
    let edge =
        edge_to_name("api.example.com", 80, &[]).set("dns", "external_names", "false").start();
    assert_eq!(edge.get("a", "/").status(), 503);
    assert_eq!(edge.await_log(1)[0]["reason"], "backend_unsupported");
}
