//! Cloudflare and everybody else, played on loopback by a balancer that says in a PROXY header whom it
//! passes on (version 1 of the PROXY protocol, <https://www.haproxy.org/download/1.8/doc/proxy-protocol.txt>).
//!
//! ravelin takes the header from it as it would from a balancer of a cloud, and judges the address by the list that is
//! compiled in: nothing in the proxy knows of a demo.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// Who connects from here is passed on as [`CLOUDFLARE`].
pub(super) const INSIDE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// An address of 104.16.0.0/13, on <https://www.cloudflare.com/ips-v4>.
const CLOUDFLARE: Ipv4Addr = Ipv4Addr::new(104, 16, 0, 1);

/// The address of everybody else: of TEST-NET-2 (RFC 5737), so that it is nobody's.
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

/// Connections at once; more are closed.
const MOST: usize = 64;

/// Passes connections on to `proxy` for as long as the process lives, and returns where it listens.
pub(super) fn serve(proxy: SocketAddr) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let open = Arc::new(());
    thread::Builder::new().name("cloudflare".to_owned()).spawn(move || {
        for client in listener.incoming().flatten() {
            if Arc::strong_count(&open) > MOST {
                continue;
            }
            let held = Arc::clone(&open);
            let pass = thread::Builder::new().name("cloudflare-client".to_owned());
            // Where there is no thread left, the client sees its connection closed.
            let _ = pass.spawn(move || {
                // A client or the proxy that goes away ends it.
                let _ = pass_on(&client, proxy);
                drop(held);
            });
        }
    })?;
    Ok(address)
}

fn pass_on(client: &TcpStream, proxy: SocketAddr) -> io::Result<()> {
    let peer = client.peer_addr()?;
    let source = if peer.ip() == IpAddr::V4(INSIDE) { CLOUDFLARE } else { OUTSIDE };
    let mut server = TcpStream::connect(proxy)?;
    let (from, to) = (peer.port(), proxy.port());
    server.write_all(format!("PROXY TCP4 {source} 192.0.2.1 {from} {to}\r\n").as_bytes())?;
    let (mut up_from, mut up_to) = (client.try_clone()?, server.try_clone()?);
    let upward = thread::Builder::new().spawn(move || {
        let copied = io::copy(&mut up_from, &mut up_to);
        // The other side may be gone.
        let _ = up_to.shutdown(Shutdown::Write);
        copied
    })?;
    let (mut down_from, mut down_to) = (&server, client);
    let copied = io::copy(&mut down_from, &mut down_to);
    // As the proxy has closed: both halves, and the thread above ends.
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
    // Its outcome is that of the connection.
    let _ = upward.join();
    copied.map(drop)
}
