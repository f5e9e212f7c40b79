//! The Secrets and ConfigMaps that such annotations name.

use super::{nginx, own, pages, zone};
use std::collections::BTreeMap;

/// Namespace, if it is another one, and name of each.
pub(in crate::control) fn secrets_of(
    annotations: &BTreeMap<String, String>,
) -> impl Iterator<Item = (Option<&str>, &str)> {
    named_by(annotations, [nginx::AUTH_SECRET, own::BASIC_AUTH, zone::SECRET])
}

/// The same of ConfigMaps.
pub(in crate::control) fn config_maps_of(
    annotations: &BTreeMap<String, String>,
) -> impl Iterator<Item = (Option<&str>, &str)> {
    let of_nginx = [nginx::CUSTOM_HEADERS, nginx::SET_HEADERS];
    named_by(annotations, [pages::ERROR_PAGES]).chain(named_by(annotations, of_nginx))
}

fn named_by<'a, const N: usize>(
    annotations: &'a BTreeMap<String, String>,
    names: [&'static str; N],
) -> impl Iterator<Item = (Option<&'a str>, &'a str)> + use<'a, N> {
    let named = names.into_iter().filter_map(|name| annotations.get(name));
    named.map(|value| split(value.trim())).filter(|(_, name)| !name.is_empty())
}

/// `namespace/name`, or a name alone.
pub(super) fn split(value: &str) -> (Option<&str>, &str) {
    match value.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, value),
    }
}
