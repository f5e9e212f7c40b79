//! Repositories made at random, and all small inputs that went wrong once: `migrate` reads them without an error of its
//! own, counts what is there, and proposes a configuration that is one.

use super::report;
use ravelin::config::Config;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use tempfile::TempDir;

const REPOSITORIES: u64 = 20;
const OBJECTS: usize = 50;

/// Numbers that look random, and are the same in every run (Knuth's LCG for 64 bits).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    fn name(&mut self, begin: &str) -> String {
        format!("{begin}{}", self.below(8))
    }
}

fn ingress(dice: &mut Dice) -> Value {
    let keys = [
        "router.middlewares",
        "router.entrypoints",
        "router.tls",
        "router.priority",
        "router.pathmatcher",
        "router.tls.certresolver",
        "router.tls.options",
        "router.unknown",
    ];
    let values = [
        "n-m1@kubernetescrd",
        "n-m2@kubernetescrd, n-m3@kubernetescrd",
        "web,websecure",
        "websecure",
        "true",
        "7",
        "",
        "{{ .Values.x }}",
        "m@file",
    ];
    let mut annotations = serde_json::Map::new();
    for _ in 0..dice.below(4) {
        let key = format!("traefik.ingress.kubernetes.io/{}", dice.of(&keys));
        annotations.insert(key, json!(dice.of(&values)));
    }
    if dice.below(6) == 0 {
        annotations.insert("nginx.ingress.kubernetes.io/auth-url".to_owned(), json!("http://a"));
    }
    let path = json!({"path": dice.of(&["/", "/api", "/a/", "/${X}", "*", "/%2f", ""]),
        "pathType": dice.of(&["Prefix", "Exact", "ImplementationSpecific", "Wrong"]),
        "backend": {"service": {"name": dice.name("s"), "port": {"number": dice.below(3) * 40}}}});
    let host = dice.of(&["a.example", "*.example", "b.example", "", "UPPER", "${HOST}"]);
    let mut spec = json!({"rules": [{"host": host, "http": {"paths": [path.clone(), path]}}]});
    if dice.below(3) > 0 {
        spec["ingressClassName"] = json!(dice.of(&["traefik", "nginx"]));
    }
    if dice.below(3) == 0 {
        spec["tls"] = json!([{"hosts": [host], "secretName": dice.name("t")}]);
    }
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": spec,
        "metadata": {"name": dice.name("i"), "namespace": "n", "annotations": annotations}})
}

fn middleware(dice: &mut Dice) -> Value {
    let specs = [
        json!({"headers": {"stsSeconds": 1, "allowedHosts": ["*"]}}),
        json!({"chain": {"middlewares": [{"name": dice.name("m")}, {"name": dice.name("m")}]}}),
        json!({"ipAllowList": {"sourceRange": ["10.0.0.0/8", "wrong"]}}),
        json!({"basicAuth": {"secret": dice.name("u")}}),
        json!({"rateLimit": {"average": "many"}}),
        json!({"stripPrefix": {"prefixes": ["/a"]}, "addPrefix": {"prefix": "/b"}}),
        json!({"plugin": {"x": null}}),
        json!({"errors": {"status": ["500"], "service": {"name": dice.name("s"), "port": 80}}}),
        json!({"redirectRegex": {"regex": "(", "replacement": "${1}"}}),
        json!({"unknown": 1}),
        json!({}),
        Value::Null,
        json!("text"),
        json!({"compress": {}}),
        json!({"forwardAuth": {"address": "http://a.n.svc"}}),
    ];
    json!({"apiVersion": "traefik.io/v1alpha1", "kind": "Middleware", "spec": dice.of(&specs),
        "metadata": {"name": dice.name("m"), "namespace": "n"}})
}

fn values(dice: &mut Dice) -> Value {
    let texts = [
        "ports: {web: {redirectTo: websecure, exposedPort: 80}}",
        "ports: {web: {exposedPort: [1]}, x: {port: -1}, '': {a: 1}}",
        "ports: [1, 2]",
        "{{- range .Values.x }}",
        "additionalArguments:\n- --entrypoints.web.forwardedheaders.trustedips=0.0.0.0/0,10.1.1.1/8\n- 7",
        "a: &a [*b]",
        "service: {loadBalancerSourceRanges: [192.0.2.0/24, x]}\nhostNetwork: true",
        "",
        "text",
        "logs: {access: {enabled: true}}\nlogs: null",
        "tolerations: {a: 1}\nnodeSelector: {a: {b: 1}}",
    ];
    json!({"apiVersion": "helm.cattle.io/v1", "kind": dice.of(&["HelmChart", "HelmChartConfig"]),
        "metadata": {"name": "traefik", "namespace": "kube-system"},
        "spec": {"valuesContent": dice.of(&texts)}})
}

fn route(dice: &mut Dice) -> Value {
    let routes = [
        json!([{"match": "Host(`a.example`) && PathPrefix(`/x`)", "kind": "Rule",
            "services": [{"name": "s1", "port": 80}], "middlewares": [{"name": "m1"}]}]),
        json!([{"match": 7}, "text", null]),
        json!({}),
        json!([{"match": "HostSNI(`*`)", "services": [{"name": "s1", "port": "ssh"}]}]),
    ];
    json!({"apiVersion": dice.of(&["traefik.io/v1alpha1", "traefik.containo.us/v1alpha1"]),
        "kind": dice.of(&["IngressRoute", "IngressRouteTCP", "IngressRouteUDP"]),
        "metadata": {"name": dice.name("r"), "namespace": "n"},
        "spec": {"entryPoints": ["web"], "routes": dice.of(&routes)}})
}

fn other(dice: &mut Dice) -> Value {
    let all = [
        json!({"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer", "metadata": {"name": "le"},
            "spec": {"acme": {"solvers": [{"http01": {"ingress": {"class": "traefik"}}}, 7, {}]}}}),
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "p"},
            "spec": {"ingress": [{"from": [{"podSelector": {"matchLabels": {"a": "traefik"}}}, 1]}, {}]}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "traefik"},
            "spec": {"type": "LoadBalancer", "selector": {"app": "traefik"}, "ports": [{"port": 80}]}}),
        json!({"apiVersion": "traefik.io/v1alpha1", "kind": "TLSStore", "metadata": {"name": "default"}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "t"},
            "spec": {"template": {"spec": {"containers": [{"image": "traefik:v3", "args": ["--a.b", 7]}]}}}}),
        json!({"kind": "List"}),
        json!({"apiVersion": 7, "kind": ["x"]}),
        json!([1, 2]),
        json!({"ports": {"web": {"redirectTo": "websecure"}}}),
    ];
    dice.of(&all).clone()
}

/// A repository: a directory of files with some objects each.
fn repository(seed: u64) -> TempDir {
    let folder = TempDir::new().expect("a temporary directory");
    let dice = &mut Dice(seed);
    let mut text = String::new();
    for at in 0..OBJECTS {
        let object = match dice.below(10) {
            0..=3 => ingress(dice),
            4 | 5 => middleware(dice),
            6 => values(dice),
            7 => route(dice),
            8 => other(dice),
            _ => json!({"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 80}]},
                "metadata": {"name": dice.name("s"), "namespace": "n"}}),
        };
        let _ = writeln!(text, "---\n{object}");
        if dice.below(20) == 0 {
            let broken = ["---\na: [\n", "---\n{{ if }}\n", "\u{feff}\n", "---\n\t- x\n"];
            text.push_str(broken[dice.below(broken.len())]);
        }
        if at % 10 == 9 {
            let name = dice.of(&["all", "traefik-values", "kustomization"]);
            let file = folder.path().join(format!("{name}{at}.yaml"));
            fs::write(file, std::mem::take(&mut text)).expect("a file of ours");
        }
    }
    folder
}

fn is_whole(what: &str, report: &Value, code: i32) {
    assert!((0..=2).contains(&code), "{what}: {code}");
    let routes = report["routes"].as_array().expect("a list");
    let count = |key: &str| report["totals"][key].as_u64().expect("a number");
    let parts = ["not_served", "neither", "differs", "same"].map(count).iter().sum::<u64>();
    assert_eq!((count("routes"), parts), (routes.len() as u64, routes.len() as u64), "{what}");
    for route in routes {
        assert!(!route["object"].as_str().expect("a text").is_empty(), "{what}: {route}");
        assert!(!route["rule"].as_str().expect("a text").is_empty(), "{what}: {route}");
        let is_lost = route["verdict"] == "not_served" || route["verdict"] == "neither";
        let causes = route["causes"].as_array().expect("a list");
        assert!(!is_lost || !causes.is_empty(), "{what}: nothing is said of {route}");
    }
    let text = report["configuration"]["text"].as_str().expect("a text");
    assert!(Config::parse(text, "ravelin.toml").is_ok(), "{what}: {text}");
}

#[test]
fn repositories_made_at_random_are_read_to_the_end() {
    let mut verdicts = std::collections::BTreeSet::new();
    for seed in 1..=REPOSITORIES {
        let folder = repository(seed);
        let (report, code) = report(&[folder.path().to_str().expect("UTF-8")]);
        is_whole(&format!("repository {seed}"), &report, code);
        for route in report["routes"].as_array().expect("a list") {
            verdicts.insert(route["verdict"].as_str().expect("a text").to_owned());
        }
    }
    assert_eq!(verdicts.len(), 4, "{verdicts:?}: the generator has become tame");
}

#[test]
fn small_inputs_that_went_wrong_once_are_read_to_the_end() {
    let mut seen = 0;
    for entry in fs::read_dir("tests/cli/cases").expect("the directory is there") {
        let path = entry.expect("a readable entry").path();
        let path = path.to_str().expect("UTF-8");
        let (report, code) = report(&[path]);
        is_whole(path, &report, code);
        seen += 1;
    }
    assert!(seen > 10, "{seen}");
    let (report, code) = report(&["tests/cli/cases"]);
    is_whole("all of them", &report, code);
}
