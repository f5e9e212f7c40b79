//! Zones with one thing wrong. What is said of each is in `tests/cli/golden/zones.txt`, as a whole.

use super::api::{ACCOUNT, pull_certificate, record};
use super::scene::Scene;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Makes one thing wrong.
type Break = fn(&mut Scene);

const OF_SSL: [(&str, Break); 9] = [
    ("ssl off, with redirects to https", |scene| {
        scene.world.setting("ssl", "off");
        scene.configure("[source]", "[https]\nredirect = true\n[source]");
    }),
    ("ssl flexible, with a host that requires a client certificate", |scene| {
        scene.world.setting("ssl", "flexible");
    }),
    ("ssl flexible, with redirects to https and no policies", |scene| {
        scene.world.setting("ssl", "flexible");
        scene.configure("[source]", "[https]\nredirect = true\n[source]");
        scene.configure("\"require\"", "\"off\"").configure("\"request\"", "\"off\"");
    }),
    ("ssl flexible, without a listener for http", |scene| {
        scene.world.setting("ssl", "flexible");
        scene.configure(
            "address = \"127.0.0.1:80\"",
            "address = \"127.0.0.1:80\"\nprotocol = \"tcp\"",
        );
        scene.configure("\"require\"", "\"off\"").configure("\"request\"", "\"off\"");
    }),
    ("ssl full, where strict would do", |scene| {
        scene.world.setting("ssl", "full");
    }),
    ("ssl full, without a listener for https", |scene| {
        scene.world.setting("ssl", "full");
        scene.configure("protocol = \"https\"", "protocol = \"tcp\"");
    }),
    ("ssl full, with a host without certificate", |scene| {
        scene.world.setting("ssl", "full");
        scene.names = vec!["app.example.com", "*.pages.example.com"];
    }),
    ("ssl strict, with a host without certificate", |scene| {
        scene.names = vec!["app.example.com", "*.pages.example.com"];
    }),
    ("ssl strict, with a certificate of a CA that Cloudflare does not know", |scene| {
        scene.configure("trust_store_file", "# trust_store_file");
    }),
];

const OF_ORIGIN_PULLS: [(&str, Break); 7] = [
    ("a client certificate required, and none presented at any level", |scene| {
        scene.world.object("/origin_tls_client_auth/settings", json!({"enabled": false}));
    }),
    ("an own client certificate required, and the shared one presented", |scene| {
        scene.world.object("/origin_tls_client_auth/settings", json!({"enabled": false}));
        scene.world.setting("tls_client_auth", "on");
    }),
    ("the shared client certificate required, and an own one presented", |scene| {
        scene.configure("\"require\"\nca_file", "\"require\"\nca = \"cloudflare\"\n#");
    }),
    ("the association of a host disabled, while the zone's switch is on", |scene| {
        let off = json!({"hostname": "app.example.com", "enabled": false, "status": "active",
            "cert_id": "2458ce5a-0c35-4c7f-82c7-8e9487d3ff60"});
        scene.world.list("/origin_tls_client_auth/hostnames", vec![off]);
    }),
    ("the zone's client certificate expired", |scene| {
        let expired = pull_certificate("2024-01-01T05:20:00Z");
        scene.world.object("/origin_tls_client_auth", json!([expired]));
    }),
    ("the zone's client certificate ends soon", |scene| {
        let ending = pull_certificate(&in_ten_days().to_string());
        scene.world.object("/origin_tls_client_auth", json!([ending]));
    }),
    ("a client certificate presented, and nobody asks for it", |scene| {
        scene.configure("\"request\"", "\"off\"");
    }),
];

const OF_RECORDS: [(&str, Break); 7] = [
    ("a host without a record", |scene| {
        scene.world.records().retain(|record| record["name"] != "app.example.com");
    }),
    ("a record with an address that is no node, beside a good one", |scene| {
        scene.world.records()[0] = record("rec9", "A", "app.example.com", "198.51.100.9", true);
    }),
    ("records that are no node at all", |scene| {
        replace(scene, record("rec9", "A", "app.example.com", "198.51.100.9", true));
        scene.world.records().push(record("rec3", "A", "app.example.com", "192.0.2.3", true));
    }),
    ("a grey record", |scene| {
        let all = scene.world.records().iter_mut();
        all.filter(|it| it["name"] == "app.example.com")
            .for_each(|it| it["proxied"] = json!(false));
    }),
    ("a grey record, where everybody is admitted", |scene| {
        scene.configure(
            "[[listener]]\nname = \"tls\"",
            "[[listener]]\nadmit = [\"any\"]\nname = \"tls\"",
        );
        let all = scene.world.records().iter_mut();
        all.filter(|it| it["name"] == "app.example.com")
            .for_each(|it| it["proxied"] = json!(false));
    }),
    ("a tunnel", |scene| {
        let target = "c1744f8b-faa1-48a4-9e5c-02ac921467fa.cfargotunnel.com";
        replace(scene, record("rect", "CNAME", "app.example.com", target, true));
    }),
    ("a name outside the zone", |scene| {
        replace(scene, record("rect", "CNAME", "app.example.com", "lb.example.net", true));
    }),
];

const OF_THE_ZONE: [(&str, Break); 8] = [
    ("enforce_dns_only in the account", |scene| {
        let path = format!("/accounts/{ACCOUNT}/dns_settings");
        scene.world.objects.insert(path, json!({"enforce_dns_only": true}));
    }),
    ("paused", |scene| zone(scene)["paused"] = json!(true)),
    ("for DNS alone", |scene| zone(scene)["meta"]["dns_only"] = json!(true)),
    ("pending", |scene| zone(scene)["status"] = json!("pending")),
    ("HTTP/1.1 to the origin, with gRPC", |scene| {
        scene.world.setting("origin_max_http_version", "1");
        scene.manifest("[{port: 80}]", "[{port: 80, appProtocol: grpc}]");
    }),
    ("HTTP/1.1 to the origin", |scene| {
        scene.world.setting("origin_max_http_version", "1");
    }),
    ("TLS 1.0 for visitors", |scene| {
        scene.world.setting("min_tls_version", "1.0");
    }),
    ("the certificate of Origin CA ends soon", |scene| {
        let ends = in_ten_days().strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string();
        let all = scene.world.lists.get_mut("/certificates").expect("it is there");
        all[0]["expires_on"] = json!(ends);
    }),
];

fn in_ten_days() -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(10 * 24 + 1)
}

fn zone(scene: &mut Scene) -> &mut Value {
    &mut scene.world.lists.get_mut("/zones").expect("it is there")[0]
}

/// Another record in the place of those of the first host.
fn replace(scene: &mut Scene, record: Value) {
    let records = scene.world.records();
    records.retain(|record| record["name"] != "app.example.com");
    records.push(record);
}

/// What the file says of each, by name.
fn golden() -> BTreeMap<&'static str, &'static str> {
    let cases = include_str!("../golden/zones.txt").split("=== ").skip(1);
    cases.map(|case| case.split_once('\n').expect("a name")).collect()
}

#[test]
fn each_wrong_zone_is_named_with_its_fix() {
    let (expected, mut all) = (golden(), String::new());
    let cases = [&OF_SSL[..], &OF_ORIGIN_PULLS, &OF_RECORDS, &OF_THE_ZONE].concat();
    let count = cases.len();
    let mut wrong = String::new();
    for (name, break_it) in cases {
        let mut scene = Scene::right();
        break_it(&mut scene);
        let outcome = scene.run();
        let section = outcome.section();
        all.push_str(&format!("=== {name}\n{section}"));
        if expected.get(name).copied() != Some(section.as_str()) {
            wrong.push_str(&format!("=== {name}\n{section}"));
        }
        assert_eq!(outcome.ran.err, "", "{name}");
        let has_errors = !section.contains("routes, 0 errors");
        assert_eq!(outcome.ran.code, i32::from(has_errors), "{name}");
        assert!(
            section.contains("(fix: ") || name == "a name outside the zone",
            "{name}: {section}"
        );
    }
    if std::env::var_os("RAVELIN_WRITE_REFERENCE").is_some() {
        return std::fs::write("tests/cli/golden/zones.txt", all).expect("a file of ours");
    }
    assert_eq!(wrong, "");
    assert_eq!(expected.len(), count, "{:?}", expected.keys());
}
