//! What ravelin writes into a cluster: the status of Ingresses and Events, by one instance of
//! several, with the rights of `deploy/base`.

use crate::edge::{Edge, Pod, QUICK, Setup, Site, all_rules, class, lacking};
use crate::eventually;
use crate::plane::Plane;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Instant;

const NAMESPACE: &str = "ravelin";
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/ravelin/events";
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/ravelin/leases/ravelin";
/// The pods, and the nodes that they are on with the addresses of these.
const PODS: [(&str, &str, &str); 3] = [
    ("ravelin-a", "node-a", "{type: InternalIP, address: 192.0.2.1}"),
    (
        "ravelin-b",
        "node-b",
        "{type: InternalIP, address: 192.0.2.2}, {type: ExternalIP, address: 198.51.100.2}",
    ),
    ("ravelin-c", "node-c", "{type: InternalIP, address: 192.0.2.3}"),
];
/// The addresses of all three.
const ALL: [&str; 3] = ["192.0.2.1", "192.0.2.3", "198.51.100.2"];

/// Makes the namespace, and an account in it with these rules.
fn account(plane: &Plane, name: &str, rules: &[Value]) -> PathBuf {
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": name}, "rules": rules});
    plane.service_account(NAMESPACE, name, &role.to_string())
}

/// Makes the nodes, and on each a pod that is ready.
fn nodes(plane: &Plane) {
    for (pod, node, addresses) in PODS {
        plane.apply(&format!(
            "apiVersion: v1\nkind: Node\nmetadata: {{name: {node}}}\n---\napiVersion: v1\nkind: Pod\n\
             metadata:\n  name: {pod}\n  namespace: {NAMESPACE}\n  labels: \
             {{app.kubernetes.io/name: ravelin}}\n\
             spec: {{containers: [{{name: ravelin, image: ravelin}}]}}\n"
        ));
        let addresses: Value = serde_saphyr::from_str(&format!("[{addresses}]")).expect("YAML");
        let status = json!({"status": {"addresses": addresses}});
        let patched =
            plane.request("PATCH", &format!("/api/v1/nodes/{node}/status"), Some(&status));
        assert_eq!(patched.status, 200, "{}", patched.body);
        plane.bind(NAMESPACE, pod, node);
        plane.ready(NAMESPACE, pod, "10.77.255.1");
    }
}

fn site(name: &'static str) -> Site<'static> {
    Site { namespace: NAMESPACE, name, class: "written", host: "a.written" }
}

fn ingress(plane: &Plane, name: &str) -> Value {
    let path = format!("{}/{name}", site("shop").ingresses());
    let answer = plane.get(&path);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

fn addresses(ingress: &Value) -> Vec<&str> {
    let entries = ingress["status"]["loadBalancer"]["ingress"].as_array();
    let mut all: Vec<&str> =
        entries.into_iter().flatten().filter_map(|entry| entry["ip"].as_str()).collect();
    all.sort_unstable();
    all
}

fn await_addresses(plane: &Plane, name: &str, expected: &[&str]) {
    eventually(&format!("the status of {name} is {expected:?}"), || {
        (addresses(&ingress(plane, name)) == expected).then_some(())
    });
}

fn set_class(plane: &Plane, name: &str, class: &str) {
    let path = format!("{}/{name}", site("shop").ingresses());
    let patch = json!({"spec": {"ingressClassName": class}});
    let patched = plane.request("PATCH", &path, Some(&patch));
    assert_eq!(patched.status, 200, "{}", patched.body);
}

/// Who holds the Lease, and when it was renewed.
fn lease(plane: &Plane) -> (String, String) {
    let spec = plane.get(LEASE).json()["spec"].clone();
    let text = |field: &str| spec[field].as_str().unwrap_or_default().to_owned();
    (text("holderIdentity"), text("renewTime"))
}

/// Waits until one of these holds the Lease, and takes it out.
fn leader(plane: &Plane, edges: &mut Vec<(&'static str, Edge)>) -> (&'static str, Edge) {
    let at = eventually("one holds the Lease, and knows it", || {
        let (holder, _) = lease(plane);
        let leads = |(name, edge): &(&str, Edge)| {
            *name == holder && edge.metrics().sum("ravelin_leader", &[]) > 0.5
        };
        edges.iter().position(leads)
    });
    edges.swap_remove(at)
}

/// Waits until the Lease has been renewed twice: long enough for whatever is to be written.
fn renewed(plane: &Plane) {
    for _ in 0..2 {
        let (_, before) = lease(plane);
        eventually("the Lease is renewed", || (lease(plane).1 != before).then_some(()));
    }
}

/// The Events on an Ingress, as `(reason, note)`.
fn events(plane: &Plane, name: &str) -> Vec<(String, String)> {
    let list = plane.get(EVENTS).json();
    let all = list["items"].as_array().expect("a list").iter();
    let ours = all.filter(|event| event["regarding"]["name"] == name);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    ours.map(|event| (text(&event["reason"]), text(&event["note"]))).collect()
}

/// Three instances, with all that they need.
fn three(plane: &Plane, kubeconfig: &Path) -> Vec<(&'static str, Edge)> {
    let setup = Setup { kubeconfig, class: "written", keys: QUICK };
    let start = |(name, ..): (&'static str, &str, &str)| {
        (name, Edge::start_as(plane, &setup, Pod { namespace: NAMESPACE, name }))
    };
    let edges = PODS.map(start);
    edges.iter().for_each(|(_, edge)| edge.await_ready());
    edges.into()
}

#[test]
fn one_of_three_writes_and_when_it_dies_or_leaves_another_does_and_nothing_twice() {
    let Some(plane) = Plane::start() else { return };
    plane.namespace(NAMESPACE);
    let kubeconfig = account(&plane, "writer", &all_rules());
    class(&plane, "written");
    nodes(&plane);
    let shop = site("shop");
    plane.create(&shop.ingresses(), &shop.ingress_to("missing"));
    let mut edges = three(&plane, &kubeconfig);
    let (first_name, first) = leader(&plane, &mut edges);
    await_addresses(&plane, "shop", &ALL);
    let note = eventually("the Event", || events(&plane, "shop").pop());
    assert_eq!(note.0, "ServiceMissing", "{note:?}");
    assert!(note.1.contains("there is no Service") && note.1.contains("create it"), "{note:?}");
    let described = plane.kubectl(&["-n", NAMESPACE, "describe", "ingress", "shop"]);
    let described = String::from_utf8_lossy(&described.stdout).into_owned();
    assert!(described.contains("there is no Service"), "{described}");

    // What is right is not written again.
    let before = ingress(&plane, "shop")["metadata"]["resourceVersion"].clone();
    renewed(&plane);
    assert_eq!(ingress(&plane, "shop")["metadata"]["resourceVersion"], before);

    // Dies: another one goes on when the Lease has ended.
    let since = Instant::now();
    drop(first);
    let (second_name, second) = leader(&plane, &mut edges);
    println!("killed: {second_name} leads {:.1} s after", since.elapsed().as_secs_f64());
    plane.unready(NAMESPACE, "ravelin-b");
    await_addresses(&plane, "shop", &ALL[..2]);
    assert_ne!(first_name, second_name);

    // Leaves: the Lease is let go at once.
    let since = Instant::now();
    assert!(second.end().success());
    let (third_name, _third) = leader(&plane, &mut edges);
    println!("left: {third_name} leads {:.1} s after", since.elapsed().as_secs_f64());
    plane.ready(NAMESPACE, "ravelin-b", "10.77.255.1");
    await_addresses(&plane, "shop", &ALL);
    renewed(&plane);
    assert_eq!(events(&plane, "shop").len(), 1, "the successors say nothing twice");
}

#[test]
fn the_status_follows_the_class_and_leaves_those_of_others_alone() {
    let Some(plane) = Plane::start() else { return };
    plane.namespace(NAMESPACE);
    let kubeconfig = account(&plane, "writer", &all_rules());
    class(&plane, "written");
    nodes(&plane);
    for name in ["shop", "theirs"] {
        let site = site(name);
        plane.create(&site.ingresses(), &site.ingress());
    }
    // Another controller serves this one, on the same nodes.
    set_class(&plane, "theirs", "traefik");
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}});
    let path = format!("{}/theirs/status", site("shop").ingresses());
    assert_eq!(plane.request("PATCH", &path, Some(&status)).status, 200);

    let fixed = format!("{QUICK}\nstatus_addresses = [\"203.0.113.7\"]\nlease = \"fixed\"");
    let setup = Setup { kubeconfig: &kubeconfig, class: "written", keys: &fixed };
    let edge = Edge::start_as(&plane, &setup, Pod { namespace: NAMESPACE, name: "ravelin-a" });
    edge.await_ready();
    await_addresses(&plane, "shop", &["203.0.113.7"]);
    set_class(&plane, "shop", "traefik");
    await_addresses(&plane, "shop", &[]);
    set_class(&plane, "shop", "written");
    await_addresses(&plane, "shop", &["203.0.113.7"]);
    assert_eq!(addresses(&ingress(&plane, "theirs")), ["192.0.2.1"]);

    // A second installation, of another class: each clears what it has written, and no more.
    class(&plane, "other");
    let keys = format!("{QUICK}\nstatus_addresses = [\"203.0.113.99\"]\nlease = \"other\"");
    let setup = Setup { kubeconfig: &kubeconfig, class: "other", keys: &keys };
    let other = Edge::start_as(&plane, &setup, Pod { namespace: NAMESPACE, name: "ravelin-b" });
    other.await_ready();
    set_class(&plane, "theirs", "other");
    await_addresses(&plane, "theirs", &["203.0.113.99"]);
    let before = ingress(&plane, "shop")["metadata"]["resourceVersion"].clone();
    set_class(&plane, "theirs", "traefik");
    await_addresses(&plane, "theirs", &[]);
    assert_eq!(addresses(&ingress(&plane, "shop")), ["203.0.113.7"]);
    assert_eq!(ingress(&plane, "shop")["metadata"]["resourceVersion"], before);
}

#[test]
fn a_right_to_write_that_is_missing_is_named_and_everything_is_served_all_the_same() {
    const LACKING: [(&str, &str, &str); 6] = [
        ("ingresses/status", "patch", "status"),
        ("events", "create", "event"),
        ("leases", "get", ""),
        ("leases", "create", "lease"),
        ("leases", "update", "lease"),
        ("pods", "list", ""),
    ];
    let Some(plane) = Plane::start() else { return };
    plane.namespace(NAMESPACE);
    class(&plane, "written");
    nodes(&plane);
    let shop = site("shop");
    plane.create(&shop.ingresses(), &shop.ingress_to("missing"));
    for (number, (resource, verb, kind)) in LACKING.into_iter().enumerate() {
        let name = format!("lacking-{number}");
        let kubeconfig = account(&plane, &name, &lacking(&all_rules(), resource, verb));
        let keys = format!("{QUICK}\nlease = {name:?}");
        let setup = Setup { kubeconfig: &kubeconfig, class: "written", keys: &keys };
        let edge = Edge::start_as(&plane, &setup, Pod { namespace: NAMESPACE, name: &name });
        edge.await_ready();
        let (resource, sub) = resource.split_once('/').unwrap_or((resource, ""));
        let words = format!("cannot {verb} resource \"{resource}");
        eventually(&format!("{words} is in the log"), || {
            edge.has_said(|line| {
                let said = line["words"].as_str().unwrap_or_default();
                said.contains(&words) && said.contains(sub)
            })
            .then_some(())
        });
        if !kind.is_empty() {
            let labels = [("kind", kind), ("result", "refused")];
            // It is counted when it has been said.
            eventually(&format!("{name}: {verb} is counted"), || {
                (edge.metrics().sum("ravelin_writes_total", &labels) > 0.5).then_some(())
            });
        }
        assert_eq!(edge.get("a.written", "/").0, 503, "{name}: the rule is served");
    }
}
