//! TLS towards the client: choice of the certificate, and the handshake.
//!
//! The ClientHello is read first. Its server name selects a certificate from an immutable [`Snapshot`]. If
//! none matches, the handshake ends with `unrecognized_name` before a certificate is presented, so
//! scanners learn no host names. Then rustls does the handshake. Each worker limits how many handshakes
//! compute before requests get a turn; the caller limits how long one may take.
//!
//! A host can require client certificates: see [`Policies`]. A session, including its tickets, is valid
//! only for hosts of the policy under which it was made.
//!
//! Certificates are parsed at start and by the certificate store, never on a worker: [`SnapshotCell`] is the cell
//! between them.
//!
//! **Invariant**: imports no other stage; a worker reads no file (`tests/layering`).

mod clients;
mod ended;
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

pub use handshake::{Handshakes, Hello, Unmet};
pub use policies::{HostDemand, Policies};
pub use policy::Policy;
pub use session::{Session, covers, is_one_policy};
pub use snapshot::{Entry, SecretName, Selected, Shown, Snapshot, SnapshotCell, TlsPeer};
pub use tickets::{MOST_SECRET_BYTES, SecretError, TicketKeys};
