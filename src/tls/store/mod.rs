//! The certificates and CAs in use: loaded from files and Secrets, followed, checked, published.
//!
//! Runs on a thread of its own; workers read what it publishes in [`crate::tls::SnapshotCell`].

mod cert_store;
mod client_authorities;
mod error;
mod public_wildcards;
mod self_check;
mod ticket_file;
mod tls_files;
mod verdict_log;

pub use cert_store::{CertStore, OfFile, entries};
pub use client_authorities::{AuthorityFileError, of_config, of_ingresses};
pub use error::TlsFileError;
pub use self_check::{Judged, Origins, Proofs, Served, judge_all, of_secret, shown};
pub use ticket_file::TicketFileError;
pub use tls_files::{TlsFiles, authorities, certificate, dates, now, time};
