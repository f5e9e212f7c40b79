//! The parts without the network; `tests/cloudflare_list` has the rest.

mod answer;
mod check;
mod life;
mod properties;
mod start;

use crate::config::CLOUDFLARE;
use ipnet::IpNet;

fn net(text: &str) -> IpNet {
    text.parse().expect("literal")
}

fn embedded_without(gone: &[&str]) -> Vec<IpNet> {
    let gone: Vec<IpNet> = gone.iter().map(|text| net(text)).collect();
    CLOUDFLARE.into_iter().filter(|net| !gone.contains(net)).collect()
}

fn embedded_with(extra: &[&str]) -> Vec<IpNet> {
    CLOUDFLARE.into_iter().chain(extra.iter().map(|text| net(text))).collect()
}
