//! Which Ingresses are ours (networking/v1 `IngressSpec.ingressClassName`, IngressClass).

use super::Options;
use super::report::Problem;
use crate::control::objects::{Objects, SOLVER_LABEL, TraefikObject};
use crate::control::suggest::nearest;
use crate::model::{ACME_CHALLENGES, Severity, Why};
use k8s_openapi::api::networking::v1::{HTTPIngressPath, Ingress, IngressClass};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// `spec.controller` of the IngressClasses that ravelin serves.
pub const CONTROLLER: &str = "ravelin.dev/ingress-controller";

/// Names the class of an Ingress written before Kubernetes 1.18.
const LEGACY_ANNOTATION: &str = "kubernetes.io/ingress.class";

/// Makes an IngressClass the one of Ingresses that name none.
pub(super) const DEFAULT_ANNOTATION: &str = "ingressclass.kubernetes.io/is-default-class";

/// The class of Traefik's chart.
pub(super) const TRAEFIK_CLASS: &str = "traefik";

const CLASS_FIELD: &str = "spec.ingressClassName";
const ANNOTATION_FIELD: &str = "metadata.annotations[kubernetes.io/ingress.class]";

/// The IngressClasses, as far as a claim depends on them.
#[derive(Debug)]
pub(super) struct Classes {
    options: Options,
    /// Every class, by name; those that are gone and still served by are among them.
    all: BTreeMap<Arc<str>, Class>,
    /// Those of ours that are gone and still served by.
    gone: BTreeSet<Arc<str>>,
}

#[derive(Debug)]
struct Class {
    controller: Arc<str>,
    is_default: bool,
}

impl Classes {
    pub(super) fn new(objects: &Objects, options: &Options) -> Self {
        let all = objects.classes().iter().map(|(_, name, class)| {
            let (controller, is_default) = (controller(class).into(), is_default(class));
            (Arc::clone(name), Class { controller, is_default })
        });
        Self { options: options.clone(), all: all.collect(), gone: BTreeSet::new() }
    }

    /// The classes of `objects` now, and those of ours that were there before and are gone: a class that
    /// is deleted takes every site down at once, and is seldom meant to. One that has another controller
    /// is handed over, and not kept.
    pub(super) fn after(&self, objects: &Objects) -> Self {
        let mut now = Self::new(objects, &self.options);
        // Without the object, the configured class is still ours.
        let needs_object = self.options.strict_class || self.options.ingress_class.is_empty();
        if self.options.class_grace.is_zero() || !needs_object {
            return now;
        }
        for (name, Class { controller, is_default }) in &self.all {
            if self.is_ours(name) && !now.all.contains_key(name) {
                let class = Class { controller: Arc::clone(controller), is_default: *is_default };
                now.all.insert(Arc::clone(name), class);
                now.gone.insert(Arc::clone(name));
            }
        }
        now
    }

    /// Those of ours that are gone and still served by.
    pub(super) fn gone(&self) -> &BTreeSet<Arc<str>> {
        &self.gone
    }

    /// Serves by a class no longer that is gone.
    pub(super) fn give_up(&mut self, name: &str) {
        if self.gone.remove(name) {
            self.all.remove(name);
        }
    }

    /// What is to be said of an Ingress that is ours by a class that is gone.
    pub(super) fn warning(&self, named: &NamedClass<'_>) -> Option<Problem> {
        if self.gone.is_empty() {
            return None;
        }
        let (field, class) = match named.class {
            Some((field, class)) => (field, class),
            None => {
                let default = self.all.iter().find(|(name, class)| {
                    class.is_default && self.is_ours(name) && !self.gone.contains(&***name)
                });
                // One that is there stands for it.
                if default.is_some() || self.options.without_class {
                    return None;
                }
                (CLASS_FIELD, self.gone.iter().find(|name| self.all[*name].is_default)?.as_ref())
            }
        };
        self.gone.contains(class).then(|| {
            let reason = format!(
                "has the class \"{class}\", whose IngressClass was deleted: it is served for at most {} more",
                words(self.options.class_grace)
            );
            let fix = format!("create IngressClass {class} with spec.controller \"{CONTROLLER}\"");
            Problem::error(Why::ClassGone, field, reason, fix).with(Severity::Warning)
        })
    }

    /// Whether an object is for us; if not, why.
    pub(super) fn claim(&self, named: &NamedClass<'_>) -> Result<(), Problem> {
        match named.class {
            Some((_, class)) if self.is_taken(class) => return Ok(()),
            Some((CLASS_FIELD, class)) => return self.claim_by_field(class),
            Some((_, class)) => return self.claim_by_annotation(class),
            None => {}
        }
        let mut all = self.all.iter();
        let default = all.any(|(name, class)| class.is_default && self.is_ours(name));
        if default || self.options.without_class || named.is_solver || self.takes_unnamed(named) {
            return Ok(());
        }
        if named.is_of_traefik {
            let reason = "is not set, and IngressRoutes without one are of Traefik alone";
            let fix = format!(
                "if ravelin should serve it, add \"{TRAEFIK_CLASS}\" to source.ingress_classes, or give \
                 --ingress-class {TRAEFIK_CLASS}"
            );
            return Err(foreign(CLASS_FIELD, reason, fix));
        }
        let wanted = match self.options.ingress_class.as_str() {
            "" => "an IngressClass of ravelin".to_owned(),
            class => format!("\"{class}\""),
        };
        let mut all = self.all.iter();
        let reason = match all.rfind(|(_, class)| class.is_default) {
            Some((name, Class { controller, .. })) => {
                format!("is not set, and IngressClass {name} of \"{controller}\" is the default")
            }
            None => "is not set, and no class of ravelin is the default".to_owned(),
        };
        let fix = format!(
            "set it to {wanted} if ravelin should serve it; for all Ingresses without a class, \
                `source.ingress_without_class`, or {DEFAULT_ANNOTATION}: \"true\" on the class"
        );
        Err(foreign(CLASS_FIELD, reason, fix))
    }

    fn claim_by_field(&self, class: &str) -> Result<(), Problem> {
        let wanted = self.options.ingress_class.as_str();
        match self.all.get(class).map(|class| &*class.controller) {
            Some(_) if self.is_ours(class) => Ok(()),
            Some(CONTROLLER) => Err(foreign(
                CLASS_FIELD,
                format!("is \"{class}\", but this ravelin serves only \"{wanted}\""),
                "none needed, if another ravelin serves that class",
            )),
            Some(controller) if class == wanted => Err(foreign(
                CLASS_FIELD,
                format!("is \"{class}\", whose controller is \"{controller}\""),
                format!(
                    "delete IngressClass {class} and create it with spec.controller \"{CONTROLLER}\": the field cannot be changed"
                ),
            )),
            Some(controller) => Err(foreign(
                CLASS_FIELD,
                format!("is \"{class}\", a class of \"{controller}\""),
                "",
            )),
            None if class == wanted && !self.options.strict_class => Ok(()),
            // By its name it is ours, so nobody else will serve it either.
            None if class == wanted => Err(foreign(
                CLASS_FIELD,
                format!("is \"{class}\", but no IngressClass has that name"),
                format!("create IngressClass {class} with spec.controller \"{CONTROLLER}\""),
            )
            .with(Severity::Error)),
            None => Err(self.unknown(
                CLASS_FIELD,
                class,
                format!("is \"{class}\", but no IngressClass has that name"),
            )),
        }
    }

    fn claim_by_annotation(&self, class: &str) -> Result<(), Problem> {
        let wanted = self.options.ingress_class.as_str();
        let ours = if wanted.is_empty() { self.is_ours(class) } else { class == wanted };
        if ours {
            return Ok(());
        }
        let reason = format!("is \"{class}\", which is not a class of ravelin");
        // A controller may take the annotation without an IngressClass of that name.
        if self.all.contains_key(class) {
            return Err(foreign(ANNOTATION_FIELD, reason, ""));
        }
        Err(self.unknown(ANNOTATION_FIELD, class, reason))
    }

    /// A class without an IngressClass. One that is ours except for a typing mistake is served by no controller.
    fn unknown(&self, field: &'static str, class: &str, reason: String) -> Problem {
        if let Some(name) = nearest(class, self.our_names()) {
            let fix = format!("did you mean \"{name}\"?");
            return foreign(field, reason, fix).with(Severity::Warning);
        }
        if let Some(name) = nearest(class, self.all.keys().map(|name| &**name)) {
            return foreign(field, reason, format!("did you mean \"{name}\"?"));
        }
        let fix = match self.our_names().next() {
            Some(name) => {
                format!(
                    "none needed, if another controller serves it; for ravelin, write \"{name}\""
                )
            }
            None => "none needed, if another controller serves it".to_owned(),
        };
        foreign(field, reason, fix)
    }

    fn is_ours(&self, class: &str) -> bool {
        let wanted = &self.options.ingress_class;
        let is_own = self.all.get(class).is_some_and(|own| *own.controller == *CONTROLLER);
        (is_own && (wanted.is_empty() || wanted == class)) || self.is_taken(class)
    }

    /// Whether the status of an object that is for us is ours to write: that of an Ingress is, unless it is by a class
    /// of another controller, which writes it as well.
    pub(super) fn has_status(&self, named: &NamedClass<'_>) -> bool {
        if named.is_of_traefik || (named.is_solver && named.class.is_none()) {
            return false;
        }
        let is_own =
            |class: &str| self.all.get(class).is_some_and(|own| *own.controller == *CONTROLLER);
        let is_by_own = match named.class {
            Some((_, class)) => is_own(class) || !self.is_taken(class),
            None => {
                let default = |(name, class): (&Arc<str>, &Class)| class.is_default && is_own(name);
                self.all.iter().any(default) || self.options.without_class
            }
        };
        is_by_own || self.options.taken_status
    }

    /// Whether a class is served with any controller.
    fn is_taken(&self, class: &str) -> bool {
        self.options.taken_classes.iter().any(|taken| taken == class)
    }

    /// Whether objects without a class are served for a class that is taken. Traefik serves IngressRoutes without
    /// one, and Ingresses likewise unless another class is the default.
    fn takes_unnamed(&self, named: &NamedClass<'_>) -> bool {
        match named.is_of_traefik {
            true => self.is_taken(TRAEFIK_CLASS),
            false => {
                let has_default = self.all.values().any(|class| class.is_default);
                !self.options.taken_classes.is_empty() && !has_default
            }
        }
    }

    fn our_names(&self) -> impl Iterator<Item = &str> {
        let configured = Some(self.options.ingress_class.as_str()).filter(|name| !name.is_empty());
        self.all.keys().map(|name| &**name).filter(|name| self.is_ours(name)).chain(configured)
    }
}

/// The class that an object names, and where. The field wins over the annotation.
pub(super) struct NamedClass<'o> {
    class: Option<(&'static str, &'o str)>,
    /// Whether the object is an IngressRoute.
    is_of_traefik: bool,
    /// Whether cert-manager answers a challenge by it, for which it need not name a class.
    is_solver: bool,
}

impl<'o> NamedClass<'o> {
    /// The name of the class, if there is one.
    pub(super) fn name(&self) -> Option<&'o str> {
        self.class.map(|(_, name)| name)
    }

    /// That of an Ingress.
    pub(super) fn of_ingress(ingress: &'o Ingress) -> Self {
        let field = ingress.spec.as_ref().and_then(|spec| spec.ingress_class_name.as_deref());
        let is_solver = is_solver(ingress);
        Self { class: named(field, &ingress.metadata), is_of_traefik: false, is_solver }
    }

    /// That of an IngressRoute.
    pub(super) fn of_ingress_route(route: &'o TraefikObject) -> Self {
        let field = route.spec.get("ingressClassName").and_then(Value::as_str);
        Self { class: named(field, &route.metadata), is_of_traefik: true, is_solver: false }
    }
}

/// Whether an Ingress is of cert-manager's solver of HTTP-01 challenges: by its label, and as it has no other path than
/// those of challenges. The label alone would let any Ingress pass by the Middlewares of entry points.
pub(super) fn is_solver(ingress: &Ingress) -> bool {
    let labels = ingress.metadata.labels.as_ref();
    let is_labelled = labels.and_then(|all| all.get(SOLVER_LABEL)).is_some_and(|it| it == "true");
    let Some(spec) = ingress.spec.as_ref().filter(|_| is_labelled) else {
        return false;
    };
    let rules = spec.rules.iter().flatten();
    let paths = rules.flat_map(|rule| rule.http.iter().flat_map(|http| &http.paths));
    let is_challenge = |path: &HTTPIngressPath| {
        let below = path.path.as_deref().and_then(|path| path.strip_prefix(ACME_CHALLENGES));
        below
            .and_then(|path| path.strip_prefix('/'))
            .is_some_and(|token| !token.contains(['/', '%']))
    };
    spec.default_backend.is_none()
        && paths.clone().next().is_some()
        && paths.clone().all(is_challenge)
}

fn named<'o>(field: Option<&'o str>, metadata: &'o ObjectMeta) -> Option<(&'static str, &'o str)> {
    let annotations = metadata.annotations.as_ref();
    let annotation = || annotations?.get(LEGACY_ANNOTATION).map(String::as_str);
    let field = field.filter(|class| !class.is_empty()).map(|class| (CLASS_FIELD, class));
    field.or_else(|| {
        let class = annotation().filter(|class| !class.is_empty())?;
        Some((ANNOTATION_FIELD, class))
    })
}

/// As it is written in the configuration: `1h`, `90s`.
fn words(time: Duration) -> String {
    let millis = time.as_millis();
    let units = [(3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
    let fits = units.into_iter().find(|(length, _)| millis.is_multiple_of(*length));
    fits.map_or_else(String::new, |(length, unit)| format!("{}{unit}", millis / length))
}

fn foreign(field: &'static str, reason: impl Into<String>, fix: impl Into<String>) -> Problem {
    Problem::error(Why::ForeignClass, field, reason, fix).with(Severity::Info)
}

fn controller(class: &IngressClass) -> &str {
    class.spec.as_ref().and_then(|spec| spec.controller.as_deref()).unwrap_or_default()
}

/// Whether it is the class of Ingresses that name none.
pub(super) fn is_default(class: &IngressClass) -> bool {
    let annotations = class.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(DEFAULT_ANNOTATION)).is_some_and(|value| value == "true")
}
