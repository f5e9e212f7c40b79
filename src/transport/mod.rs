//! From the network card to an accepted connection: admission, sockets, PROXY protocol.
//!
//! **Invariant**: reads no byte of HTTP or TLS (`tests/layering`).

pub mod admission;
pub mod listen;
pub mod proxy_protocol;
