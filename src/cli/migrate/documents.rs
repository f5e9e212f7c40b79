//! Every object of the input as it is written, also of kinds that ravelin does not read: Traefik's chart values,
//! issuers, NetworkPolicies. And what is no object, but could be values of the chart.

use crate::control::objects::DEFAULT_NAMESPACE;
use crate::control::yaml;
use serde_json::Value;
use std::ops::ControlFlow;

/// Kinds that are many or secret, and that nothing here asks for.
const PASSED_OVER: [&str; 4] = ["Secret", "EndpointSlice", "Event", "Endpoints"];

/// One object.
#[derive(Debug)]
pub(super) struct Document {
    /// The file; empty for an object of a cluster.
    pub(super) file: String,
    pub(super) kind: String,
    /// API group; empty for the core group.
    pub(super) group: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) value: Value,
}

impl Document {
    /// `Kind namespace/name`, as findings name objects.
    pub(super) fn object(&self) -> String {
        match self.namespace.as_str() {
            "" => format!("{} {}", self.kind, self.name),
            namespace => format!("{} {namespace}/{}", self.kind, self.name),
        }
    }

    pub(super) fn is(&self, kind: &str, group: &str) -> bool {
        self.kind == kind && self.group == group
    }

    /// A text of it.
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.value.pointer(pointer)?.as_str()
    }

    /// The elements of a list of it.
    pub(super) fn list(&self, pointer: &str) -> &[Value] {
        self.value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The images of the containers of a workload.
    pub(super) fn images(&self) -> impl Iterator<Item = &str> {
        let containers = self.list("/spec/template/spec/containers").iter();
        containers.filter_map(|container| container.get("image")?.as_str())
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        self.value.pointer("/metadata/annotations")?.get(key)?.as_str()
    }
}

/// A file that is no manifest.
#[derive(Debug)]
pub(super) struct Loose {
    pub(super) file: String,
    /// Its mapping, or the line where it stops being YAML.
    pub(super) value: Result<Value, usize>,
    /// Whether it has `{{ }}`.
    pub(super) is_template: bool,
}

/// What the input has.
#[derive(Debug, Default)]
pub(super) struct Documents {
    pub(super) all: Vec<Document>,
    pub(super) loose: Vec<Loose>,
}

impl Documents {
    /// Adds the content of one file.
    pub(super) fn add_text(&mut self, file: &str, text: &str) {
        yaml::read(text, |yaml::Document { value, .. }| {
            match value {
                Ok(value) => self.add(file, value, None, text),
                Err(error) => self.loose.push(Loose {
                    file: file.to_owned(),
                    value: Err(error.line),
                    is_template: text.contains("{{"),
                }),
            }
            ControlFlow::Continue(())
        });
    }

    /// Adds an object of a cluster.
    pub(super) fn add_object(&mut self, value: Value) {
        self.add("", value, None, "");
    }

    /// `inherited`: version and kind of the items of a typed list.
    fn add(&mut self, file: &str, mut value: Value, inherited: Option<(&str, &str)>, text: &str) {
        let word = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let version = word("apiVersion").or_else(|| inherited.map(|(it, _)| it.to_owned()));
        let Some(kind) = word("kind").or_else(|| inherited.map(|(_, it)| it.to_owned())) else {
            if value.is_object() && version.is_none() {
                let is_template = text.contains("{{");
                self.loose.push(Loose { file: file.to_owned(), value: Ok(value), is_template });
            }
            return;
        };
        if let Some(item) = kind.strip_suffix("List")
            && let Some(items) = value.get_mut("items").and_then(Value::as_array_mut)
        {
            let inherited = version.as_deref().map(|version| (version, item));
            let inherited = inherited.filter(|_| !item.is_empty());
            for item in std::mem::take(items) {
                self.add(file, item, inherited, text);
            }
            return;
        }
        if PASSED_OVER.contains(&kind.as_str()) {
            return;
        }
        let version = version.unwrap_or_default();
        let group = version.split_once('/').map_or("", |(group, _)| group).to_owned();
        let of = |path: &str| value.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let name = of("/metadata/name").to_owned();
        let namespace = match of("/metadata/namespace") {
            "" if is_cluster_wide(&kind) => String::new(),
            "" => DEFAULT_NAMESPACE.to_owned(),
            namespace => namespace.to_owned(),
        };
        self.all.push(Document { file: file.to_owned(), kind, group, namespace, name, value });
    }

    /// Those of a kind.
    pub(super) fn of<'d>(
        &'d self,
        kind: &'d str,
        group: &'d str,
    ) -> impl Iterator<Item = &'d Document> {
        self.all.iter().filter(move |document| document.is(kind, group))
    }
}

fn is_cluster_wide(kind: &str) -> bool {
    let kinds = [
        "IngressClass",
        "Node",
        "Namespace",
        "CustomResourceDefinition",
        "ClusterIssuer",
        "ClusterRole",
        "ClusterRoleBinding",
    ];
    kinds.contains(&kind)
}
