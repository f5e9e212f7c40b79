//! The request that writes a status.

use super::Patch;
use crate::control::write_back::address::Address;
use crate::control::write_back::failure::{Failure, within};
use k8s_openapi::api::networking::v1::Ingress;
use kube::Client;
use kube::api::{self, Api, PatchParams};
use serde_json::{Value, json};
use std::time::Duration;

/// Writes one status. `force` takes the field over from a predecessor such as Traefik; where
/// nothing is applied it takes nothing.
pub(in crate::control::write_back) async fn apply(
    client: Client,
    patch: &Patch,
    manager: &str,
    limit: Duration,
) -> Result<(), Failure> {
    let ingresses: Api<Ingress> = Api::namespaced(client, &patch.namespace);
    let how = PatchParams::apply(manager).force();
    let body = api::Patch::Apply(body(patch));
    within(limit, "Ingress status", ingresses.patch_status(&patch.name, &how, &body)).await?;
    Ok(())
}

fn body(patch: &Patch) -> Value {
    let entry = |address: &Address| match address {
        Address::Ip(ip) => json!({"ip": ip}),
        Address::Hostname(name) => json!({"hostname": **name}),
    };
    let status = if patch.addresses.is_empty() {
        json!({})
    } else {
        json!({"loadBalancer": {"ingress": patch.addresses.iter().map(entry).collect::<Vec<_>>()}})
    };
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": *patch.name, "namespace": *patch.namespace, "uid": *patch.uid},
        "status": status,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_patch(addresses: &[&str]) -> Patch {
        Patch {
            namespace: "n".into(),
            name: "i".into(),
            uid: "u".into(),
            version: "1".into(),
            addresses: addresses.iter().map(|text| Address::parse(text)).collect(),
        }
    }

    #[test]
    fn only_the_status_and_the_identity_are_applied() {
        assert_eq!(
            body(&mk_patch(&["192.0.2.1", "edge.example"])),
            json!({
                "apiVersion": "networking.k8s.io/v1",
                "kind": "Ingress",
                "metadata": {"name": "i", "namespace": "n", "uid": "u"},
                "status": {"loadBalancer": {"ingress": [
                    {"ip": "192.0.2.1"}, {"hostname": "edge.example"},
                ]}},
            })
        );
        assert_eq!(body(&mk_patch(&[]))["status"], json!({}));
    }
}
