//! The verbs that ask a running process: `explain --admin`.

use crate::eventually::eventually;
use crate::program::ravelin;
use crate::running::{Running, folder};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;

/// A listener behind a balancer on loopback, which names Cloudflare's addresses.
pub(crate) const BALANCED: &str = "[[listener]]\nname = \"balanced\"\naddress = \"127.0.0.1:0\"\n\
     proxy_protocol_from = [\"127.0.0.1/32\"]\n";

/// The secret of queries and headers.
pub(crate) const SESAME: &str = "SESAME-4711";

/// An Ingress for a Service without pods.
pub(crate) const SHOP: &str = r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {namespace: ns, name: shop}
spec:
  ingressClassName: ravelin
  rules:
    - host: shop.example
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: ns, name: web}
spec: {ports: [{port: 80}]}
"#;

/// A process with that Ingress, and its listener behind a balancer.
pub(crate) fn shop() -> (Running, SocketAddr) {
    let folder = folder(BALANCED);
    std::fs::write(folder.path().join("manifests/shop.yaml"), SHOP).expect("a new file");
    let mut running = Running::begin(folder, Stdio::null());
    running.listener();
    let balanced = running.listener();
    (running, balanced)
}

/// Asks through Cloudflare, with secrets where secrets are.
pub(crate) fn visit(address: SocketAddr, path: &str, ray: &str) {
    let mut client = TcpStream::connect(address).expect("it listens");
    let request = format!(
        "PROXY TCP4 104.16.0.1 127.0.0.1 40000 80\r\nGET {path}?key={SESAME} HTTP/1.1\r\nHost: shop.example\r\n\
         CF-Ray: {ray}\r\nCF-Connecting-IP: 203.0.113.7\r\nAuthorization: Bearer {SESAME}\r\nCookie: a={SESAME}\r\n\
         Referer: http://shop.example/?key={SESAME}\r\nConnection: close\r\n\r\n"
    );
    client.write_all(request.as_bytes()).expect("it reads");
    client.read_to_end(&mut Vec::new()).expect("it answers");
}

#[test]
fn a_ray_leads_from_a_503_to_its_reason_and_what_to_do() {
    let (running, balanced) = shop();
    visit(balanced, "/cart", "8f2b3c4d5e6f7a8b-FRA");
    let socket = running.socket();
    let socket = socket.to_str().expect("UTF-8");
    let told = eventually("the failure", || {
        let ran = ravelin(&["explain", "--admin", socket, "--ray", "8f2b3c4d5e6f7a8b"]);
        (ran.code == 0).then_some(ran.out)
    });
    for line in [
        "ray         8f2b3c4d5e6f7a8b-FRA\n",
        "request     GET shop.example/cart\n",
        "answer      503 no_endpoint\n",
        "meaning     The Service has no ready endpoint.\n",
        "caused by   manifests\n",
        "to do       Look at the pods: `kubectl get endpointslices`.",
        "route       ns/shop\n",
        "service     ns/web:80\n",
        "now         503 no_endpoint: The Service has no ready endpoint.\n",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert!(!told.contains(SESAME), "{told}");
    let json = ravelin(&[
        "explain",
        "--admin",
        socket,
        "--ray",
        "8F2B3C4D5E6F7A8B-FRA",
        "--output",
        "json",
    ]);
    let json: Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!((&json[0]["reason"], &json[0]["attempts"]), (&"no_endpoint".into(), &0.into()));
    let unknown = ravelin(&["explain", "--admin", socket, "--ray", "0000000000000000"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (1, ""));
    assert!(unknown.err.contains("another node had it"), "{}", unknown.err);
}

#[test]
fn a_running_process_explains_a_url() {
    let (running, _) = shop();
    let socket = running.socket();
    let socket = socket.to_str().expect("UTF-8");
    eventually("the socket", || socket_answers(socket));
    let told = ravelin(&["explain", "--admin", socket, "http://shop.example/cart?a=b"]);
    assert_eq!((told.code, told.err.as_str()), (1, ""));
    assert!(told.out.contains("rule        shop.example Prefix /\n"), "{}", told.out);
    assert!(told.out.contains("answer      503 no_endpoint\n"), "{}", told.out);
    let from = [
        "explain",
        "--admin",
        socket,
        "--from",
        "104.16.0.1",
        "--output",
        "json",
        "http://other.example/",
    ];
    let told: Value = serde_json::from_str(&ravelin(&from).out).expect("JSON");
    assert_eq!(told["answer"], "none", "{told}");
}

fn socket_answers(socket: &str) -> Option<()> {
    (ravelin(&["probe", "ready", "--socket", socket]).code == 0).then_some(())
}

#[test]
fn mistakes_of_admin_name_the_fix() {
    let cases: [(&[&str], i32, &str); 7] = [
        (&["explain", "--ray", "8f"], 64, "--admin"),
        (
            &["explain", "--admin", "https://a:9180", "http://b/"],
            64,
            "the admin port speaks no TLS",
        ),
        (
            &["explain", "--admin", "/nonexistent", "http://b/"],
            69,
            "has not started fully, or has exited",
        ),
        (&["explain", "--admin", "http://127.0.0.1:1", "http://b/"], 69, "nothing listens there"),
        (&["explain", "--admin", "/a", "--manifests", "b", "http://b/"], 64, "not both"),
        (&["explain", "--admin", "/a", "--header", "X: 1", "http://b/"], 64, "CF-Connecting-IP"),
        (&["explain", "--admin", "/a"], 64, "<URL>"),
    ];
    for (line, code, expected) in cases {
        let ran = ravelin(line);
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{line:?}: {}", ran.err);
        assert!(ran.err.contains(expected), "{line:?}: {}", ran.err);
    }
}
