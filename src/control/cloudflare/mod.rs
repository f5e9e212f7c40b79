//! Cloudflare's address list from start to end of the process.
//!
//! ```text
//! start:   the operator's list | the last good one on disk | what is compiled in  -> initial
//! running: API, file or ConfigMap -> answer -> check -> life -> whoever admits by it
//! ```
//!
//! The list decides who may connect and who is believed, so every fault leaves it as it is: `check`
//! says what may be put in force, `life` what becomes of it in time; both are pure. `fetch` and
//! `store` do the I/O, and [`Keeper`] drives them on a thread of its own, off the data workers.
//!
//! A list of the operator's stands alone: if it cannot be read at start, neither the published list
//! nor the compiled-in one takes its place, for they admit whom he has not named.

pub mod answer;
pub mod check;
mod failure;
pub mod fetch;
mod initial;
mod keep;
pub mod life;
mod own;
mod pace;
pub mod store;
#[cfg(test)]
mod tests;

pub use failure::Failure;
pub use initial::{Initial, InitialError, initial};
pub use keep::{Keeper, Setup};
pub use pace::Pace;
