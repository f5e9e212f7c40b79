//! IngressRoutes, from a manifest to the pod: rules.

use super::services::{HOST, routes, send, several};
use serde_json::json;

#[test]
fn the_rule_that_matches_with_the_highest_priority_has_a_request() {
    let (builder, _pods) = several();
    let to = |name: &str| json!([{"name": name, "port": 80}]);
    let all = routes(&json!([
        {"match": format!("Host(`{HOST}`)"), "kind": "Rule", "services": to("one")},
        {"match": format!("Host(`{HOST}`) && Header(`x-beta`, `yes`)"), "kind": "Rule", "services": to("two")},
        {"match": format!("Host(`{HOST}`) && Method(`DELETE`)"), "priority": 1, "services": to("two")},
        {"match": "Host(`gone.example`)", "services": [{"name": "api@internal", "kind": "TraefikService"}]},
    ]));
    let edge = builder.object("app.json", &all).start();
    assert_eq!(send(&edge, "").text(), "one");
    assert_eq!(send(&edge, "X-Beta: yes\r\n").text(), "two");
    assert_eq!(send(&edge, "X-Beta: no\r\n").text(), "one");
    let refused = edge.get("gone.example", "/");
    assert_eq!(refused.status(), 503);
    assert!(refused.text().contains("backend_unsupported"), "{}", refused.text());
    assert_eq!(edge.get("other.example", "/").status(), 404);
}
