//! The DaemonSet: what lets two pods of one node share its ports, and what keeps the pod small.

use crate::objects::{all, one};
use serde_json::{Value, json};
use std::process::Command;

/// The template of the pod.
fn pod(objects: &[Value]) -> &Value {
    &one(objects, "DaemonSet")["spec"]["template"]["spec"]
}

fn container(objects: &[Value]) -> &Value {
    let containers = pod(objects)["containers"].as_array().expect("a list");
    assert_eq!(containers.len(), 1);
    &containers[0]
}

#[test]
fn a_successor_may_start_beside_the_old_pod() {
    for (name, objects) in all() {
        let spec = &one(&objects, "DaemonSet")["spec"];
        assert_eq!(spec["updateStrategy"]["type"], "RollingUpdate", "{name}");
        let rolling = &spec["updateStrategy"]["rollingUpdate"];
        assert_eq!(rolling, &json!({"maxSurge": 1, "maxUnavailable": 0}), "{name}");
        assert_eq!(pod(&objects)["hostNetwork"], true, "{name}");
        assert_eq!(pod(&objects)["dnsPolicy"], "ClusterFirstWithHostNet", "{name}");
        // Each would be a hostPort, which no two pods of a node can have.
        assert!(container(&objects).get("ports").is_none(), "{name}");
        assert!(pod(&objects).get("initContainers").is_none(), "{name}");
    }
}

#[test]
fn it_may_bind_and_filter_and_nothing_else() {
    for (name, objects) in all() {
        let pod = pod(&objects);
        let expected = json!({
            "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        });
        assert_eq!(pod["securityContext"], expected, "{name}");
        let expected = json!({
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
        });
        assert_eq!(container(&objects)["securityContext"], expected, "{name}");
        for key in ["hostPID", "hostIPC"] {
            assert!(pod.get(key).is_none(), "{name}: {key}");
        }
        for volume in pod["volumes"].as_array().expect("a list") {
            assert!(volume.get("hostPath").is_none(), "{name}: {volume}");
        }
    }
}

#[test]
fn probes_are_programs_that_the_command_line_knows() {
    for (name, objects) in all() {
        let container = container(&objects);
        for (probe, question) in
            [("startupProbe", "live"), ("readinessProbe", "ready"), ("livenessProbe", "live")]
        {
            let probe = &container[probe];
            for other in ["httpGet", "tcpSocket", "grpc"] {
                assert!(probe.get(other).is_none(), "{name}: another process could answer {other}");
            }
            let words = probe["exec"]["command"].as_array().expect("an exec probe");
            let words: Vec<&str> = words.iter().map(|word| word.as_str().expect("text")).collect();
            assert_eq!(words[..3], ["/ravelin", "probe", question], "{name}");
            // The program gives up after 2 s by itself, and says why.
            assert!(probe["timeoutSeconds"].as_u64() >= Some(3), "{name}");
            // Of the same words, only the path is another: no usage error, but no answer.
            let mut ravelin = Command::new(env!("CARGO_BIN_EXE_ravelin"));
            ravelin.args(&words[1..words.len() - 1]).arg("/nonexistent/admin.sock");
            assert_eq!(ravelin.output().expect("it runs").status.code(), Some(1), "{words:?}");
        }
    }
}

#[test]
fn every_place_that_is_written_to_is_a_volume_of_the_pod() {
    for (name, objects) in all() {
        let volumes = pod(&objects)["volumes"].as_array().expect("a list");
        let mounts = container(&objects)["volumeMounts"].as_array().expect("a list");
        assert_eq!(volumes.len(), mounts.len(), "{name}");
        for mount in mounts {
            let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]);
            let volume = volume.unwrap_or_else(|| panic!("{name}: {mount}"));
            match mount["mountPath"].as_str().expect("a path") {
                "/etc/ravelin" => assert!(volume.get("configMap").is_some(), "{name}"),
                "/run/ravelin" | "/var/lib/ravelin" => {
                    assert!(volume["emptyDir"].get("sizeLimit").is_some(), "{name}: {volume}");
                }
                other => panic!("{name}: nobody expects {other}"),
            }
        }
    }
}

#[test]
fn it_runs_on_every_node_that_takes_traffic_and_is_evicted_last() {
    for (name, objects) in all() {
        let pod = pod(&objects);
        assert_eq!(pod["priorityClassName"], "system-node-critical", "{name}");
        let tolerations = pod["tolerations"].as_array().expect("a list");
        for key in ["node-role.kubernetes.io/control-plane", "CriticalAddonsOnly"] {
            // With no effect named, each of them is tolerated.
            let expected = json!({"key": key, "operator": "Exists"});
            assert!(tolerations.contains(&expected), "{name}: {key}");
        }
        let resources = &container(&objects)["resources"];
        for part in [&resources["requests"]["memory"], &resources["limits"]["memory"]] {
            assert!(part.as_str().is_some_and(|size| size.ends_with("Mi")), "{name}: {resources}");
        }
        assert!(resources["limits"].get("cpu").is_none(), "{name}: throttled");
    }
}

#[test]
fn only_the_overlay_that_changes_nodes_one_by_one_selects_them() {
    for (name, objects) in all() {
        let selector = pod(&objects).get("nodeSelector");
        let expected = json!({"ravelin.dev/edge": "true"});
        let expected = (name == "overlays/flexible").then_some(&expected);
        assert_eq!(selector, expected, "{name}");
    }
}
