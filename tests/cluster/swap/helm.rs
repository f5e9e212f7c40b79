//! The helm-controller of k3s, as far as Traefik's chart is about pods and a Service: HelmChart and HelmChartConfig
//! become a workload, which the controllers of the plane take from there.

use super::objects;
use crate::plane::Plane;
use serde_json::{Map, Value, json};

/// The controller, with what it has seen.
pub(super) struct Helm {
    seen: Option<[String; 2]>,
}

impl Helm {
    pub(super) fn new() -> Self {
        Self { seen: None }
    }

    /// Installs again if something has changed.
    pub(super) fn tend(&mut self, plane: &Plane) {
        let found = ["helmcharts", "helmchartconfigs"].map(|plural| {
            let path = format!("/apis/helm.cattle.io/v1/namespaces/kube-system/{plural}/traefik");
            let answer = plane.get(&path);
            if answer.status == 200 { answer.json() } else { Value::Null }
        });
        let version = |object: &Value| {
            object["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned()
        };
        let seen = Some([version(&found[0]), version(&found[1])]);
        if seen == self.seen {
            return;
        }
        self.seen = seen;
        let mut values = json!({});
        for object in &found {
            if let Some(text) = object["spec"]["valuesContent"].as_str() {
                merge(&mut values, &serde_saphyr::from_str::<Value>(text).expect("YAML"));
            }
        }
        install(plane, "kube-system", &values);
    }
}

/// Brings a namespace to what the chart makes of values.
pub(super) fn install(plane: &Plane, namespace: &str, values: &Value) {
    objects::apply(plane, &[class(namespace)]);
    let deployment = &values["deployment"];
    let kind = deployment["kind"].as_str().unwrap_or("Deployment");
    if deployment["enabled"] == false {
        delete(plane, namespace, kind);
    } else {
        objects::apply(plane, &[workload(namespace, kind, values)]);
    }
    if values["service"]["enabled"] == false {
        delete(plane, namespace, "service");
    } else {
        objects::apply(plane, &[service(namespace)]);
    }
}

fn delete(plane: &Plane, namespace: &str, kind: &str) {
    let told = plane.kubectl(&["-n", namespace, "delete", kind, "traefik", "--ignore-not-found"]);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
}

/// The chart's IngressClass, which stays as long as the release does.
fn class(namespace: &str) -> Value {
    let annotations = json!({"ingressclass.kubernetes.io/is-default-class": "true",
        "meta.helm.sh/release-name": "traefik", "meta.helm.sh/release-namespace": namespace});
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
        "metadata": {"name": "traefik", "annotations": annotations},
        "spec": {"controller": "traefik.io/ingress-controller"}})
}

fn workload(namespace: &str, kind: &str, values: &Value) -> Value {
    let labels = json!({"app.kubernetes.io/name": "traefik",
        "app.kubernetes.io/instance": format!("traefik-{namespace}")});
    let mut pod = json!({"containers": [{"name": "traefik", "image": "traefik:3.7.15"}]});
    for key in ["hostNetwork", "nodeSelector", "tolerations", "affinity"] {
        if !values[key].is_null() {
            pod[key] = values[key].clone();
        }
    }
    let mut spec = json!({"selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod}});
    if kind == "DaemonSet" {
        spec["updateStrategy"] = values["updateStrategy"].clone();
    } else {
        spec["replicas"] = values["deployment"].get("replicas").cloned().unwrap_or(json!(1));
    }
    json!({"apiVersion": "apps/v1", "kind": kind,
        "metadata": {"name": "traefik", "namespace": namespace, "labels": labels}, "spec": spec})
}

fn service(namespace: &str) -> Value {
    let selector = json!({"app.kubernetes.io/name": "traefik",
        "app.kubernetes.io/instance": format!("traefik-{namespace}")});
    json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "traefik", "namespace": namespace},
        "spec": {"type": "LoadBalancer", "selector": selector, "ports": [
            {"name": "web", "port": 80, "targetPort": 8000},
            {"name": "websecure", "port": 443, "targetPort": 8443}]}})
}

/// As Helm merges values: maps key by key, and null takes a key away.
fn merge(into: &mut Value, from: &Value) {
    let Value::Object(from) = from else {
        *into = from.clone();
        return;
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    let Value::Object(into) = into else { return };
    for (key, value) in from {
        if value.is_null() {
            into.remove(key);
        } else {
            merge(into.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
