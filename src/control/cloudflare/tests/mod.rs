//! The parts without the network; `tests/cloudflare_list` has the rest.

mod answer;
mod check;
mod life;
mod properties;
mod start;

use super::ListSpec;
use super::check::Rules;
use crate::config::{CLOUDFLARE, ListOrigin};
use ipnet::IpNet;
use std::time::Duration;

const HOUR: u64 = 3600;
const DELAY: Duration = Duration::from_secs(24 * HOUR);
/// 2026-09-21T14:13:20Z.
const BEGIN: u64 = 1_790_000_000;

fn net(text: &str) -> IpNet {
    text.parse().expect("literal")
}

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| net(text)).collect()
}

fn embedded_without(gone: &[&str]) -> Vec<IpNet> {
    let gone = nets(gone);
    CLOUDFLARE.into_iter().filter(|net| !gone.contains(net)).collect()
}

fn embedded_with(extra: &[&str]) -> Vec<IpNet> {
    CLOUDFLARE.into_iter().chain(nets(extra)).collect()
}

fn spec(rules: Rules, origin: ListOrigin) -> ListSpec {
    ListSpec { origin, removal_delay: DELAY, rules }
}

fn published(jdcloud: bool) -> ListSpec {
    let url = "https://user:secret@list.example/ips".parse().expect("literal");
    let origin = ListOrigin::Published { url, ca_file: None, refresh: None, jdcloud };
    spec(Rules::Published, origin)
}
