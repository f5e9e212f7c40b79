//! By a peer that is admitted and may speak for nobody: the client is the peer, always.

use super::attempt::{Attempt, Sender};

/// One field each.
const FIELDS: [&str; 52] = [
    "Client-Cert: :Zm9yZ2Vk:",
    "Client_Cert: :Zm9yZ2Vk:",
    "Client-Cert-Chain: :Zm9yZ2Vk:",
    "CF-Connecting-IP: 6.6.6.6",
    "cF-cOnNeCtInG-iP: 6.6.6.6",
    "CF_Connecting_IP: 6.6.6.6",
    "cf-connecting_ip: 6.6.6.6",
    "Cf_Connecting-Ip: 6.6.6.6",
    "CF-Connecting-IPv6: 2001:db8::6",
    "CF_Connecting_IPv6: 2001:db8::6",
    "CF-Pseudo-IPv4: 245.6.6.6",
    "CF-IPCountry: T1",
    "CF-Visitor: {\"scheme\":\"https\"}",
    "CF_Visitor: {\"scheme\":\"https\"}",
    "CF-Worker: example.com",
    "CF-Ray: 6-EVIL",
    "CF_Ray: 6-EVIL",
    "CF-EW-Via: 15",
    "X-Forwarded-For: 6.6.6.6",
    "x-FORWARDED-fOR: 6.6.6.6",
    "X_Forwarded_For: 6.6.6.6",
    "X-Forwarded_For: 6.6.6.6",
    "X_Forwarded-For: 6.6.6.6",
    "X-Real-IP: 6.6.6.6",
    "X_Real_IP: 6.6.6.6",
    "X-Real_IP: 6.6.6.6",
    "True-Client-IP: 6.6.6.6",
    "True_Client_Ip: 6.6.6.6",
    "Forwarded: for=6.6.6.6;proto=https;host=evil.example",
    "Forwarded-For: 6.6.6.6",
    "Forwarded_For: 6.6.6.6",
    "X-Client-IP: 6.6.6.6",
    "X_Client_IP: 6.6.6.6",
    "X-Cluster-Client-IP: 6.6.6.6",
    "X_Cluster_Client_IP: 6.6.6.6",
    "Client-IP: 6.6.6.6",
    "Client_IP: 6.6.6.6",
    "X-Original-Forwarded-For: 6.6.6.6",
    "X_Original_Forwarded_For: 6.6.6.6",
    "X-Forwarded-Host: evil.example",
    "X_Forwarded_Host: evil.example",
    "X-Forwarded-Port: 443",
    "X_Forwarded_Port: 443",
    "X-Forwarded-Proto: https",
    "X_Forwarded_Proto: https",
    "X-Forwarded-Scheme: https",
    "X-Forwarded-Ssl: on",
    "X-Forwarded-Prefix: /evil",
    "X-Forwarded-Server: evil.example",
    "X-Forwarded-Anything: 6.6.6.6",
    "X_Forwarded_Anything: 6.6.6.6",
    "X-Forwarded-For:",
];

/// Not HTTP (RFC 9112 section 5, RFC 9110 section 5.5): folded, or with a byte that no value has.
const INVALID: [&str; 8] = [
    "X-Forwarded-For: 6.6.6.6,\r\n 7.7.7.7",
    "CF-Connecting-IP:\r\n\t6.6.6.6",
    "X-Forwarded-For: 6.6.6.6\0",
    "CF-Connecting-IP: \x006.6.6.6",
    "X-Real-IP: 6.6.6.6\rX-Real-IP: 7.7.7.7",
    "X-Forwarded-For : 6.6.6.6",
    " X-Forwarded-For: 6.6.6.6",
    "X-Forwarded-For\0: 6.6.6.6",
];

pub(super) fn attempts() -> Vec<Attempt> {
    let of = |fields: &[&str]| Attempt::new(Sender::Stranger, fields);
    let single = FIELDS.iter().map(|&field| of(&[field]));
    let invalid = INVALID.iter().map(|&field| of(&[field]).refused());
    let others = [
        of(&["CF-Connecting-IP: 6.6.6.6", "CF-Connecting-IP: 7.7.7.7"]),
        of(&["CF-Connecting-IP: 6.6.6.6, 7.7.7.7"]),
        of(&["X-Forwarded-For: 6.6.6.6", "X-Real-IP: 7.7.7.7", "Forwarded: for=8.8.8.8"]),
        of(&["X-Forwarded-For: 6.6.6.6"; 90]),
        of(&["CF-Connecting-IP: 6.6.6.6"; 90]),
        // What no client can know, or has any use for.
        of(&["CDN-Loop: cloudflare"]).keeps(&["cdn-loop: cloudflare"]),
        of(&["Connection: cf-connecting-ip", "CF-Connecting-IP: 6.6.6.6"]),
        of(&["Connection: x-forwarded-for, x-real-ip, x-forwarded-proto"]),
        of(&["Connection: close, X-Forwarded-For, Host, X-Forwarded-Port", "X-Real-IP: 6.6.6.6"]),
        of(&["Connection: x_forwarded_for", "Connection: x-real-ip", "X_Forwarded_For: 6.6.6.6"]),
        of(&[]).trailers(&[
            "CF-Connecting-IP: 6.6.6.6",
            "CF_Connecting_IP: 6.6.6.6",
            "Forwarded: for=6.6.6.6",
            "True-Client-IP: 6.6.6.6",
            "X-Client-IP: 6.6.6.6",
            "X-Forwarded-For: 6.6.6.6",
            "X_Forwarded_For: 6.6.6.6",
            "X-Forwarded_For: 6.6.6.6",
            "X-Forwarded-Proto: https",
            "X-Real-IP: 6.6.6.6",
            "X_Real_IP: 6.6.6.6",
        ]),
    ];
    single.chain(others).chain(invalid).collect()
}
