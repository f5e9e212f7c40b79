//! The last good state of the cluster on disk: what a process that starts while the API server is
//! away serves from.
//!
//! ```text
//! running: Cluster -> Keeper (thread of its own) -> file -> format -> last-good.jsonl
//! start:   last-good.jsonl -> format -> file -> Keeper::restore -> Cluster
//! ```
//!
//! Opt-in. Only a state that was listed whole is kept, never one that was itself restored. What is
//! read is not trusted: whatever is wrong with the file, the process starts as if there were none,
//! and says so.

mod file;
mod format;
mod keeper;
#[cfg(test)]
mod tests;

pub use file::{FILE, LastGood, load, save};
pub use format::{FORMAT, Header, MOST_BYTES, Refusal, read, read_lines, write};
pub use keeper::{Keeper, Pace};
