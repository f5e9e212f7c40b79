//! The objects that ravelin reads go in, as an operator and as a controller write them.

use crate::plane::Plane;
use rcgen::generate_simple_self_signed;
use serde_json::json;
use std::fs;

const KINDS: [(&str, &str); 5] = [
    ("/apis/networking.k8s.io/v1/ingressclasses/kinds", "Ingress class"),
    ("/apis/networking.k8s.io/v1/namespaces/kinds/ingresses/shop", "Ingress"),
    ("/api/v1/namespaces/kinds/services/shop", "Service"),
    ("/apis/discovery.k8s.io/v1/namespaces/kinds/endpointslices/shop-1", "EndpointSlice"),
    ("/api/v1/nodes/kinds-node", "Node"),
];

const MANIFESTS: &str = r#"
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: kinds}
spec: {controller: example.com/kinds}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: kinds}
spec:
  ingressClassName: kinds
  tls: [{hosts: [shop.example], secretName: shop}]
  rules:
  - host: shop.example
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: shop, port: {name: http}}}}
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: kinds}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Node
metadata: {name: kinds-node}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: shop-1
  namespace: kinds
  labels: {kubernetes.io/service-name: shop, endpointslice.kubernetes.io/managed-by: example.com}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: [10.77.0.1], conditions: {serving: true}}]
"#;

#[test]
fn a_plane_answers_in_its_version_and_objects_of_every_kind_go_in() {
    let Some(plane) = Plane::shared() else { return };
    let version = plane.get("/version").json();
    assert_eq!(version["gitVersion"], "v1.36.3", "the version that go.mod pins");
    plane.namespace("kinds");
    let said = plane.apply(MANIFESTS);
    assert_eq!(said.lines().count(), KINDS.len(), "{said}");
    for (path, kind) in KINDS {
        assert_eq!(plane.get(path).status, 200, "{kind}");
    }
    let slice = plane.get(KINDS[3].0).json();
    // The API says that this means ready; no default is filled in.
    assert_eq!(slice["endpoints"][0]["conditions"], json!({"serving": true}));
}

#[test]
fn a_certificate_goes_in_as_a_secret_through_kubectl() {
    let Some(plane) = Plane::shared() else { return };
    plane.namespace("secrets");
    let made = generate_simple_self_signed(["shop.example".to_owned()]).expect("a certificate");
    let folder = tempfile::tempdir().expect("a temporary directory");
    let [certificate, key] = ["tls.crt", "tls.key"].map(|name| folder.path().join(name));
    fs::write(&certificate, made.cert.pem()).expect("a folder of ours");
    fs::write(&key, made.signing_key.serialize_pem()).expect("a folder of ours");
    let files = [("cert", &certificate), ("key", &key)];
    let [cert, key] = files.map(|(flag, file)| format!("--{flag}={}", file.display()));
    let output = plane.kubectl(&["create", "secret", "tls", "shop", "-n", "secrets", &cert, &key]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let secret = plane.get("/api/v1/namespaces/secrets/secrets/shop").json();
    assert_eq!(secret["type"], "kubernetes.io/tls");
}

#[test]
fn an_endpoint_on_loopback_is_refused_which_is_why_backends_have_a_range_of_their_own() {
    let Some(plane) = Plane::shared() else { return };
    plane.namespace("loopback");
    let slice = |address: &str| {
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "shop"}, "addressType": "IPv4",
            "endpoints": [{"addresses": [address]}]})
    };
    let path = "/apis/discovery.k8s.io/v1/namespaces/loopback/endpointslices";
    let refused = plane.request("POST", path, Some(&slice("127.0.0.1")));
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert!(refused.body.contains("may not be in the loopback range"), "{}", refused.body);
    assert_eq!(plane.request("POST", path, Some(&slice("10.77.0.1"))).status, 201);
}

#[test]
fn every_address_of_the_range_of_backends_can_be_bound_and_dialled() {
    if Plane::shared().is_none() {
        return;
    }
    for address in ["10.77.0.1", "10.77.255.254"] {
        let backend = std::net::TcpListener::bind((address, 0)).expect("a local address");
        let addr = backend.local_addr().expect("an address");
        let client = std::net::TcpStream::connect(addr).expect("a local address");
        let (accepted, _) = backend.accept().expect("a client");
        assert_eq!(client.local_addr().ok(), accepted.peer_addr().ok());
    }
}
