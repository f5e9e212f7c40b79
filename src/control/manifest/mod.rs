//! Manifest text to objects, as kubectl would send them to the API server.
//!
//! Pure. Reads YAML streams (JSON is YAML), unpacks `List`s, skips kinds that ravelin does not read (a
//! Git repository has Deployments too), and rejects each broken object alone. It checks types and names;
//! [`super::translate`] checks values.

mod decode;
mod others;
#[cfg(test)]
mod tests;
mod udp;
mod variables;

pub use others::{Note, is_of_edges, note, release};
pub use udp::udp_services;
pub use variables::word;

use super::objects::{DEFAULT_NAMESPACE, Object, TRAEFIK_KINDS, TRAEFIK_VERSION};
use super::quote::quote;
use super::yaml;
use crate::model::{Diagnostic, Kind, ObjectRef, Severity, Why};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Broken documents of one file that are reported before the rest of it is given up.
const MAX_UNREADABLE_DOCUMENTS: usize = 16;

/// The content of one file.
#[derive(Debug, Default)]
pub struct ParsedManifests {
    /// The objects of our kinds, each identity once, in the order of the file.
    pub objects: Vec<Object>,
    /// What could not be read, and what was read though it is strange.
    pub findings: Vec<Diagnostic>,
    /// Objects that are not ours but matter, sorted, without duplicates.
    pub notes: Vec<Note>,
}

/// The purpose of reading a manifest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// Served as it is.
    #[default]
    Serve,
    /// To be judged before it is applied: something stands in for what is filled in then.
    Judge,
}

/// Parses the text of one file; `file` is its name for messages.
///
/// An object that cannot be read is left out and reported, the others are returned. A syntax error
/// makes its document unreadable. Deep nesting, large documents and alias bombs (see [`super::yaml`])
/// are refused in bounded time and memory; the size of the text itself is bounded by the caller.
pub fn parse(file: &str, text: &str) -> ParsedManifests {
    parse_for(Purpose::Serve, file, text)
}

/// The same for another purpose.
pub fn parse_for(purpose: Purpose, file: &str, text: &str) -> ParsedManifests {
    let mut reader = Reader { file, purpose, ..Reader::default() };
    let is_manifest = others::is_manifest_text(text);
    let mut unreadable = 0;
    yaml::read(text, |yaml::Document { value, repeated }| {
        reader.document += 1;
        match value {
            Ok(value) => {
                reader.repeated(&value, repeated);
                reader.read(value, None);
            }
            // It is not said what is no YAML in it: all of it may be written by the template.
            Err(error) if others::is_template_at(text, error.line) => {
                reader.parsed.notes.push(Note::Template);
            }
            Err(error) => {
                reader.unreadable(&error, is_manifest);
                unreadable += 1;
                if unreadable == MAX_UNREADABLE_DOCUMENTS {
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    });
    let mut parsed = reader.parsed;
    parsed.notes.sort();
    parsed.notes.dedup();
    parsed
}

/// Group and version of the kinds that ravelin reads.
const VERSIONS: [(Kind, &str); 7] = [
    (Kind::Ingress, "networking.k8s.io/v1"),
    (Kind::IngressClass, "networking.k8s.io/v1"),
    (Kind::Service, "v1"),
    (Kind::EndpointSlice, "discovery.k8s.io/v1"),
    (Kind::Secret, "v1"),
    (Kind::Node, "v1"),
    (Kind::ConfigMap, "v1"),
];

/// The kind of a name, with its group and version, if its objects are read.
fn known(name: &str) -> Option<(Kind, &'static str)> {
    let of_traefik = TRAEFIK_KINDS.into_iter().map(|(kind, _)| (kind, TRAEFIK_VERSION));
    VERSIONS.into_iter().chain(of_traefik).find(|(kind, _)| kind.as_str() == name)
}

/// Whether objects of a kind and version are read, and not only counted.
pub fn is_read(kind: &str, version: &str) -> bool {
    known(kind).is_some_and(|(_, current)| current == version)
}

/// Versions of them that Kubernetes no longer serves (removed in 1.22 and 1.25).
const OLD_VERSIONS: [&str; 3] =
    ["extensions/v1beta1", "networking.k8s.io/v1beta1", "discovery.k8s.io/v1beta1"];

#[derive(Default)]
struct Reader<'a> {
    file: &'a str,
    purpose: Purpose,
    /// Number of the document in hand, from one, empty ones not counted.
    document: usize,
    seen: BTreeSet<ObjectRef>,
    parsed: ParsedManifests,
}

impl Reader<'_> {
    /// Reads one object, or each item of a list. `inherited` is the version and kind that a typed
    /// list (`IngressList`) gives to items which do not repeat them.
    fn read(&mut self, mut value: Value, inherited: Option<(&str, &str)>) {
        let word = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let version =
            word("apiVersion").or_else(|| inherited.map(|(version, _)| version.to_owned()));
        let Some(kind) = word("kind").or_else(|| inherited.map(|(_, kind)| kind.to_owned())) else {
            if others::is_kustomization(self.file, &value) {
                self.parsed.notes.push(others::kustomization(&value));
            }
            return;
        };
        if let Some(notes) = others::encrypted(&kind, &value) {
            return self.parsed.notes.extend(notes);
        }
        if let Some(item_kind) = kind.strip_suffix("List")
            && let Some(items) = value.get_mut("items").and_then(Value::as_array_mut)
        {
            let inherited = match version.as_deref() {
                Some(version) if !item_kind.is_empty() => Some((version, item_kind)),
                _ => None,
            };
            for item in std::mem::take(items) {
                self.read(item, inherited);
            }
            return;
        }
        if let Some((kind, current)) = known(&kind) {
            self.object(kind, current, version.as_deref(), value);
        } else {
            let notes = note(&kind, version.as_deref().unwrap_or_default(), &value);
            self.parsed.notes.extend(notes);
        }
    }

    fn object(&mut self, kind: Kind, current: &str, version: Option<&str>, mut value: Value) {
        let stale = match version {
            Some(version) if version == current => None,
            Some(old) if OLD_VERSIONS.contains(&old) => Some((
                format!("{old} is no longer served by Kubernetes{}", self.place()),
                format!("migrate the manifest to {current}"),
            )),
            // A kind of the same name in another group, such as a Knative Service.
            Some(other) => {
                return self.parsed.notes.extend(note(kind.as_str(), other, &value));
            }
            None => Some((
                format!("is missing{}", self.place()),
                format!("add `apiVersion: {current}`"),
            )),
        };
        if others::is_template(&value) {
            return self.parsed.notes.push(Note::Template);
        }
        let has_variables = self.stand_in(kind, &mut value);
        let Some(identity) = self.identity(kind, &value) else {
            return;
        };
        if let Some((reason, fix)) = stale {
            let (error, why) = (Severity::Error, Why::Invalid);
            return self.report(identity, error, why, "apiVersion", reason, fix);
        }
        match decode::decode(kind, value) {
            Ok((object, unknown)) => {
                for decode::Unknown { field, fix } in unknown {
                    let reason =
                        format!("is not a field of the API and is ignored{}", self.place());
                    let (warning, why) = (Severity::Warning, Why::UnknownField);
                    self.report(identity.clone(), warning, why, &field, reason, fix);
                }
                if self.seen.insert(identity.clone()) {
                    self.parsed.objects.push(object);
                } else {
                    let reason =
                        format!("appears more than once in {}; the first is used", self.file);
                    let fix = "remove the others or rename them".to_owned();
                    self.report(identity, Severity::Warning, Why::Duplicate, "", reason, fix);
                }
            }
            Err(decode::Mistyped { field, reason, fix }) => {
                let reason = format!("{reason}{}", self.place());
                // A number, to be filled in.
                let severity = if has_variables { Severity::Warning } else { Severity::Error };
                self.report(identity, severity, Why::Invalid, &field, reason, fix);
            }
        }
    }

    /// Puts something in the place of variables, where that is wanted. Says whether there was one.
    fn stand_in(&mut self, kind: Kind, value: &mut Value) -> bool {
        if self.purpose == Purpose::Serve || matches!(kind, Kind::Secret | Kind::ConfigMap) {
            return false;
        }
        let mut names = BTreeSet::new();
        variables::stand_in(value, &mut names);
        let any = !names.is_empty();
        self.parsed.notes.extend(names.into_iter().map(Note::Variable));
        any
    }

    /// Kind, namespace and name, read before the object's types are known to be right, so that
    /// every message can name it. `None`, and reported, where there is no usable name.
    fn identity(&mut self, kind: Kind, value: &Value) -> Option<ObjectRef> {
        let metadata = |key: &str| match value.pointer(&format!("/metadata/{key}")) {
            Some(Value::String(text)) => text.clone(),
            None | Some(Value::Null) => String::new(),
            Some(other) => other.to_string(),
        };
        let (name, mut namespace) = (metadata("name"), metadata("namespace"));
        if !kind.is_namespaced() {
            namespace.clear();
        } else if namespace.is_empty() {
            DEFAULT_NAMESPACE.clone_into(&mut namespace);
        }
        let (key, bad) = if name.is_empty() {
            ("metadata.name", "is missing".to_owned())
        } else if !is_dns_subdomain(&name) {
            ("metadata.name", format!("{} is not a valid name", quote(&name)))
        } else if !namespace.is_empty() && !is_dns_subdomain(&namespace) {
            ("metadata.namespace", format!("{} is not a valid name", quote(&namespace)))
        } else {
            return Some(ObjectRef::new(kind, &namespace, &name));
        };
        if kind == Kind::ConfigMap {
            // The one that is read has a name that the configuration can write.
            return None;
        }
        let reason = format!("{bad} ({} in document {})", kind.as_str(), self.document);
        let fix = "lower-case letters, digits, `-` and `.` make a name".to_owned();
        let file = ObjectRef::new(Kind::File, "", self.file);
        self.report(file, Severity::Error, Why::Invalid, key, reason, fix);
        None
    }

    /// In a checkout, what is wrong with a file that does not look like a manifest is told, and holds
    /// nothing back. A directory that is served has manifests alone.
    fn unreadable(&mut self, error: &yaml::Unreadable, is_manifest: bool) {
        let is_manifest = is_manifest || self.purpose == Purpose::Serve;
        let severity = if is_manifest { Severity::Error } else { Severity::Warning };
        let yaml::Unreadable { line, column, reason, too_large } = error;
        let reason = match too_large {
            true => format!("is too large or too deep at line {line}, column {column}"),
            false => format!("is not valid YAML at line {line}, column {column}: {reason}"),
        };
        let fix = "correct it; its document is not read".to_owned();
        let file = ObjectRef::new(Kind::File, "", self.file);
        self.report(file, severity, Why::Unreadable, "", reason, fix);
    }

    /// Duplicate keys of a document. One of the two values is lost, though both were intended.
    fn repeated(&mut self, document: &Value, repeated: Vec<yaml::Repeated>) {
        // Not in what is nobody's business here, such as the values of a chart.
        if document.get("kind").is_none() {
            return;
        }
        for yaml::Repeated { line, key } in repeated {
            let reason =
                format!("repeats the key {} at line {line}: the last one is used", quote(&key));
            let fix = "remove one of the two, or put both values into one".to_owned();
            let file = ObjectRef::new(Kind::File, "", self.file);
            self.report(file, Severity::Warning, Why::Duplicate, "", reason, fix);
        }
    }

    fn place(&self) -> String {
        format!(", in {}", self.file)
    }

    fn report(
        &mut self,
        object: ObjectRef,
        severity: Severity,
        why: Why,
        field: &str,
        reason: String,
        fix: String,
    ) {
        // All ConfigMaps but one are nobody's business here, and which one it is the configuration
        // says, so none of them may hold back the file.
        let least =
            if object.kind == Kind::ConfigMap { Severity::Warning } else { Severity::Error };
        let (severity, field) = (severity.max(least), field.to_owned());
        self.parsed.findings.push(Diagnostic { severity, object, field, why, reason, fix });
    }
}

/// RFC 1123 section 2.1 in lower case, as the API server demands of the names of our kinds.
fn is_dns_subdomain(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= 253
        && name.split('.').all(|label| {
            !label.is_empty()
                && label.bytes().all(inner)
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}
