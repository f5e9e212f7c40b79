//! Version 1, line by line.

use super::super::Malformed::{
    Address, Fields, LineEnd, Port, Protocol, Signature, Source, TooLong,
};
use super::{Header, Parsed, complete, mk_proxied, parse};

#[test]
fn the_line_of_the_specification_is_read() {
    let line = "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n";
    let header = mk_proxied("192.168.0.1:56324", "192.168.0.11:443");
    let request = format!("{line}GET / HTTP/1.1\r\nHost: 192.168.0.11\r\n\r\n");
    assert_eq!(parse(request.as_bytes()), complete(header, line.len()));
}

#[test]
fn valid_lines_are_read() {
    let (longest6, longest4) = ("ffff:".repeat(7) + "ffff", "255.255.255.255");
    for (line, source, destination) in [
        ("TCP4 1.2.3.4 0.0.0.0 0 65535", "1.2.3.4:0", "0.0.0.0:65535"),
        ("TCP6 2001:DB8::a ::1 1 2", "[2001:db8::a]:1", "[::1]:2"),
        ("TCP6 2001:0db8::000a ::1 1 2", "[2001:db8::a]:1", "[::1]:2"),
        ("TCP6 ::ffff:192.0.2.1 :: 1 2", "[::ffff:192.0.2.1]:1", "[::]:2"),
        (
            &format!("TCP4 {longest4} {longest4} 65535 65535"),
            "255.255.255.255:65535",
            "255.255.255.255:65535",
        ),
        (
            &format!("TCP6 {longest6} {longest6} 65535 65535"),
            &format!("[{longest6}]:65535"),
            &format!("[{longest6}]:65535"),
        ),
    ] {
        let line = format!("PROXY {line}\r\n");
        let header = mk_proxied(source, destination);
        assert_eq!(parse(line.as_bytes()), complete(header, line.len()), "{line}");
    }
}

#[test]
fn unknown_is_the_connection_itself_whatever_else_its_line_says() {
    let longest = format!("UNKNOWN {}", "x".repeat(107 - "PROXY UNKNOWN \r\n".len()));
    for rest in ["UNKNOWN", "UNKNOWN ", "UNKNOWN a  b c d e f g", "UNKNOWN \0\u{ff}", &longest] {
        let line = format!("PROXY {rest}\r\n");
        assert_eq!(parse(line.as_bytes()), complete(Header::Local, line.len()), "{line}");
    }
}

#[test]
fn a_line_of_108_bytes_is_too_long() {
    let line = format!("PROXY UNKNOWN {}\r\n", "x".repeat(108 - "PROXY UNKNOWN \r\n".len()));
    assert_eq!(line.len(), 108);
    assert_eq!(parse(line.as_bytes()), Err(TooLong));
    // Known as soon as the CR would have to be there.
    assert_eq!(parse(&line.as_bytes()[..106]), Err(TooLong));
    assert_eq!(parse(&line.as_bytes()[..105]), Ok(Parsed::Incomplete));
}

#[test]
fn every_departure_from_the_line_is_refused() {
    for (line, expected) in [
        ("proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n", Signature),
        ("PROXY\tTCP4 1.2.3.4 1.2.3.4 1 2\r\n", Signature),
        ("PROXY\r\n", Signature),
        ("PROXY \r\n", Protocol),
        ("PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n", Protocol),
        ("PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", Protocol),
        ("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", Protocol),
        ("PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n", Protocol),
        ("PROXY UNKNOWNS\r\n", Protocol),
        ("PROXY UNKNOWN\n", LineEnd),
        ("PROXY UNKNOWN\r\r\n", LineEnd),
        ("PROXY UNKNOWN a\rb\r\n", LineEnd),
        ("PROXY UNKNOWN a\nb\r\n", LineEnd),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", LineEnd),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r", /* incomplete */ LineEnd),
        ("PROXY TCP4\r\n", Fields),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", Fields),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", Fields),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", Fields),
        ("PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n", Fields),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n", Port),
        ("PROXY TCP4 1.2.3.4 1.2.3.4  2\r\n", Port),
        ("PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n", Address),
        ("PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n", Address),
        ("PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n", Address),
        ("PROXY TCP4 1.2.3.4 0x1.2.3.4 1 2\r\n", Address),
        ("PROXY TCP4 ::1 ::1 1 2\r\n", Address),
        ("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", Address),
        ("PROXY TCP6 [::1] ::1 1 2\r\n", Address),
        ("PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", Address),
        ("PROXY TCP6 1::2::3 ::1 1 2\r\n", Address),
        ("PROXY TCP6 12345::1 ::1 1 2\r\n", Address),
        ("PROXY TCP6 ::1 1:2:3:4:5:6:7:8:9 1 2\r\n", Address),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", Port),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n", Port),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n", Port),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", Port),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 99999999999\r\n", Port),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 \u{661}\r\n", Port),
        ("PROXY TCP4 0.0.0.0 1.2.3.4 1 2\r\n", Source),
        ("PROXY TCP6 :: ::1 1 2\r\n", Source),
        ("PROXY TCP6 ::ffff:0.0.0.0 ::1 1 2\r\n", Source),
    ] {
        if line.ends_with('\r') {
            assert_eq!(parse(line.as_bytes()), Ok(Parsed::Incomplete), "{line:?}");
            assert_eq!(parse(format!("{line}x").as_bytes()), Err(expected), "{line:?}");
        } else {
            assert_eq!(parse(line.as_bytes()), Err(expected), "{line:?}");
        }
    }
}

#[test]
fn what_cannot_become_a_line_is_refused_before_its_end() {
    for (start, expected) in [
        ("GET / HT", Signature),
        ("\x16\x03\x01", Signature),
        ("PA", Signature),
        ("PROXY TCP7", Protocol),
        ("PROXY X", Protocol),
        ("PROXY TCP4 g", Address),
        ("PROXY TCP4 1234567890123456", Address),
        ("PROXY TCP4 1.2.3 ", Address),
        ("PROXY TCP4 0.0.0.0 ", Source),
        ("PROXY TCP6 ::1 x", Address),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 00", Port),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 70000", Port),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 ", Fields),
    ] {
        assert_eq!(parse(start.as_bytes()), Err(expected), "{start:?}");
    }
}
