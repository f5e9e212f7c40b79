//! TLS towards the client: which certificate a connection is shown, and the handshake.
//!
//! The ClientHello is read first. The name in it chooses the certificate out of an immutable
//! [`Snapshot`], or the connection ends with `unrecognized_name` before anybody has seen one: who
//! scans addresses learns no host of ours. Then rustls does the handshake. How many compute before
//! requests have their turn is limited for each worker; how long one may take is the caller's to limit.
//!
//! Hosts may demand certificates of their clients: see [`Policies`]. Everything that is agreed on under
//! one policy, tickets included, counts for the hosts of that policy alone.
//!
//! A certificate is read where the process is built and where its files are followed, never on a
//! worker: [`Store`] is the cell between them.

mod clients;
mod failure;
mod handshake;
mod policies;
mod policy;
mod session;
mod snapshot;
pub mod store;
#[cfg(test)]
mod tests;
mod tickets;
mod turns;

pub use handshake::{Handshakes, Unmet};
pub use policies::{Demands, Policies};
pub use policy::Policy;
pub use session::{Session, covers, is_one_policy};
pub use snapshot::{Entry, Found, Shown, Snapshot, Store};
pub use tickets::{MOST_SECRET_BYTES, SecretError, TicketKeys};
