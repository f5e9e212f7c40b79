//! `passTLSClientCert`: pods are told of the certificate that the client has shown.
//!
//! **Invariant**: what these fields say was checked: the certificate is good for the policy of its host, and the
//! client has its key. The certificates that a client sends beside it prove nothing, and are not told.

use super::error_pages::escaped;
use super::{RequestView, twins};
use crate::model::middleware::ClientCertificateFields;
use crate::net::fields::Fields;
use crate::pki::client_certificate::told;
use crate::tls::Session;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};

const CERTIFICATE: HeaderName = HeaderName::from_static("x-forwarded-tls-client-cert");
const INFO: HeaderName = HeaderName::from_static("x-forwarded-tls-client-cert-info");

/// Removes what the client says of itself, and tells what is true.
pub(super) fn on_request(fields: &ClientCertificateFields, request: &mut RequestView<'_>) {
    let certificate = request.origin.session.and_then(Session::client_certificate);
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
}
