//! Where the values of Traefik's chart are written, and in which order they count.

use super::names::{self, Key};
use super::reasons::{Left, Weight};
use super::{Given, Told, flags, tcp_points};
use crate::cli::migrate::documents::{Document, Documents, Loose};
use crate::control::yaml;
use serde_json::{Map, Value};
use std::ops::ControlFlow;

/// API group of k3s' HelmChart and HelmChartConfig.
const K3S: &str = "helm.cattle.io";

/// Of two equal keys the one of the later source counts, as with Helm and k3s' helm-controller: values files, the
/// HelmChart, its HelmChartConfig, then `spec.set`. Arguments come last, as in the chart's template.
pub(super) fn read(documents: &Documents) -> Told {
    let mut reader = Reader::default();
    for loose in &documents.loose {
        reader.loose(loose);
    }
    for (kind, group) in [
        ("HelmRelease", "helm.toolkit.fluxcd.io"),
        ("Application", "argoproj.io"),
        ("HelmChart", K3S),
        ("HelmChartConfig", K3S),
    ] {
        let of_traefik = documents.of(kind, group).filter(|document| is_of_traefik(document));
        of_traefik.for_each(|document| reader.object(document));
    }
    for chart in documents.of("HelmChart", K3S).filter(|chart| is_of_traefik(chart)) {
        if let Some(set) = chart.value.pointer("/spec/set").and_then(Value::as_object) {
            reader.set(chart, set);
        }
    }
    // What the chart's values come to is in its workload as well.
    if !reader.told.is_chart {
        documents.all.iter().for_each(|document| reader.workload(document));
    }
    reader.several();
    let arguments = std::mem::take(&mut reader.arguments);
    for flag in arguments {
        reader.told.flags.insert(flag.name, flag.given);
    }
    reader.told.of_tcp = tcp_points::of(documents);
    reader.told
}

#[derive(Default)]
struct Reader {
    told: Told,
    arguments: Vec<flags::Flag>,
    /// Installations, by file and name.
    installations: Vec<String>,
}

/// Where a value is: the object, and how paths in it begin.
struct Place<'p> {
    object: &'p str,
    begin: &'p str,
}

impl Place<'_> {
    fn of(&self, path: &str) -> String {
        let Self { object, begin } = self;
        format!("{object}: {begin}{path}").trim_end_matches([':', ' ']).to_owned()
    }
}

/// The object and its file, as comments name it.
pub(super) fn named(document: &Document) -> String {
    match document.file.as_str() {
        "" => document.object(),
        file => format!("{} in {file}", document.object()),
    }
}

/// Whether an object installs Traefik, and not its CRDs alone.
fn is_of_traefik(document: &Document) -> bool {
    let charts =
        ["/spec/chart", "/spec/chart/spec/chart", "/spec/source/chart", "/spec/sources/0/chart"];
    let chart = charts.iter().find_map(|pointer| document.text(pointer));
    let chart = chart.map(|chart| chart.rsplit('/').next().unwrap_or(chart));
    match chart {
        // k3s has the archive of a version; other charts begin with the name as well.
        Some(chart) => {
            let version = chart.strip_prefix("traefik-").unwrap_or_default();
            chart == "traefik" || version.starts_with(|it: char| it.is_ascii_digit())
        }
        // A HelmChartConfig names the HelmChart that it is for by its own name.
        None => document.name == "traefik",
    }
}

impl Reader {
    fn object(&mut self, document: &Document) {
        let object = named(document);
        if document.kind != "HelmChartConfig" {
            self.installations.push(object.clone());
        }
        self.found(&object);
        for (pointer, begin) in [
            ("/spec/valuesContent", "spec.valuesContent: "),
            ("/spec/source/helm/values", "spec.source.helm.values: "),
        ] {
            if let Some(text) = document.text(pointer) {
                self.text(&object, begin, text);
            }
        }
        for (pointer, begin) in [
            ("/spec/values", "spec.values."),
            ("/spec/source/helm/valuesObject", "spec.source.helm.valuesObject."),
        ] {
            if let Some(values) = document.value.pointer(pointer).and_then(Value::as_object) {
                self.values(&Place { object: &object, begin }, "", values);
            }
        }
        for key in ["valuesFrom", "valuesSecrets", "postRenderers"] {
            if document.value.pointer(&format!("/spec/{key}")).is_some() {
                let reason = "takes values from elsewhere, which are not in the input";
                let fix = "write these values into a file and name it";
                self.unread(format!("{object}: spec.{key}"), reason, fix);
            }
        }
    }

    fn found(&mut self, source: &str) {
        self.told.is_chart = true;
        self.told.sources.push(source.to_owned());
    }

    fn unread(&mut self, from: String, reason: &str, fix: &str) {
        self.told.unread.push(Left::new(Weight::Differs, from, reason, fix));
    }

    /// YAML in YAML.
    fn text(&mut self, object: &str, begin: &str, text: &str) {
        let place = Place { object, begin };
        yaml::read(text, |yaml::Document { value, repeated }| {
            match value {
                Ok(Value::Object(values)) => self.values(&place, "", &values),
                Ok(Value::Null) => {}
                Ok(_) => self.unread(place.of(""), "is not a mapping", "write `key: value`"),
                Err(error) if text.contains("{{") => {
                    let reason = format!("is a template and not YAML at line {}", error.line);
                    self.unread(place.of(""), &reason, "render it first, then run migrate again");
                }
                Err(error) => {
                    let reason = format!("is not YAML at line {}: {}", error.line, error.reason);
                    self.unread(place.of(""), &reason, "correct it: Helm refuses it as well");
                }
            }
            for yaml::Repeated { line, key } in repeated {
                let reason = format!("repeats the key {key:?} at line {line}: the last one counts");
                self.unread(place.of(""), &reason, "remove one of the two");
            }
            ControlFlow::Continue(())
        });
    }

    fn set(&mut self, chart: &Document, set: &Map<String, Value>) {
        let object = named(chart);
        let place = Place { object: &object, begin: "spec.set." };
        for (path, value) in set {
            // Helm's own spelling of a list.
            let text = value.as_str().and_then(|text| text.strip_prefix('{')?.strip_suffix('}'));
            let value = match text {
                Some(items) => {
                    items.split(',').map(|item| Value::String(item.to_owned())).collect()
                }
                None => value.clone(),
            };
            self.value(&place, path, &value);
        }
    }

    fn values(&mut self, place: &Place<'_>, above: &str, values: &Map<String, Value>) {
        for (key, value) in values {
            let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
            match value {
                Value::Object(below) if !below.is_empty() => self.values(place, &path, below),
                value => self.value(place, &path, value),
            }
        }
    }

    fn value(&mut self, place: &Place<'_>, path: &str, value: &Value) {
        let from = place.of(path);
        let path = path.to_lowercase();
        if names::key(&path) == Key::Arguments
            && let Value::Array(all) = value
        {
            return self.arguments(&from, all);
        }
        if is_template(value) {
            return self.template(from);
        }
        if path == "env"
            && let Value::Array(all) = value
        {
            return self.environment(&from, all);
        }
        let given = Given { value: value.clone(), from };
        match names::key(&path) {
            // Helm takes a key with null out of the values.
            key if value.is_null() => self.forget(&key, &path),
            Key::Flag(name) => drop(self.told.flags.insert(name, given)),
            Key::Chart => drop(self.told.chart.insert(path, given)),
            Key::Arguments => {
                self.unread(given.from, "is not a list", "write a list: Helm refuses it as well");
            }
        }
    }

    fn template(&mut self, from: String) {
        let reason = "has a part that is filled in later (`{{ }}` or `${ }`)";
        self.unread(from, reason, "render it first, then run migrate again");
    }

    fn arguments(&mut self, from: &str, all: &[Value]) {
        for (at, _) in all.iter().enumerate().filter(|(_, one)| is_template(one)) {
            self.template(format!("{from}[{at}]"));
        }
        // In their place, so that those behind them keep their numbers.
        let plain = |one: &Value| if is_template(one) { Value::Null } else { one.clone() };
        let all: Vec<Value> = all.iter().map(plain).collect();
        self.arguments.extend(flags::read(&all, from));
    }

    fn forget(&mut self, key: &Key, path: &str) {
        let is_below = |known: &str, key: &str| {
            known.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        match key {
            Key::Flag(name) => self.told.flags.retain(|known, _| !is_below(known, name)),
            _ => self.told.chart.retain(|known, _| !is_below(known, path)),
        }
    }

    /// Names alone: values are often secret.
    fn environment(&mut self, from: &str, all: &[Value]) {
        for (at, variable) in all.iter().enumerate() {
            let name = variable.get("name").and_then(Value::as_str).unwrap_or_default();
            let given = Given { value: Value::Null, from: format!("{from}[{at}] {name}") };
            self.told.chart.insert(format!("env.{}", name.to_lowercase()), given);
        }
    }

    /// The arguments of a Deployment or DaemonSet that runs Traefik.
    fn workload(&mut self, document: &Document) {
        if !["Deployment", "DaemonSet", "StatefulSet"].contains(&document.kind.as_str()) {
            return;
        }
        let object = named(document);
        for (at, container) in document.list("/spec/template/spec/containers").iter().enumerate() {
            let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
            if !is_traefik_image(image) {
                continue;
            }
            self.installations.push(object.clone());
            self.told.sources.push(object.clone());
            for key in ["command", "args"] {
                let all = container.get(key).and_then(Value::as_array);
                let from = format!("{object}: spec.template.spec.containers[{at}].{key}");
                self.arguments.extend(flags::read(all.map_or(&[][..], Vec::as_slice), &from));
            }
            let network = document.value.pointer("/spec/template/spec/hostNetwork");
            if let Some(value) = network {
                let from = format!("{object}: spec.template.spec.hostNetwork");
                let given = Given { value: value.clone(), from };
                self.told.chart.insert("hostnetwork".to_owned(), given);
            }
        }
    }

    /// A file without a kind: values of the chart, if it has keys that no other chart has.
    fn loose(&mut self, loose: &Loose) {
        let name = loose.file.to_lowercase();
        let value = match &loose.value {
            Ok(value) => value,
            Err(line) if name.contains("traefik") && name.contains("values") => {
                let what = if loose.is_template { "is a template and not" } else { "is not" };
                let reason = format!("{what} YAML at line {line}");
                return self.unread(loose.file.clone(), &reason, "render or correct it first");
            }
            Err(_) => return,
        };
        // An umbrella chart has the values of its parts below their names.
        for (begin, values) in [("", Some(value)), ("traefik.", value.get("traefik"))] {
            let Some(values) = values.and_then(Value::as_object) else { continue };
            if !are_values(values) {
                continue;
            }
            self.installations.push(loose.file.clone());
            self.found(&loose.file);
            self.values(&Place { object: &loose.file, begin }, "", values);
            return;
        }
    }

    fn several(&mut self) {
        self.installations.sort();
        self.installations.dedup();
        if self.installations.len() > 1 {
            let reason = format!(
                "{} places configure Traefik, and were read as one: {}",
                self.installations.len(),
                self.installations.join(", ")
            );
            let fix = "if they are several clusters, run migrate for each of them".to_owned();
            let from = "the input".to_owned();
            self.told.unread.push(Left::new(Weight::Differs, from, &reason, &fix));
        }
    }
}

/// Whether a mapping has keys that only the values of Traefik's chart have.
fn are_values(values: &Map<String, Value>) -> bool {
    let keys =
        ["certificatesResolvers", "certResolvers", "tlsOptions", "tlsStore", "globalArguments"];
    let pointers = [
        ("providers", "/kubernetesCRD"),
        ("providers", "/kubernetesIngress"),
        // Other charts have an `ingressRoute` of their own.
        ("ingressRoute", "/dashboard"),
        ("ingressRoute", "/healthcheck"),
    ];
    let has = |(key, pointer): &(&str, &str)| {
        values.get(*key).is_some_and(|value| value.pointer(pointer).is_some())
    };
    keys.iter().any(|key| values.contains_key(*key))
        || pointers.iter().any(has)
        || values.get("ports").and_then(Value::as_object).is_some_and(are_ports)
        || values
            .get("additionalArguments")
            .and_then(Value::as_array)
            .is_some_and(|all| are_flags(all))
}

/// Other charts have ports of these names, too, but not with such keys.
fn are_ports(ports: &Map<String, Value>) -> bool {
    let keys = [
        "exposedPort",
        "redirectTo",
        "redirections",
        "forwardedHeaders",
        "proxyProtocol",
        "transport",
        "asDefault",
        "http3",
    ];
    let is_one = |port: &Value| keys.iter().any(|key| port.get(key).is_some());
    ["web", "websecure", "traefik"].iter().any(|name| ports.get(*name).is_some_and(is_one))
}

fn are_flags(all: &[Value]) -> bool {
    let begins = ["--entrypoints.", "--providers.kubernetes", "--certificatesresolvers."];
    let is_flag = |flag: &Value| {
        let flag = flag.as_str().unwrap_or_default().to_lowercase();
        begins.iter().any(|begin| flag.starts_with(begin))
    };
    all.iter().any(is_flag)
}

fn is_traefik_image(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or_default();
    let name = name.split([':', '@']).next().unwrap_or_default();
    matches!(name, "traefik" | "mirrored-library-traefik" | "library-traefik")
}

fn is_template(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("{{") || text.contains("${"),
        Value::Array(items) => items.iter().any(is_template),
        Value::Object(map) => map.values().any(is_template),
        _ => false,
    }
}
