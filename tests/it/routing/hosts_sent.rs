//! Which Host pods get: the visitor's, or their own address (`passHostHeader: false`).

use super::services::{HOST, object, several, to};
use crate::support::{Edge, Refusing, Upstream, edge, ingress, rule, service, slice};
use serde_json::json;

fn ask(edge: &Edge) {
    assert_eq!(edge.get(HOST, "/x").status(), 200);
}

fn host(pod: &Upstream) -> String {
    pod.only_request().field("host").unwrap_or_default().to_owned()
}

#[test]
fn a_pod_gets_its_own_address_as_host_where_the_route_says_so() {
    for (passed, is_own) in [(json!(false), true), (json!(true), false), (json!(null), false)] {
        let (builder, pods) = several();
        let services = json!([{"name": "one", "port": 80, "passHostHeader": passed}]);
        let edge = builder.object("app.json", &to(&services)).start();
        ask(&edge);
        let expected = if is_own { pods[0].addr().to_string() } else { HOST.to_owned() };
        assert_eq!(host(&pods[0]), expected, "{passed}");
        let forwarded = pods[0].only_request().field("x-forwarded-host").map(str::to_owned);
        assert_eq!(forwarded.as_deref(), Some(HOST), "{passed}");
    }
}

#[test]
fn one_of_several_services_gets_its_own_address_and_the_others_do_not() {
    let (builder, pods) = several();
    let weighted = json!({"weighted": {"services": [
        {"name": "one", "port": 80, "passHostHeader": false}, {"name": "two", "port": 80}]}});
    let edge = builder
        .object("both.json", &object("TraefikService", "both", &weighted))
        .object("app.json", &to(&json!([{"name": "both", "kind": "TraefikService"}])))
        .start();
    let mut client = edge.connect();
    while pods.iter().any(|pod| pod.requests().is_empty()) {
        assert_eq!(client.get(HOST, "/x").status(), 200);
    }
    let hosts = |pod: &Upstream| pod.requests()[0].field("host").map(str::to_owned);
    assert_eq!(hosts(&pods[0]), Some(pods[0].addr().to_string()));
    assert_eq!(hosts(&pods[1]), Some(HOST.to_owned()));
}

#[test]
fn a_request_that_is_sent_again_names_the_pod_that_it_goes_to_then() {
    let (dead, alive) = (Refusing::new(), Upstream::saying("alive"));
    let mut service = service("web", "http", 80);
    service["metadata"]["annotations"] = json!({"traefik.ingress.kubernetes.io/service.passhostheader": "false",
            "ravelin.dev/balance": "round-robin"});
    let edge = edge()
        .set("upstream", "retry_budget", "100")
        .object("web.json", &service)
        .object("web-0.json", &slice("web-0", "web", "http", dead.addr()))
        .object("web-1.json", &slice("web-1", "web", "http", alive.addr()))
        .object("ingress.json", &ingress("all", &[rule("", &[("/", "Prefix", "web")])]))
        .start();
    for _ in 0..2 {
        ask(&edge);
    }
    let own = alive.addr().to_string();
    for request in alive.requests() {
        assert_eq!(request.field("host"), Some(own.as_str()));
    }
    let retries = edge.metrics().sum("ravelin_upstream_retries_total", &[]);
    assert!(retries >= 1.0, "one of the two has met the dead one first");
}
