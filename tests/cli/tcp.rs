//! IngressRouteTCPs in `check`, `explain` and `migrate`.

use crate::program::{config, manifests, ravelin};
use serde_json::Value;

const OBJECTS: &str = "
apiVersion: v1
kind: Service
metadata: {name: mysql, namespace: shop}
spec: {ports: [{name: sql, port: 3306}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: mysql-1, namespace: shop, labels: {kubernetes.io/service-name: mysql}}
addressType: IPv4
ports: [{name: sql, port: 3306}]
endpoints: [{addresses: [10.0.0.7]}]
---
apiVersion: traefik.io/v1alpha1
kind: MiddlewareTCP
metadata: {name: office, namespace: shop}
spec: {ipAllowList: {sourceRange: [192.0.2.0/24]}}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRouteTCP
metadata: {name: passed, namespace: shop}
spec:
  entryPoints: [websecure]
  tls: {passthrough: true}
  routes: [{match: HostSNI(`db.example`), middlewares: [{name: office}], services: [{name: mysql, port: sql}]}]
---
apiVersion: traefik.io/v1alpha1
kind: IngressRouteTCP
metadata: {name: plain, namespace: shop}
spec:
  entryPoints: [mysql]
  routes: [{match: HostSNI(`*`), services: [{name: mysql, port: 3306}]}]
---
apiVersion: traefik.io/v1alpha1
kind: IngressRouteTCP
metadata: {name: broken, namespace: shop}
spec:
  entryPoints: [mysql]
  tls: {options: {name: gone}}
  routes: [{match: HostSNI(`broken.example`), services: [{name: mysql, port: 3306}]}]
---
apiVersion: traefik.io/v1alpha1
kind: IngressRouteTCP
metadata: {name: unweighted, namespace: shop}
spec:
  entryPoints: [websecure]
  tls: {passthrough: true}
  routes: [{match: HostSNI(`unweighted.example`), services: [{name: mysql, port: 3306, weight: 0}, {name: gone, port: 1}]}]
";

/// A configuration with these objects, and what has to stay while it is used.
fn configured() -> (tempfile::TempDir, tempfile::NamedTempFile) {
    let (folder, _) = manifests(OBJECTS);
    let text = format!(
        "[[listener]]\nname = \"web\"\naddress = \"[::]:80\"\n\
         [[listener]]\nname = \"websecure\"\naddress = \"[::]:443\"\nprotocol = \"https\"\nadmit = [\"any\"]\n\
         [[listener]]\nname = \"mysql\"\naddress = \"[::]:3306\"\nprotocol = \"tcp\"\n\
         [[entry_point]]\nname = \"mysql\"\nlisteners = [\"mysql\"]\ndefault = false\n\
         [source]\nkind = \"directory\"\ndirectory = {:?}\ningress_classes = [\"traefik\"]\n",
        folder.path()
    );
    (folder, config(&text))
}

fn lines(out: &str) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    out.lines().map(words).collect()
}

#[test]
fn check_lists_routes_of_connections_and_tells_what_is_wrong_with_them() {
    let (_folder, file) = configured();
    let ran = ravelin(&["check", "--config", file.path().to_str().expect("UTF-8")]);
    assert_eq!((ran.code, ran.err.as_str()), (1, ""), "{}", ran.out);
    let lines = lines(&ran.out);
    for expected in [
        "db.example TLS passed on HostSNI(`db.example`) shop/mysql:sql 10.0.0.7:3306 shop/passed",
        "* TCP HostSNI(`*`) shop/mysql:3306 10.0.0.7:3306 shop/plain",
        "broken.example TLS ended HostSNI(`broken.example`) refused restriction_unsupported shop/broken",
        "unweighted.example TLS passed on HostSNI(`unweighted.example`) shop/mysql:3306, shop/gone:1 refused service_missing shop/unweighted",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected}: {lines:#?}");
    }
    for expected in [
        "error: IngressRouteTCP shop/broken: spec.tls.options: there is no TLSOption \"gone\" in namespace shop",
        "warning: IngressRouteTCP shop/plain: spec.entryPoints: has \"mysql\", where Cloudflare alone may connect, which \
         passes on HTTP and nothing else (fix: use Spectrum",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(expected)), "{expected}: {lines:#?}");
    }
}

fn explain(line: &[&str]) -> (i32, Vec<String>) {
    let (_folder, file) = configured();
    let mut all = vec!["explain", "--config", file.path().to_str().expect("UTF-8")];
    all.extend(line);
    let ran = ravelin(&all);
    assert_eq!(ran.err, "", "{line:?}");
    (ran.code, lines(&ran.out))
}

#[test]
fn explain_names_the_route_of_a_connection() {
    for (line, code, expected) in [
        (
            &["https://db.example/"][..],
            0,
            &[
                "rule HostSNI(`db.example`)",
                "object IngressRouteTCP shop/passed spec.routes[0]",
                "tls passed on to the pod",
                "service shop/mysql:sql",
                "endpoints 10.0.0.7:3306",
                "middleware shop/office (ipAllowList)",
                "answer relayed",
            ][..],
        ),
        (&["--from", "192.0.2.9", "https://db.example/"], 0, &["answer relayed"]),
        (&["--from", "198.51.100.9", "https://db.example/"], 1, &["answer refused source_denied"]),
        (
            &["tcp://node:3306"],
            0,
            &[
                "listener mysql [::]:3306",
                "object IngressRouteTCP shop/plain spec.routes[0]",
                "tls none",
            ],
        ),
        (
            &["tls://broken.example:3306"],
            1,
            &[
                "object IngressRouteTCP shop/broken spec.routes[0]",
                "answer refused restriction_unsupported",
            ],
        ),
        // As a connection is refused then: what has no weight gets none.
        (&["https://unweighted.example/"], 1, &["answer refused service_missing"]),
        (&["tls://other.example:3306"], 1, &["answer refused no_route"]),
        (&["tls://other.example:4711"], 1, &["listener none for tls on port 4711"]),
    ] {
        let (found, lines) = explain(line);
        assert_eq!(found, code, "{line:?}: {lines:#?}");
        for expected in expected {
            assert!(lines.iter().any(|line| line == expected), "{expected}: {lines:#?}");
        }
    }
    // What no route of connections takes goes on to HTTP.
    let (code, lines) = explain(&["http://db.example/"]);
    assert_eq!(code, 1);
    assert!(lines.iter().any(|line| line == "answer 404 no_route"), "{lines:#?}");
}

#[test]
fn migrate_serves_them_and_writes_their_listener() {
    let chart = "
---
apiVersion: helm.cattle.io/v1
kind: HelmChartConfig
metadata: {name: traefik, namespace: kube-system}
spec:
  valuesContent: |-
    ports:
      mysql: {port: 3306, exposedPort: 3306, expose: {default: true}}
";
    let (folder, file) = manifests(&format!("{OBJECTS}{chart}"));
    let ran = ravelin(&["migrate", "--output", "json", &file]);
    assert_eq!(ran.err, "");
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    let routes = report["routes"].as_array().expect("a list");
    let verdict = |object: &str| {
        let route = routes.iter().find(|route| route["object"] == object);
        route.map_or_else(|| panic!("{object}: {routes:#?}"), |route| route["verdict"].clone())
    };
    assert_eq!(verdict("IngressRouteTCP shop/passed"), "same");
    assert_eq!(verdict("IngressRouteTCP shop/broken"), "neither");
    // Cloudflare does not pass these connections on.
    assert_eq!(verdict("IngressRouteTCP shop/plain"), "differs");
    let out = folder.path().join("out");
    let out = out.to_str().expect("UTF-8");
    ravelin(&["migrate", "--write", out, &file]);
    let text = std::fs::read_to_string(format!("{out}/ravelin.toml")).expect("it was written");
    let (_, listener) = text.split_once("name = \"mysql\"").expect("its listener");
    let listener = listener.split("\n[[entry_point]]").next().expect("a table");
    assert!(listener.contains("address = \"[::]:3306\""), "{text}");
    let expected = "protocol = \"tcp\"  # IngressRouteTCP shop/";
    assert!(listener.contains(expected), "{text}");
    let left = report["configuration"]["left"].to_string();
    assert!(left.contains("Cloudflare passes on HTTP alone"), "{report:#}");
}
