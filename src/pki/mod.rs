//! Certificates, parsed and checked: our own, those of clients, those of pods.
//!
//! **Invariant**: pure functions over bytes; opens no connection and follows no file (`tests/layering`).

pub mod ca_bundle;
pub mod certificate;
pub mod client_certificate;
pub mod endpoint_tls;
pub mod full_strict;
