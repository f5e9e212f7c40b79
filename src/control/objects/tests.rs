//! What the store of objects keeps, and what it shows.

use super::*;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::NodeAddress;

fn mk_slice(name: &str, service: &str) -> Object {
    let mut slice = EndpointSlice::default();
    slice.metadata.name = Some(name.to_owned());
    slice.metadata.labels = Some([(SERVICE_NAME_LABEL.to_owned(), service.to_owned())].into());
    slice.into()
}

fn names(objects: &Objects, service: &str) -> Vec<String> {
    objects.slices_of("default", service).map(|(name, _)| name.to_string()).collect()
}

#[test]
fn slices_are_found_by_service_also_after_their_label_changed() {
    let mut objects = Objects::default();
    for (name, service) in [("b", "web"), ("a", "web"), ("c", "api")] {
        assert!(objects.insert(mk_slice(name, service)).is_none());
    }
    assert_eq!(names(&objects, "web"), ["a", "b"]);
    assert!(objects.insert(mk_slice("a", "api")).is_some());
    assert_eq!(names(&objects, "web"), ["b"]);
    assert_eq!(names(&objects, "api"), ["a", "c"]);
    let gone = objects.remove(&ObjectRef::new(Kind::EndpointSlice, "default", "b"));
    assert!(gone.is_some());
    assert_eq!(names(&objects, "web"), [""; 0]);
    assert!(objects.remove(&ObjectRef::new(Kind::EndpointSlice, "default", "b")).is_none());
}

#[test]
fn what_was_inserted_and_removed_leaves_nothing_behind() {
    let mut objects = Objects::default();
    let objects_of_all_kinds: [Object; 8] = [
        Ingress::default().into(),
        IngressClass::default().into(),
        Service::default().into(),
        mk_slice("a", "web"),
        TraefikObject {
            kind: Kind::Middleware,
            metadata: ObjectMeta::default(),
            spec: serde_json::Value::Null,
        }
        .into(),
        Secret::default().into(),
        Node::default().into(),
        ConfigMap::default().into(),
    ];
    for object in &objects_of_all_kinds {
        assert!(objects.insert(object.clone()).is_none());
    }
    for object in &objects_of_all_kinds {
        assert_eq!(objects.remove(&object.identity()).as_ref(), Some(object));
    }
    assert_eq!(objects, Objects::default());
}

#[test]
fn only_namespaced_kinds_are_in_a_namespace() {
    assert_eq!(&*Object::from(Ingress::default()).identity().namespace, "default");
    assert_eq!(&*Object::from(ConfigMap::default()).identity().namespace, "default");
    assert_eq!(&*Object::from(IngressClass::default()).identity().namespace, "");
    assert_eq!(&*Object::from(Node::default()).identity().namespace, "");
}

#[test]
fn a_heartbeat_of_a_node_is_no_change() {
    let at = |version: &str, address: &str| {
        let mut node = Node::default();
        node.metadata.name = Some("n".to_owned());
        node.metadata.resource_version = Some(version.to_owned());
        let addresses = vec![NodeAddress { address: address.into(), type_: "InternalIP".into() }];
        let phase = Some(version.to_owned());
        let addresses = Some(addresses);
        node.status = Some(NodeStatus { addresses, phase, ..NodeStatus::default() });
        Object::from(node)
    };
    assert_eq!(at("1", "192.0.2.1"), at("2", "192.0.2.1"));
    assert_ne!(at("1", "192.0.2.1"), at("1", "192.0.2.2"));
}

#[test]
fn debug_shows_no_secret() {
    let data = [("tls.key".to_owned(), ByteString(b"hunter2".to_vec()))].into();
    let secret = Object::from(Secret { data: Some(data), ..Secret::default() });
    let mut objects = Objects::default();
    objects.insert(secret.clone());
    let data = [("list".to_owned(), "hunter2".to_owned())].into();
    let config_map = Object::from(ConfigMap { data: Some(data), ..ConfigMap::default() });
    objects.insert(config_map.clone());
    let shown = format!("{secret:?} {config_map:?} {objects:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("104"), "{shown}");
}
