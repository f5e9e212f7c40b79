//! TLS to servers outside of the cluster.

use super::fetch::FetchError;
use crate::pki::ca_bundle::{CaBundle, client_config as trusting};
use crate::telemetry::ListFailure;
use rustls::ClientConfig;
use std::path::Path;

/// Settings that trust the CAs of a file, which `key` configures; the public ones without one.
pub(super) fn client_config(
    ca_file: Option<&Path>,
    key: &'static str,
) -> Result<ClientConfig, FetchError> {
    let bundle = ca_file.map(|path| {
        CaBundle::from_file(path).map_err(|what| {
            let words = format!("{key} {path:?}: {what}; name a PEM file with certificates");
            FetchError::Failed(ListFailure::Authorities, words)
        })
    });
    Ok(trusting(bundle.transpose()?.as_ref(), &[b"http/1.1"]))
}
