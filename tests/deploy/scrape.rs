//! What finds the pods for metrics: nothing that a pod without ports has not.

use crate::deploy;
use crate::objects::{one, parse, written};
use serde_json::{Value, json};
use std::fs;

fn read(file: &str) -> Vec<Value> {
    parse(&fs::read_to_string(deploy(file)).expect("a readable file"))
}

/// The port that the base's configuration gives to metrics.
fn port() -> u16 {
    let text = fs::read_to_string(deploy("base/ravelin.toml")).expect("a readable file");
    let line = text.lines().find(|line| line.starts_with("address = \"[::]:9")).expect("one");
    line.trim_end_matches('"').rsplit(':').next().and_then(|port| port.parse().ok()).expect("one")
}

/// Rules that make an address of the node's, for both families.
fn makes_addresses(rules: &Value, [source, target]: [&str; 2]) {
    let rules = rules.as_array().expect("rules").iter();
    let addresses: Vec<_> = rules.filter(|rule| rule[target] == "__address__").collect();
    assert_eq!(addresses.len(), 2, "{addresses:?}");
    for (rule, (regex, made)) in addresses.iter().zip([
        ("([0-9.]+)", format!("$1:{}", port())),
        ("([0-9a-f:]+)", format!("[$1]:{}", port())),
    ]) {
        assert_eq!(rule[source], json!(["__meta_kubernetes_pod_host_ip"]));
        assert_eq!((&rule["regex"], &rule["replacement"]), (&json!(regex), &json!(made)));
    }
}

#[test]
fn the_pod_monitor_finds_the_pods() {
    let objects = read("components/podmonitor/podmonitor.yaml");
    let monitor = one(&objects, "PodMonitor");
    let base = written();
    let template = &one(&base, "DaemonSet")["spec"]["template"];
    let labels = &monitor["spec"]["selector"]["matchLabels"];
    for (label, value) in labels.as_object().expect("labels") {
        assert_eq!(&template["metadata"]["labels"][label], value);
    }
    let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
    for key in ["port", "portNumber", "targetPort"] {
        // They keep only targets that have it, and the pod declares none.
        assert!(endpoint.get(key).is_none(), "{key}");
    }
    makes_addresses(&endpoint["relabelings"], ["sourceLabels", "targetLabel"]);
}

#[test]
fn the_stanza_for_vmagent_finds_the_pods() {
    let documents = read("monitoring/vmagent.yaml");
    let job = &documents[0][0];
    assert_eq!(
        job["kubernetes_sd_configs"],
        json!([{"role": "pod", "namespaces": {"names": ["ravelin"]}}])
    );
    let keep = &job["relabel_configs"][0];
    let label = json!(["__meta_kubernetes_pod_label_app_kubernetes_io_name"]);
    assert_eq!((&keep["source_labels"], &keep["action"]), (&label, &json!("keep")));
    let base = written();
    let template = &one(&base, "DaemonSet")["spec"]["template"];
    assert_eq!(template["metadata"]["labels"]["app.kubernetes.io/name"], keep["regex"]);
    makes_addresses(&job["relabel_configs"], ["source_labels", "target_label"]);
}
