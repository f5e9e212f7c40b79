//! Secrets of which only the name and the type are known, because their content was not kept.

use crate::pki::client_certificate::Authority;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;

/// The mark. The API server's Secrets lose their annotations before they get here.
const MARK: &str = "ravelin.dev/content-left-out";

/// The key of the authority of certificates of clients.
const AUTHORITY: &str = "ca.crt";

/// The Secret without its content, marked so that the missing content is not reported. CA certificates
/// stay: they are public, and without them every client that must present a certificate would be refused.
pub fn leave_out_content(secret: &Secret) -> Secret {
    let Secret { metadata, type_, data, .. } = secret;
    let metadata = ObjectMeta {
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        annotations: Some([(MARK.to_owned(), "true".to_owned())].into()),
        ..ObjectMeta::default()
    };
    let authority = data.as_ref().and_then(|data| data.get_key_value(AUTHORITY));
    let authority = authority.filter(|(_, text)| is_public(text));
    let data = authority.map(|(key, text)| BTreeMap::from([(key.clone(), text.clone())]));
    Secret { metadata, type_: type_.clone(), data, ..Secret::default() }
}

/// Whether a text contains only CA certificates.
fn is_public(text: &ByteString) -> bool {
    !text.0.windows(7).any(|part| part == b"PRIVATE") && Authority::from_pem(&text.0).is_ok()
}

/// Whether the content of this Secret was omitted.
pub fn is_content_left_out(secret: &Secret) -> bool {
    let marked = secret.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(MARK));
    let kept = secret.data.iter().flat_map(BTreeMap::keys);
    marked && secret.string_data.is_none() && kept.into_iter().all(|key| key == AUTHORITY)
}
