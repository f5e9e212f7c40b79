//! One untyped object to its type, with the field named in every complaint.

use crate::control::objects::{Object, TraefikObject};
use crate::control::quote::shorten;
use crate::control::suggest::nearest;
use crate::model::Kind;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Maximum of reported unknown fields per object.
const MAX_UNKNOWN_FIELDS: usize = 16;

/// A field that the type does not have.
pub(super) struct Unknown {
    pub(super) field: String,
    pub(super) fix: String,
}

/// A field whose value has the wrong type.
pub(super) struct Mistyped {
    pub(super) field: String,
    pub(super) reason: String,
    pub(super) fix: String,
}

/// Decodes an object of this kind and lists the fields that were passed over.
pub(super) fn decode(kind: Kind, value: Value) -> Result<(Object, Vec<Unknown>), Mistyped> {
    use k8s_openapi::api::{core::v1 as core, discovery::v1 as discovery, networking::v1 as net};
    let (object, fields) = match kind {
        Kind::Ingress => typed::<net::Ingress>(value),
        Kind::IngressClass => typed::<net::IngressClass>(value),
        Kind::Service => typed::<core::Service>(value),
        Kind::EndpointSlice => typed::<discovery::EndpointSlice>(value),
        Kind::Secret => typed::<core::Secret>(value),
        Kind::Node => typed::<core::Node>(addresses_only(value)),
        Kind::ConfigMap => typed::<core::ConfigMap>(value),
        Kind::File | Kind::Cluster => Err((String::new(), "is not an object".to_owned())),
        traefik => typed::<TraefikObject>(with_kind(traefik, value)),
    }
    .map_err(|(field, text)| mistyped(kind, field, &text))?;
    let unknown = fields.into_iter().map(|field| Unknown { fix: unknown_fix(kind, &field), field });
    Ok((object, unknown.collect()))
}

/// A Node with nothing in its status but the addresses and whether it is ready: the rest may be of a newer
/// API or, written by hand, without quotes (`cpu: 4`), and nobody reads it.
fn addresses_only(mut node: Value) -> Value {
    let Some(status) = node.get_mut("status").and_then(Value::as_object_mut) else { return node };
    let conditions = status.get("conditions").and_then(Value::as_array);
    let ready = conditions.and_then(|all| all.iter().find(|it| it["type"] == "Ready"));
    let ready = ready.and_then(|ready| ready["status"].as_str().map(str::to_owned));
    status.retain(|key, _| key == "addresses");
    if let Some(ready) = ready {
        let conditions = serde_json::json!([{"type": "Ready", "status": ready}]);
        status.insert("conditions".to_owned(), conditions);
    }
    node
}

/// An item of a typed list need not say what it is.
fn with_kind(kind: Kind, mut value: Value) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.insert("kind".to_owned(), kind.as_str().into());
    }
    value
}

fn typed<T>(value: Value) -> Result<(Object, Vec<String>), (String, String)>
where
    T: DeserializeOwned + Into<Object>,
{
    let mut unknown = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
    let decoded: Result<T, _> = serde_ignored::deserialize(tracked, |path| {
        let field = field_path(&path);
        // Nobody writes a status by hand, and of the only one that is read the rest is gone.
        if unknown.len() < MAX_UNKNOWN_FIELDS && !field.starts_with("status.") {
            unknown.push(field);
        }
    });
    match decoded {
        Ok(object) => Ok((object.into(), unknown)),
        Err(error) => Err((track.path().to_string(), error.to_string())),
    }
}

fn field_path(path: &serde_ignored::Path<'_>) -> String {
    use serde_ignored::Path;
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}[{index}]", field_path(parent)),
        Path::Map { parent, key } => match field_path(parent) {
            parent if parent.is_empty() => shorten(key).to_owned(),
            parent => format!("{parent}.{}", shorten(key)),
        },
        Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => field_path(parent),
    }
}

fn mistyped(kind: Kind, field: String, text: &str) -> Mistyped {
    // The decoder's own words quote the value.
    let secretive = match kind {
        Kind::Secret => Some("put base64 under `data`, or plain text under `stringData`"),
        Kind::ConfigMap => Some("put text in quotes under `data`, or base64 under `binaryData`"),
        _ => None,
    };
    if let Some(fix) = secretive {
        let reason = "has the wrong type, or is not base64".to_owned();
        return Mistyped { field, reason, fix: fix.to_owned() };
    }
    let expected = text.rsplit("expected ").next().unwrap_or_default();
    let is_number = ["i32", "i64", "u16", "u32"].contains(&expected);
    let fix = if is_number && text.starts_with("invalid type: string") {
        "write the number without quotes".to_owned()
    } else if expected == "a string" || expected == "a borrowed string" {
        "put the value in quotes".to_owned()
    } else {
        explain(kind, &field)
    };
    Mistyped { field, reason: shorten(text).to_owned(), fix }
}

/// Fields of `extensions/v1beta1` Ingresses, which are the usual unknown ones.
const MOVED: [(&str, &str); 2] = [
    ("serviceName", "service.name"),
    ("servicePort", "service.port.number` or `service.port.name"),
];

fn unknown_fix(kind: Kind, field: &str) -> String {
    let (parent, key) = field.rsplit_once('.').unwrap_or(("", field));
    if let Some((_, now)) = MOVED.into_iter().find(|(old, _)| *old == key) {
        return format!("networking.k8s.io/v1 calls it `{now}`");
    }
    match nearest(key, known_keys(kind)) {
        Some(known) if known != key => format!("did you mean `{known}`?"),
        Some(known) => format!("`{known}` does not belong here; {}", explain(kind, parent)),
        None => explain(kind, parent),
    }
}

/// Points to the reference that every cluster has.
fn explain(kind: Kind, field: &str) -> String {
    let mut path = kind.as_str().to_ascii_lowercase();
    for part in field.split('.') {
        let name = part.split('[').next().unwrap_or_default();
        if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            path.push('.');
            path.push_str(name);
        }
    }
    format!("see `kubectl explain {path}`")
}

/// The keys of each kind, at whichever level: enough to find what was meant.
fn known_keys(kind: Kind) -> impl Iterator<Item = &'static str> {
    let own = match kind {
        Kind::Ingress => {
            "namespace ingressClassName defaultBackend rules tls host http paths path pathType \
             backend service resource port number hosts secretName apiGroup"
        }
        Kind::IngressClass => "controller parameters apiGroup namespace scope",
        Kind::Service => {
            "namespace ports port protocol appProtocol targetPort nodePort selector type clusterIP \
             clusterIPs externalIPs externalName ipFamilies ipFamilyPolicy sessionAffinity \
             sessionAffinityConfig publishNotReadyAddresses externalTrafficPolicy \
             internalTrafficPolicy trafficDistribution loadBalancerIP loadBalancerClass \
             loadBalancerSourceRanges allocateLoadBalancerNodePorts healthCheckNodePort"
        }
        Kind::EndpointSlice => {
            "namespace addressType endpoints addresses conditions ready serving terminating \
             nodeName zone hostname targetRef hints ports port protocol appProtocol"
        }
        Kind::Secret => "namespace data stringData type immutable",
        Kind::Node => {
            "podCIDR podCIDRs providerID taints unschedulable key value effect timeAdded \
             configSource externalID"
        }
        Kind::ConfigMap => "namespace data binaryData immutable",
        Kind::File | Kind::Cluster => "",
        _ => "namespace",
    };
    "apiVersion kind metadata spec name labels annotations".split(' ').chain(own.split(' '))
}
