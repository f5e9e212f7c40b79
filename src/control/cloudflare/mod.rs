//! Cloudflare's address list, from start to end of the process.
//!
//! ```text
//! start:   the operator's list | the last good list on disk | the embedded list  -> initial
//! running: API, file or ConfigMap -> answer -> check -> life -> admission sets
//! ```
//!
//! The list decides which addresses may connect and which are trusted, so every error leaves it
//! unchanged. `check` decides whether a list may be put in force, and `life` when its entries expire; both
//! are pure. `fetch` and `store` do the I/O. [`ListKeeper`] runs them on a thread of its own, off the workers.
//!
//! Further ranges (`cloudflare.extra*`) are a second list under rules of their own ([`ListSpec`]), in force beside it.
//!
//! An operator's list has no fallback: if it cannot be read at start, neither the published nor the
//! embedded list replaces it, because they admit addresses that the operator did not list.

pub mod answer;
pub mod check;
mod connect;
mod failure;
pub mod fetch;
mod initial;
mod keep;
pub mod life;
mod own;
mod refresh_intervals;
mod spec;
pub mod store;
pub mod switch;
#[cfg(test)]
mod tests;

pub use failure::Failure;
pub use initial::{Initial, InitialError, initial};
pub use keep::{ListKeeper, Setup};
pub use refresh_intervals::RefreshIntervals;
pub use spec::ListSpec;
