//! `passTLSClientCert`, and the fields of RFC 9440: pods are told of the certificate that the client has shown.
//!
//! **Invariant**: what these fields say was checked: the certificate is good for the policy of its host, and the
//! client has its key. Of the certificates that a client sends beside it, those are told that its proof is made of.

use super::error_pages::escaped;
use super::{RequestView, twins};
use crate::model::middleware::{CertificateHeaders, ClientCertificateFields};
use crate::net::fields::Fields;
use crate::pki::client_certificate::told;
use crate::tls::Session;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};

const CERTIFICATE: HeaderName = HeaderName::from_static("x-forwarded-tls-client-cert");
const INFO: HeaderName = HeaderName::from_static("x-forwarded-tls-client-cert-info");

/// The fields of RFC 9440. Those of clients never come here: they name the client of a request, and are removed with all
/// that do (section 2.4).
const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");

/// Removes what the client says of itself, and tells what is true.
pub(super) fn on_request(fields: &ClientCertificateFields, request: &mut RequestView<'_>) {
    if !request.origin.is_for(&fields.hosts) {
        return;
    }
    let session = request.origin.session;
    let certificate = session.and_then(Session::client_certificate);
    let path = session.filter(|_| fields.standard == Some(CertificateHeaders::Chain));
    let path = path.and_then(Session::client_path);
    let headers = request.headers();
    twins::remove(headers, &CERTIFICATE);
    twins::remove(headers, &INFO);
    let Some(certificate) = certificate else { return };
    if fields.pem
        && let Ok(value) = HeaderValue::try_from(STANDARD.encode(&*certificate))
    {
        headers.set(CERTIFICATE, value);
    }
    let info = told(&certificate, &fields.info).map(|text| escaped(text.as_bytes()));
    if let Some(Ok(value)) = info.map(HeaderValue::try_from) {
        headers.set(INFO, value);
    }
    if fields.standard.is_some()
        && let Ok(value) = HeaderValue::try_from(item(&certificate))
    {
        headers.set(CLIENT_CERT, value);
    }
    let chain: Vec<String> =
        path.iter().flat_map(|path| path.iter()).map(|der| item(der)).collect();
    if !chain.is_empty()
        && let Ok(value) = HeaderValue::try_from(chain.join(", "))
    {
        headers.set(CLIENT_CERT_CHAIN, value);
    }
}

/// A certificate as an item of a structured field: a Byte Sequence (RFC 9440 section 2.1, RFC 8941 section 3.3.5).
fn item(certificate: &[u8]) -> String {
    format!(":{}:", STANDARD.encode(certificate))
}
