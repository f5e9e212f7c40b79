//! Contents of manifests that ravelin does not read, but that matter for the verdict of `check`.

use super::DEFAULT_NAMESPACE;
use serde_json::{Map, Value};

/// One thing of that sort.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Note {
    /// An object that asks an edge for something, of a kind that ravelin does not serve.
    Unserved {
        /// API group.
        group: String,
        /// `kind`
        kind: String,
        /// Namespace and name.
        name: String,
    },
    /// An object that brings others, which are not here.
    Bringer {
        /// `kind`
        kind: String,
        /// Where what it brings will be.
        namespace: String,
        /// Namespace and name.
        name: String,
    },
    /// An object from which another program creates a Secret.
    Maker {
        /// `metadata.namespace`
        namespace: String,
        /// The Secret's name.
        secret: String,
        /// Kind and name of the object.
        by: String,
    },
    /// A CustomResourceDefinition of Traefik that belongs to a release, with which it is removed.
    Released {
        /// The kind that it defines.
        kind: String,
        /// The Helm release, or the object of k3s.
        release: String,
    },
    /// An IngressRouteUDP.
    Udp {
        /// `metadata.namespace`
        namespace: String,
        /// `metadata.name`
        name: String,
        /// `spec`, as JSON.
        spec: String,
    },
    /// A Service that an IngressRouteUDP names.
    Service {
        /// `metadata.namespace`
        namespace: String,
        /// `metadata.name`
        name: String,
        /// `spec`, as JSON.
        spec: String,
    },
    /// A document that SOPS has encrypted: its kind and name.
    Encrypted(String),
    /// A document that is a template.
    Template,
    /// A variable that Flux fills in.
    Variable(String),
    /// Instructions of kustomize for other files.
    Kustomization {
        /// Names of the files and directories that it takes.
        resources: Vec<String>,
        /// Names of the files that are patches.
        patches: Vec<String>,
        /// Whether its result is other than what the files say.
        changes: bool,
    },
}

/// By which Helm, and the controller of k3s, know what belongs to a release.
const OWNERS: [&str; 2] = ["meta.helm.sh/release-name", "objectset.rio.cattle.io/owner-name"];

/// The release that an object belongs to, and is removed with: of Helm, or of k3s.
pub fn release(value: &Value) -> Option<String> {
    let annotations = value.pointer("/metadata/annotations")?;
    let owner = OWNERS.iter().find_map(|key| annotations.get(*key)?.as_str())?;
    Some(owner.to_owned())
}

/// Groups whose objects ask an edge for something.
const OF_EDGES: [&str; 14] = [
    "traefik.io",
    "traefik.containo.us",
    "hub.traefik.io",
    "gateway.networking.k8s.io",
    "gateway.networking.x-k8s.io",
    "networking.istio.io",
    "projectcontour.io",
    "configuration.konghq.com",
    "getambassador.io",
    "route.openshift.io",
    "k8s.nginx.org",
    "ingress.v3.haproxy.org",
    "gateway.envoyproxy.io",
    "networking.gke.io",
];

/// Kinds whose objects bring others, with their groups.
const BRINGERS: [(&str, &str); 5] = [
    ("HelmRelease", "helm.toolkit.fluxcd.io"),
    ("HelmChart", "helm.cattle.io"),
    ("HelmChartConfig", "helm.cattle.io"),
    ("Application", "argoproj.io"),
    ("ApplicationSet", "argoproj.io"),
];

/// Whether the objects of an API group configure an edge proxy.
pub fn is_of_edges(group: &str) -> bool {
    OF_EDGES.contains(&group)
}

/// The noteworthy content of an object of a kind that is not read.
pub fn note(kind: &str, version: &str, value: &Value) -> Vec<Note> {
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let text = |path: &str| value.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let own = text("/metadata/name").unwrap_or_default();
    let namespace = text("/metadata/namespace").unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    let name = format!("{namespace}/{own}");
    let (group, kind) = (group.to_owned(), kind.to_owned());
    if is_of_edges(&group) {
        let spec = value.get("spec").filter(|_| kind == "IngressRouteUDP" && group == "traefik.io");
        let udp = spec.map(|spec| Note::Udp { namespace, name: own, spec: spec.to_string() });
        return std::iter::once(Note::Unserved { group, kind, name }).chain(udp).collect();
    }
    if kind == "CustomResourceDefinition" && group == "apiextensions.k8s.io" {
        let released =
            release(value).filter(|_| text("/spec/group").as_deref() == Some("traefik.io"));
        let defines = text("/spec/names/kind").zip(released);
        return defines
            .map(|(kind, release)| Note::Released { kind, release })
            .into_iter()
            .collect();
    }
    if BRINGERS.contains(&(kind.as_str(), group.as_str())) {
        let target = ["/spec/targetNamespace", "/spec/destination/namespace"].map(text);
        let namespace = target.into_iter().flatten().next().unwrap_or(namespace);
        return vec![Note::Bringer { kind, namespace, name }];
    }
    if kind == "Kustomization" && group == "kustomize.config.k8s.io" {
        return vec![kustomization(value)];
    }
    let makes = |secret: Option<String>| {
        let (namespace, secret) = (namespace.clone(), secret.unwrap_or_else(|| own.clone()));
        Note::Maker { namespace, secret, by: format!("{kind} {name}") }
    };
    match (kind.as_str(), group.as_str()) {
        ("Certificate", "cert-manager.io") => vec![makes(text("/spec/secretName"))],
        ("SealedSecret", "bitnami.com") => vec![makes(text("/spec/template/metadata/name"))],
        ("ExternalSecret", "external-secrets.io") => vec![makes(text("/spec/target/name"))],
        ("VaultStaticSecret" | "VaultPKISecret", "secrets.hashicorp.com") => {
            vec![makes(text("/spec/destination/name"))]
        }
        ("InfisicalSecret", "secrets.infisical.com") => {
            vec![makes(text("/spec/managedSecretReference/secretName"))]
        }
        ("OnePasswordItem", "onepassword.com") => vec![makes(None)],
        ("SopsSecret", "isindir.github.com") => {
            let all = value.pointer("/spec/secretTemplates").and_then(Value::as_array);
            let names = all.into_iter().flatten().filter_map(|one| one.get("name")?.as_str());
            names.map(|name| makes(Some(name.to_owned()))).collect()
        }
        _ => Vec::new(),
    }
}

/// What a Secret is that SOPS has encrypted; `None` if it has not.
pub(super) fn encrypted(kind: &str, value: &Value) -> Option<Vec<Note>> {
    let sops = value.get("sops")?.as_object()?;
    if !["version", "mac", "lastmodified"].iter().any(|key| sops.contains_key(*key)) {
        return None;
    }
    let text = |path: &str| value.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let namespace = match text("/metadata/namespace") {
        "" => DEFAULT_NAMESPACE,
        namespace => namespace,
    };
    let name = text("/metadata/name");
    let by = format!("{kind} {namespace}/{name}");
    let mut notes = vec![Note::Encrypted(by.clone())];
    if kind == "Secret" {
        let by = format!("{by}, encrypted by SOPS");
        let (namespace, secret) = (namespace.to_owned(), name.to_owned());
        notes.push(Note::Maker { namespace, secret, by });
    }
    Some(notes)
}

/// Keys of a `kustomization.yaml` that make its result other than its resources.
const CHANGES: [&str; 9] = [
    "namespace",
    "namePrefix",
    "nameSuffix",
    "patches",
    "patchesStrategicMerge",
    "patchesJson6902",
    "replacements",
    "components",
    "helmCharts",
];

/// Reads a `kustomization.yaml`, which need not say what it is.
pub(super) fn kustomization(value: &Value) -> Note {
    let list = |key: &str| value.get(key).and_then(Value::as_array).into_iter().flatten();
    let texts = |key: &str| list(key).filter_map(Value::as_str).map(str::to_owned);
    let resources = ["resources", "bases", "components"].into_iter().flat_map(texts).collect();
    let paths = ["patches", "patchesJson6902", "replacements"].into_iter().flat_map(list);
    let paths = paths.filter_map(|one| one.get("path")?.as_str()).map(str::to_owned);
    let patches = paths.chain(texts("patchesStrategicMerge")).collect();
    let is_set = |key: &str| {
        let value = value.get(key);
        value.is_some_and(|value| {
            !matches!(value, Value::Null) && *value != Value::Array(Vec::new())
        })
    };
    Note::Kustomization { resources, patches, changes: CHANGES.iter().any(|key| is_set(key)) }
}

/// Whether an object that was read as YAML is a template anyway: `host: "{{ .Values.host }}"`.
pub(super) fn is_template(value: &Value) -> bool {
    let of_object = |key: &str| value.get(key).is_some_and(has_braces);
    let name = |key: &str| value.pointer(key).is_some_and(has_braces);
    of_object("spec") || name("/metadata/name") || name("/metadata/namespace")
}

fn has_braces(value: &Value) -> bool {
    any_text(value, &|text| text.contains("{{") && text.contains("}}"))
}

fn any_text(value: &Value, test: &impl Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => test(text),
        Value::Array(items) => items.iter().any(|item| any_text(item, test)),
        Value::Object(map) => map.values().any(|item| any_text(item, test)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether the document around a line, which is no YAML, is a template.
pub(super) fn is_template_at(text: &str, line: usize) -> bool {
    let is_end = |line: &&str| line.starts_with("---");
    let lines: Vec<&str> = text.lines().collect();
    let (above, below) = lines.split_at(line.min(lines.len()));
    let above = above.iter().rev().take_while(|line| !is_end(line));
    let below = below.iter().take_while(|line| !is_end(line));
    above.chain(below).any(|line| ["{{", "{%"].iter().any(|begin| line.contains(begin)))
}

/// Whether a text that is no YAML looks like a manifest, so that its loss matters.
pub(super) fn is_manifest_text(text: &str) -> bool {
    text.contains("kind") && text.contains("apiVersion")
}

/// The document is a mapping without a kind: what kustomize has in a file of its own name.
pub(super) fn is_kustomization(file: &str, value: &Value) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    matches!(name, "kustomization.yaml" | "kustomization.yml")
        && value.as_object().is_some_and(|map: &Map<_, _>| !map.contains_key("kind"))
}
