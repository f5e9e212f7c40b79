//! `ipAllowList`, `ipWhiteList`, and `ipStrategy`, which limits have as well.

use super::Fields;
use super::texts::{network, status};
use crate::model::middleware::{ClientSelector, SourceList, SourceRule, Step};
use http::StatusCode;
use ipnet::IpNet;

/// Reads `ipAllowList`.
pub(super) fn allow_list(fields: &mut Fields<'_, '_, '_>) -> Option<Step> {
    fields.know(&["sourceRange", "ipStrategy", "rejectStatusCode"]);
    let status = match fields.number("rejectStatusCode") {
        None | Some(0) => StatusCode::FORBIDDEN,
        Some(number) => {
            let fix = "write one such as 403";
            let status = status(number);
            fields
                .parse("rejectStatusCode", &number.to_string(), status, fix)
                .unwrap_or(StatusCode::FORBIDDEN)
        }
    };
    list(fields, status)
}

/// Reads `ipWhiteList`, the name of Traefik 2.
pub(super) fn white_list(fields: &mut Fields<'_, '_, '_>) -> Option<Step> {
    fields.know(&["sourceRange", "ipStrategy"]);
    list(fields, StatusCode::FORBIDDEN)
}

fn list(fields: &mut Fields<'_, '_, '_>, status: StatusCode) -> Option<Step> {
    let networks = networks(fields, "sourceRange");
    if networks.is_empty() && !fields.is_broken() {
        fields.refuse("sourceRange", "is empty", "list the addresses that may ask");
    }
    // Without a strategy it is the connection that is looked at, as in Traefik: of a list of Cloudflare's
    // networks nothing else is meant.
    let client = fields.below("ipStrategy", strategy).flatten().unwrap_or(ClientSelector::Peer);
    let list = SourceList::Allow(networks);
    Some(Step::Source(Box::new(SourceRule { list, client, status })))
}

/// A list of networks.
pub(in crate::control::translate) fn networks(
    fields: &mut Fields<'_, '_, '_>,
    key: &str,
) -> Vec<IpNet> {
    let fix = "write addresses and networks in CIDR notation";
    let mut networks = Vec::new();
    for text in fields.texts(key) {
        networks.extend(fields.parse(key, text, network(text), fix));
    }
    networks
}

/// Reads `ipStrategy`. Nothing if it names no address of `X-Forwarded-For`.
pub(super) fn strategy(fields: &mut Fields<'_, '_, '_>) -> Option<ClientSelector> {
    fields.know(&["depth", "excludedIPs", "ipv6Subnet"]);
    let depth = fields.count("depth");
    let networks = networks(fields, "excludedIPs");
    let ipv6_bits = match fields.number("ipv6Subnet") {
        None => None,
        Some(bits @ 1..=128) => u8::try_from(bits).ok(),
        Some(bits) => {
            fields.refuse("ipv6Subnet", format!("{bits} is not from 1 to 128"), "write 64");
            None
        }
    };
    if depth > 0 {
        if !networks.is_empty() {
            fields.warn(
                "excludedIPs",
                "has no effect together with depth",
                "remove one of the two",
            );
        }
        let depth = usize::try_from(depth).unwrap_or(usize::MAX);
        return Some(ClientSelector::Depth { depth, ipv6_bits });
    }
    if networks.is_empty() {
        if ipv6_bits.is_some() {
            let fix = "remove it, or write depth or excludedIPs";
            fields.warn("ipv6Subnet", "has no effect without depth or excludedIPs", fix);
        }
        return None;
    }
    Some(ClientSelector::Excluding { networks, ipv6_bits })
}
