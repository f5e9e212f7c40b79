//! Steps that annotations of an Ingress ask for by themselves, without a Middleware: those of ingress-nginx, and the
//! short forms below `ravelin.dev/`.
//!
//! Each becomes the `spec` of a Middleware, in memory, and is read by the reader of that kind: one meaning, one
//! implementation. Annotations have no order, so the steps are in that of nginx's phases: redirects, CORS, addresses,
//! limits, authentication, paths, fields; what proves where a request came through is asked for before all. What restricts and cannot be read leaves the routes with 503.

mod access;
mod nginx;
mod own;
mod pages;
mod references;
mod zone;

pub(in crate::control::translate) use own::{NAMES as OWN_STEPS, RESTRICTING as RESTRICTING_STEPS};
pub(in crate::control) use references::{config_maps_of, secrets_of};

use super::fields::{Fields, UNTIL};
use super::texts::network;
use super::{
    AskedBy, Asking, Context, Dependency, Reader, Resolved, StepBackend, UsedBackend, headers,
};
use crate::control::objects::Objects;
use crate::control::quote::quote;
use crate::control::translate::annotations::{Annotations, field};
use crate::control::translate::report::{Problem, Report};
use crate::model::middleware::{ClientSelector, NamedStep, SourceList, SourceRule, Step};
use crate::model::{Diagnostic, HostPattern, Kind, ObjectRef, Severity, Why};
use ipnet::IpNet;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};
use std::sync::Arc;

/// What is said of a mistake in them.
const CONSEQUENCE: &str = "the routes of this Ingress answer 503";

/// Whose address lists are compared with.
const VISITOR: ClientSelector = ClientSelector::Visitor { ipv6_bits: 128 };

/// The Ingress whose annotations are read.
#[derive(Clone, Copy)]
pub(in crate::control::translate) struct Subject<'a> {
    pub(in crate::control::translate) objects: &'a Objects,
    pub(in crate::control::translate) name: &'a str,
    /// The hosts of its rules.
    pub(in crate::control::translate) hosts: &'a [HostPattern],
}

/// Reads the steps of an Ingress, and adds them to those that it names.
pub(in crate::control::translate) fn read(
    asking: Asking<'_>,
    subject: Subject<'_>,
    resolved: &mut Resolved,
    report: &mut Report<'_>,
) {
    let mut maker = Maker { asking, subject, resolved, report };
    nginx::read(&mut maker);
    own::read(&mut maker);
    pages::read(&mut maker);
    zone::read(&mut maker);
}

/// Makes steps of annotations.
struct Maker<'m, 'r> {
    asking: Asking<'m>,
    subject: Subject<'m>,
    resolved: &'m mut Resolved,
    report: &'m mut Report<'r>,
}

/// The `spec` of a kind, and which annotations its fields are from.
struct Draft<'d> {
    /// Reads the kind.
    reader: Reader,
    /// The fields of the kind.
    spec: Value,
    /// The annotation that asks for it.
    annotation: &'d str,
    /// Names of fields, and the annotations that they are from.
    fields: &'d [(&'static str, &'d str)],
    /// The namespace of its Secrets, if it is another one.
    namespace: Option<&'d str>,
}

impl<'m> Maker<'m, '_> {
    fn annotations(&self) -> Annotations<'m> {
        self.asking.annotations
    }

    /// The value of an annotation, unless it is empty or to be ignored, which is then told.
    fn get(&mut self, name: &str) -> Option<&'m str> {
        let value = self.annotations().get(name).filter(|value| !value.is_empty())?;
        (!self.annotations().ignores(name, None, self.report)).then_some(value)
    }

    /// The value of an annotation that restricts, also if it is empty.
    fn present(&mut self, name: &str) -> Option<&'m str> {
        let value = self.annotations().get(name)?;
        (!self.annotations().ignores(name, None, self.report)).then_some(value)
    }

    /// The elements of a list with commas.
    fn list(&mut self, name: &str) -> Vec<&'m str> {
        let values = self.get(name).into_iter().flat_map(|list| list.split(','));
        values.map(str::trim).filter(|value| !value.is_empty()).collect()
    }

    fn add(&mut self, name: &str, severity: Severity, why: Why, reason: String, fix: &str) {
        self.report.add(&field(name), Problem::error(why, "", reason, fix).with(severity));
    }

    /// Something that does not protect and is not done as written.
    fn warn(&mut self, name: &str, reason: String, fix: &str) {
        self.add(name, Severity::Warning, Why::AnnotationIgnored, reason, fix);
    }

    /// A mistake in something that matters: no route is served.
    fn refuse(&mut self, name: &str, reason: &str, fix: &str) {
        self.resolved.is_broken = true;
        let reason = format!("{reason}: {CONSEQUENCE}");
        self.add(name, Severity::Error, Why::MiddlewareUnusable, reason, fix);
    }

    /// A whole number; one that is not is refused. 0 is as good as none.
    fn number(&mut self, name: &str) -> Option<u32> {
        let value = self.get(name)?;
        match value.parse::<u32>() {
            Ok(number) => Some(number).filter(|number| *number > 0),
            Err(_) => {
                let reason = format!("{} is not a whole number", quote(value));
                self.refuse(name, &reason, "write digits alone, such as \"10\"");
                None
            }
        }
    }

    /// Whether a switch is on.
    fn is_on(&mut self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Reads a draft, tells its mistakes, and notes what it needs. Nothing if it cannot be used.
    fn read(&mut self, draft: &Draft<'_>) -> Option<(Step, Option<StepBackend>)> {
        let Asking { namespace, policy, .. } = self.asking;
        let of_secrets = draft.namespace.map_or_else(|| Arc::clone(namespace), Arc::from);
        if !policy.allows(namespace, &of_secrets) {
            let reason = "names an object of another namespace, which is forbidden";
            let fix = "copy it into this namespace, or set source.middlewares = \"any-namespace\"";
            self.refuse(draft.annotation, reason, fix);
            return None;
        }
        // Objects have no slash in their names: no Middleware is called the same.
        let short = draft.annotation.rsplit('/').next().unwrap_or_default();
        let name: Arc<str> = format!("{}/{short}", self.subject.name).into();
        let mut context = Context::new(Some(self.subject.objects), policy, &of_secrets, &name);
        let object = ObjectRef::new(Kind::Ingress, namespace, self.subject.name);
        let mut found: Vec<Diagnostic> = Vec::new();
        let mut report = Report::new(&object, &mut found);
        let mut fields = Fields::new("", &draft.spec, &mut report);
        let step = (draft.reader)(&mut fields, &mut context);
        let is_broken = fields.is_broken();
        for finding in found {
            self.told(draft, finding);
        }
        for (kind, need) in std::mem::take(&mut context.needs) {
            self.resolved.dependencies.insert(match kind {
                Kind::Secret => Dependency::Secret(need),
                _ => Dependency::Service(need),
            });
        }
        self.resolved.is_broken |= is_broken;
        let step = step.filter(|_| !is_broken)?;
        let backend = StepBackend::of(&step, context.backend.map(Arc::new));
        Some((step, backend))
    }

    /// Tells what a reader has found under the annotation that it is about.
    fn told(&mut self, draft: &Draft<'_>, finding: Diagnostic) {
        let Diagnostic { severity, field: path, why, reason, fix, .. } = finding;
        let key = path.trim_start_matches('.').split('.').next().unwrap_or_default();
        let from = draft.fields.iter().find(|(name, _)| *name == key);
        let name = from.map_or(draft.annotation, |(_, name)| name);
        let fix = match fix.strip_suffix(UNTIL) {
            Some(fix) => format!("{fix}; until then {CONSEQUENCE}"),
            None => fix,
        };
        self.report.add(&field(name), Problem::error(why, "", reason, fix).with(severity));
    }

    /// Adds a step under the name of its annotation.
    fn push(&mut self, annotation: &str, step: Step, backend: Option<StepBackend>) {
        let short = annotation.rsplit('/').next().unwrap_or_default();
        let name = format!("{}/{}: {short}", self.asking.namespace, self.subject.name);
        let step = Arc::new(NamedStep { name: name.into(), step });
        let asked = AskedBy { field: field(annotation).into(), service: None, is_list: false };
        let used = backend.map(|backend| UsedBackend {
            step: Arc::clone(&step),
            backend,
            asked: Arc::new(asked),
        });
        self.resolved.backends.extend(used);
        self.resolved.steps.push(step);
    }

    /// The same, before all others of the Ingress.
    fn push_first(&mut self, annotation: &str, step: Step) {
        self.push(annotation, step, None);
        self.resolved.steps.rotate_right(1);
    }

    /// The ConfigMap that an annotation names, also as `namespace/name`. One that is not there, or of a namespace that
    /// is forbidden, is told with what happens `without` it.
    fn config_map(&mut self, annotation: &str, without: &str) -> Option<Arc<ConfigMap>> {
        let value = self.get(annotation)?;
        let Asking { namespace: own, policy, .. } = self.asking;
        let (namespace, name) = references::split(value);
        let namespace: Arc<str> = namespace.map_or_else(|| Arc::clone(own), Arc::from);
        if !policy.allows(own, &namespace) {
            let reason =
                format!("names an object of another namespace, which is forbidden: {without}");
            let fix = "copy it into this namespace, or set source.middlewares = \"any-namespace\"";
            self.warn(annotation, reason, fix);
            return None;
        }
        let found = self.subject.objects.config_maps().get(&namespace, name).cloned();
        if found.is_none() {
            let reason = format!(
                "ConfigMap {namespace}/{name} does not exist or may not be read: {without}"
            );
            let fix = "create it, and grant list and watch of ConfigMaps, as deploy/base does";
            self.add(annotation, Severity::Warning, Why::ConfigMapUnusable, reason, fix);
        }
        self.resolved.dependencies.insert(Dependency::ConfigMap((namespace, name.into())));
        found
    }

    /// Adds the step of a draft.
    fn draft(&mut self, draft: &Draft<'_>) {
        self.draft_with(draft, |_| {});
    }

    /// The same, with what its `spec` cannot say.
    fn draft_with(&mut self, draft: &Draft<'_>, change: impl FnOnce(&mut Step)) {
        if let Some((mut step, backend)) = self.read(draft) {
            change(&mut step);
            self.push(draft.annotation, step, backend);
        }
    }

    /// The address of a server. One with a password in it is refused, and not quoted.
    fn address(&mut self, annotation: &str) -> Option<&'m str> {
        let address = self.get(annotation)?;
        if address.contains('@') {
            let fix = "write it without, and let the server know us by other means";
            self.refuse(annotation, "has a user in its address", fix);
            return None;
        }
        Some(address)
    }

    /// The networks of a list. One that cannot be read is refused.
    fn networks(&mut self, annotation: &str) -> Vec<IpNet> {
        let list = self.list(annotation);
        let mut networks = Vec::with_capacity(list.len());
        for text in list {
            match network(text) {
                Ok(network) => networks.push(network),
                Err(problem) => {
                    let reason = format!("{} {problem}", quote(text));
                    let fix = "write addresses and networks in CIDR notation, with commas";
                    self.refuse(annotation, &reason, fix);
                    return Vec::new();
                }
            }
        }
        networks
    }

    /// Adds a list of addresses that may ask, or else that may not. They are compared with the verified visitor.
    fn sources(&mut self, annotation: &str, make: fn(Vec<IpNet>) -> SourceList) {
        let networks = self.networks(annotation);
        if networks.is_empty() {
            return;
        }
        let (client, status) = (VISITOR, http::StatusCode::FORBIDDEN);
        let rule = SourceRule { list: make(networks), client, status };
        self.push(annotation, Step::Source(Box::new(rule)), None);
    }

    /// Adds a step that sets fields of requests: the value of an annotation under each name.
    fn request_field(&mut self, annotation: &str, name: &str) {
        let Some(value) = self.get(annotation) else { return };
        if value.contains('$') {
            let reason = format!("{} has a variable, and is not set", quote(value));
            return self.warn(annotation, reason, "write plain text");
        }
        let spec = json!({"customRequestHeaders": {name: value}});
        let reader: Reader = |fields, _| headers::read(fields);
        self.draft(&Draft { reader, spec, annotation, fields: &[], namespace: None });
    }
}
