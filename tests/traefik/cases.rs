//! The cases: `cases/KIND.yaml`, each a list. README.md has the keys.

use crate::request::Request;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// One case: objects, made once, and requests that go to both proxies one after the other.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// The file that it is in.
    #[serde(skip)]
    pub(crate) kind: String,
    /// In the file, a name of its own.
    pub(crate) name: String,
    /// Specs of Middlewares, in the order in which the Ingress names them. A text is named as it is.
    #[serde(default)]
    pub(crate) middlewares: Vec<Value>,
    /// Further annotations of the Ingress.
    #[serde(default)]
    pub(crate) annotations: Map<String, Value>,
    /// Annotations of a Service of its own, in the place of `app`.
    #[serde(default)]
    pub(crate) service: Option<Map<String, Value>>,
    /// Hosts of the rules, if they are not the case's own.
    #[serde(default)]
    pub(crate) hosts: Vec<String>,
    /// `PATH`, `TYPE PATH` or `TYPE PATH SERVICE`: the Ingress has `Prefix /` to `app` unless they are said.
    #[serde(default)]
    pub(crate) paths: Vec<String>,
    /// Routes of an IngressRoute, in the place of the Ingress, or beside it if there are `paths`.
    #[serde(default)]
    pub(crate) routes: Vec<Value>,
    /// `spec.entryPoints` of it.
    #[serde(default, rename = "entry-points")]
    pub(crate) entry_points: Vec<String>,
    /// `spec.tls` of it.
    #[serde(default)]
    pub(crate) tls: Option<Value>,
    /// Further objects, without namespace in that of the case.
    #[serde(default)]
    pub(crate) objects: Vec<Value>,
    /// Further kinds that the case needs, by the names of `not_yet.rs`.
    #[serde(default)]
    pub(crate) needs: BTreeSet<String>,
    /// Traefik does not take the route: it answers 404 as where there is no rule.
    #[serde(default)]
    pub(crate) dropped: bool,
    #[serde(default, rename = "requests")]
    texts: Vec<String>,
    #[serde(skip)]
    pub(crate) requests: Vec<Request>,
    /// Whether its routes are drawn: which of its requests have one is to be seen.
    #[serde(skip)]
    pub(crate) is_drawn: bool,
    /// Requests made at random, by a word of `generated.rs`.
    #[serde(default)]
    pub(crate) generated: Vec<String>,
}

impl Case {
    /// One that is not in a file.
    pub(crate) fn drawn(kind: &str, name: &str, middlewares: Vec<Value>, word: &str) -> Self {
        let mut case: Self = serde_json::from_value(json!({"name": name, "generated": [word]}))
            .expect("keys of a case");
        (case.kind, case.middlewares) = (kind.to_owned(), middlewares);
        case
    }

    /// One without anything, whose routes and requests are drawn.
    pub(crate) fn routed(kind: &str, name: &str) -> Self {
        let mut case: Self = serde_json::from_value(json!({"name": name})).expect("keys of a case");
        (case.kind, case.is_drawn) = (kind.to_owned(), true);
        case
    }

    /// `KIND/NAME`.
    pub(crate) fn id(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }

    /// `KIND-NAME`, of which the names of its objects are made.
    pub(crate) fn object_name(&self) -> String {
        format!("{}-{}", self.kind, self.name)
    }

    /// The host of its own.
    pub(crate) fn host(&self) -> String {
        format!("{}.{}", self.object_name(), crate::manifests::DOMAIN)
    }

    /// What it needs of a proxy: types of middlewares, annotations, and what it says itself.
    pub(crate) fn kinds(&self) -> BTreeSet<String> {
        let specs = self.middlewares.iter().filter_map(Value::as_object);
        let mut kinds: BTreeSet<String> = specs.flat_map(Map::keys).cloned().collect();
        let of_object = self.objects.iter().filter(|object| object["kind"] == "Middleware");
        let specs = of_object.filter_map(|object| object["spec"].as_object());
        kinds.extend(specs.flat_map(Map::keys).cloned());
        let annotations = self.annotations.keys().chain(self.service.iter().flat_map(Map::keys));
        let short = annotations.filter_map(|key| key.strip_prefix(crate::manifests::PREFIX));
        // What that annotation names is among the middlewares.
        kinds.extend(short.filter(|key| *key != "router.middlewares").map(str::to_owned));
        kinds.extend(self.needs.iter().cloned());
        kinds
    }
}

/// Every case of the folder.
pub(crate) fn all() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traefik/cases");
    let entries = fs::read_dir(folder).expect("a folder of ours");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    let mut names = BTreeSet::new();
    let mut cases = Vec::new();
    for file in files {
        let kind = file.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).expect("a file of ours");
        let of_file: Vec<Case> = serde_saphyr::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for mut case in of_file {
            case.kind.clone_from(&kind);
            assert!(names.insert(case.id()), "{} is there twice", case.id());
            case.requests = case.texts.iter().map(|text| parsed(&case, text)).collect();
            cases.push(case);
        }
    }
    cases
}

fn parsed(case: &Case, text: &str) -> Request {
    let text = text.replace("$HOST", &case.host()).replace("$NAME", &case.object_name());
    Request::parse(&text).unwrap_or_else(|error| panic!("{}: {error}: {text}", case.id()))
}
