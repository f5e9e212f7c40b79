//! The CAs of a ServersTransport: in Secrets and ConfigMaps of its namespace.

use super::Within;
use crate::control::objects::TraefikObject;
use crate::control::quote::quote;
use crate::control::translate::middleware::Fields;
use crate::control::translate::secret;
use crate::model::{Kind, Why};
use crate::pki::ca_bundle::CaBundle;
use crate::pki::endpoint_tls::Trust;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::Value;

/// The keys that CAs are under: Traefik's own, and cert-manager's.
const KEYS: [&str; 2] = ["tls.ca", "ca.crt"];

/// What a ServersTransport names.
#[derive(Debug, Default)]
pub(super) struct Named<'o> {
    pub(super) secrets: Vec<&'o str>,
    pub(super) config_maps: Vec<&'o str>,
}

/// The ConfigMaps that an object of Traefik names, in its namespace.
pub(in crate::control) fn config_maps_of(object: &TraefikObject) -> Vec<&str> {
    let place = match object.kind {
        Kind::ServersTransport => "/rootCAs",
        Kind::ServersTransportTcp => "/tls/rootCAs",
        _ => return Vec::new(),
    };
    let roots = object.spec.pointer(place).and_then(Value::as_array);
    let names = roots.into_iter().flatten().filter_map(|one| one.get("configMap")?.as_str());
    names.filter(|name| !name.is_empty()).collect()
}

/// The objects with CAs, by the new field and the old one.
pub(super) fn named<'o>(fields: &mut Fields<'o, '_, '_>) -> Named<'o> {
    let mut named = Named { secrets: fields.texts("rootCAsSecrets"), config_maps: Vec::new() };
    let items = fields.get("rootCAs").and_then(Value::as_array);
    for (position, item) in items.into_iter().flatten().enumerate() {
        let text = |key: &str| item.get(key).and_then(Value::as_str).filter(|it| !it.is_empty());
        let place = format!("rootCAs[{position}]");
        match (text("secret"), text("configMap")) {
            (Some(name), None) => named.secrets.push(name),
            (None, Some(name)) => named.config_maps.push(name),
            (Some(_), Some(_)) => {
                let reason = "names both a Secret and a ConfigMap";
                fields.refuse(&place, reason, "leave one of the two");
            }
            (None, None) => {
                let reason = "names neither a Secret nor a ConfigMap";
                fields.refuse(&place, reason, "write `secret` or `configMap`");
            }
        }
    }
    named
}

/// Reads them. All have to be there: with one less, pods would not be believed that are meant to be.
pub(super) fn read(
    fields: &mut Fields<'_, '_, '_>,
    within: Option<Within<'_>>,
    named: &Named<'_>,
) -> Trust {
    let all: Vec<&str> = named.secrets.iter().chain(&named.config_maps).copied().collect();
    let (Some(within), false) = (within, all.is_empty()) else {
        return Trust::Public;
    };
    let mut pem = Vec::new();
    let secrets = named.secrets.iter().map(|name| of_secret(within, name));
    let config_maps = named.config_maps.iter().map(|name| of_config_map(within, name));
    for read in secrets.chain(config_maps) {
        match read {
            Ok(text) => {
                pem.extend_from_slice(text);
                pem.push(b'\n');
            }
            Err(reason) => {
                let fix = "create one with the CA in PEM under the key tls.ca";
                fields.refuse_for(Why::SecretUnusable, "rootCAs", reason, fix);
            }
        }
    }
    let authorities = CaBundle::from_pem(&pem);
    if let (Err(error), false) = (&authorities, fields.is_broken()) {
        let reason = format!("in {}: {error}", quote(&all.join(", ")));
        fields.refuse_for(Why::SecretUnusable, "rootCAs", reason, "put the CA into it, as PEM");
    }
    Trust::Secret { name: all.join(", ").into(), authorities: authorities.ok() }
}

fn of_secret<'w>(
    Within { objects, namespace }: Within<'w>,
    name: &str,
) -> Result<&'w [u8], String> {
    let found = objects
        .secrets()
        .get(namespace, name)
        .ok_or_else(|| format!("there is no Secret {} in namespace {namespace}", quote(name)))?;
    let value = KEYS.iter().find_map(|key| secret::value(found, key));
    value.ok_or_else(|| format!("Secret {} has neither tls.ca nor ca.crt", quote(name)))
}

fn of_config_map<'w>(
    Within { objects, namespace }: Within<'w>,
    name: &str,
) -> Result<&'w [u8], String> {
    let found = objects
        .config_maps()
        .get(namespace, name)
        .ok_or_else(|| format!("there is no ConfigMap {} in namespace {namespace}", quote(name)))?;
    let value = KEYS.iter().find_map(|key| value(found, key));
    value.ok_or_else(|| format!("ConfigMap {} has neither tls.ca nor ca.crt", quote(name)))
}

fn value<'m>(config_map: &'m ConfigMap, key: &str) -> Option<&'m [u8]> {
    let text = config_map.data.as_ref().and_then(|data| data.get(key)).map(String::as_bytes);
    let bytes = || config_map.binary_data.as_ref().and_then(|data| data.get(key)).map(|it| &*it.0);
    text.or_else(bytes)
}
