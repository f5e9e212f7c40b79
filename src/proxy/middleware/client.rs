//! Which address of a request is its client's.

use super::view::RequestView;
use crate::model::middleware::ClientSelector;
use ipnet::{IpNet, Ipv6Net};
use std::net::IpAddr;

/// The address that a selector means. `None` if there is none, such as with too few addresses for a `depth`:
/// nobody may then pass for somebody.
pub(super) fn address(selector: &ClientSelector, request: &RequestView<'_>) -> Option<IpAddr> {
    match selector {
        ClientSelector::Peer => Some(request.origin.peer.ip()),
        ClientSelector::Visitor { ipv6_bits } => {
            request.origin.visitor_address().map(|address| masked(address, Some(*ipv6_bits)))
        }
        ClientSelector::Depth { depth, ipv6_bits } => {
            let address = received(request)?.rsplit(',').nth(depth.checked_sub(1)?)?;
            parse(address).map(|address| masked(address, *ipv6_bits))
        }
        ClientSelector::Excluding { networks, ipv6_bits } => {
            let address = first_outside(networks, received(request)?);
            address.map(|address| masked(address, *ipv6_bits))
        }
    }
}

/// Whether the visitor of a request is in one of some networks. One whose address is not known is in none.
pub(super) fn is_visitor_in(networks: &[IpNet], request: &RequestView<'_>) -> bool {
    !networks.is_empty()
        && request.origin.visitor_address().is_some_and(|address| contains(networks, address))
}

/// The first address from the right that is in none of some networks. One that is no address ends the search:
/// its writer may have written the rest. An empty element says nothing (RFC 9110 section 5.6.1.2).
fn first_outside(networks: &[IpNet], list: &str) -> Option<IpAddr> {
    let elements = list.rsplit(',').filter(|element| !element.trim().is_empty());
    let mut addresses = elements.map(parse);
    addresses.find(|address| !address.is_some_and(|address| contains(networks, address))).flatten()
}

/// Whether one of some networks has an address. An IPv4 address in IPv6 is one of IPv4.
pub(super) fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

fn received<'r>(request: &'r RequestView<'_>) -> Option<&'r str> {
    request.passage.received_for.as_ref()?.to_str().ok()
}

/// An address, as `X-Forwarded-For` has them: some write the port as well.
fn parse(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().ok();
    address.or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip()))
}

/// The first address of the network of so many bits, if it is of IPv6.
pub(super) fn masked(address: IpAddr, ipv6_bits: Option<u8>) -> IpAddr {
    match (address.to_canonical(), ipv6_bits) {
        (IpAddr::V6(address), Some(bits)) => {
            Ipv6Net::new(address, bits).map_or(IpAddr::V6(address), |net| IpAddr::V6(net.network()))
        }
        (address, _) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excluded_addresses_and_empty_elements_are_passed_over_from_the_right() {
        let networks: [IpNet; 1] = ["10.0.0.0/8".parse().expect("literal")];
        let first = |list| first_outside(&networks, list).map(|address| address.to_string());
        for (list, expected) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("198.51.100.1, 192.0.2.1, 10.0.0.2,10.0.0.1:4711", Some("192.0.2.1")),
            ("192.0.2.1, , 10.0.0.1, ", Some("192.0.2.1")),
            ("192.0.2.1, unknown, 10.0.0.1", None),
            ("10.0.0.1", None),
            (" , ", None),
        ] {
            assert_eq!(first(list).as_deref(), expected, "{list:?}");
        }
    }
}
