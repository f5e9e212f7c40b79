//! Limits: how often one client may ask, and how often at once.

mod buckets;
mod concurrency;
mod key;
mod rate;
mod store;
#[cfg(test)]
mod tests;

pub(super) use concurrency::InFlightTurn;

pub(super) use concurrency::Concurrency;
pub(super) use key::Key;
pub(super) use rate::{RateState, wait as wait_for_rate};
pub(super) use store::Stores;
pub(super) use {concurrency::on_request as concurrency, rate::on_request as rate};
