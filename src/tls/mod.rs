//! TLS towards the client: which certificate a connection is shown, and the handshake.
//!
//! The ClientHello is read first. The name in it chooses the certificate out of an immutable
//! [`Snapshot`], or the connection ends with `unrecognized_name` before anybody has seen one: who
//! scans addresses learns no host of ours. Then rustls does the handshake. How many are under way at
//! once is limited for each worker; how long one may take is the caller's to limit.
//!
//! A certificate is read where the process is built and where its files are followed, never on a
//! worker: [`Store`] is the cell between them.

mod failure;
mod handshake;
mod policy;
mod session;
mod snapshot;
#[cfg(test)]
mod tests;

pub use handshake::{Handshakes, Unmet};
pub use policy::Policy;
pub use session::{Session, covers};
pub use snapshot::{Entry, Found, Shown, Snapshot, Store};
