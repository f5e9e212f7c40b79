//! Secrets of which only the name and the type are known, because their content was not kept.

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The mark. The API server's Secrets lose their annotations before they get here.
const MARK: &str = "ravelin.dev/content-left-out";

/// The Secret without what it holds, marked so that the lack of it is not taken for a mistake.
pub fn leave_out_content(secret: &Secret) -> Secret {
    let Secret { metadata, type_, .. } = secret;
    let metadata = ObjectMeta {
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        annotations: Some([(MARK.to_owned(), "true".to_owned())].into()),
        ..ObjectMeta::default()
    };
    Secret { metadata, type_: type_.clone(), ..Secret::default() }
}

/// Whether the content of this Secret was left out.
pub fn is_content_left_out(secret: &Secret) -> bool {
    let marked = secret.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(MARK));
    marked && secret.data.is_none() && secret.string_data.is_none()
}
