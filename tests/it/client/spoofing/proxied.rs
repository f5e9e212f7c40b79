//! Through a proxy of the operator's: the client is the right-most address of `X-Forwarded-For`
//! that is no such proxy, and Cloudflare's visitor where that address is Cloudflare's.

use super::attempt::{Attempt, Sender};

fn of(fields: &[&str]) -> Attempt {
    Attempt::new(Sender::Proxied, fields)
}

/// The list, and whom it names. The proxy's networks are 127.0.0.0/8.
const LISTS: [(&[&str], &str); 16] = [
    (&["X-Forwarded-For: 192.0.2.1"], "192.0.2.1"),
    (&["X-Forwarded-For: 6.6.6.6, 192.0.2.1"], "192.0.2.1"),
    (&["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 192.0.2.1"], "192.0.2.1"),
    (&["X-Forwarded-For: 6.6.6.6, 192.0.2.1, 127.0.0.9"], "192.0.2.1"),
    (&["X-Forwarded-For: garbage, 192.0.2.1,,"], "192.0.2.1"),
    (&["X-Forwarded-For: 192.0.2.1:4711"], "192.0.2.1"),
    (&["X-Forwarded-For: [2001:db8::1]:4711"], "2001:db8::1"),
    (&["X-Forwarded-For: ::ffff:192.0.2.1"], "192.0.2.1"),
    (&["X-Forwarded-For: 127.0.0.3, 127.0.0.2"], "127.0.0.3"),
    (&["X-Forwarded-For: 192.0.2.1, garbage"], "127.0.0.1"),
    (&["X-Forwarded-For: 192.0.2.1, garbage, 127.0.0.9"], "127.0.0.9"),
    (&["X-Forwarded-For:"], "127.0.0.1"),
    (&["X-Real-IP: 6.6.6.6"], "127.0.0.1"),
    (&["X_Forwarded_For: 6.6.6.6"], "127.0.0.1"),
    (&["X-Forwarded-For: 192.0.2.1", "X_Forwarded_For: 6.6.6.6"], "192.0.2.1"),
    (&["X-Forwarded-For: 192.0.2.1", "Connection: x-forwarded-for"], "192.0.2.1"),
];

/// A chain with Cloudflare in it.
fn behind_cloudflare() -> Vec<Attempt> {
    let chain = |list: &str, fields: &[&str]| {
        of(&[&[&*format!("X-Forwarded-For: {list}")], fields].concat())
    };
    let (ip, ray) = ("CF-Connecting-IP: 203.0.113.7", "CF-Ray: 7d0-FRA");
    let kept = ["cf-connecting-ip: 203.0.113.7", "cf-ray: 7d0-FRA"];
    vec![
        chain("6.6.6.6, 203.0.113.7, 104.16.0.1", &[ip, ray])
            .client("203.0.113.7")
            .keeps(&kept)
            .ray("7d0-FRA"),
        chain("104.16.0.1, 127.0.0.9", &[ip, ray])
            .client("203.0.113.7")
            .keeps(&kept)
            .ray("7d0-FRA"),
        // Claimed by a client that is not Cloudflare's.
        chain("104.16.0.1, 192.0.2.1", &[ip, ray]).client("192.0.2.1"),
        chain("192.0.2.1", &[ip, ray]).client("192.0.2.1"),
        of(&[ip, ray]),
        chain("104.16.0.1", &["CF-Connecting-IP: 10.0.0.1"]).client("104.16.0.1"),
        chain("104.16.0.1", &["CF-Connecting-IP: 6.6.6.6", ip]).client("104.16.0.1"),
        chain("104.16.0.1", &[ip, "CF_Connecting_IP: 6.6.6.6"])
            .client("203.0.113.7")
            .keeps(&kept[..1]),
        chain("104.16.0.1", &[]).client("104.16.0.1"),
        chain("104.16.0.1, garbage", &[ip, ray]),
        chain("104.16.0.1", &[ip, "CF-Visitor: {\"scheme\":\"https\"}"])
            .client("203.0.113.7")
            .scheme("https")
            .keeps(&[kept[0], "cf-visitor: {\"scheme\":\"https\"}"]),
    ]
}

/// The scheme and the port.
fn schemes() -> Vec<Attempt> {
    let chain = |fields: &[&str]| {
        of(&[&["X-Forwarded-For: 192.0.2.1"], fields].concat()).client("192.0.2.1")
    };
    vec![
        chain(&["X-Forwarded-Proto: https", "X-Forwarded-Port: 1"]).scheme("https"),
        chain(&["X-Forwarded-Proto: https"]).scheme("https").at_port(":8443"),
        chain(&["X-Forwarded-Proto: https, http"]).scheme("http"),
        chain(&["X-Forwarded-Proto: https", "X-Forwarded-Proto: http"]).scheme("http"),
        // Only Cloudflare's own word.
        chain(&["CF-Visitor: {\"scheme\":\"https\"}"]),
        chain(&["X-Forwarded-Host: evil.example", "X-Forwarded-Prefix: /evil"]),
        chain(&["True-Client-IP: 6.6.6.6", "Forwarded: for=6.6.6.6", "X-Client-IP: 6.6.6.6"]),
    ]
}

pub(super) fn attempts() -> Vec<Attempt> {
    let lists = LISTS.iter().map(|(fields, client)| of(fields).client(client));
    let others = [
        of(&["X-Forwarded-For: 192.0.2.1"; 90]).client("192.0.2.1"),
        of(&["X-Forwarded-For: 192.0.2.1"])
            .client("192.0.2.1")
            .trailers(&["X-Forwarded-For: 6.6.6.6", "X_Forwarded_For: 6.6.6.6"]),
        of(&["X-Forwarded-For: 192.0.2.1,\r\n 6.6.6.6"]).refused(),
    ];
    lists.chain(behind_cloudflare()).chain(schemes()).chain(others).collect()
}
