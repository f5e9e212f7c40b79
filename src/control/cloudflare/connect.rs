//! TLS to servers outside of the cluster.

use super::fetch::FetchError;
use super::own::read_bounded;
use crate::error::Advice;
use crate::pki::ca_bundle::{CaBundle, client_config as trusting};
use crate::telemetry::ListFailure;
use rustls::ClientConfig;
use std::path::Path;

/// Largest file of CAs, in bytes: all public CAs together have about 250 KB.
const MOST_CA_BYTES: usize = 1 << 20;

/// Settings that trust the CAs of a file, which `key` configures; the public ones without one.
pub(super) fn client_config(
    ca_file: Option<&Path>,
    key: &'static str,
) -> Result<ClientConfig, FetchError> {
    let bundle = ca_file.map(|path| {
        authorities(path).map_err(|what| {
            let words = format!("{key} {path:?}: {what}; name a PEM file with certificates");
            FetchError::Failed(ListFailure::Authorities, words)
        })
    });
    Ok(trusting(bundle.transpose()?.as_ref(), &[b"http/1.1"]))
}

fn authorities(path: &Path) -> Result<CaBundle, String> {
    let pem = read_bounded(path, MOST_CA_BYTES).map_err(|error| error.to_string())?;
    CaBundle::from_pem(&pem).map_err(|error| error.reason().to_owned())
}
