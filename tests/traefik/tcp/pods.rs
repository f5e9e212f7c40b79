//! Pods that speak first, and then say what they have heard.

use super::SSL_REQUEST;
use crate::pods::{NAMES, ip};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// Of the Services; each has a pod at the address of one of [`NAMES`].
const SERVICES: [&str; 2] = ["talk", "other"];
const PLAIN: u16 = 9000;
const TLS: u16 = 9443;
/// What both versions of the PROXY protocol begin with.
const VERSION_1: &[u8] = b"PROXY ";
const VERSION_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Starts them, with TLS at a port of its own.
pub(crate) fn start(tls: &ServerConfig) {
    let mut tls = tls.clone();
    tls.alpn_protocols = vec![b"own".to_vec(), b"h2".to_vec(), b"http/1.1".to_vec()];
    let tls = Arc::new(tls);
    for (at, name) in SERVICES.into_iter().enumerate() {
        for port in [PLAIN, TLS] {
            let listener = TcpListener::bind(SocketAddr::from((ip(NAMES[at]), port)));
            let (listener, tls) = (listener.expect("the network of the pods"), Arc::clone(&tls));
            thread::spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    let tls = (port == TLS).then(|| Arc::clone(&tls));
                    // A proxy that goes away in the middle shows it to its client.
                    thread::spawn(move || drop(serve(name, stream, tls)));
                }
            });
        }
    }
}

fn serve(name: &str, mut stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        stream.write_all(format!("hello of {name}\n").as_bytes())?;
        let mut stream = BufReader::new(stream);
        let told = proxied(&mut stream)?;
        return answer(stream, &told);
    };
    // Without TLS the header would come late, if at all: it is before the hello.
    let mut from = BufReader::with_capacity(64 << 10, stream.try_clone()?);
    let mut told = proxied(&mut from)?;
    if from.fill_buf()?.starts_with(&SSL_REQUEST) {
        from.consume(SSL_REQUEST.len());
        stream.write_all(b"S")?;
        told += "asked for TLS as PostgreSQL does\n";
    }
    let session = ServerConnection::new(tls).map_err(io::Error::other)?;
    let mut secured = StreamOwned::new(session, Both { from, to: stream });
    secured.write_all(format!("hello of {name} with TLS\n").as_bytes())?;
    secured.flush()?;
    let name = secured.conn.server_name().unwrap_or("-").to_owned();
    answer(BufReader::new(secured), &format!("{told}asked for {name}\n"))
}

/// What a header of the PROXY protocol says but for its ports.
fn proxied(from: &mut impl BufRead) -> io::Result<String> {
    let first = from.fill_buf()?;
    if first.starts_with(VERSION_1) {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let words: Vec<&str> = line.split(' ').take(4).collect();
        return Ok(words.join(" ") + "\n");
    }
    if first.starts_with(VERSION_2) {
        let mut header = [0; 28];
        from.read_exact(&mut header)?;
        let address = |at: usize| {
            let bytes: [u8; 4] = header[at..at + 4].try_into().expect("four");
            Ipv4Addr::from(bytes)
        };
        let kind: String = header[12..16].iter().map(|byte| format!("{byte:02x}")).collect();
        return Ok(format!("PROXY {kind} {} {}\n", address(16), address(20)));
    }
    Ok(String::new())
}

/// Says what it has heard up to an empty line, or the end.
fn answer(mut stream: BufReader<impl Read + Write>, told: &str) -> io::Result<()> {
    let mut heard = String::new();
    while stream.read_line(&mut heard)? > 0 && !heard.ends_with("\r\n\r\n") {}
    stream.get_mut().write_all(format!("{told}heard {heard}").as_bytes())?;
    stream.get_mut().flush()
}

/// A connection of which some is read already.
struct Both {
    from: BufReader<TcpStream>,
    to: TcpStream,
}

impl Read for Both {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.from.read(buffer)
    }
}

impl Write for Both {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// The Services of a namespace, with their slices.
pub(super) fn services(namespace: &str) -> Vec<Value> {
    let of = |(at, name): (usize, &&str)| {
        let ports = json!([{"name": "plain", "port": PLAIN}, {"name": "tls", "port": TLS}]);
        let service = json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": namespace}, "spec": {"ports": ports}});
        let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": format!("{name}-1"), "namespace": namespace,
                "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4", "ports": ports,
            // For connections Traefik has pods alone that are ready in so many words.
            "endpoints": [{"addresses": [ip(NAMES[at])], "conditions": {"ready": true}}]});
        [service, slice]
    };
    SERVICES.iter().enumerate().flat_map(of).collect()
}
