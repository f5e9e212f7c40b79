//! The cases of `tests/traefik`, where a real Traefik has shown what differs: `migrate` tells each difference that a row
//! of `differences.toml` has of one case, of the routes of that case.

use super::{report, routes};
use ravelin::control::yaml;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use tempfile::TempDir;

const PREFIX: &str = "traefik.ingress.kubernetes.io/";

/// What `tests/traefik` tells Traefik (`traefik.rs`).
const VALUES: &str = "\
providers: {kubernetesCRD: {allowCrossNamespace: true}, kubernetesIngress: {allowEmptyServices: true}}
ports:
  redirecting: {exposedPort: 81, redirectTo: {port: websecure}}
  guarded: {exposedPort: 82, middlewares: [cases-guard@kubernetescrd]}
";

/// Rows whose difference is in the requests of the case, and not in its objects; or in a rule that cannot be read, whose
/// route is not among those that are served.
const OF_REQUESTS: [&str; 4] = ["te", "expect", "redirect-drops-ports", "rule-of-no-field"];

fn documents(text: &str) -> Vec<Value> {
    let mut all = Vec::new();
    yaml::read(text, |document| {
        all.push(document.value.expect("YAML"));
        ControlFlow::Continue(())
    });
    all
}

/// The name of a case, which may look like a number.
fn named(case: &Value) -> String {
    case["name"].as_str().map_or_else(|| case["name"].to_string(), str::to_owned)
}

/// The objects of a case, as `tests/traefik/manifests.rs` makes them.
fn objects(kind: &str, case: &Value) -> Vec<Value> {
    let list = |key: &str| case[key].as_array().cloned().unwrap_or_default();
    let name = format!("{kind}-{}", named(case));
    let host = format!("{name}.traefik.test");
    let mut objects = list("objects");
    let mut references = Vec::new();
    for (at, spec) in list("middlewares").iter().enumerate() {
        match spec.as_str() {
            Some(reference) => references.push(reference.to_owned()),
            None => {
                references.push(format!("cases-{name}-{at}@kubernetescrd"));
                objects.push(json!({"apiVersion": "traefik.io/v1alpha1", "kind": "Middleware",
                    "metadata": {"name": format!("{name}-{at}")}, "spec": spec}));
            }
        }
    }
    let mut annotations = case["annotations"].as_object().cloned().unwrap_or_default();
    if !references.is_empty() {
        annotations.insert(format!("{PREFIX}router.middlewares"), references.join(",").into());
    }
    let own = case["service"].as_object();
    let app = own.map_or("app", |_| name.as_str());
    objects.extend(own.map(|annotations| service("cases", &name, annotations)));
    let of_case = |key: &str| case.get(key).cloned().unwrap_or_default();
    let spec = json!({"entryPoints": of_case("entry-points"), "tls": of_case("tls")});
    objects.extend(routes::of(&list("routes"), spec, &name));
    if list("routes").is_empty() || !list("paths").is_empty() {
        objects.push(ingress(case, &name, &host, &annotations, app));
    }
    let text = json!(objects).to_string().replace("$NAME", &name).replace("$HOST", &host);
    let mut objects: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    for object in &mut objects {
        if object["metadata"]["namespace"].is_null() {
            object["metadata"]["namespace"] = "cases".into();
        }
    }
    objects
}

fn ingress(
    case: &Value,
    name: &str,
    host: &str,
    annotations: &Map<String, Value>,
    app: &str,
) -> Value {
    let list = |key: &str| case[key].as_array().cloned().unwrap_or_default();
    let hosts = list("hosts");
    let hosts = if hosts.is_empty() { vec![json!(host)] } else { hosts };
    let paths = list("paths");
    let paths = if paths.is_empty() { vec![json!("Prefix /")] } else { paths };
    let paths: Vec<Value> = paths
        .iter()
        .map(|path| routes::ingress_path(path.as_str().expect("a text"), app))
        .collect();
    let rules: Vec<Value> =
        hosts.iter().map(|host| json!({"host": host, "http": {"paths": paths}})).collect();
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"ingressClassName": "traefik", "rules": rules}})
}

fn service(namespace: &str, name: &str, annotations: &Map<String, Value>) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"name": "http", "port": 80}]},
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations}})
}

/// The ids that rows have of single cases, by `KIND/NAME`.
fn expected() -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string("src/cli/migrate/differences.toml").expect("it is there");
    let file: toml::Table = text.parse().expect("TOML");
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in file["difference"].as_array().expect("a list") {
        let id = row["id"].as_str().expect("an id").to_owned();
        if row.get("everywhere").is_some() || OF_REQUESTS.contains(&id.as_str()) {
            continue;
        }
        for case in row["cases"].as_array().expect("a list") {
            let case = case.as_str().expect("a text");
            if !case.contains('*') {
                expected.entry(case.to_owned()).or_default().push(id.clone());
            }
        }
    }
    expected
}

/// The manifests of all cases, and what they refer to.
fn manifests(cases: &mut Vec<String>) -> TempDir {
    let folder = TempDir::new().expect("a temporary directory");
    let mut all: Vec<Value> = Vec::new();
    for namespace in ["cases", "elsewhere"] {
        for name in ["app", "auth", "page", "dead", "empty"] {
            all.push(service(namespace, name, &Map::new()));
        }
    }
    all.push(json!({"apiVersion": "traefik.io/v1alpha1", "kind": "Middleware",
        "metadata": {"name": "guard", "namespace": "cases"}, "spec": {"addPrefix": {"prefix": "/guarded"}}}));
    for entry in fs::read_dir("tests/traefik/cases").expect("the directory is there") {
        let path = entry.expect("a readable entry").path();
        let kind = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("a readable file");
        for case in documents(&text).iter().filter_map(Value::as_array).flatten() {
            cases.push(format!("{kind}/{}", named(case)));
            all.extend(objects(&kind, case));
        }
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": all});
    fs::write(folder.path().join("all.json"), list.to_string()).expect("a file of ours");
    fs::write(folder.path().join("traefik-values.yaml"), VALUES).expect("a file of ours");
    folder
}

#[test]
fn what_a_real_traefik_does_otherwise_in_a_case_is_told_of_its_routes() {
    let mut cases = Vec::new();
    let folder = manifests(&mut cases);
    let (report, _) = report(&[folder.path().to_str().expect("UTF-8")]);
    let mut routes: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for route in report["routes"].as_array().expect("a list") {
        let object = route["object"].as_str().expect("a text");
        routes.entry(object.to_owned()).or_default().push(route);
    }
    let mut missed = Vec::new();
    for (case, ids) in expected() {
        // Those of IngressRoutes have no Ingress.
        let is_of_route = ["route-", "rule-", "order/"].iter().any(|kind| case.starts_with(kind));
        if is_of_route || !cases.contains(&case) {
            continue;
        }
        let name = case.replace('/', "-");
        let own = ["Ingress", "IngressRoute"].map(|kind| format!("{kind} cases/{name}"));
        let own = own.iter().filter_map(|object| routes.get(object)).flatten();
        let own: Vec<&Value> = own.copied().collect();
        for id in ids {
            let has = |route: &&Value| {
                route["differences"].as_array().is_some_and(|all| all.contains(&json!(id)))
                    // Neither serves it: what else differs is nobody's business.
                    || route["verdict"] == "neither"
            };
            if !own.iter().any(has) {
                let found: Vec<_> =
                    own.iter().map(|it| (&it["verdict"], &it["differences"])).collect();
                missed.push(format!("{case}: {id}: {found:?}"));
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
