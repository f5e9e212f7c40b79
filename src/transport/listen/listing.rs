//! The listening TCP sockets of this process's network, as the kernel tells them.
//!
//! By sock_diag(7), which is asked for listening sockets alone: the files in /proc tell the connected ones too, and to
//! find their end the kernel walks a table that grows with the memory of the node, for some 10 ms a look. Where it
//! cannot be asked (a sandbox, a kernel without it), the files are read.

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST};
use netlink_packet_core::{NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr as Port};
use rustix::process::geteuid;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where the kernel lists the sockets of this process's network: one file a family.
const FILES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// `TCP_LISTEN` of net/tcp_states.h, as the files have it.
const LISTEN: &str = "0A";

/// The listening TCP sockets at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing(Vec<Row>);

/// A listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) key: Key,
    pub(super) inode: u64,
}

/// Sockets of equal keys share what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) address: SocketAddr,
    pub(super) user: u32,
}

impl Listing {
    /// Asks the kernel. Takes some 20 us, with the files up to 10 ms; blocks for no longer.
    ///
    /// # Errors
    /// The kernel does not answer, and /proc is not mounted or has no such files.
    pub fn read() -> io::Result<Self> {
        Self::asked().or_else(|_| Self::from_files())
    }

    fn asked() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
        socket.bind_auto()?;
        socket.connect(&Port::new(0, 0))?;
        let mut rows = Vec::new();
        // A kernel without IPv6 has no sockets of it.
        for (family, any) in [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())] {
            ask(&socket, family, any)?;
            while !answer(&socket.recv_from_full()?.0, &mut rows)? {}
        }
        Ok(Self(rows))
    }

    fn from_files() -> io::Result<Self> {
        let mut rows = Vec::new();
        for (family, path) in FILES.into_iter().enumerate() {
            match File::open(path) {
                Ok(file) => read(BufReader::new(file), &mut rows)?,
                // A kernel without IPv6 has no second one.
                Err(error) if family > 0 && error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self(rows))
    }

    #[cfg(test)]
    pub(super) fn of(rows: impl IntoIterator<Item = Row>) -> Self {
        Self(rows.into_iter().collect())
    }

    /// The sockets that share what comes with this one, itself included. Empty if it does not listen.
    pub(super) fn beside(&self, inode: u64) -> BTreeSet<u64> {
        self.group(self.key(inode))
    }

    /// Whether a listening socket is at exactly this address, and was made by the user of this process.
    pub fn is_own(&self, inode: u64, address: SocketAddr) -> bool {
        self.key(inode) == Some(Key { address, user: geteuid().as_raw() })
    }

    /// The sockets that keep an address from being bound: on its port, there or at every address.
    pub fn holding(&self, address: SocketAddr) -> Vec<u64> {
        let holds = |row: &&Row| {
            let held = row.key.address;
            let is_same = held.ip().to_canonical() == address.ip().to_canonical();
            let is_any = held.ip().is_unspecified() || address.ip().is_unspecified();
            address.port() != 0 && held.port() == address.port() && (is_same || is_any)
        };
        self.0.iter().filter(holds).map(|row| row.inode).collect()
    }

    pub(super) fn key(&self, inode: u64) -> Option<Key> {
        self.0.iter().find(|row| row.inode == inode).map(|row| row.key)
    }

    pub(super) fn group(&self, key: Option<Key>) -> BTreeSet<u64> {
        let members = self.0.iter().filter(|row| Some(row.key) == key);
        members.map(|row| row.inode).collect()
    }
}

/// Asks for the listening sockets of a family.
fn ask(socket: &Socket, family: u8, socket_id: SocketId) -> io::Result<()> {
    let request = InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::LISTEN,
        socket_id,
    };
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0).map(drop)
}

/// Takes the sockets of a part of the answer. Returns whether it is the last one.
fn answer(mut bytes: &[u8], rows: &mut Vec<Row>) -> io::Result<bool> {
    let invalid = |words: String| io::Error::new(ErrorKind::InvalidData, words);
    while !bytes.is_empty() {
        let message = NetlinkMessage::<SockDiagMessage>::deserialize(bytes);
        let message = message.map_err(|error| invalid(error.to_string()))?;
        match message.payload {
            NetlinkPayload::Done(_) => return Ok(true),
            NetlinkPayload::Error(error) => return Err(error.to_io()),
            NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(of)) => {
                let id = &of.header.socket_id;
                let address = SocketAddr::new(id.source_address, id.source_port);
                let key = Key { address, user: of.header.uid };
                rows.push(Row { key, inode: of.header.inode.into() });
            }
            _ => {}
        }
        // Each begins where four bytes do.
        let length = message.header.length.next_multiple_of(4) as usize;
        bytes = bytes.get(length..).unwrap_or_default();
    }
    Ok(false)
}

/// Takes the listening sockets of a file, which has them first.
fn read(lines: impl BufRead, rows: &mut Vec<Row>) -> io::Result<()> {
    for line in lines.lines().skip(1) {
        let line = line?;
        // sl local_address rem_address st tx:rx tr:tm->when retrnsmt uid timeout inode
        let fields: Vec<_> = line.split_ascii_whitespace().take(10).collect();
        let [_, local, _, state, _, _, _, user, _, inode] = fields[..] else { continue };
        if state != LISTEN {
            return Ok(());
        }
        let (Some(address), Ok(user), Ok(inode)) = (address(local), user.parse(), inode.parse())
        else {
            continue;
        };
        rows.push(Row { key: Key { address, user }, inode });
    }
    Ok(())
}

/// An address as the files have it: words of 32 bits in this machine's order.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(ip.get(8 * at..8 * at + 8)?, 16).ok();
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?.to_ne_bytes())),
        32 => {
            let mut bytes = [0; 16];
            for (at, piece) in bytes.chunks_exact_mut(4).enumerate() {
                piece.copy_from_slice(&word(at)?.to_ne_bytes());
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn listening_sockets_of_one_user_at_one_address_are_a_group() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 11 1 x\n\
             1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12 1 x\n\
             2: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 13 1 x\n\
             3: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 14 1 x\n\
             4: half a line\n\
             5: 00000000:0050 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 15 1 x\n\
             6: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 16 1 x\n";
        let mut rows = Vec::new();
        read(text.as_bytes(), &mut rows).expect("from memory");
        let listing = Listing(rows);
        assert_eq!(listing.beside(11), BTreeSet::from([11, 14]));
        assert_eq!(listing.beside(12), BTreeSet::from([12]));
        assert_eq!(listing.beside(15), BTreeSet::new(), "it is connected");
    }

    #[test]
    fn the_kernel_and_its_files_tell_the_same_of_our_sockets() {
        let ours: Vec<TcpListener> = ["127.0.0.1:0", "127.0.0.2:0", "[::1]:0", "[::]:0"]
            .into_iter()
            .filter_map(|address| TcpListener::bind(address).ok())
            .collect();
        let addresses: BTreeSet<_> =
            ours.iter().map(|one| one.local_addr().expect("bound")).collect();
        let of = |listing: io::Result<Listing>| {
            let Listing(mut rows) = listing.expect("the kernel answers");
            rows.retain(|row| addresses.contains(&row.key.address));
            rows.sort_by_key(|row| row.inode);
            rows
        };
        let asked = of(Listing::asked());
        assert_eq!(asked.len(), ours.len());
        assert_eq!(asked, of(Listing::from_files()));
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        let mut rows = Vec::new();
        assert_eq!(answer(&[1; 7], &mut rows).expect_err("short").kind(), ErrorKind::InvalidData);
        assert!(rows.is_empty());
    }
}
