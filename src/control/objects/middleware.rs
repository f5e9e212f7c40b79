//! `traefik.io/v1alpha1` Middleware, as far as a reader needs it: the specification stays as it is written.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct as _};
use serde_json::Value;

/// Group and version of Middlewares.
pub const MIDDLEWARE_VERSION: &str = "traefik.io/v1alpha1";

/// A Middleware. Its `spec` has one key, which is its kind; `control::translate` reads it, so that a mistake in
/// one field is told with that field.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(from = "Raw")]
pub struct Middleware {
    /// Name, namespace, age.
    pub metadata: ObjectMeta,
    /// `spec`, or null.
    pub spec: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    // Named so that they are no unknown fields.
    #[serde(default, rename = "apiVersion")]
    _api_version: Option<String>,
    #[serde(default, rename = "kind")]
    _kind: Option<String>,
    #[serde(default)]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
    #[serde(default, rename = "status")]
    _status: Option<Value>,
}

impl From<Raw> for Middleware {
    fn from(raw: Raw) -> Self {
        Self { metadata: raw.metadata, spec: raw.spec }
    }
}

impl Serialize for Middleware {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Middleware", 4)?;
        object.serialize_field("apiVersion", MIDDLEWARE_VERSION)?;
        object.serialize_field("kind", "Middleware")?;
        object.serialize_field("metadata", &self.metadata)?;
        object.serialize_field("spec", &self.spec)?;
        object.end()
    }
}
