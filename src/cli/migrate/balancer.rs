//! A balancer of Hetzner's cloud in front of Traefik: the Service with which its controller leads it to ravelin, kept by
//! its name and with its address.
//!
//! The controller looks for the balancer of a Service by the Service's uid, then by name, and marks the one that it
//! finds with the uid (hcloud-cloud-controller-manager, EnsureLoadBalancer). One that it does not find so, it does not
//! delete with the Service.

use super::chart::Told;
use super::documents::Documents;
use serde_json::{Map, Value, json};

/// How annotations for the controller begin.
const OF_HETZNER: &str = "load-balancer.hetzner.cloud/";

/// The annotation with the balancer's name.
const NAME: &str = "load-balancer.hetzner.cloud/name";

/// Longest name that Kubernetes makes for a balancer, in bytes (cloud-provider, DefaultLoadBalancerName).
const MOST_BYTES: usize = 32;

/// Stands for a name that the input does not tell.
const UNKNOWN: &str = "NAME-OF-THE-BALANCER";

/// The balancer, as Traefik's Service has it.
#[derive(Debug)]
pub(super) struct Balancer {
    annotations: Map<String, Value>,
    /// Of the balancer, in Hetzner's console.
    pub(super) name: String,
}

impl Balancer {
    pub(super) fn of(told: &Told, documents: &Documents) -> Option<Self> {
        let of_hetzner = |key: &str| key.starts_with(OF_HETZNER);
        let service = documents.of("Service", "").find(|service| {
            let annotations = service.value.pointer("/metadata/annotations");
            let annotations = annotations.and_then(Value::as_object);
            service.name == "traefik"
                && annotations.is_some_and(|all| all.keys().any(|key| of_hetzner(key)))
        });
        let annotations = service.and_then(|it| it.value.pointer("/metadata/annotations"));
        let of_service = annotations.and_then(Value::as_object).into_iter().flatten();
        let mut annotations: Map<String, Value> = of_service
            .filter(|(key, _)| of_hetzner(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        for (key, given) in &told.chart {
            let Some(key) = key.strip_prefix("service.annotations.") else { continue };
            if of_hetzner(key) {
                let text =
                    given.value.as_str().map_or_else(|| given.value.to_string(), str::to_owned);
                annotations.entry(key).or_insert(Value::String(text));
            }
        }
        if annotations.is_empty() {
            return None;
        }
        let named = annotations.get(NAME).and_then(Value::as_str).map(str::to_owned);
        let uid = service.and_then(|service| service.text("/metadata/uid"));
        let made = uid.map(|uid| {
            let name = format!("a{}", uid.replace('-', ""));
            name.chars().take(MOST_BYTES).collect()
        });
        let name: String = named.or(made).unwrap_or_else(|| UNKNOWN.to_owned());
        annotations.insert(NAME.to_owned(), name.clone().into());
        Some(Self { annotations, name })
    }

    /// The Service, for listeners with these names and ports.
    pub(super) fn service(&self, listeners: &[(String, u16)]) -> String {
        let ports: Vec<Value> = listeners
            .iter()
            .map(|(name, port)| json!({"name": name, "port": port, "targetPort": port}))
            .collect();
        let service = json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "balancer", "namespace": "ravelin", "annotations": self.annotations},
            "spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local",
                "selector": {"app.kubernetes.io/name": "ravelin"}, "ports": ports}});
        let text = serde_json::to_string_pretty(&service).unwrap_or_default();
        let change = match self.name.as_str() {
            UNKNOWN => "# CHANGE THIS: the name that the balancer has in Hetzner's console.\n",
            _ => "",
        };
        format!(
            "# Written by `ravelin migrate`. Hetzner's controller leads the balancer of this name, with its address, to ravelin. Apply it in\n\
             # its step of COMMANDS.md: it is not in kustomization.yaml. JSON is YAML.\n{change}{text}\n"
        )
    }
}
