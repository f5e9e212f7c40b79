//! How Traefik is installed: what the commands of the way there and back depend on.

use super::balancer::Balancer;
use super::chart::Told;
use super::documents::{Document, Documents};
use crate::control::yaml;
use serde_json::{Map, Value, json};
use std::ops::ControlFlow;

/// An installation of Traefik.
#[derive(Debug)]
pub(super) struct Installation {
    pub(super) by: By,
    pub(super) front: Front,
    /// Whether it is a DaemonSet.
    pub(super) is_daemonset: bool,
    /// The balancer of Hetzner's cloud in front of it, if there is one.
    pub(super) balancer: Option<Balancer>,
}

/// What made it.
#[derive(Debug)]
pub(super) enum By {
    /// k3s' helm-controller: the values of the HelmChartConfig, if there is one.
    K3s { namespace: String, values: Option<Map<String, Value>> },
    /// Helm, Flux or Argo CD: the chart's values are somebody's own.
    Helm { namespace: String },
    /// A workload without a chart.
    Workload { kind: String, namespace: String, name: String },
}

/// What has the ports of the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Front {
    /// The pods of Traefik themselves.
    HostNetwork,
    /// A load balancer of the cloud.
    Balancer,
    /// servicelb of k3s, by NAT.
    ServiceLb,
}

impl Installation {
    pub(super) fn of(told: &Told, documents: &Documents) -> Self {
        let is_it = |document: &&Document| document.name == "traefik";
        let of = |kind| documents.all.iter().filter(is_it).find(move |it| it.kind == kind);
        let namespace = |document: &Document| document.namespace.clone();
        let by = match (of("HelmChartConfig").or_else(|| of("HelmChart")), of("HelmRelease")) {
            (Some(chart), _) => {
                let config = of("HelmChartConfig");
                let values = config.and_then(|config| values(config.text("/spec/valuesContent")?));
                let values = values.or_else(|| config.map(|_| Map::new()));
                By::K3s { namespace: namespace(chart), values }
            }
            (None, Some(release)) => By::Helm { namespace: namespace(release) },
            (None, None) => match documents.all.iter().find(|it| is_workload(it)) {
                Some(workload) if !told.is_chart => By::Workload {
                    kind: workload.kind.to_lowercase(),
                    namespace: workload.namespace.clone(),
                    name: workload.name.clone(),
                },
                _ if told.is_chart => By::Helm { namespace: "traefik".to_owned() },
                _ => By::K3s { namespace: "kube-system".to_owned(), values: None },
            },
        };
        let text = |path: &str| told.chart.get(path).and_then(|given| given.value.as_str());
        let is_daemonset = text("deployment.kind").is_some_and(|kind| kind == "DaemonSet")
            || matches!(&by, By::Workload { kind, .. } if kind == "daemonset");
        let front = front(told, documents);
        let balancer = Balancer::of(told, documents).filter(|_| front == Front::Balancer);
        Self { by, front, is_daemonset, balancer }
    }
}

fn front(told: &Told, documents: &Documents) -> Front {
    let is_true = |path: &str| told.chart.get(path).is_some_and(|given| given.value == json!(true));
    let has_host_port =
        told.chart.keys().any(|key| key.starts_with("ports.") && key.ends_with(".hostport"));
    if is_true("hostnetwork") || has_host_port {
        return Front::HostNetwork;
    }
    let of_cloud =
        |key: &str| key.contains("hetzner") || key.contains("service.beta.kubernetes.io");
    let annotated =
        told.chart.keys().any(|key| key.starts_with("service.annotations") && of_cloud(key));
    let has_proxy_protocol =
        told.flags.keys().any(|key| key.ends_with(".proxyprotocol.trustedips"));
    let service = documents.of("Service", "").find(|service| {
        let annotations = service.value.pointer("/metadata/annotations").and_then(Value::as_object);
        service.name == "traefik"
            && annotations.is_some_and(|all| all.keys().any(|key| of_cloud(key)))
    });
    match annotated || has_proxy_protocol || service.is_some() {
        true => Front::Balancer,
        false => Front::ServiceLb,
    }
}

fn is_workload(document: &Document) -> bool {
    ["Deployment", "DaemonSet"].contains(&document.kind.as_str())
        && document
            .images()
            .any(|image| image.rsplit('/').next().is_some_and(|name| name.starts_with("traefik:")))
}

/// The values of a text, if they are a mapping.
fn values(text: &str) -> Option<Map<String, Value>> {
    let mut found = None;
    yaml::read(text, |yaml::Document { value, .. }| {
        if let Ok(Value::Object(values)) = value {
            found = Some(values);
        }
        ControlFlow::Break(())
    });
    found
}

/// A HelmChartConfig with which Traefik runs no pod and has no Service, and everything else of its release stays:
/// CRDs, the IngressClass.
pub(super) fn off(
    namespace: &str,
    values: Option<&Map<String, Value>>,
    is_daemonset: bool,
) -> String {
    let mut values = Value::Object(values.cloned().unwrap_or_default());
    let mut set = |section: &str, key: &str, value: Value| {
        if !values[section].is_object() {
            values[section] = json!({});
        }
        values[section][key] = value;
    };
    match is_daemonset {
        // A DaemonSet has no number of replicas.
        true => set("deployment", "enabled", json!(false)),
        false => set("deployment", "replicas", json!(0)),
    }
    set("service", "enabled", json!(false));
    let about = "# Traefik without pods and without a Service. Its release stays, and with it the CRDs and the IngressClass.\n\
                 # JSON is YAML: these are the values that were there, with two changed.\n";
    about.to_owned() + &chart_config(namespace, &values)
}

/// The HelmChartConfig as it was.
pub(super) fn on(namespace: &str, values: &Map<String, Value>) -> String {
    let about = "# Traefik as it was. JSON is YAML.\n";
    about.to_owned() + &chart_config(namespace, &Value::Object(values.clone()))
}

fn chart_config(namespace: &str, values: &Value) -> String {
    let text = serde_json::to_string_pretty(values).unwrap_or_default();
    let text: String = text.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "apiVersion: helm.cattle.io/v1\nkind: HelmChartConfig\nmetadata:\n  name: traefik\n  namespace: {namespace}\n\
         spec:\n  valuesContent: |-\n{text}"
    )
}
