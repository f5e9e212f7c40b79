//! The last-good state of the cluster on disk. A process that starts while the API server is away serves
//! from it.
//!
//! ```text
//! running: Cluster -> Keeper (thread of its own) -> file -> format -> last-good.jsonl
//! start:   last-good.jsonl -> format -> file -> Keeper::restore -> Cluster
//! ```
//!
//! Opt-in. Only a completely listed state is stored, never a restored one. The file is not trusted: on
//! any error in it, the process logs the error and starts as if there were no file.

mod file;
mod format;
mod inherited;
mod keeper;
#[cfg(test)]
mod tests;

pub use file::{FILE, LastGood, load, save};
pub use format::{FORMAT, MOST_BYTES, StateFileError, StateFileHeader, read, read_lines, write};
pub use inherited::Inherited;
pub use keeper::{StateKeeper, WriteIntervals};
