//! For every header, and for no other bytes.

use super::super::MAX_HEADER_BYTES;
use super::{Header, Parsed, binary, complete, frame, line, parse};
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::{IpAddr, SocketAddr};

/// Source and destination of one family.
fn ends() -> impl Strategy<Value = (SocketAddr, SocketAddr)> {
    let v4 = (any::<[u8; 4]>(), any::<[u8; 4]>()).prop_map(|(a, b)| (a.into(), b.into()));
    let v6 = (any::<[u8; 16]>(), any::<[u8; 16]>()).prop_map(|(a, b)| (a.into(), b.into()));
    let short = (any::<[u16; 2]>(), any::<[u16; 2]>()).prop_map(|(a, b)| {
        let ip = |[first, last]: [u16; 2]| [first, 0, 0, 0, 0, 0, 0, last].into();
        (ip(a), ip(b))
    });
    let mapped = (any::<[u8; 4]>(), any::<[u8; 4]>()).prop_map(|(a, b)| {
        let ip = |v4: [u8; 4]| std::net::Ipv4Addr::from(v4).to_ipv6_mapped().into();
        (ip(a), ip(b))
    });
    prop_oneof![v4, v6, short, mapped]
        .prop_filter("a source", |(source, _): &(IpAddr, IpAddr)| {
            !source.to_canonical().is_unspecified()
        })
        .prop_flat_map(|(source, destination)| {
            (any::<u16>(), any::<u16>()).prop_map(move |(from, to)| {
                (SocketAddr::new(source, from), SocketAddr::new(destination, to))
            })
        })
}

/// A valid header and what it says.
fn header() -> impl Strategy<Value = (Vec<u8>, Header)> {
    let tlvs = vec((any::<u8>(), vec(any::<u8>(), 0..40)), 0..5);
    let text = "[^\r\n]{0,22}".prop_map(|rest| format!("PROXY UNKNOWN {rest}\r\n").into_bytes());
    let proxied = |(source, destination)| Header::Proxied { source, destination };
    prop_oneof![
        ends().prop_map(move |ends| (line(ends.0, ends.1), proxied(ends))),
        (ends(), tlvs).prop_map(move |(ends, tlvs)| (binary(ends.0, ends.1, &tlvs), proxied(ends))),
        text.prop_map(|line| (line, Header::Local)),
        (any::<u8>(), vec(any::<u8>(), 0..100))
            .prop_map(|(family, block)| (frame(0x20, family, &block), Header::Local)),
    ]
}

/// From where random bytes get further than the first.
const STARTS: &[&[u8]] = &[
    b"",
    b"PROXY ",
    b"PROXY TCP4 ",
    b"PROXY TCP6 ",
    b"\r\n\r\n\0\r\nQUIT\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_is_written_is_read_and_what_follows_is_not_looked_at(
        (bytes, header) in header(), behind in vec(any::<u8>(), 0..100),
    ) {
        let length = bytes.len();
        prop_assert_eq!(parse(&bytes), complete(header, length));
        prop_assert_eq!(parse(&[bytes, behind].concat()), complete(header, length));
    }

    #[test]
    fn every_prefix_of_a_header_is_incomplete((bytes, _) in header()) {
        for end in 0..bytes.len() {
            prop_assert_eq!(parse(&bytes[..end]), Ok(Parsed::Incomplete), "{}", end);
        }
    }

    #[test]
    fn more_bytes_never_contradict_fewer(
        (mut bytes, _) in header(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        let whole = parse(&bytes);
        for end in 0..bytes.len() {
            match parse(&bytes[..end]) {
                Ok(Parsed::Incomplete) => {}
                Ok(complete) => prop_assert_eq!(Ok(complete), whole),
                Err(_) => prop_assert!(whole.is_err()),
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_never_give_a_length_that_is_not_there(
        start in prop::sample::select(STARTS), rest in vec(any::<u8>(), 0..200),
    ) {
        let bytes = [start, &rest].concat();
        if let Ok(Parsed::Complete { length, .. }) = parse(&bytes) {
            prop_assert!(0 < length && length <= bytes.len().min(MAX_HEADER_BYTES));
        }
    }

    #[test]
    fn the_bound_is_never_called_incomplete(
        (bytes, _) in header(), block in vec(any::<u8>(), MAX_HEADER_BYTES),
    ) {
        let head = &bytes[..bytes.len().min(14)];
        let filled = [head, &block].concat();
        prop_assert_ne!(parse(&filled[..MAX_HEADER_BYTES]), Ok(Parsed::Incomplete));
    }
}
