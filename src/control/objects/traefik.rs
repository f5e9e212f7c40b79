//! The objects of `traefik.io/v1alpha1`, as far as a reader needs them: the specification stays as it is written.

use crate::model::Kind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct as _};
use serde_json::Value;

/// Group and version of Traefik's kinds.
pub const TRAEFIK_VERSION: &str = "traefik.io/v1alpha1";

/// Traefik's kinds that ravelin reads, with their plurals in the API.
pub const TRAEFIK_KINDS: [(Kind, &str); 9] = [
    (Kind::Middleware, "middlewares"),
    (Kind::IngressRoute, "ingressroutes"),
    (Kind::IngressRouteTcp, "ingressroutetcps"),
    (Kind::MiddlewareTcp, "middlewaretcps"),
    (Kind::TraefikService, "traefikservices"),
    (Kind::ServersTransport, "serverstransports"),
    (Kind::ServersTransportTcp, "serverstransporttcps"),
    (Kind::TlsOption, "tlsoptions"),
    (Kind::TlsStore, "tlsstores"),
];

/// An object of one of [`TRAEFIK_KINDS`]. `control::translate` reads its `spec`, so that a mistake in one field is
/// told with that field.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Raw")]
pub struct TraefikObject {
    /// Which of the kinds.
    pub kind: Kind,
    /// Name, namespace, age, annotations.
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
    kind: String,
    #[serde(default)]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
    #[serde(default, rename = "status")]
    _status: Option<Value>,
}

impl TryFrom<Raw> for TraefikObject {
    type Error = &'static str;

    fn try_from(Raw { kind, metadata, spec, .. }: Raw) -> Result<Self, Self::Error> {
        let known = TRAEFIK_KINDS.into_iter().find(|(known, _)| known.as_str() == kind);
        let (kind, _) = known.ok_or("unknown kind of traefik.io/v1alpha1")?;
        Ok(Self { kind, metadata, spec })
    }
}

impl Serialize for TraefikObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("TraefikObject", 4)?;
        object.serialize_field("apiVersion", TRAEFIK_VERSION)?;
        object.serialize_field("kind", self.kind.as_str())?;
        object.serialize_field("metadata", &self.metadata)?;
        object.serialize_field("spec", &self.spec)?;
        object.end()
    }
}
