//! Version 2: binary (section 2.2).

use super::{Header, MAX_HEADER_BYTES, Malformed, Parsed, check_source};
use std::net::{IpAddr, SocketAddr};

pub(super) const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and transport, length of what follows.
const FIXED_BYTES: usize = 16;

/// The part behind the fixed one.
#[derive(Clone, Copy, Debug)]
enum Block {
    /// Nothing that we look at.
    Skipped,
    /// Addresses and ports, then TLVs.
    Inet,
    Inet6,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let start = bytes.len().min(SIGNATURE.len());
    if bytes[..start] != SIGNATURE[..start] {
        return Err(Malformed::Signature);
    }
    // Each byte is judged as soon as it is there.
    let Some(&version_and_command) = bytes.get(12) else { return Ok(Parsed::Incomplete) };
    let local = is_local(version_and_command)?;
    let Some(&family_and_transport) = bytes.get(13) else { return Ok(Parsed::Incomplete) };
    // "Discard the protocol block including the family which is ignored".
    let block = if local { Block::Skipped } else { block(family_and_transport)? };
    let Some(&[high, low]) = bytes.get(14..FIXED_BYTES) else { return Ok(Parsed::Incomplete) };
    let length = FIXED_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_HEADER_BYTES {
        return Err(Malformed::TooLong);
    }
    let needed = match block {
        Block::Skipped => 0,
        Block::Inet => 2 * (4 + 2),
        Block::Inet6 => 2 * (16 + 2),
    };
    if length < FIXED_BYTES + needed {
        return Err(Malformed::AddressBlock);
    }
    // "The receiver must not start to parse an address before the whole address block is received".
    let Some(body) = bytes.get(FIXED_BYTES..length) else { return Ok(Parsed::Incomplete) };
    let header = match block {
        Block::Skipped => Header::Local,
        Block::Inet => ends::<4>(body)?,
        Block::Inet6 => ends::<16>(body)?,
    };
    Ok(Parsed::Complete { header, length })
}

fn is_local(version_and_command: u8) -> Result<bool, Malformed> {
    match (version_and_command >> 4, version_and_command & 0xf) {
        (2, 0) => Ok(true),
        (2, 1) => Ok(false),
        (2, _) => Err(Malformed::Command),
        _ => Err(Malformed::Version),
    }
}

/// "The receiver is free to accept the connection anyway and use the real endpoint addresses", for
/// what is unspecified; so are Unix sockets, which we have no use for ("falls back to the UNSPEC
/// mode").
fn block(family_and_transport: u8) -> Result<Block, Malformed> {
    let (family, transport) = (family_and_transport >> 4, family_and_transport & 0xf);
    match (family, transport) {
        (4.., _) => Err(Malformed::Family),
        (_, 3..) => Err(Malformed::Transport),
        (_, 2) => Err(Malformed::Datagram),
        (1, 1) => Ok(Block::Inet),
        (2, 1) => Ok(Block::Inet6),
        _ => Ok(Block::Skipped),
    }
}

/// The two ends of a TCP connection: both addresses, then both ports, then TLVs.
fn ends<const N: usize>(body: &[u8]) -> Result<Header, Malformed>
where
    IpAddr: From<[u8; N]>,
{
    let (source, body) = split::<N>(body)?;
    let (destination, body) = split::<N>(body)?;
    let (from, body) = split(body)?;
    let (to, tlvs) = split(body)?;
    let source = SocketAddr::new(source.into(), u16::from_be_bytes(from));
    check_source(source.ip())?;
    check_tlvs(tlvs)?;
    let destination = SocketAddr::new(destination.into(), u16::from_be_bytes(to));
    Ok(Header::Proxied { source, destination })
}

fn split<const N: usize>(body: &[u8]) -> Result<([u8; N], &[u8]), Malformed> {
    body.split_first_chunk().map(|(first, rest)| (*first, rest)).ok_or(Malformed::AddressBlock)
}

/// Walks over type, length and value of each to the end. None is read: "A receiver may choose to
/// skip over and ignore the TLVs", the checksum among them, which TCP has already.
fn check_tlvs(mut rest: &[u8]) -> Result<(), Malformed> {
    while !rest.is_empty() {
        let [_, high, low, behind @ ..] = rest else { return Err(Malformed::Tlv) };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        rest = behind.get(length..).ok_or(Malformed::Tlv)?;
    }
    Ok(())
}
