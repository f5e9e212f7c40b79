//! Break-glass and TLS: which certificate visitors without Cloudflare are presented, and what becomes of hosts that
//! require one of theirs. A balancer on loopback names sources.

use crate::PATIENCE;
use crate::authorities::{Authority, Identity, identified, with_one_store};
use crate::certificates::{self, ECDSA, Issued};
use crate::client::Client;
use crate::eventually;
use crate::proxy::{Builder, Proxy, proxy};
use crate::tls_client::handshake;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind};
use serde_json::{Value, json};
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

const STRANGER: &str = "203.0.113.9";
const LISTED: &str = "104.16.0.1";

/// The hosts, all in one certificate.
const HOSTS: [&str; 4] = ["free.example", "closed.example", "open.example", "table.example"];

fn turn(proxy: &Proxy, word: &str) {
    put(proxy, "switch", word);
}

fn put(proxy: &Proxy, file: &str, text: &str) {
    let aside = proxy.folder().join("aside");
    fs::write(&aside, text).expect("a folder of ours");
    fs::rename(&aside, proxy.folder().join(file)).expect("the same file system");
}

/// A proxy with a switch that is off, which admits Cloudflare, with and without TLS.
fn start(builder: Builder, more: &str) -> Proxy {
    let switch = builder.folder().join("switch");
    fs::write(&switch, "off").expect("a folder of ours");
    let balancer = "proxy_protocol_from = [\"127.0.0.0/8\"]\n";
    let plain = format!(
        "[[listener]]\nname = \"plain\"\naddress = \"127.0.0.1:0\"\nadmit = [\"cloudflare\"]\n{balancer}\
         [break_glass]\nfile = {switch:?}\nrequests = 100000\n"
    );
    let builder = builder.admitting("cloudflare").listener(balancer);
    builder.sections(&format!("{plain}{more}")).start()
}

/// A connection that a balancer brings from `source`.
fn connect(addr: SocketAddr, source: &str) -> TcpStream {
    let mut socket = TcpStream::connect(addr).expect("a balancer may connect");
    socket.set_read_timeout(Some(PATIENCE)).expect("not zero");
    let header = format!("PROXY TCP4 {source} 127.0.0.1 4711 443\r\n");
    socket.write_all(header.as_bytes()).expect("the kernel takes it");
    socket
}

fn from(proxy: &Proxy, source: &str, name: &str, config: &Arc<ClientConfig>) -> io::Result<Client> {
    Client::over(connect(proxy.addr(), source), name, config)
}

/// The status that a visitor gets on a connection of its own; `None` if there is none.
fn status(proxy: &Proxy, source: &str, host: &str, identity: Option<&Identity>) -> Option<String> {
    from(proxy, source, host, &identified(&TLS13, identity)).ok()?.try_get(host).ok()
}

/// The same without TLS.
fn plain(proxy: &Proxy, source: &str, host: &str) -> Option<String> {
    let mut socket = connect(proxy.listener(1), source);
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    answer.get(9..12).map(str::to_owned)
}

fn await_in(proxy: &Proxy, is_in: bool) {
    eventually("the switch counts", || {
        let served = status(proxy, STRANGER, "free.example", None).is_some();
        (served == is_in).then_some(())
    });
}

/// An Ingress that requires a certificate of `pull-ca`.
fn requiring(host: &str, annotations: &[(&str, &str)]) -> Value {
    let all = [("client-certificate", "require"), ("client-ca", "pull-ca")];
    let all = all.iter().chain(annotations);
    let all: serde_json::Map<String, Value> =
        all.map(|(name, value)| (format!("ravelin.dev/{name}"), json!(value))).collect();
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"namespace": "ns", "name": host, "annotations": all,
                     "creationTimestamp": "2024-01-01T00:00:00Z"},
        "spec": {"ingressClassName": "ravelin", "rules": [{"host": host, "http": {"paths": [
            {"path": "/", "pathType": "Prefix",
             "backend": {"service": {"name": "all", "port": {"name": "http"}}}}]}}]}})
}

/// Hosts of which one requires a certificate, one is open in break-glass, and one is so by the configuration.
fn guarded(authority: &Authority) -> Proxy {
    let builder = proxy().certificate(&Issued::new(&HOSTS));
    let file = builder.folder().join("pull-ca.pem");
    fs::write(&file, authority.pem()).expect("a folder of ours");
    let table = format!(
        "[[client_certificate]]\nhosts = [\"table.example\"]\npolicy = \"require\"\nca_file = {file:?}\n\
         break_glass = \"open\"\n"
    );
    let proxy = start(builder, &table);
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"namespace": "ns", "name": "pull-ca"},
        "stringData": {"ca.crt": authority.pem()}});
    put(&proxy, "manifests/secret.json", &secret.to_string());
    put(&proxy, "manifests/closed.json", &requiring("closed.example", &[]).to_string());
    set_open(&proxy, "open");
    let good = authority.issue("pull.example", 4096);
    for host in ["closed.example", "open.example"] {
        eventually(host, || {
            let refused = status(&proxy, LISTED, host, None).is_none();
            let served = status(&proxy, LISTED, host, Some(&good)).as_deref() == Some("200");
            (refused && served).then_some(())
        });
    }
    proxy
}

fn set_open(proxy: &Proxy, word: &str) {
    let ingress = requiring("open.example", &[("break-glass", word)]);
    put(proxy, "manifests/open.json", &ingress.to_string());
}

#[test]
fn a_host_that_requires_a_certificate_is_open_in_break_glass_only_if_it_says_so() {
    let authority = Authority::new("Right");
    let good = authority.issue("pull.example", 4096);
    let proxy = guarded(&authority);
    turn(&proxy, "on");
    await_in(&proxy, true);
    for (host, secured, unsecured) in [
        ("free.example", Some("200"), Some("200")),
        ("closed.example", None, Some("403")),
        ("open.example", Some("200"), Some("200")),
        ("table.example", Some("200"), Some("200")),
    ] {
        assert_eq!(status(&proxy, STRANGER, host, None).as_deref(), secured, "{host}");
        assert_eq!(plain(&proxy, STRANGER, host).as_deref(), unsecured, "{host}");
        // For Cloudflare nothing has changed.
        let (asked, anyway) =
            if host == "free.example" { (Some("200"), Some("200")) } else { (None, Some("403")) };
        assert_eq!(status(&proxy, LISTED, host, None).as_deref(), asked, "{host}");
        assert_eq!(plain(&proxy, LISTED, host).as_deref(), anyway, "{host}");
        assert_eq!(status(&proxy, LISTED, host, Some(&good)).as_deref(), Some("200"), "{host}");
    }
    // No host is a way to one that stays closed.
    for name in ["free.example", "open.example"] {
        let config = identified(&TLS13, None);
        let mut client = from(&proxy, STRANGER, name, &config).expect("a handshake");
        let statuses = ["open.example", "table.example", "closed.example", "free.example"]
            .map(|host| client.get(host).status().to_owned());
        assert_eq!(statuses, ["200", "200", "421", "200"], "{name}");
    }
    // Who has the certificate is served by any host.
    assert_eq!(status(&proxy, STRANGER, "closed.example", Some(&good)).as_deref(), Some("200"));
}

#[test]
fn a_host_closes_with_its_annotation_and_with_the_switch_on_open_connections_too() {
    let authority = Authority::new("Right");
    let proxy = guarded(&authority);
    turn(&proxy, "on");
    await_in(&proxy, true);
    let config = identified(&TLS13, None);
    let open = || {
        let mut client = from(&proxy, STRANGER, "open.example", &config).expect("a handshake");
        assert_eq!(client.get("open.example").status(), "200");
        client
    };
    let mut kept = open();
    set_open(&proxy, "closed");
    eventually("it is closed", || {
        status(&proxy, STRANGER, "open.example", None).is_none().then_some(())
    });
    let answer = kept.get("open.example");
    assert_eq!(answer.status(), "421");
    assert!(answer.head.contains("connection: close\r\n"), "{}", answer.head);
    assert!(kept.ends_properly());
    set_open(&proxy, "open");
    eventually("it is open", || status(&proxy, STRANGER, "open.example", None).map(drop));
    let mut kept = open();
    turn(&proxy, "off");
    await_in(&proxy, false);
    assert!(kept.ends_properly());
    assert_eq!(status(&proxy, STRANGER, "open.example", None), None);
    let good = authority.issue("pull.example", 4096);
    assert_eq!(
        status(&proxy, LISTED, "open.example", Some(&good)).as_deref(),
        Some("200"),
        "Cloudflare's visitors"
    );
}

/// A frame of HTTP/2 (RFC 9113 section 4.1) without padding.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// HEADERS of a GET, which end both headers and stream: method, scheme, path (RFC 7541 appendix A), and the host.
fn get(stream: u32, host: &str) -> Vec<u8> {
    let length = u8::try_from(host.len()).expect("short");
    let block = [&[0x82, 0x87, 0x84, 0x01, length], host.as_bytes()].concat();
    frame(1, 0x5, stream, &block)
}

/// What the next HEADERS of a stream begin with; other frames are passed over, of pings as well.
fn headers(socket: &mut impl Read, stream: u32) -> Vec<u8> {
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head).expect("a frame");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).expect("a frame")];
        socket.read_exact(&mut payload).expect("a frame");
        if head[3] == 1 && head[5..] == stream.to_be_bytes() {
            return payload;
        }
    }
}

#[test]
fn a_stream_that_begins_after_the_end_of_break_glass_is_refused_on_an_open_connection() {
    let authority = Authority::new("Right");
    let proxy = guarded(&authority);
    turn(&proxy, "on");
    await_in(&proxy, true);
    let mut config = Arc::unwrap_or_clone(identified(&TLS13, None));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let socket = connect(proxy.addr(), STRANGER);
    let mut stream = handshake(socket, &Arc::new(config), "open.example").expect("a handshake");
    // With a window of 0 (SETTINGS_INITIAL_WINDOW_SIZE), no body comes, and the connection stays in use.
    let settings = frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let begin = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..], &get(1, "open.example")];
    stream.write_all(&begin.concat()).expect("the proxy reads");
    // `:status` 200 is in the static table.
    assert_eq!(headers(&mut stream, 1)[0], 0x88);
    turn(&proxy, "off");
    await_in(&proxy, false);
    stream.write_all(&get(3, "open.example")).expect("the proxy reads");
    // Another one is a literal under the name of entry 8: 421, in Huffman's code.
    assert_eq!(headers(&mut stream, 3)[..4], [0x48, 0x82, 0x68, 0x41]);
}

/// A certificate of an authority with this name.
fn of(authority: &str, names: &[&str]) -> Issued {
    let valid = (0, 4_000_000_000);
    certificates::Authority::root(authority, &ECDSA).issue(names, &ECDSA, valid)
}

const ORIGIN_CA: &str = "CloudFlare Origin SSL Certificate Authority";

#[test]
fn cloudflare_is_presented_its_own_certificate_and_a_stranger_one_that_it_may_trust() {
    let origin = of(ORIGIN_CA, &["free.example", "app.free.example"]);
    let public = of("Example Trust", &["free.example"]);
    let wide = of("Example Trust", &["*.free.example"]);
    let builder = proxy().certificate(&origin).certificate(&public).certificate(&wide);
    let proxy = start(builder, "");
    turn(&proxy, "on");
    await_in(&proxy, true);
    for (name, others) in [("free.example", &public), ("app.free.example", &wide)] {
        for (version, label) in [(&TLS12, "1.2"), (&TLS13, "1.3")] {
            // Of one client that ignores who it is: tickets of the one are of no use to the other.
            let config = with_one_store(identified(version, None));
            let visit = |source: &str| {
                let mut client = from(&proxy, source, name, &config).expect("a handshake");
                // The tickets of TLS 1.3 come with the first bytes.
                assert_eq!(client.get(name).status(), "200");
                let kind = client.stream.conn.handshake_kind().expect("it is through");
                (client.shown() == origin.der(), client.shown() == others.der(), kind)
            };
            let (full, resumed) = (HandshakeKind::Full, HandshakeKind::Resumed);
            for source in [LISTED, STRANGER, LISTED, STRANGER] {
                for kind in [full, resumed] {
                    let expected = (source == LISTED, source == STRANGER, kind);
                    assert_eq!(visit(source), expected, "{name}, TLS {label}, {source}");
                }
            }
        }
    }
}
