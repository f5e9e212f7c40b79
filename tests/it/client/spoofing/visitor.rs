//! Through Cloudflare: the client is the one that Cloudflare names, and the peer where it names
//! none. What a visitor writes himself names nobody.

use super::attempt::{Attempt, Sender};

const VISITOR: &str = "203.0.113.7";
const CF_IP: &str = "CF-Connecting-IP: 203.0.113.7";
const CF_RAY: &str = "CF-Ray: 7d0-FRA";

/// What visitors send beside the fields of Cloudflare. Nothing of it arrives.
const OF_VISITORS: [&str; 28] = [
    "X-Forwarded-For: 6.6.6.6, 203.0.113.7",
    "X-Forwarded-For: garbage, 127.0.0.1, 10.0.0.1",
    "X_Forwarded_For: 6.6.6.6",
    "CF_Connecting_IP: 6.6.6.6",
    "cf-connecting_ip: 6.6.6.6",
    "CF_Connecting-IP: 6.6.6.6",
    "CF-Ray_: 6-EVIL",
    "cf-visitor_x: 1",
    "CF_Worker: example.com",
    "Client-Cert: :Zm9yZ2Vk:",
    "Client_Cert: :Zm9yZ2Vk:",
    "Client-Cert-Chain: :Zm9yZ2Vk:",
    "CF-Connecting-IPv6: 2001:db8::6",
    "X-Real-IP: 6.6.6.6",
    "X_Real_IP: 6.6.6.6",
    "True-Client-IP: 6.6.6.6",
    "True_Client_Ip: 6.6.6.6",
    "Forwarded: for=6.6.6.6",
    "X-Client-IP: 6.6.6.6",
    "X-Cluster-Client-IP: 6.6.6.6",
    "Client-IP: 6.6.6.6",
    "X-Original-Forwarded-For: 6.6.6.6",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Port: 8443",
    "X-Forwarded-Prefix: /evil",
    "X-Forwarded-Ssl: on",
    "Connection: x-forwarded-for, x-real-ip",
    "X-Forwarded-For:",
];

/// Values of `CF-Connecting-IP` that a Worker can write, or nobody: not a client.
const NO_CLIENT: [&str; 20] = [
    "6.6.6.6, 7.7.7.7",
    "203.0.113.7:4711",
    "[2001:db8::7]",
    "[2001:db8::7]:4711",
    "0203.0.113.7",
    "3405803783",
    "fe80::1%eth0",
    "garbage",
    "",
    "10.42.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "192.168.1.1",
    "0.0.0.0",
    "::1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "fd00::1",
    "fe80::1",
];

fn of(fields: &[&str]) -> Attempt {
    Attempt::new(Sender::Visitor, fields)
}

/// With what Cloudflare itself sends of its visitor.
fn named(fields: &[&str]) -> Attempt {
    let attempt = of(&[&[CF_IP, CF_RAY, "X-Forwarded-Proto: https"], fields].concat());
    let kept = ["cf-connecting-ip: 203.0.113.7", "cf-ray: 7d0-FRA"];
    attempt.client(VISITOR).scheme("https").ray("7d0-FRA").keeps(&kept)
}

/// Cloudflare names a client in another way.
fn names_of_clients() -> Vec<Attempt> {
    let one = |value: &str, client: &str| {
        let kept = format!("cf-connecting-ip: {value}");
        of(&[&format!("CF-Connecting-IP: {value}")]).client(client).keeps(&[&kept])
    };
    let pseudo = ["CF-Connecting-IP: 245.1.2.3", "CF-Connecting-IPv6: 2001:db8::9"];
    let twice = [CF_IP, "CF-Connecting-IP: 6.6.6.6"];
    vec![
        one("2001:db8::7", "2001:db8::7"),
        one("2001:DB8:0:0::7", "2001:db8::7"),
        one("::ffff:203.0.113.7", VISITOR),
        // A Worker of another zone. It is no secret whose, and no proof.
        one("2a06:98c0:3600::103", "2a06:98c0:3600::103"),
        one("245.1.2.3", "245.1.2.3"),
        of(&pseudo)
            .client("2001:db8::9")
            .keeps(&["cf-connecting-ip: 245.1.2.3", "cf-connecting-ipv6: 2001:db8::9"]),
        of(&[pseudo[0], "CF-Connecting-IPv6: ::1"]),
        of(&[pseudo[0], "CF-Connecting-IPv6: 6.6.6.6"]),
        of(&[pseudo[0], pseudo[1], "CF-Connecting-IPv6: 2001:db8::6"]),
        of(&["CF-Connecting-IPv6: 2001:db8::6"]),
        of(&[]),
        of(&twice),
        of(&[CF_IP; 90]),
        // Gone for the backend; we have read it before.
        of(&[CF_IP, "Connection: cf-connecting-ip"]).client(VISITOR),
    ]
}

/// The scheme, and the port that follows from it.
fn schemes() -> Vec<Attempt> {
    let https = "CF-Visitor: {\"scheme\":\"https\"}";
    let kept = ["cf-connecting-ip: 203.0.113.7", "cf-visitor: {\"scheme\":\"https\"}"];
    let from = |fields: &[&str]| of(&[&[CF_IP], fields].concat()).client(VISITOR).keeps(&kept[..1]);
    vec![
        from(&[https]).scheme("https").keeps(&kept[1..]),
        from(&[https]).scheme("https").keeps(&kept[1..]).at_port(":8443"),
        from(&["X-Forwarded-Proto: http", https]).scheme("http").keeps(&kept[1..]),
        from(&["X-Forwarded-Proto: http, https"]).scheme("https"),
        from(&["X-Forwarded-Proto: gopher"]),
        from(&["CF-Visitor: https"]).keeps(&["cf-visitor: https"]),
        from(&["X_Forwarded_Proto: https"]),
    ]
}

pub(super) fn attempts() -> Vec<Attempt> {
    let of_visitors = OF_VISITORS.iter().map(|&field| named(&[field]));
    let no_client = NO_CLIENT.iter().map(|value| of(&[&format!("CF-Connecting-IP: {value}")]));
    let invalid = ["CF-Connecting-IP: 203.0.113.7\0", "CF-Ray: 1\rCF-Connecting-IP: 6.6.6.6"];
    let others = [
        named(&[]),
        named(&["X-Forwarded-For: 6.6.6.6"; 90]),
        named(&["CF-Worker: evil.example", "CF-EW-Via: 15", "CDN-Loop: cloudflare"]).keeps(&[
            "cf-worker: evil.example",
            "cf-ew-via: 15",
            "cdn-loop: cloudflare",
        ]),
        named(&[]).trailers(&["CF-Connecting-IP: 6.6.6.6", "CF-Ray: 6-EVIL", "CF_Ray: 6-EVIL"]),
    ];
    others
        .into_iter()
        .chain(of_visitors)
        .chain(names_of_clients())
        .chain(no_client)
        .chain(schemes())
        .chain(invalid.map(|field| of(&[field]).refused()))
        .collect()
}
