//! Version 2, byte by byte.

use super::super::MAX_HEADER_BYTES;
use super::super::Malformed::{
    AddressBlock, Command, Datagram, Family, Signature, Source, Tlv, TooLong, Transport, Version,
};
use super::{Header, Parsed, binary, complete, frame, mk_proxied, parse};

/// 192.0.2.1:1 to 192.0.2.2:2.
const INET: [u8; 12] = [192, 0, 2, 1, 192, 0, 2, 2, 0, 1, 0, 2];

/// Fixed part, addresses and the given bytes where TLVs belong.
fn with_tlvs(tlvs: &[u8]) -> Vec<u8> {
    frame(0x21, 0x11, &[&INET, tlvs].concat())
}

#[test]
fn both_families_are_read_and_what_follows_is_left() {
    for (source, destination, length) in [
        ("192.0.2.1:1", "192.0.2.2:2", 28),
        ("[2001:db8::1]:65535", "[::]:0", 52),
        ("[::ffff:192.0.2.1]:0", "[::1]:443", 52),
    ] {
        let header = mk_proxied(source, destination);
        let Header::Proxied { source, destination } = header else { unreachable!() };
        let mut bytes = binary(source, destination, &[]);
        bytes.extend(b"\x16\x03\x01");
        assert_eq!(parse(&bytes), complete(header, length));
    }
}

#[test]
fn tlvs_are_skipped() {
    let header = mk_proxied("192.0.2.1:1", "192.0.2.2:2");
    let Header::Proxied { source, destination } = header else { unreachable!() };
    let tlvs = [(0x04, vec![]), (0x02, b"a.example".to_vec()), (0xea, vec![0; 1000])];
    let bytes = binary(source, destination, &tlvs);
    assert_eq!(parse(&bytes), complete(header, 28 + 3 + 12 + 1003));
}

#[test]
fn the_sender_itself_and_what_has_no_addresses_is_local() {
    for (version_and_command, family_and_transport, block) in [
        (0x20, 0x00, vec![]),
        // LOCAL: whatever the rest says.
        (0x20, 0x11, INET.to_vec()),
        (0x20, 0xff, vec![1]),
        (0x20, 0x12, vec![0; 40]),
        // PROXY, but unspecified, in one half or both.
        (0x21, 0x00, vec![]),
        (0x21, 0x00, b"\x04\x00\x01".to_vec()),
        (0x21, 0x10, INET.to_vec()),
        (0x21, 0x01, vec![]),
        // Unix sockets.
        (0x21, 0x31, vec![b'/'; 216]),
        (0x21, 0x30, vec![]),
    ] {
        let bytes = frame(version_and_command, family_and_transport, &block);
        assert_eq!(parse(&bytes), complete(Header::Local, bytes.len()), "{bytes:?}");
    }
}

#[test]
fn what_is_not_assigned_is_refused_at_its_byte() {
    for (version_and_command, family_and_transport, expected, judged) in [
        (0x11, 0x11, Version, 13),
        (0x31, 0x11, Version, 13),
        (0x01, 0x11, Version, 13),
        (0x22, 0x11, Command, 13),
        (0x2f, 0x11, Command, 13),
        (0x21, 0x41, Family, 14),
        (0x21, 0xf1, Family, 14),
        (0x21, 0x13, Transport, 14),
        (0x21, 0x0f, Transport, 14),
        (0x21, 0x12, Datagram, 14),
        (0x21, 0x22, Datagram, 14),
        (0x21, 0x32, Datagram, 14),
        (0x21, 0x02, Datagram, 14),
    ] {
        let bytes = frame(version_and_command, family_and_transport, &INET);
        assert_eq!(parse(&bytes), Err(expected), "{bytes:?}");
        assert_eq!(parse(&bytes[..judged]), Err(expected), "{bytes:?}");
        assert_eq!(parse(&bytes[..judged - 1]), Ok(Parsed::Incomplete), "{bytes:?}");
    }
}

#[test]
fn a_wrong_signature_is_refused_at_its_first_wrong_byte() {
    let bytes = with_tlvs(&[]);
    for position in 0..12 {
        let mut wrong = bytes.clone();
        wrong[position] ^= 1;
        assert_eq!(parse(&wrong[..=position]), Err(Signature), "{position}");
        assert_eq!(parse(&wrong), Err(Signature), "{position}");
    }
}

#[test]
fn a_block_without_room_for_the_addresses_is_refused_before_it_comes() {
    for (family_and_transport, length) in [(0x11, 11), (0x11, 0), (0x21, 35), (0x21, 12)] {
        let bytes = frame(0x21, family_and_transport, &vec![1; length]);
        assert_eq!(parse(&bytes), Err(AddressBlock));
        assert_eq!(parse(&bytes[..16]), Err(AddressBlock));
        assert_eq!(parse(&bytes[..15]), Ok(Parsed::Incomplete));
    }
}

#[test]
fn a_tlv_that_does_not_end_with_the_block_is_refused() {
    for tlvs in
        [&[4][..], &[4, 0], &[4, 0, 1], &[4, 0, 0, 4], &[4, 0, 1, 9, 4, 0, 2, 9], &[4, 255, 255]]
    {
        assert_eq!(parse(&with_tlvs(tlvs)), Err(Tlv), "{tlvs:?}");
        // Not even if there are enough bytes behind the header.
        let followed = [with_tlvs(tlvs), vec![0; 70_000]].concat();
        assert_eq!(parse(&followed), Err(Tlv), "{tlvs:?}");
    }
}

#[test]
fn a_header_of_4096_bytes_is_taken_and_one_more_is_not() {
    let value = |length: usize| {
        let value = MAX_HEADER_BYTES - 16 - INET.len() - 3 + length;
        let prefix = u16::try_from(value).expect("a short value").to_be_bytes();
        [vec![4], prefix.to_vec(), vec![0; value]].concat()
    };
    let longest = with_tlvs(&value(0));
    let header = mk_proxied("192.0.2.1:1", "192.0.2.2:2");
    assert_eq!(parse(&longest), complete(header, MAX_HEADER_BYTES));
    let longer = with_tlvs(&value(1));
    assert_eq!(parse(&longer), Err(TooLong));
    assert_eq!(parse(&longer[..16]), Err(TooLong));
    // A block that is not inspected is bounded too.
    assert_eq!(parse(&frame(0x20, 0, &[0; MAX_HEADER_BYTES])), Err(TooLong));
}

#[test]
fn the_unspecified_address_is_no_source() {
    let mut inet = INET;
    inet[..4].fill(0);
    assert_eq!(parse(&frame(0x21, 0x11, &inet)), Err(Source));
    let mut inet6 = [0; 36];
    assert_eq!(parse(&frame(0x21, 0x21, &inet6)), Err(Source));
    inet6[10..12].fill(0xff);
    assert_eq!(parse(&frame(0x21, 0x21, &inet6)), Err(Source));
    inet6[15] = 1;
    let header = mk_proxied("[::ffff:0.0.0.1]:0", "[::]:0");
    assert_eq!(parse(&frame(0x21, 0x21, &inet6)), complete(header, 52));
}
