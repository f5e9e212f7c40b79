//! What every stage is built on: addresses, byte streams, deadlines, the memory budget, shutdown.
//!
//! **Invariant**: knows nothing of HTTP routes, certificates or Kubernetes, and never blocks
//! (`tests/layering`).

pub mod addr;
pub mod beginning;
pub mod counters;
pub mod deadline;
pub mod fields;
pub mod gather;
pub mod host;
pub mod http1;
pub mod http2;
pub mod memory;
pub mod message;
pub mod outbound;
#[cfg(test)]
pub(crate) mod passes;
pub mod postgres;
pub mod quality;
pub mod random;
pub mod shutdown;
pub mod stream;
pub mod trust;
pub mod turns;
