//! Exact hosts, wildcards, rules without host, default backends.

use super::{serves, three};
use crate::support::{Client, ingress, rule};
use serde_json::json;

#[test]
fn a_host_is_compared_without_port_case_and_trailing_dot() {
    let (builder, _upstreams) = three();
    let rules = [rule("app.example", &[("/", "Prefix", "a")])];
    let edge = builder.object("i.json", &ingress("i", &rules)).start();
    serves(
        &edge,
        &[
            ("app.example", "/", "a"),
            ("app.example:80", "/", "a"),
            ("app.example:31337", "/", "a"),
            ("APP.Example", "/", "a"),
            ("app.example.", "/", "a"),
            ("App.example.:443", "/", "a"),
            ("other.example", "/", "404 no_route"),
            ("xapp.example", "/", "404 no_route"),
            ("example", "/", "404 no_route"),
            ("127.0.0.1", "/", "404 no_route"),
            ("[::1]:80", "/", "404 no_route"),
        ],
    );
}

#[test]
fn a_wildcard_is_exactly_one_label() {
    let (builder, _upstreams) = three();
    let rules = [rule("*.example", &[("/", "Prefix", "a")])];
    let edge = builder.object("i.json", &ingress("i", &rules)).start();
    serves(
        &edge,
        &[
            ("x.example", "/", "a"),
            ("X.EXAMPLE.:80", "/", "a"),
            ("x.y.example", "/", "404 no_route"),
            ("example", "/", "404 no_route"),
            (".example", "/", "404 no_route"),
        ],
    );
}

#[test]
fn an_exact_host_wins_over_a_wildcard_and_that_over_no_host() {
    let (builder, _upstreams) = three();
    let rules = [
        rule("", &[("/", "Prefix", "a"), ("/deep/path", "Prefix", "a")]),
        rule("*.example", &[("/", "Prefix", "b")]),
        rule("x.example", &[("/only", "Prefix", "c")]),
    ];
    let edge = builder.object("i.json", &ingress("i", &rules)).start();
    serves(
        &edge,
        &[
            ("x.example", "/only", "c"),
            ("y.example", "/only", "b"),
            ("y.example", "/deep/path", "b"),
            ("y.z.example", "/only", "a"),
            ("elsewhere", "/", "a"),
            ("", "/", "a"),
        ],
    );
}

#[test]
fn the_default_backend_takes_what_no_rule_takes() {
    let (builder, _upstreams) = three();
    let object = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"namespace": "ns", "name": "default"},
        "spec": {
            "ingressClassName": "ravelin",
            "defaultBackend": {"service": {"name": "c", "port": {"number": 80}}},
        },
    });
    let rules = [rule("h", &[("/a", "Prefix", "a")])];
    let edge = builder.object("d.json", &object).object("i.json", &ingress("i", &rules)).start();
    serves(&edge, &[("h", "/a", "a"), ("h", "/b", "c"), ("other", "/", "c")]);
}

#[test]
fn requests_on_one_connection_go_each_to_their_own_host() {
    let (builder, upstreams) = three();
    let rules = [
        rule("a", &[("/", "Prefix", "a")]),
        rule("b", &[("/", "Prefix", "b")]),
        rule("c", &[("/", "Prefix", "c")]),
    ];
    let edge = builder.object("i.json", &ingress("i", &rules)).start();
    let mut client = Client::connect(edge.addr());
    for _ in 0..5 {
        for host in ["a", "b", "c"] {
            assert_eq!(client.get(host, "/").text(), host);
        }
    }
    assert!(upstreams.iter().all(|upstream| upstream.connections() == 1));
}
