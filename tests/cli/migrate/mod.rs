//! `migrate`: three clusters as there are many, with invented names, each with its report, its configuration and its
//! commands; what its exit codes mean; and that nothing makes it fail.
//!
//! `RAVELIN_WRITE_REFERENCE=1` writes the golden files.

mod corpus;
mod differential;
#[path = "../../traefik/routes.rs"]
mod routes;

use crate::program::{Ran, ravelin};
use ravelin::config::Config;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const HERE: &str = "tests/cli/migrate";

fn golden(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/golden/migrate").join(name);
    if std::env::var_os("RAVELIN_WRITE_REFERENCE").is_some() {
        fs::write(&file, text).expect("a file of ours");
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    assert!(expected == text, "{name} is another one now:\n{text}");
}

/// Runs the verb, and reads what it writes into a directory.
fn written(paths: &[&str]) -> (Ran, TempDir) {
    let folder = TempDir::new().expect("a temporary directory");
    let directory = folder.path().join("out");
    let mut line = vec!["migrate", "--write", directory.to_str().expect("UTF-8")];
    line.extend(paths);
    (ravelin(&line), folder)
}

fn file(folder: &TempDir, name: &str) -> String {
    fs::read_to_string(folder.path().join("out").join(name)).expect("it was written")
}

/// The report as JSON.
fn report(paths: &[&str]) -> (Value, i32) {
    let mut line = vec!["migrate", "--output", "json"];
    line.extend(paths);
    let ran = ravelin(&line);
    assert_eq!(ran.err, "", "{paths:?}");
    (serde_json::from_str(&ran.out).expect("JSON"), ran.code)
}

/// Manifests in a file of their own.
fn manifests(name: &str, text: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().expect("a temporary directory");
    let file = folder.path().join(name);
    fs::write(&file, text).expect("a file of ours");
    (folder, file)
}

fn report_of(text: &str) -> (Value, i32) {
    let (_folder, file) = manifests("all.yaml", text);
    report(&[file.to_str().expect("UTF-8")])
}

const SERVICE: &str = "---\napiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: shop}\nspec: {ports: [{port: 80}]}\n";

/// An Ingress for `NAME.example`, with annotations and a path.
fn ingress(name: &str, annotations: &str, path: &str) -> String {
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}, namespace: shop, annotations: \
         {{{annotations}}}}}\nspec:\n  ingressClassName: traefik\n  rules:\n  - host: {name}.example\n    http: {{paths: [{{path: \
         {path}, pathType: Prefix, backend: {{service: {{name: s, port: {{number: 80}}}}}}}}]}}\n"
    )
}

#[test]
fn three_clusters_have_their_reports_configurations_and_commands() {
    for (cluster, code) in [("a", 2), ("b", 1), ("c", 1)] {
        let path = format!("{HERE}/{cluster}");
        let (ran, folder) = written(&[&path]);
        assert_eq!(ran.code, code, "{cluster}: {}", ran.err);
        golden(&format!("{cluster}.txt"), &ran.out);
        for name in ["ravelin.toml", "COMMANDS.md", "patch-daemonset.yaml"] {
            golden(&format!("{cluster}-{name}"), &file(&folder, name));
        }
        let config = Config::parse(&file(&folder, "ravelin.toml"), "ravelin.toml");
        assert!(config.is_ok(), "{config:?}");
        let report = file(&folder, "REPORT.md");
        assert!(report.starts_with("# From Traefik to ravelin\n\n- "), "{report}");
        assert!(!file(&folder, "COMMANDS.md").contains("\ndisable:"));
    }
}

#[test]
fn commands_are_ten_at_most_and_each_has_a_check_and_a_way_back() {
    for cluster in ["a", "b", "c"] {
        let (_, folder) = written(&[&format!("{HERE}/{cluster}")]);
        let commands = file(&folder, "COMMANDS.md");
        let steps: Vec<&str> = commands.split("\n## ").skip(1).collect();
        let (back, steps) = steps.split_last().expect("steps");
        assert!(back.starts_with("All the way back"), "{back}");
        assert!(steps.len() <= 10, "{}", steps.len());
        for step in steps {
            assert!(step.contains("*Check*: ") && step.contains("*Back*: "), "{step}");
        }
    }
}

#[test]
fn traefik_is_stopped_with_its_values_kept_and_comes_back_with_them() {
    let (_, folder) = written(&[&format!("{HERE}/a")]);
    let (off, on) = (file(&folder, "traefik-off.yaml"), file(&folder, "traefik-on.yaml"));
    for text in [&off, &on] {
        assert!(text.contains("name: traefik\n  namespace: kube-system\n"), "{text}");
        assert!(text.contains("\"harbour.example/edge\": \"true\""), "{text}");
    }
    // A DaemonSet has no replicas.
    assert!(off.contains("\"enabled\": false,\n        \"kind\": \"DaemonSet\""), "{off}");
    let (_, folder) = written(&[&format!("{HERE}/b")]);
    assert!(file(&folder, "traefik-off.yaml").contains("\"replicas\": 0"));
    assert!(!folder.path().join("out/traefik-on.yaml").exists(), "there was no HelmChartConfig");
}

#[test]
fn beside_a_traefik_that_has_the_ports_of_the_nodes_ravelin_first_has_others() {
    let (_, folder) = written(&[&format!("{HERE}/a")]);
    golden("a-beside-ravelin.toml", &file(&folder, "beside/ravelin.toml"));
    let config = Config::parse(&file(&folder, "beside/ravelin.toml"), "ravelin.toml");
    let config = config.expect("a file of ours");
    let ports: Vec<u16> = config.listeners.iter().map(|one| one.address.port()).collect();
    assert_eq!(ports, [7080, 9181, 7443, 9182]);
    let patch = |folder: &TempDir, name: &str| file(folder, &format!("{name}patch-daemonset.yaml"));
    assert_eq!(patch(&folder, "beside/"), patch(&folder, ""));
    assert!(file(&folder, "beside/kustomization.yaml").contains("\n  - ../../../base\n"));
    for cluster in ["b", "c"] {
        let (_, folder) = written(&[&format!("{HERE}/{cluster}")]);
        assert!(!folder.path().join("out/beside").exists(), "its ports are free: {cluster}");
    }
}

#[test]
fn where_cloudflare_cannot_be_led_the_commands_say_what_that_costs() {
    let values = "---\napiVersion: helm.cattle.io/v1\nkind: HelmChartConfig\nmetadata: {name: traefik, namespace: kube-system}\n\
                  spec:\n  valuesContent: |-\n    hostNetwork: true\n    ports: {web: {port: 8080, exposedPort: 8080}}\n";
    let (_input, path) =
        manifests("all.yaml", &format!("{values}{SERVICE}{}", ingress("a", "", "/")));
    let (_, folder) = written(&[path.to_str().expect("UTF-8")]);
    let commands = file(&folder, "COMMANDS.md");
    assert!(!commands.contains("Origin Rules"), "{commands}");
    assert!(commands.contains("between the last step and this one nobody serves"), "{commands}");
    assert!(!folder.path().join("out/beside").exists());
    // ravelin cannot be there before Traefik has left.
    let [stop, give] =
        ["Stop Traefik", "Give ravelin"].map(|title| commands.find(title).expect("a step"));
    assert!(stop < give && !commands.contains("Install ravelin beside"), "{commands}");
}

#[test]
fn a_service_that_no_chart_takes_away_is_to_be_deleted_before_cloudflare_is_led_back() {
    let workload = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: edge, namespace: t}\nspec: {template: {spec: {containers: \
                    [{image: 'traefik:v3.7', args: ['--entrypoints.web.address=:80', '--entrypoints.websecure.address=:443']}]}}}\n";
    let (_input, path) =
        manifests("all.yaml", &format!("{workload}{SERVICE}{}", ingress("a", "", "/")));
    let (_, folder) = written(&[path.to_str().expect("UTF-8")]);
    let commands = file(&folder, "COMMANDS.md");
    let at = |text: &str| commands.find(text).unwrap_or_else(|| panic!("{text}: {commands}"));
    assert!(at("scale deployment edge --replicas 0") < at("svclb-"), "{commands}");
    assert!(at("svclb-") < at("delete the Origin Rules: "), "{commands}");
    assert!(commands.contains("or as many as there were. Apply its saved Service."), "{commands}");
}

#[test]
fn files_that_are_there_are_not_written_over() {
    let (_, folder) = written(&[&format!("{HERE}/b")]);
    let directory = folder.path().join("out");
    let again =
        ravelin(&["migrate", &format!("{HERE}/b"), "--write", directory.to_str().expect("UTF-8")]);
    assert_eq!(again.code, 64);
    assert!(
        again.err.contains("ravelin.toml is there already; name another directory"),
        "{}",
        again.err
    );
}

#[test]
fn exit_codes_tell_the_same_from_different_and_from_lost() {
    // Routes by HTTP alone, so that no certificate is missed.
    let values = "---\napiVersion: helm.cattle.io/v1\nkind: HelmChart\nmetadata: {name: traefik}\nspec: {valuesContent: \
                  'ports: {websecure: {tls: {enabled: false}}}'}\n";
    let plugin = "---\napiVersion: traefik.io/v1alpha1\nkind: Middleware\nmetadata: {name: m, namespace: shop}\nspec: {plugin: {geo: {}}}\n";
    let named = "traefik.ingress.kubernetes.io/router.middlewares: shop-m@kubernetescrd";
    for (objects, totals, code) in [
        (ingress("a", "", "/"), [0, 0, 1], 0),
        (ingress("a", "", "/api"), [0, 1, 0], 1),
        (ingress("a", named, "/") + plugin, [1, 0, 0], 2),
    ] {
        let (report, ended) = report_of(&format!("{values}{SERVICE}{objects}"));
        let count = |key: &str| report["totals"][key].as_u64().expect("a number");
        assert_eq!([count("not_served"), count("differs"), count("same")], totals, "{report:#}");
        assert_eq!(ended, code);
    }
}

#[test]
fn what_neither_serves_is_not_counted_as_lost() {
    let missing = "traefik.ingress.kubernetes.io/router.middlewares: shop-gone@kubernetescrd";
    let (report, code) = report_of(&format!("{SERVICE}{}", ingress("a", missing, "/")));
    assert_eq!((report["routes"][0]["verdict"].as_str(), code), (Some("neither"), 1));
    assert_eq!(report["routes"][0]["answer"], "503 middleware_unusable");
    let old = "apiVersion: traefik.containo.us/v1alpha1\nkind: IngressRoute\nmetadata: {name: o}\nspec: {routes: [{match: \
               Host(`o.example`), kind: Rule}]}\n";
    let (report, _) = report_of(old);
    assert_eq!(report["routes"][0]["verdict"], "neither");
}

#[test]
fn a_secret_that_a_repository_does_not_have_is_awaited() {
    let auth = "---\napiVersion: traefik.io/v1alpha1\nkind: Middleware\nmetadata: {name: m, namespace: shop}\nspec: {basicAuth: {secret: u}}\n";
    let named = "traefik.ingress.kubernetes.io/router.middlewares: shop-m@kubernetescrd";
    let (report, _) = report_of(&format!("{SERVICE}{auth}{}", ingress("a", named, "/")));
    assert_eq!(report["routes"][0]["verdict"], "same", "{report:#}");
    let reason = report["routes"][0]["causes"][0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("with it, the route is served"), "{reason}");
}

#[test]
fn every_route_of_an_ingress_route_is_judged() {
    let (report, code) = report(&["tests/cli/cases/ir.yaml"]);
    let routes = report["routes"].as_array().expect("a list");
    assert_eq!(routes.len(), 1, "{report:#}");
    assert_eq!(routes[0]["object"], "IngressRoute b/a");
    assert_eq!(routes[0]["field"], "spec.routes[0]");
    assert_ne!(code, 0, "its Service is missing");
}

#[test]
fn markdown_escapes_what_manifests_say() {
    let text = ingress("a", "", "/a_*b");
    let (_folder, file) = manifests("all.yaml", &format!("{SERVICE}{text}"));
    let ran = ravelin(&["migrate", "--output", "markdown", file.to_str().expect("UTF-8")]);
    assert!(ran.out.contains("a.example/a\\_\\*b"), "{}", ran.out);
}

#[test]
fn a_wrong_command_line_is_64() {
    for (line, expected) in [
        (&["migrate"][..], "no manifests: name files or directories, or --kubeconfig FILE"),
        (&["migrate", "--kubeconfig", "k", "config/demo"], "name manifests or a cluster"),
        (&["migrate", "/nonexistent/x"], "No such file or directory"),
        (&["migrate", "--output", "xml", "config/demo"], "xml"),
    ] {
        let ran = ravelin(line);
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{line:?}");
        assert!(ran.err.contains(expected), "{line:?}: {}", ran.err);
    }
    let ran = ravelin(&["migrate", "--kubeconfig", "/nonexistent/kubeconfig"]);
    assert_eq!((ran.code, ran.out.as_str()), (69, ""), "{}", ran.err);
}

#[test]
fn of_many_routes_with_the_same_verdict_one_is_written_out() {
    let named = "traefik.ingress.kubernetes.io/router.tls.certresolver: le";
    let all: String = (0..9).map(|at| ingress(&format!("a{at}"), named, "/")).collect();
    let (_folder, file) = manifests("all.yaml", &format!("{SERVICE}{all}"));
    let ran = ravelin(&["migrate", file.to_str().expect("UTF-8")]);
    let head = "Ingress shop/a0: spec.rules[0].http.paths[0]: a0.example/ and 8 more routes\n";
    assert!(ran.out.contains(head), "{}", ran.out);
    let (report, _) = report(&[file.to_str().expect("UTF-8")]);
    assert_eq!(report["routes"].as_array().map(Vec::len), Some(9));
}

#[test]
fn what_else_hangs_on_traefik_is_told_with_what_to_do() {
    let text = "\
apiVersion: traefik.containo.us/v1alpha1
kind: Middleware
metadata: {name: old}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: new}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: dns}
spec: {template: {spec: {containers: [{image: 'registry.k8s.io/external-dns/external-dns:v0.19', args: [--source=traefik-proxy]}]}}}
---
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {name: lan}
spec: {ipAllowList: {sourceRange: [10.42.0.0/16]}}
---
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {name: edge}
spec: {ipAllowList: {sourceRange: [10.42.0.0/16, 104.16.0.0/13]}}
---
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {name: visitors}
spec: {ipAllowList: {sourceRange: [10.42.0.0/16], ipStrategy: {depth: 1}}}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: other}
spec: {acme: {solvers: [{http01: {ingress: {class: nginx}}}, {http01: {ingress: {name: own}}}, {http01: {ingress: {}}}]}}
";
    let (report, code) = report_of(text);
    let matters = report["matters"].as_array().expect("a list").iter();
    let named = matters.map(|it| {
        assert_ne!((&it["reason"], &it["fix"]), (&Value::from(""), &Value::from("")), "{it}");
        let text = |key: &str| it[key].as_str().expect("a text").to_owned();
        format!("{} {} {}", text("topic"), text("object"), text("field"))
    });
    let named: Vec<String> = named.collect();
    assert_eq!(
        named,
        [
            "kinds HTTPRoute default/new ",
            "kinds Middleware default/old ",
            "issuers Issuer default/other spec.acme.solvers[2].http01.ingress",
            "address_lists Middleware default/lan spec.ipAllowList.sourceRange",
            "external_dns Deployment default/dns args",
        ]
    );
    assert_eq!(code, 1);
}

#[test]
fn a_balancer_of_hetzners_cloud_is_kept_by_its_name() {
    let (_, folder) = written(&[&format!("{HERE}/c")]);
    let service = file(&folder, "balancer-service.yaml");
    for expected in [
        "\"load-balancer.hetzner.cloud/name\": \"foundry\"",
        "\"load-balancer.hetzner.cloud/uses-proxyprotocol\": \"true\"",
        "\"app.kubernetes.io/name\": \"ravelin\"",
        "\"externalTrafficPolicy\": \"Local\"",
        "\"port\": 443",
    ] {
        assert!(service.contains(expected), "{expected}\n{service}");
    }
    assert!(!service.contains("9181") && !service.contains("CHANGE THIS"), "{service}");
    assert!(!file(&folder, "kustomization.yaml").contains("balancer"));
    assert!(file(&folder, "COMMANDS.md").contains("\nkubectl apply -f balancer-service.yaml\n"));
    // Without a name of its own it has the one that Kubernetes makes of the Service's uid.
    let service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: traefik\n  namespace: traefik\n  uid: \
                   6f1c2f5e-93a1-4a4c-9a64-0f3a2d1b7c55\n  annotations: {load-balancer.hetzner.cloud/location: nbg1}\nspec: {type: \
                   LoadBalancer, selector: {app.kubernetes.io/name: traefik}}\n";
    let (_input, path) = manifests("all.yaml", service);
    let (_, folder) = written(&[path.to_str().expect("UTF-8")]);
    let service = file(&folder, "balancer-service.yaml");
    assert!(service.contains("\"a6f1c2f5e93a14a4c9a640f3a2d1b7c5\""), "{service}");
    // Of another cloud nothing is known.
    let (_, folder) = written(&[&format!("{HERE}/b")]);
    assert!(!folder.path().join("out/balancer-service.yaml").exists());
}
