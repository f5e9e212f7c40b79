//! `check --cloudflare` against a played API: wrong zones with their fixes, a right one, and the mistakes
//! that users make with tokens, rights and zones.

mod api;
mod identity;
mod mistakes;
mod scene;
mod wrong;

use scene::Scene;
use serde_json::Value;

#[test]
fn a_right_zone_gives_no_finding() {
    let outcome = Scene::right().run();
    assert_eq!((outcome.ran.code, outcome.ran.err.as_str()), (0, ""), "{}", outcome.ran.out);
    let expected = "zone example.com: 3 hosts, ssl = \"strict\"\n3 routes, 0 errors, 0 warnings\n";
    assert_eq!(outcome.section(), expected);
}

#[test]
fn a_zone_is_read_once_whatever_the_number_of_its_hosts() {
    let seen = Scene::right().run().seen;
    assert_eq!(seen.len(), 11, "{seen:#?}");
    let distinct: std::collections::BTreeSet<&String> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len(), "{seen:#?}");
}

#[test]
fn json_has_the_same_findings() {
    let mut scene = Scene::right();
    scene.world.setting("ssl", "flexible");
    scene.args = vec!["--output", "json"];
    let outcome = scene.run();
    let report: Value = serde_json::from_str(&outcome.ran.out).expect("JSON");
    let zones = &report["cloudflare"];
    assert_eq!(zones["zones"][0]["zone"], "example.com");
    assert_eq!(zones["zones"][0]["ssl"], "flexible");
    let finding = &zones["findings"][0];
    assert_eq!(finding["severity"], "error");
    assert_eq!(finding["hosts"][0], "app.example.com");
    assert_eq!(finding["visitors"], "403 client_certificate_required");
    assert!(finding["commands"][0].as_str().expect("a text").starts_with("curl -X PATCH"));
    assert_eq!((outcome.ran.code, report["errors"].as_u64()), (1, Some(1)));
}
