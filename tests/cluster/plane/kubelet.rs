//! The part of the scheduler and the kubelet, which are not there: the calls they make for a Pod.

use crate::eventually;
use crate::plane::{Plane, Response};
use jiff::Timestamp;
use serde_json::{Value, json};

/// The address that all nodes have here.
const NODE: &str = "10.77.255.1";

impl Plane {
    /// Waits until a namespace has exactly so many Pods that are not being deleted, and returns
    /// their names in order.
    pub(crate) fn pods(&self, namespace: &str, count: usize) -> Vec<String> {
        let path = format!("/api/v1/namespaces/{namespace}/pods");
        eventually("the Pods of the namespace", || {
            let list = self.get(&path).json();
            let pods = list["items"].as_array().expect("a list").iter();
            let lives = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
            let name = |pod: &Value| pod["metadata"]["name"].as_str().expect("a name").to_owned();
            let mut names: Vec<String> = pods.filter(lives).map(name).collect();
            names.sort();
            (names.len() == count).then_some(names)
        })
    }

    /// Puts a Pod on a node, as the scheduler does. The node need not exist.
    pub(crate) fn bind(&self, namespace: &str, pod: &str, node: &str) {
        let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node}});
        self.create(&format!("{}/binding", path(namespace, pod)), &binding);
    }

    /// Says that a Pod runs at an address and is ready.
    pub(crate) fn ready(&self, namespace: &str, pod: &str, ip: &str) {
        self.say_of(
            namespace,
            pod,
            &json!({"phase": "Running", "hostIP": NODE, "podIP": ip,
            "podIPs": [{"ip": ip}], "conditions": conditions("True")}),
        );
    }

    /// Says that a Pod's readiness probe fails.
    pub(crate) fn unready(&self, namespace: &str, pod: &str) {
        self.say_of(namespace, pod, &json!({"conditions": conditions("False")}));
    }

    /// Asks for the end of a Pod: it is Terminating until [`Plane::delete`].
    pub(crate) fn terminate(&self, namespace: &str, pod: &str, grace_seconds: u32) {
        self.delete_within(namespace, pod, grace_seconds);
    }

    /// The kubelet's last word on a Pod: it is gone.
    pub(crate) fn delete(&self, namespace: &str, pod: &str) {
        self.delete_within(namespace, pod, 0);
    }

    fn delete_within(&self, namespace: &str, pod: &str, grace_seconds: u32) {
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions",
            "gracePeriodSeconds": grace_seconds});
        succeeded(&self.request("DELETE", &path(namespace, pod), Some(&options)));
    }

    fn say_of(&self, namespace: &str, pod: &str, status: &Value) {
        let path = format!("{}/status", path(namespace, pod));
        succeeded(&self.request("PATCH", &path, Some(&json!({"status": status}))));
    }
}

fn conditions(ready: &str) -> Value {
    // `minReadySeconds` counts from it.
    let since = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let of = |kind: &str| json!({"type": kind, "status": ready, "lastTransitionTime": since});
    json!([of("Ready"), of("ContainersReady")])
}

fn path(namespace: &str, pod: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/pods/{pod}")
}

fn succeeded(response: &Response) {
    assert_eq!(response.status, 200, "{}", response.body);
}
