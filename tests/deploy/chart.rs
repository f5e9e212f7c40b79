//! `deploy/chart`: what helm makes of it, for the default values and those of `ci/`.

use crate::deploy;
use crate::go_program::go_program;
use crate::objects::{all, files, one, parse};
use ravelin::config::Config;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Runs helm on the chart, with files of values and more arguments. `None`: helm is not built, which is said.
fn helm(verb: &[&str], arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new(go_program("tests/deploy/helm")?);
    command.args(verb).arg(deploy("chart")).args(["--namespace", "ravelin"]).args(arguments);
    Some(command.output().expect("it runs"))
}

/// The objects for these arguments. `None`: as above.
fn rendered(arguments: &[&str]) -> Option<Vec<Value>> {
    let output = helm(&["template", "ravelin"], arguments)?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{arguments:?}: {said}");
    let objects = parse(&String::from_utf8(output.stdout).expect("UTF-8")).into_iter();
    // Templates that render nothing leave empty documents.
    Some(objects.filter(|object| !object.is_null()).collect())
}

/// The sets of values in `ci/`, by their names.
fn sets() -> Vec<(String, String)> {
    let files = files("chart/ci", "yaml").into_iter();
    let name = |file: &Path| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    files.map(|file| (name(&file), file.display().to_string())).collect()
}

/// Objects by kind and name, without labels of objects, and with the hash of the configuration taken away.
fn comparable(objects: &[Value]) -> BTreeMap<String, Value> {
    let map = one(objects, "ConfigMap")["metadata"]["name"].as_str().expect("a name").to_owned();
    let each = objects.iter().map(|object| {
        let mut object = object.clone();
        object["metadata"].as_object_mut().expect("metadata").remove("labels");
        let text = object.to_string().replace(&map, "ravelin-HASH");
        let object: Value = serde_json::from_str(&text).expect("JSON");
        (format!("{} {}", object["kind"], object["metadata"]["name"]), object)
    });
    each.collect()
}

fn refused(arguments: &[&str]) -> Option<String> {
    let output = helm(&["template", "ravelin"], arguments)?;
    assert!(!output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    Some(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn with_default_values_it_gives_the_objects_of_the_base_and_of_the_one_file() {
    // Helm makes the namespace itself when it installs: as an object it is on request.
    let Some(chart) = rendered(&["--set", "createNamespace=true"]) else { return };
    let chart = comparable(&chart);
    let all = all();
    for name in ["base", "k3s/ravelin.yaml"] {
        let Some((_, objects)) = all.iter().find(|(other, _)| *other == name) else { continue };
        assert_eq!(chart, comparable(objects), "{name}");
    }
    let Some(mut installed) = rendered(&[]) else { return };
    let Some(namespaced) = rendered(&["--set", "createNamespace=true"]) else { return };
    installed.push(one(&namespaced, "Namespace").clone());
    assert_eq!(comparable(&installed), chart);
}

#[test]
fn labels_of_the_base_are_there_beside_those_of_helm() {
    let Some(chart) = rendered(&["--set", "createNamespace=true"]) else { return };
    for object in &chart {
        let labels = &object["metadata"]["labels"];
        assert_eq!(labels["app.kubernetes.io/part-of"], "ravelin", "{object}");
        assert_eq!(labels["app.kubernetes.io/managed-by"], "Helm", "{object}");
    }
    let labels = &one(&chart, "Namespace")["metadata"]["labels"];
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "privileged");
}

#[test]
fn helm_finds_nothing_to_say_about_any_set_of_values() {
    let sets = sets();
    assert_eq!(sets.len(), 12, "{sets:?}");
    for (name, file) in sets {
        let Some(output) = helm(&["lint", "--strict", "--quiet"], &["--values", &file]) else {
            return;
        };
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {said}");
        // The configuration in it is one that this version accepts.
        let Some(objects) = rendered(&["--values", &file]) else { return };
        let text = configuration(&objects)["data"]["ravelin.toml"].as_str().expect("text");
        let offline = text
            .replace("kind = \"kubernetes\"", "kind = \"directory\"\ndirectory = \"x\"")
            .replace("\ncluster = true\n", "\n")
            .replace("\nnamespaces = [\"shop\",\"blog\"]\n", "\n");
        assert_ne!(offline, text, "{name}");
        Config::parse(&offline, &name).unwrap_or_else(|errors| panic!("{name}: {errors:#?}"));
    }
}

/// The one ConfigMap that is no dashboard.
fn configuration(objects: &[Value]) -> &Value {
    let has = |object: &&Value| !object["data"]["ravelin.toml"].is_null();
    objects.iter().find(has).expect("a configuration")
}

fn container(objects: &[Value]) -> &Value {
    &one(objects, "DaemonSet")["spec"]["template"]["spec"]["containers"][0]
}

/// The sets about the image, and about the class.
fn names_image_and_class(set: &str, objects: &[Value]) {
    let image = container(objects)["image"].as_str().expect("text");
    match set {
        "01" => {
            assert_eq!(image, "registry.example:5000/edge/ravelin:1.2.3");
            assert_eq!(container(objects)["imagePullPolicy"], "Always");
            let spec = &one(objects, "DaemonSet")["spec"]["template"]["spec"];
            assert_eq!(spec["imagePullSecrets"], json!([{"name": "registry"}]));
        }
        "02" => assert!(image.starts_with("ghcr.io/owner/ravelin@sha256:"), "{image}"),
        _ => {
            let class = one(objects, "IngressClass");
            assert_eq!(class["metadata"]["name"], "edge");
            let default = "ingressclass.kubernetes.io/is-default-class";
            assert_eq!(class["metadata"]["annotations"][default], "true");
            let text = configuration(objects)["data"]["ravelin.toml"].as_str().expect("text");
            assert!(text.contains("\ningress_class = \"edge\"\n"), "{text}");
        }
    }
}

/// The set about rules and dashboards.
fn is_monitored(objects: &[Value]) {
    let rule = one(objects, "VMRule");
    assert_eq!(rule["apiVersion"], "operator.victoriametrics.com/v1beta1");
    assert_eq!(rule["metadata"]["labels"]["team"], "edge");
    let down = &rule["spec"]["groups"][0]["rules"][0];
    assert_eq!(down["expr"], "up{job=~\"ravelin|ravelin/ravelin\"} == 0");
    let link = "https://wiki.example/ravelin#ravelintargetdown";
    assert_eq!(down["annotations"]["runbook_url"], link);
    let dashboards = dashboards(objects);
    assert_eq!(dashboards.len(), 4);
    for map in dashboards {
        let metadata = &map["metadata"];
        assert_eq!(metadata["namespace"], "grafana");
        assert_eq!(metadata["labels"]["grafana_dashboard"], "edge");
        assert_eq!(metadata["annotations"], json!({"grafana_folder": "edge"}));
        let text = map["data"].to_string();
        assert!(text.contains("https://wiki.example/ravelin#") && !text.contains("OWNER"));
    }
}

fn dashboards(objects: &[Value]) -> Vec<&Value> {
    let maps = objects.iter().filter(|object| object["kind"] == "ConfigMap");
    let label = |map: &&Value| !map["metadata"]["labels"]["grafana_dashboard"].is_null();
    maps.filter(label).collect()
}

#[test]
fn rules_and_dashboards_are_those_of_the_components() {
    let set = ["monitoring.rules.enabled=true", "monitoring.dashboards.enabled=true"];
    let Some(chart) = rendered(&["--set", set[0], "--set", set[1]]) else { return };
    let components = ["rules", "vmrule", "dashboards"].map(|name| {
        let objects = crate::objects::rendered(&deploy("components").join(name));
        objects.map(|objects| (name, objects))
    });
    for (name, component) in components.into_iter().flatten() {
        if name == "dashboards" {
            let [chart, component] = [&chart, &component].map(|all| dashboards(all));
            let data = |maps: &[&Value]| {
                let named =
                    |map: &&Value| (map["metadata"]["name"].to_string(), map["data"].clone());
                maps.iter().map(named).collect::<BTreeMap<_, _>>()
            };
            assert_eq!(component.len(), 4);
            assert_eq!(data(&chart), data(&component));
            continue;
        }
        // But for the jobs, which the chart knows.
        let jobs = "ravelin|ravelin/.+|.+/ravelin";
        let kind = if name == "rules" { "PrometheusRule" } else { "VMRule" };
        let spec = one(&component, kind)["spec"].to_string();
        assert!(spec.contains(jobs), "{name}");
        let expected = one(&chart, "PrometheusRule")["spec"].to_string();
        assert_eq!(spec.replace(jobs, "ravelin|ravelin/ravelin"), expected, "{name}");
    }
}

#[test]
fn each_set_of_values_changes_what_it_names() {
    for (name, file) in sets() {
        let Some(objects) = rendered(&["--values", &file]) else { return };
        let pod = &one(&objects, "DaemonSet")["spec"]["template"];
        let spec = &pod["spec"];
        match &name[..2] {
            "01" | "02" | "03" => names_image_and_class(&name[..2], &objects),
            "04" | "05" => {
                let overlay = if name.starts_with("04") { "balancer" } else { "servicelb" };
                let path = deploy("overlays").join(overlay).join("ravelin.toml");
                let text = fs::read_to_string(path).expect("a readable file");
                assert_eq!(configuration(&objects)["data"]["ravelin.toml"], text, "{name}");
            }
            "06" => {
                assert_eq!(spec["nodeSelector"], json!({"ravelin.dev/edge": "true"}));
                let tolerations = spec["tolerations"].as_array().expect("a list");
                assert!(
                    tolerations.len() == 4 && tolerations[3]["key"] == "edge",
                    "{tolerations:?}"
                );
            }
            "07" => {
                assert_eq!(spec["volumes"][3]["secret"]["secretName"], "ravelin-tickets");
                let mount = &container(&objects)["volumeMounts"][3];
                assert_eq!(mount["mountPath"], "/etc/ravelin-tickets");
            }
            "08" => {
                let added = &container(&objects)["securityContext"]["capabilities"]["add"];
                assert_eq!(added, &json!(["NET_BIND_SERVICE", "NET_ADMIN"]));
                assert!(objects.iter().all(|object| object["kind"] != "IngressClass"));
            }
            "09" => {
                let labels = &one(&objects, "PodMonitor")["metadata"]["labels"];
                assert_eq!(labels["release"], "prometheus");
                let roles = objects.iter().filter(|object| object["kind"] == "Role");
                assert_eq!(roles.count(), 2);
            }
            "10" => {
                assert_eq!(one(&objects, "Namespace")["metadata"]["name"], "ravelin");
                assert_eq!(pod["metadata"]["annotations"], json!({"example.com/owner": "edge"}));
                let labels = json!({"app.kubernetes.io/name": "ravelin", "team": "edge"});
                assert_eq!(pod["metadata"]["labels"], labels);
            }
            "11" => is_monitored(&objects),
            "12" => is_narrow(&objects),
            _ => panic!("nobody expects {name}"),
        }
    }
}

/// Rights and routes of two namespaces.
fn is_narrow(objects: &[Value]) {
    let of = |kind: &str| -> Vec<&Value> {
        objects.iter().filter(|object| object["kind"] == kind).collect()
    };
    let roles = of("ClusterRole").into_iter().map(|role| {
        let name = role["metadata"]["name"].as_str().expect("a name");
        (name, role["rules"].to_string().contains("\"secrets\""))
    });
    let roles: BTreeMap<&str, bool> = roles.collect();
    assert_eq!(roles, BTreeMap::from([("ravelin", false), ("ravelin-namespace", true)]));
    let wide_bindings = of("ClusterRoleBinding");
    assert_eq!(wide_bindings.len(), 1, "{wide_bindings:#?}");
    assert_eq!(wide_bindings[0]["roleRef"]["name"], "ravelin");
    let subject = json!([{"kind": "ServiceAccount", "name": "ravelin", "namespace": "ravelin"}]);
    let mut bound: Vec<_> = of("RoleBinding")
        .into_iter()
        .map(|binding| {
            assert_eq!(binding["subjects"], subject, "{binding}");
            let text = |field: &Value| field.as_str().expect("text").to_owned();
            (text(&binding["metadata"]["namespace"]), text(&binding["roleRef"]["name"]))
        })
        .collect();
    let expected = [
        ("blog", "ravelin-namespace"),
        ("default", "ravelin-events"),
        ("ravelin", "ravelin"),
        ("shop", "ravelin-namespace"),
    ];
    bound.sort();
    assert_eq!(bound, expected.map(|(namespace, role)| (namespace.to_owned(), role.to_owned())));
    let text = configuration(objects)["data"]["ravelin.toml"].as_str().expect("text");
    assert!(text.contains("namespaces = [\"shop\",\"blog\"]"), "{text}");
}

#[test]
fn mistakes_in_values_are_refused_and_named() {
    let config = |text: &str| format!("config={}", text.replace(',', "\\,"));
    let socket = "[admin]\nsocket = \"/run/ravelin/admin.sock\"\n";
    let cases = [
        ("imag.tag=1".to_owned(), "additional properties 'imag' not allowed"),
        ("image.digest=sha256:1".to_owned(), "/image/digest"),
        ("monitoring.rules.kind=Rule".to_owned(), "/monitoring/rules/kind"),
        ("monitoring.runbook=wiki".to_owned(), "/monitoring/runbook"),
        ("capabilities={SYS_ADMIN}".to_owned(), "/capabilities/0"),
        (config("x"), "config is not valid TOML"),
        (config(socket), "source.kind has to be \"kubernetes\""),
        (
            config("[source]\nkind = \"kubernetes\""),
            "admin.socket has to be \"/run/ravelin/admin.sock\"",
        ),
        (
            config(&format!("[source]\nkind = \"kubernetes\"\ningress_class = \"edge\"\n{socket}")),
            "ingressClass.name is \"ravelin\": set source.ingress_class in config",
        ),
        ("namespaces={Shop}".to_owned(), "/namespaces/0"),
        (
            format!(
                "namespaces={{shop}},{}",
                config(&format!("[source]\nkind = \"kubernetes\"\n{socket}"))
            ),
            "config: source.namespaces has to be [\"shop\"]",
        ),
    ];
    for (value, expected) in cases {
        let Some(said) = refused(&["--set", &value]) else { return };
        assert!(said.contains(expected), "{value}: {said}");
    }
}

#[test]
fn the_chart_has_the_version_of_the_package() {
    let text = fs::read_to_string(deploy("chart/Chart.yaml")).expect("a readable file");
    let chart = parse(&text).remove(0);
    for key in ["version", "appVersion"] {
        assert_eq!(chart[key], env!("CARGO_PKG_VERSION"), "{key}");
    }
    assert_eq!(chart["kubeVersion"], ">=1.30.0-0", "deploy/README.md names the oldest version");
}

/// Every value with its default, as the table of the page has it.
fn leaves(prefix: &str, values: &Value, found: &mut Vec<(String, String)>) {
    for (key, value) in values.as_object().expect("values") {
        let name = format!("{prefix}{key}");
        match value {
            Value::Object(inner) if !inner.is_empty() => leaves(&format!("{name}."), value, found),
            Value::String(text) if !text.is_empty() => found.push((name, text.clone())),
            other => found.push((name, other.to_string())),
        }
    }
}

#[test]
fn the_page_has_every_value_with_its_default_and_no_others() {
    let read =
        |name: &str| fs::read_to_string(deploy("chart").join(name)).expect("a readable file");
    let mut values = Vec::new();
    leaves("", &parse(&read("values.yaml"))[0], &mut values);
    let page = read("README.md");
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let (name, default) = (cells.next()?.trim_end_matches('`'), cells.next()?);
        Some((name.to_owned(), default.trim_matches('`').to_owned()))
    });
    let mut rows: Vec<_> = rows.collect();
    assert!(rows.len() > 15, "{rows:?}");
    rows.sort();
    values.sort();
    assert_eq!(rows, values);
}
