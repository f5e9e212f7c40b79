//! Why the files of the TLS settings cannot be used.

use super::client_authorities::AuthorityFileError;
use super::ticket_file::TicketFileError;
use crate::pki::certificate::{AuthoritiesError, LoadError};
use std::io;
use std::path::PathBuf;

/// A file that TLS needs, and what is wrong with it. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    /// The file with the CAs of the Custom Origin Trust Store cannot be used.
    #[error("cloudflare.trust_store_file {path:?}: {problem}")]
    TrustStore {
        /// As configured.
        path: PathBuf,
        /// What is wrong.
        problem: AuthoritiesError,
    },
    /// The files of a certificate cannot be used.
    #[error("certificate: {0}")]
    Certificate(#[from] LoadError),
    /// The authority of certificates of clients cannot be used.
    #[error("client_certificate: {0}")]
    Clients(#[from] AuthorityFileError),
    /// The secret of session tickets cannot be used.
    #[error("session tickets: {0}")]
    Tickets(#[from] TicketFileError),
    /// The system refuses random numbers.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}
