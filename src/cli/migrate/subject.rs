//! A route as Traefik sees it: what decides whether a difference holds for it.

use super::documents::{Document, Documents};
use crate::config::{Config, EntryPoint, ListenerProtocol};
use crate::control::translate::object_id;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

const TRAEFIK: &str = "traefik.io";
const ROUTER: &str = "traefik.ingress.kubernetes.io/router.";
const SERVICE_MIDDLEWARES: &str = "traefik.ingress.kubernetes.io/service.middlewares";

/// Chains in chains that are followed.
const MAX_DEPTH: usize = 16;

/// A route.
#[derive(Debug, Default)]
pub(super) struct Subject<'d> {
    pub(super) annotations: Option<&'d Map<String, Value>>,
    /// Of its Service.
    pub(super) service_annotations: Option<&'d Map<String, Value>>,
    /// Middlewares in their order; members of chains stand beside their chain.
    pub(super) steps: Vec<StepView<'d>>,
    pub(super) path_type: &'d str,
    pub(super) path: String,
    /// Of `spec.routes` of an IngressRoute.
    pub(super) route: Option<&'d Value>,
    /// The `spec` of each TraefikService that its services lead to.
    pub(super) traefik_services: Vec<&'d Value>,
    /// The `spec` of the TLSOption that it names.
    pub(super) tls_option: Option<&'d Value>,
    pub(super) traits: BTreeSet<Trait>,
}

/// A middleware of a route.
#[derive(Debug)]
pub(super) struct StepView<'d> {
    /// The key of its `spec`.
    pub(super) kind: &'d str,
    pub(super) spec: &'d Value,
    /// Its object, as `namespace/name`.
    pub(super) name: String,
    /// Whether other routes name it, too.
    pub(super) is_shared: bool,
    /// Whether it is what keeps the route from being served.
    pub(super) is_broken: bool,
}

/// What is not in one field.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Trait {
    /// Traefik serves it on entry points with TLS alone, and no entry point redirects to them.
    SecureOnly,
    /// An entry point redirects its visitors.
    Redirecting,
    /// Traefik compares its prefix by character.
    LaxPrefixes,
    /// Traefik takes a Prefix of the same host before this Exact path.
    ExactAndPrefix,
    /// Several routes name one of its middlewares.
    SharedMiddleware,
    /// ravelin answers 503; of a middleware: because of it.
    NotServed,
    /// A Service that one of its middlewares names does not exist.
    ServiceMissing,
}

/// Objects that routes refer to.
#[derive(Debug)]
pub(super) struct References<'d> {
    documents: BTreeMap<(&'d str, String), &'d Document>,
    /// Middlewares by what annotations call them.
    ids: BTreeMap<String, &'d Document>,
    /// How many routes name each, by `namespace/name`.
    named: BTreeMap<String, usize>,
    config: &'d Config,
    strict_prefixes: bool,
}

impl<'d> References<'d> {
    pub(super) fn new(documents: &'d Documents, config: &'d Config, strict_prefixes: bool) -> Self {
        let of_kind = |document: &'d Document| {
            let known = [
                ("Ingress", "networking.k8s.io"),
                ("Service", ""),
                ("IngressRoute", TRAEFIK),
                ("IngressRouteTCP", TRAEFIK),
                ("TraefikService", TRAEFIK),
                ("TLSOption", TRAEFIK),
            ];
            known.iter().any(|(kind, group)| document.is(kind, group))
        };
        let all = documents.all.iter().filter(|document| of_kind(document));
        let name = |document: &Document| format!("{}/{}", document.namespace, document.name);
        let all = all.map(|document| ((document.kind.as_str(), name(document)), document));
        let middlewares = documents.of("Middleware", TRAEFIK);
        let ids =
            middlewares.map(|document| (object_id(&document.namespace, &document.name), document));
        let mut references = Self {
            documents: all.collect(),
            ids: ids.collect(),
            named: BTreeMap::new(),
            config,
            strict_prefixes,
        };
        references.count();
        references
    }

    fn count(&mut self) {
        let mut named: BTreeMap<String, usize> = BTreeMap::new();
        for ((kind, _), document) in &self.documents {
            let routes: Vec<Vec<&Document>> = match *kind {
                "Ingress" => {
                    let own = self.of_annotation(document, &format!("{ROUTER}middlewares"));
                    let rules = document.list("/spec/rules").iter();
                    let paths = rules.filter_map(|rule| rule.pointer("/http/paths")?.as_array());
                    vec![own; paths.map(Vec::len).sum::<usize>().max(1)]
                }
                "IngressRoute" => {
                    let routes = document.list("/spec/routes").iter();
                    routes.map(|route| self.of_route(document, route)).collect()
                }
                _ => Vec::new(),
            };
            for middleware in routes.into_iter().flatten() {
                let name = format!("{}/{}", middleware.namespace, middleware.name);
                *named.entry(name).or_default() += 1;
            }
        }
        self.named = named;
    }

    /// An object of a kind, by `namespace/name`.
    pub(super) fn document(&self, kind: &'static str, name: &str) -> Option<&'d Document> {
        self.documents.get(&(kind, name.to_owned())).copied()
    }

    /// A route by its object and the field of its rule; `service` is `namespace/name` of its Service.
    pub(super) fn subject(
        &self,
        document: &'d Document,
        field: &str,
        service: &str,
    ) -> Subject<'d> {
        let annotations =
            document.value.pointer("/metadata/annotations").and_then(Value::as_object);
        let service = self.document("Service", service);
        let service_annotations =
            service.and_then(|service| service.value.pointer("/metadata/annotations")?.as_object());
        let rule = document.value.pointer(&pointer(field));
        let text = |key: &str| rule.and_then(|rule| rule.get(key)?.as_str()).unwrap_or_default();
        let mut subject = Subject {
            annotations,
            service_annotations,
            path_type: text("pathType"),
            path: text("path").to_owned(),
            route: rule.filter(|_| document.kind.starts_with("IngressRoute")),
            ..Subject::default()
        };
        if document.kind == "IngressRouteTCP" {
            // What differs for requests is not for connections.
            return subject;
        }
        if let Some(route) = subject.route {
            self.add_services(&mut subject, document, route, 0);
            subject.tls_option = self.tls_option(document);
        }
        let points = self.points_of(document);
        let mut all: Vec<&Document> = points
            .iter()
            .flat_map(|point| point.middlewares.iter().filter_map(|name| self.by_id(name)))
            .collect();
        match document.kind.as_str() {
            "IngressRoute" => {
                all.extend(rule.into_iter().flat_map(|rule| self.of_route(document, rule)));
            }
            _ => all.extend(self.of_annotation(document, &format!("{ROUTER}middlewares"))),
        }
        all.extend(service.into_iter().flat_map(|it| self.of_annotation(it, SERVICE_MIDDLEWARES)));
        all.into_iter().for_each(|middleware| self.add_step(&mut subject, middleware, 0));
        if subject.steps.iter().any(|step| step.is_shared) {
            subject.traits.insert(Trait::SharedMiddleware);
        }
        self.add_entry_points(document, &mut subject);
        if document.kind == "Ingress" && !self.strict_prefixes {
            subject.traits.insert(Trait::LaxPrefixes);
        }
        subject
    }

    /// The TLSOption of an IngressRoute.
    fn tls_option(&self, document: &Document) -> Option<&'d Value> {
        let options = document.value.pointer("/spec/tls/options")?;
        let text = |key: &str| options.get(key).and_then(Value::as_str);
        let namespace = text("namespace").filter(|namespace| !namespace.is_empty());
        let namespace = namespace.unwrap_or(&document.namespace);
        let name = format!("{namespace}/{}", text("name")?);
        self.document("TLSOption", &name)?.value.get("spec")
    }

    /// Adds the TraefikServices that are named anywhere in a value, and those that they name.
    fn add_services(
        &self,
        subject: &mut Subject<'d>,
        from: &Document,
        value: &'d Value,
        depth: usize,
    ) {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        if text("kind") == Some("TraefikService") && depth < MAX_DEPTH {
            let namespace = text("namespace").filter(|namespace| !namespace.is_empty());
            let namespace = namespace.unwrap_or(&from.namespace);
            let name = format!("{namespace}/{}", text("name").unwrap_or_default());
            if let Some(found) = self.document("TraefikService", &name)
                && let Some(spec) = found.value.get("spec")
                && !subject.traefik_services.iter().any(|known| std::ptr::eq(*known, spec))
            {
                subject.traefik_services.push(spec);
                self.add_services(subject, found, spec, depth + 1);
            }
        }
        match value {
            Value::Array(items) => {
                items.iter().for_each(|item| self.add_services(subject, from, item, depth));
            }
            Value::Object(map) => {
                map.values().for_each(|item| self.add_services(subject, from, item, depth));
            }
            _ => {}
        }
    }

    /// Names of entry points that a route has.
    fn named_points(document: &Document) -> Vec<String> {
        let all = match document.kind.as_str() {
            "IngressRoute" => {
                let all = document.list("/spec/entryPoints").iter().filter_map(Value::as_str);
                all.map(str::to_owned).collect()
            }
            _ => names(document.annotation(&format!("{ROUTER}entrypoints")).unwrap_or_default()),
        };
        all.iter().map(|name| name.to_lowercase()).collect()
    }

    /// The entry points of a route: those that it names, or the defaults.
    fn points_of(&self, document: &Document) -> Vec<&'d EntryPoint> {
        let named = Self::named_points(document);
        let is_its = |point: &&EntryPoint| match named.is_empty() {
            true => point.is_default,
            false => named.iter().any(|name| **name == *point.name),
        };
        self.config.entry_points.iter().filter(is_its).collect()
    }

    fn add_entry_points(&self, document: &Document, subject: &mut Subject<'_>) {
        let own = self.points_of(document);
        // One that is default redirects visitors of all hosts.
        let defaults = self.config.entry_points.iter().filter(|point| point.is_default);
        if own.iter().copied().chain(defaults).any(|point| point.redirects) {
            subject.traits.insert(Trait::Redirecting);
            return;
        }
        let is_secure = |point: &&EntryPoint| {
            let mut own =
                point.listeners.iter().filter_map(|at| self.config.listeners.get(*at)).peekable();
            own.peek().is_some() && own.all(|it| it.protocol == ListenerProtocol::Https)
        };
        let tls = document.annotation(&format!("{ROUTER}tls"));
        let has_tls = tls.is_some_and(|tls| tls.trim().eq_ignore_ascii_case("true"))
            || document.kind == "IngressRoute" && document.value.pointer("/spec/tls").is_some();
        let is_named = !Self::named_points(document).is_empty();
        if has_tls || is_named && !own.is_empty() && own.iter().all(is_secure) {
            subject.traits.insert(Trait::SecureOnly);
        }
    }

    fn add_step(&self, subject: &mut Subject<'d>, middleware: &'d Document, depth: usize) {
        let name = format!("{}/{}", middleware.namespace, middleware.name);
        let is_shared = self.named.get(&name).is_some_and(|count| *count > 1);
        let spec = middleware.value.pointer("/spec").and_then(Value::as_object);
        for (kind, spec) in spec.into_iter().flatten() {
            let (name, is_broken) = (name.clone(), false);
            subject.steps.push(StepView { kind, spec, name, is_shared, is_broken });
            let members =
                spec.get("middlewares").and_then(Value::as_array).filter(|_| kind == "chain");
            for member in members.into_iter().flatten().filter(|_| depth < MAX_DEPTH) {
                if let Some(member) = self.by_name(middleware, member) {
                    self.add_step(subject, member, depth + 1);
                }
            }
        }
    }

    fn of_annotation(&self, document: &Document, key: &str) -> Vec<&'d Document> {
        let all = names(document.annotation(key).unwrap_or_default());
        all.iter().filter_map(|name| self.by_id(name)).collect()
    }

    fn of_route(&self, document: &Document, route: &Value) -> Vec<&'d Document> {
        let all = route.get("middlewares").and_then(Value::as_array).into_iter().flatten();
        all.filter_map(|reference| self.by_name(document, reference)).collect()
    }

    fn by_id(&self, name: &str) -> Option<&'d Document> {
        self.ids.get(name.strip_suffix("@kubernetescrd")?).copied()
    }

    /// A reference of a CRD: name, and namespace where it is another one.
    fn by_name(&self, from: &Document, reference: &Value) -> Option<&'d Document> {
        let text = |key: &str| reference.get(key).and_then(Value::as_str);
        let namespace = text("namespace").filter(|namespace| !namespace.is_empty());
        self.ids.get(&object_id(namespace.unwrap_or(&from.namespace), text("name")?)).copied()
    }
}

/// `spec.rules[0].host` as a pointer of JSON.
fn pointer(field: &str) -> String {
    let parts = field.split(['.', '[', ']']).filter(|part| !part.is_empty());
    parts.map(|part| format!("/{part}")).collect()
}

fn names(list: &str) -> Vec<String> {
    let all = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    all.map(str::to_owned).collect()
}
