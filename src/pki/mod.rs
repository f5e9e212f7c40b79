//! Certificates, parsed and checked: our own, those of clients, those of pods.
//!
//! [`access`] is about the keys of Cloudflare Access, and the tokens that they sign; [`zone_secret`] about secrets that
//! prove the zone of a request.
//!
//! **Invariant**: pure functions over bytes, and what they made of them; opens no connection and follows no file
//! (`tests/layering`).

pub mod access;
pub mod ca_bundle;
pub mod certificate;
pub mod client_certificate;
pub mod endpoint_tls;
pub mod file;
pub mod full_strict;
pub mod zone_secret;
