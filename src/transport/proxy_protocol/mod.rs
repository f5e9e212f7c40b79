//! The PROXY protocol: in front of everything else a connection carries, a balancer says whose
//! connection it passes on.
//!
//! Versions 1 and 2 as a receiver, and for pods that ask for it as a sender ([`header`]), after "The PROXY protocol, versions 1 & 2" of HAProxy
//! (proxy-protocol.txt; sections are quoted by number). [`parse`] is pure and knows bytes only;
//! [`read`] takes exactly the header off a socket and leaves what is behind it, a request or a TLS
//! handshake, to every process that can reads next. Who may send a header, and who must, is decided elsewhere: a
//! header is an unverified claim of the peer.

mod read;
mod v1;
mod v2;
mod write;

#[cfg(test)]
mod tests;

pub use read::{ReadError, read};
pub use write::header;

use crate::error::labels;
use std::net::{IpAddr, SocketAddr};
use thiserror::Error;

/// The longest header taken, in bytes. Version 1 ends at 107 by definition (section 2.1). Version 2
/// could name 64 KiB, nearly all of it for fields we skip; 4 KiB is nginx's limit, and far above
/// what balancers send: addresses, a server name of at most 255 bytes, a few identifiers.
pub const MAX_HEADER_BYTES: usize = 4096;

/// A parsed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// The connection of another source.
    Proxied {
        /// Who opened it. Never the unspecified address; port 0 is possible (section 2.1 has
        /// 0..=65535), and so is IPv4-mapped IPv6.
        source: SocketAddr,
        /// To where. Not checked: some balancers do not know it.
        destination: SocketAddr,
    },
    /// The connection is the sender's own, or of a kind without addresses: LOCAL, UNKNOWN, UNSPEC
    /// and Unix sockets. The addresses of the socket hold (sections 2.1 and 2.2).
    Local,
}

/// The progress of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// All of these bytes belong to a header, and its end is not among them. Never said of
    /// [`MAX_HEADER_BYTES`] or more.
    Incomplete,
    /// The header is the first `length` bytes; the rest is not ours.
    Complete {
        /// What it says.
        header: Header,
        /// Its length in bytes, at most [`MAX_HEADER_BYTES`].
        length: usize,
    },
}

labels! { fn label;
    /// Why bytes are not a header: the first rule that they break.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
    pub enum Malformed {
        /// Not the beginning of either version.
        #[error("the connection does not begin with a PROXY header")]
        Signature = "signature",
        /// Longer than the version or [`MAX_HEADER_BYTES`] allows.
        #[error("the header is too long")]
        TooLong = "too_long",
        /// Version 1: the word behind `PROXY`.
        #[error("the protocol is not TCP4, TCP6 or UNKNOWN")]
        Protocol = "protocol",
        /// Version 1: an address that is not of the family, or not in canonical form.
        #[error("an address is not valid in its family")]
        Address = "address",
        /// Version 1: a port that is no number in 0..=65535 without leading zeros.
        #[error("a port is not valid")]
        Port = "port",
        /// Version 1: too few or too many fields, or more than one space between two.
        #[error("the line does not have its six fields")]
        Fields = "fields",
        /// Version 1: a CR or LF alone.
        #[error("the line does not end in CRLF")]
        LineEnd = "line_end",
        /// Version 2: a version other than 2.
        #[error("the version is not 2")]
        Version = "version",
        /// Version 2: neither LOCAL nor PROXY.
        #[error("the command is neither LOCAL nor PROXY")]
        Command = "command",
        /// Version 2: an address family that is not assigned.
        #[error("the address family is unknown")]
        Family = "family",
        /// Version 2: a transport that is not assigned.
        #[error("the transport is unknown")]
        Transport = "transport",
        /// Version 2: a datagram's header, which cannot be in front of a TCP connection.
        #[error("the header is for a datagram")]
        Datagram = "datagram",
        /// Version 2: no room for the addresses of the family.
        #[error("the header is too short for its addresses")]
        AddressBlock = "address_block",
        /// Version 2: the fields behind the addresses do not end where the header ends. Sender and
        /// receiver may then differ on where that is, so the header is refused, as HAProxy does.
        #[error("a TLV field extends beyond the header")]
        Tlv = "tlv",
        /// The unspecified address as source: no client connects from there, and an address set or a log
        /// must not meet it.
        #[error("the source is the unspecified address")]
        Source = "source",
    }
}

/// Reads a header at the beginning of `bytes`, of whichever version.
///
/// The answer for more bytes agrees with the answer for fewer: a complete header stays what it is
/// whatever follows, and what is malformed stays malformed. Takes time linear in the header.
///
/// # Errors
///
/// Bytes that cannot become a header any more: of version 1 at the end of the wrong field at the
/// latest, of version 2 at the wrong byte, or at the end for what is wrong behind the addresses.
pub fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    match bytes.first() {
        None => Ok(Parsed::Incomplete),
        Some(b'P') => v1::parse(bytes),
        Some(_) => v2::parse(bytes),
    }
}

fn check_source(source: IpAddr) -> Result<(), Malformed> {
    // `::ffff:0.0.0.0` too.
    if source.to_canonical().is_unspecified() { Err(Malformed::Source) } else { Ok(()) }
}
