//! What is kept of objects, and what the answers of an API server mean.

use super::cluster::Cluster;
use super::decode::{Event, event, page};
use super::scope::{Limit, Scope, scopes};
use crate::config::Kubernetes;
use crate::control::objects::{Object, Objects};
use crate::control::source::Source;
use crate::model::{Kind, ObjectRef};
use crate::telemetry::WatchFailure;
use serde_json::{Value, json};
use std::sync::Arc;

fn mk_scope(kind: Kind) -> Scope {
    Scope { kind, namespace: None, name: None }
}

fn mk_list(items: &[Value]) -> Vec<u8> {
    json!({"metadata": {"resourceVersion": "7"}, "items": items}).to_string().into_bytes()
}

fn mk_ingress(name: &str, secret: &str) -> Value {
    json!({
        "metadata": {"namespace": "ns", "name": name, "resourceVersion": "5"},
        "spec": {"tls": [{"secretName": secret}]},
    })
}

fn mk_secret(name: &str) -> Value {
    json!({
        "metadata": {"namespace": "ns", "name": name},
        "type": "kubernetes.io/tls",
        "data": {"tls.crt": "Yw==", "tls.key": "aw==", "ca.crt": "eA==", "other": "eA=="},
    })
}

fn items(kind: Kind, items: &[Value]) -> Vec<Object> {
    page(kind, &mk_list(items)).expect("a list").items
}

fn secret_keys(cluster: &Arc<Cluster>, name: &str) -> Option<Vec<String>> {
    let objects = cluster.objects();
    let secret = objects.secrets().get("ns", name).expect("it is known by name");
    secret.data.as_ref().map(|data| data.keys().cloned().collect())
}

#[test]
fn what_nobody_reads_is_not_kept() {
    let noise = json!({
        "metadata": {
            "namespace": "ns", "name": "s", "uid": "u", "resourceVersion": "9", "generation": 3,
            "managedFields": [{"manager": "kubectl"}],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "a": "b"},
            "labels": {"kubernetes.io/service-name": "web", "other": "x"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["192.0.2.1"], "hostname": "h", "nodeName": "n",
                       "targetRef": {"kind": "Pod", "name": "p"}}],
        "ports": [],
    });
    let all = items(Kind::EndpointSlice, &[noise]);
    let Object::EndpointSlice(slice) = &all[0] else { panic!("{all:?}") };
    let metadata = &slice.metadata;
    assert_eq!(metadata.uid.as_deref(), Some("u"));
    assert_eq!((&metadata.resource_version, &metadata.managed_fields), (&None, &None));
    assert_eq!((&metadata.annotations, metadata.generation), (&None, None));
    assert_eq!(metadata.labels.as_ref().map(|labels| labels.len()), Some(1));
    let endpoint = &slice.endpoints[0];
    assert_eq!((&endpoint.target_ref, &endpoint.hostname), (&None, &None));
    assert_eq!(endpoint.node_name.as_deref(), Some("n"));
}

#[test]
fn of_a_service_its_type_ports_and_families_are_kept_and_of_annotations_those_that_are_read() {
    let annotations = json!({
        "a": "b",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "traefik.ingress.kubernetes.io/router.priority": "1",
        "nginx.ingress.kubernetes.io/auth-url": "1",
        "haproxy.org/allow-list": "1",
        "haproxy-ingress.github.io/oauth": "1",
        "ingress.kubernetes.io/auth-secret": "1",
        "kubernetes.io/ingress.allow-http": "false",
    });
    let metadata = json!({"namespace": "ns", "name": "s", "annotations": annotations});
    let service = json!({
        "metadata": metadata,
        "spec": {"clusterIP": "10.96.0.1", "selector": {"a": "b"}, "type": "NodePort",
                 "ipFamilies": ["IPv6"], "sessionAffinity": "None",
                 "trafficDistribution": "PreferSameNode",
                 "ports": [{"name": "http", "port": 80, "protocol": "TCP", "nodePort": 30080,
                            "appProtocol": "kubernetes.io/h2c"}]},
    });
    let all = items(Kind::Service, &[service]);
    let Object::Service(service) = &all[0] else { panic!("{all:?}") };
    let kept = json!({"type": "NodePort", "ipFamilies": ["IPv6"],
                      "trafficDistribution": "PreferSameNode",
                      "ports": [{"name": "http", "port": 80, "protocol": "TCP",
                                 "appProtocol": "kubernetes.io/h2c"}]});
    assert_eq!(serde_json::to_value(&service.spec).expect("JSON"), kept);
    let annotations = service.metadata.annotations.as_ref().expect("one of them may be read");
    assert_eq!(annotations.len(), 6, "{annotations:?}");
    let all = items(Kind::Ingress, &[json!({"metadata": metadata})]);
    let Object::Ingress(ingress) = &all[0] else { panic!("{all:?}") };
    let annotations = ingress.metadata.annotations.as_ref().expect("one of them is read");
    assert_eq!(annotations.len(), 6, "{annotations:?}");
}

#[test]
fn what_is_listed_again_unchanged_is_held_once() {
    let scope = mk_scope(Kind::Ingress);
    let cluster = Arc::new(Cluster::new(std::slice::from_ref(&scope)));
    let list = || items(Kind::Ingress, &[mk_ingress("i", "s")]);
    cluster.swap(&scope, list());
    let held = cluster.objects();
    cluster.swap(&scope, list());
    let now = cluster.objects();
    let ingress = |objects: &Objects| Arc::clone(objects.ingresses().get("ns", "i").expect("one"));
    assert!(Arc::ptr_eq(&ingress(&held), &ingress(&now)));
}

#[test]
fn a_change_of_a_status_is_none() {
    let cluster = Arc::new(Cluster::new(&[mk_scope(Kind::Ingress)]));
    let at = |version: &str, address: &str| {
        let status = json!({"loadBalancer": {"ingress": [{"ip": address}]}});
        let mut ingress = mk_ingress("i", "s");
        ingress["metadata"]["resourceVersion"] = json!(version);
        ingress["status"] = status;
        items(Kind::Ingress, &[ingress])
    };
    let mut source = Arc::clone(&cluster);
    cluster.swap(&mk_scope(Kind::Ingress), at("1", "192.0.2.1"));
    assert!(source.look().is_some());
    cluster.apply(at("2", "192.0.2.2").remove(0));
    cluster.swap(&mk_scope(Kind::Ingress), at("3", "192.0.2.3"));
    assert!(source.look().is_none());
}

#[test]
fn a_start_waits_for_the_config_maps_that_ingresses_name() {
    let named = |name: &str| {
        let mut ingress = mk_ingress(name, "s");
        ingress["metadata"]["annotations"] = json!({"ravelin.dev/error-pages": name});
        ingress
    };
    let cluster = Cluster::new(&[mk_scope(Kind::Ingress), mk_scope(Kind::Service)]);
    let ingresses = items(Kind::Ingress, &[named("a"), named("b"), named("c"), named("early")]);
    cluster.swap(&mk_scope(Kind::Ingress), ingresses);
    let scopes: Vec<Scope> = cluster.named_config_maps().iter().map(Scope::of).collect();
    assert_eq!(scopes.len(), 4);
    cluster.swap(&scopes[3], Vec::new());
    cluster.swap(&mk_scope(Kind::Service), Vec::new());
    assert!(!cluster.is_synced());
    cluster.swap(&scopes[0], Vec::new());
    cluster.do_without(&scopes[1]);
    assert!(!cluster.is_synced());
    cluster.do_without(&mk_scope(Kind::Ingress));
    cluster.do_without(&scopes[2]);
    assert!(cluster.is_synced());
    // A later one holds up nothing.
    cluster.apply(items(Kind::Ingress, &[named("d")]).remove(0));
    assert!(cluster.is_synced());
}

#[test]
fn a_list_takes_away_what_it_does_not_have_within_its_namespace() {
    let [a, b] = ["a", "b"].map(|namespace| Scope {
        namespace: Some(namespace.to_owned()),
        ..mk_scope(Kind::Service)
    });
    let cluster = Arc::new(Cluster::new(&[a.clone(), b.clone()]));
    let service =
        |namespace: &str, name: &str| json!({"metadata": {"namespace": namespace, "name": name}});
    cluster.swap(&a, items(Kind::Service, &[service("a", "x"), service("a", "y")]));
    assert!(!cluster.is_synced());
    cluster.swap(&b, items(Kind::Service, &[service("b", "x")]));
    assert!(cluster.is_synced());
    cluster.swap(&a, items(Kind::Service, &[service("a", "y")]));
    let objects = cluster.objects();
    let names: Vec<_> =
        objects.services().iter().map(|(ns, name, _)| format!("{ns}/{name}")).collect();
    assert_eq!(names, ["a/y", "b/x"]);
}

#[test]
fn a_secret_keeps_its_content_only_if_an_ingress_refers_to_it() {
    let (ingresses, secrets) = (mk_scope(Kind::Ingress), mk_scope(Kind::Secret));
    let cluster = Arc::new(Cluster::new(&[ingresses.clone(), secrets.clone()]));
    cluster.swap(&ingresses, items(Kind::Ingress, &[mk_ingress("i", "used")]));
    cluster.swap(&secrets, items(Kind::Secret, &[mk_secret("used"), mk_secret("idle")]));
    let both = Some(["ca.crt", "tls.crt", "tls.key"].map(str::to_owned).to_vec());
    assert_eq!(secret_keys(&cluster, "used"), both);
    assert_eq!(secret_keys(&cluster, "idle"), None);
    assert!(cluster.take_missing(&secrets).is_empty());

    cluster.apply(items(Kind::Ingress, &[mk_ingress("j", "idle")]).remove(0));
    let idle = ObjectRef::new(Kind::Secret, "ns", "idle");
    assert_eq!(cluster.take_missing(&secrets), [idle].into());
    cluster.apply(items(Kind::Secret, &[mk_secret("idle")]).remove(0));
    assert_eq!(secret_keys(&cluster, "idle"), both);
}

#[test]
fn a_secret_keeps_its_content_if_a_service_takes_it_for_authorities() {
    let (services, secrets) = (mk_scope(Kind::Service), mk_scope(Kind::Secret));
    let cluster = Arc::new(Cluster::new(&[services.clone(), secrets.clone()]));
    cluster.swap(&services, Vec::new());
    cluster.swap(&secrets, items(Kind::Secret, &[mk_secret("ca")]));
    assert_eq!(secret_keys(&cluster, "ca"), None);

    let mk_service = |annotations: Value| {
        let metadata = json!({"namespace": "ns", "name": "s", "annotations": annotations});
        items(Kind::Service, &[json!({"metadata": metadata})]).remove(0)
    };
    cluster.apply(mk_service(json!({"ravelin.dev/upstream-ca": "ca"})));
    let ca = ObjectRef::new(Kind::Secret, "ns", "ca");
    assert_eq!(cluster.take_missing(&secrets), [ca].into());
    cluster.apply(items(Kind::Secret, &[mk_secret("ca")]).remove(0));
    assert!(secret_keys(&cluster, "ca").is_some());

    cluster.apply(mk_service(json!({})));
    cluster.apply(items(Kind::Secret, &[mk_secret("ca")]).remove(0));
    assert_eq!(secret_keys(&cluster, "ca"), None);
}

#[test]
fn of_a_secret_that_a_middleware_names_all_keys_are_kept() {
    let (middlewares, secrets) = (mk_scope(Kind::Middleware), mk_scope(Kind::Secret));
    let ingresses = mk_scope(Kind::Ingress);
    let cluster =
        Arc::new(Cluster::new(&[ingresses.clone(), middlewares.clone(), secrets.clone()]));
    cluster.swap(&ingresses, items(Kind::Ingress, &[mk_ingress("i", "both")]));
    cluster.swap(&secrets, items(Kind::Secret, &[mk_secret("both"), mk_secret("users")]));
    assert_eq!(secret_keys(&cluster, "both").map(|keys| keys.len()), Some(3));
    let mk_middleware = |name: &str, secret: &str| {
        json!({
            "kind": "Middleware",
            "metadata": {"namespace": "ns", "name": name, "labels": {"a": "b"}},
            "spec": {"basicAuth": {"secret": secret}},
        })
    };
    let all = [mk_middleware("a", "both"), mk_middleware("b", "users")];
    cluster.swap(&middlewares, items(Kind::Middleware, &all));
    let missing = cluster.take_missing(&secrets);
    assert_eq!(missing.len(), 2, "{missing:?}");
    for name in ["both", "users"] {
        cluster.apply(items(Kind::Secret, &[mk_secret(name)]).remove(0));
        assert_eq!(secret_keys(&cluster, name).map(|keys| keys.len()), Some(4), "{name}");
    }
    // One that is listed again needs nothing, and one that goes leaves what the Ingress names.
    cluster.swap(&middlewares, items(Kind::Middleware, &all[..1]));
    assert!(cluster.take_missing(&secrets).is_empty());
    cluster.swap(&middlewares, Vec::new());
    cluster.swap(&secrets, items(Kind::Secret, &[mk_secret("both"), mk_secret("users")]));
    assert_eq!(secret_keys(&cluster, "both").map(|keys| keys.len()), Some(3));
    assert_eq!(secret_keys(&cluster, "users"), None);
}

#[test]
fn of_a_secret_that_an_annotation_names_all_keys_are_kept() {
    let (ingresses, secrets) = (mk_scope(Kind::Ingress), mk_scope(Kind::Secret));
    for (name, value) in [
        ("nginx.ingress.kubernetes.io/auth-secret", "users"),
        ("nginx.ingress.kubernetes.io/auth-secret", "ns/users"),
        ("ravelin.dev/basic-auth-secret", "users"),
        ("ravelin.dev/secret-header-secret", "users"),
    ] {
        let cluster = Arc::new(Cluster::new(&[ingresses.clone(), secrets.clone()]));
        let mut ingress = mk_ingress("i", "other");
        ingress["metadata"]["annotations"] = json!({name: value});
        cluster.swap(&ingresses, items(Kind::Ingress, &[ingress]));
        cluster.swap(&secrets, items(Kind::Secret, &[mk_secret("users")]));
        assert_eq!(secret_keys(&cluster, "users").map(|keys| keys.len()), Some(4), "{name}");
    }
}

#[test]
fn an_ingress_waits_for_the_secret_that_is_fetched_for_it_and_holds_up_no_other_change() {
    let mut cluster = Arc::new(Cluster::new(&[]));
    cluster.apply(items(Kind::Secret, &[mk_secret("s")]).remove(0));
    cluster.look();
    cluster.apply(items(Kind::Ingress, &[mk_ingress("i", "s")]).remove(0));
    cluster.apply(items(Kind::Ingress, &[mk_ingress("other", "none")]).remove(0));
    let names = |cluster: &mut Arc<Cluster>| -> Vec<String> {
        let changes = cluster.look().unwrap_or_default().objects;
        changes.iter().map(|change| change.identity.name.to_string()).collect()
    };
    assert_eq!(names(&mut cluster), ["other"]);
    cluster.take_missing(&mk_scope(Kind::Secret));
    assert_eq!(names(&mut cluster), [""; 0], "it is under way");
    cluster.apply(items(Kind::Secret, &[mk_secret("s")]).remove(0));
    cluster.poke();
    assert_eq!(names(&mut cluster), ["i", "s"]);
    // One that cannot be fetched holds up nothing for long, and one that is deleted at all.
    cluster.apply(items(Kind::Secret, &[mk_secret("gone")]).remove(0));
    cluster.look();
    cluster.apply(items(Kind::Ingress, &[mk_ingress("i", "gone")]).remove(0));
    assert_eq!(names(&mut cluster), [""; 0]);
    cluster.remove(&ObjectRef::new(Kind::Ingress, "ns", "i"));
    assert_eq!(names(&mut cluster), ["i"]);
}

#[test]
fn a_list_says_how_many_objects_there_are_if_it_knows() {
    for (meta, total) in [
        (json!({"resourceVersion": "7"}), Some(0)),
        (json!({"resourceVersion": "7", "continue": "x", "remainingItemCount": 4}), Some(4)),
        (json!({"resourceVersion": "7", "continue": "x"}), None),
    ] {
        let text = json!({"metadata": meta, "items": null}).to_string();
        assert_eq!(page(Kind::Node, text.as_bytes()).expect("a list").total, total, "{text}");
    }
}

#[test]
fn what_is_no_list_and_no_event_is_refused_without_its_content() {
    for text in ["", "{", "[]", "{\"items\": []}", "{\"metadata\": {}, \"items\": []}"] {
        let failure = page(Kind::Secret, text.as_bytes()).expect_err(text);
        assert_eq!(failure.why, WatchFailure::Decode, "{text}");
    }
    let mistyped = mk_list(&[json!({"metadata": {"name": "s"}, "data": {"k": "hunter2"}})]);
    let failure = page(Kind::Secret, &mistyped).expect_err("not base64");
    assert!(!failure.words.contains("hunter2"), "{}", failure.words);
    for line in ["", "x", "{\"type\":\"ADDED\"}", "{\"type\":\"NEWS\",\"object\":{}}"] {
        assert_eq!(event(Kind::Node, line.as_bytes()).expect_err(line).why, WatchFailure::Decode);
    }
}

#[test]
fn an_error_event_is_told_by_its_code() {
    let status = json!({"kind": "Status", "code": 410, "message": "too old\nresource version"});
    let line = json!({"type": "ERROR", "object": status}).to_string();
    let failure = event(Kind::Service, line.as_bytes()).expect_err("an error");
    assert_eq!((failure.why, &*failure.words), (WatchFailure::Gone, "too old resource version"));
    let bookmark = json!({"metadata": {"resourceVersion": "12"}});
    let line = json!({"type": "BOOKMARK", "object": bookmark}).to_string();
    let (event, version) = event(Kind::Service, line.as_bytes()).expect("a bookmark");
    assert!(matches!(event, Event::Bookmark) && version == "12");
}

#[test]
fn namespaces_are_followed_one_by_one_and_cluster_wide_kinds_once() {
    let namespaces = vec!["a".to_owned(), "b".to_owned()];
    let settings = Kubernetes { namespaces, ..Kubernetes::default() };
    let paths: Vec<String> = scopes(&settings, &[])
        .iter()
        .filter(|scope| matches!(scope.kind, Kind::Node | Kind::Secret))
        .map(|scope| scope.page(Limit::One, None).uri().path().to_owned())
        .collect();
    let expected =
        ["/api/v1/nodes", "/api/v1/namespaces/a/secrets", "/api/v1/namespaces/b/secrets"];
    assert_eq!(paths, expected);
}
