//! Which Ingresses are ours (networking/v1 `IngressSpec.ingressClassName`, IngressClass).

use super::Options;
use super::report::Flaw;
use crate::control::objects::Objects;
use crate::control::suggest::nearest;
use crate::model::{Severity, Why};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use std::collections::BTreeMap;
use std::sync::Arc;

/// `spec.controller` of the IngressClasses that ravelin serves.
pub const CONTROLLER: &str = "ravelin.dev/ingress-controller";

/// Names the class of an Ingress written before Kubernetes 1.18.
const LEGACY_ANNOTATION: &str = "kubernetes.io/ingress.class";

/// Makes an IngressClass the one of Ingresses that name none.
const DEFAULT_ANNOTATION: &str = "ingressclass.kubernetes.io/is-default-class";

const CLASS_FIELD: &str = "spec.ingressClassName";
const ANNOTATION_FIELD: &str = "metadata.annotations[kubernetes.io/ingress.class]";

/// The IngressClasses, as far as a claim depends on them.
#[derive(Debug)]
pub(super) struct Classes {
    options: Options,
    /// Controller of every class, by name.
    controllers: BTreeMap<Arc<str>, Arc<str>>,
    /// Whether a class of ours is the default one.
    default: bool,
    /// Another class that is: its name and controller.
    default_of_others: Option<(Arc<str>, Arc<str>)>,
}

impl Classes {
    pub(super) fn new(objects: &Objects, options: &Options) -> Self {
        let options = options.clone();
        let mut classes =
            Self { options, controllers: BTreeMap::new(), default: false, default_of_others: None };
        for (_, name, class) in objects.classes().iter() {
            classes.controllers.insert(Arc::clone(name), controller(class).into());
            if is_default(class) && classes.is_ours(name) {
                classes.default = true;
            } else if is_default(class) {
                classes.default_of_others = Some((Arc::clone(name), controller(class).into()));
            }
        }
        classes
    }

    /// Whether the Ingress is for us; if not, why. The field wins over the annotation.
    pub(super) fn claim(&self, ingress: &Ingress) -> Result<(), Flaw> {
        let field = ingress.spec.as_ref().and_then(|spec| spec.ingress_class_name.as_deref());
        if let Some(class) = field.filter(|class| !class.is_empty()) {
            return self.claim_by_field(class);
        }
        let annotations = ingress.metadata.annotations.as_ref();
        let annotation = annotations.and_then(|all| all.get(LEGACY_ANNOTATION));
        if let Some(class) = annotation.filter(|class| !class.is_empty()) {
            return self.claim_by_annotation(class);
        }
        if self.default || self.options.without_class {
            return Ok(());
        }
        let wanted = match self.options.ingress_class.as_str() {
            "" => "an IngressClass of ravelin".to_owned(),
            class => format!("\"{class}\""),
        };
        let reason = match &self.default_of_others {
            Some((name, controller)) => {
                format!("is not set, and IngressClass {name} of \"{controller}\" is the default")
            }
            None => "is not set, and no class of ravelin is the default".to_owned(),
        };
        let fix = format!(
            "set it to {wanted} if ravelin shall serve it; for all without a class \
             `source.ingress_without_class`, or {DEFAULT_ANNOTATION}: \"true\" on the class"
        );
        Err(foreign(CLASS_FIELD, reason, fix))
    }

    fn claim_by_field(&self, class: &str) -> Result<(), Flaw> {
        let wanted = self.options.ingress_class.as_str();
        match self.controllers.get(class).map(|controller| &**controller) {
            Some(_) if self.is_ours(class) => Ok(()),
            Some(CONTROLLER) => Err(foreign(
                CLASS_FIELD,
                format!("names \"{class}\", and this ravelin serves \"{wanted}\" alone"),
                "nothing, if another ravelin serves that class",
            )),
            Some(controller) if class == wanted => Err(foreign(
                CLASS_FIELD,
                format!("names \"{class}\", whose controller is \"{controller}\""),
                format!("set spec.controller of IngressClass {class} to \"{CONTROLLER}\""),
            )),
            Some(controller) => Err(foreign(
                CLASS_FIELD,
                format!("names \"{class}\", a class of \"{controller}\""),
                "",
            )),
            None if class == wanted && !self.options.strict_class => Ok(()),
            // By its name it is ours, so nobody else will serve it either.
            None if class == wanted => Err(foreign(
                CLASS_FIELD,
                format!("names \"{class}\", and there is no IngressClass of that name"),
                format!("create IngressClass {class} with spec.controller \"{CONTROLLER}\""),
            )
            .with(Severity::Error)),
            None => Err(self.unknown(
                CLASS_FIELD,
                class,
                format!("names \"{class}\", and there is no IngressClass of that name"),
            )),
        }
    }

    fn claim_by_annotation(&self, class: &str) -> Result<(), Flaw> {
        let wanted = self.options.ingress_class.as_str();
        let ours = if wanted.is_empty() { self.is_ours(class) } else { class == wanted };
        if ours {
            return Ok(());
        }
        let reason = format!("names \"{class}\", which is not a class of ravelin");
        // A controller may take the annotation without an IngressClass of that name.
        if self.controllers.contains_key(class) {
            return Err(foreign(ANNOTATION_FIELD, reason, ""));
        }
        Err(self.unknown(ANNOTATION_FIELD, class, reason))
    }

    /// A class that nobody defines. One that is ours but for a typing mistake nobody will serve.
    fn unknown(&self, field: &'static str, class: &str, reason: String) -> Flaw {
        if let Some(name) = nearest(class, self.our_names()) {
            let fix = format!("did you mean \"{name}\"?");
            return foreign(field, reason, fix).with(Severity::Warning);
        }
        if let Some(name) = nearest(class, self.controllers.keys().map(|name| &**name)) {
            return foreign(field, reason, format!("did you mean \"{name}\"?"));
        }
        let fix = match self.our_names().next() {
            Some(name) => {
                format!("nothing, if another controller takes it; for ravelin \"{name}\"")
            }
            None => "nothing, if another controller takes it".to_owned(),
        };
        foreign(field, reason, fix)
    }

    fn is_ours(&self, class: &str) -> bool {
        let wanted = &self.options.ingress_class;
        self.controllers.get(class).is_some_and(|controller| **controller == *CONTROLLER)
            && (wanted.is_empty() || wanted == class)
    }

    fn our_names(&self) -> impl Iterator<Item = &str> {
        let configured = Some(self.options.ingress_class.as_str()).filter(|name| !name.is_empty());
        self.controllers
            .keys()
            .map(|name| &**name)
            .filter(|name| self.is_ours(name))
            .chain(configured)
    }
}

fn foreign(field: &'static str, reason: impl Into<String>, fix: impl Into<String>) -> Flaw {
    Flaw::error(Why::ForeignClass, field, reason, fix).with(Severity::Info)
}

fn controller(class: &IngressClass) -> &str {
    class.spec.as_ref().and_then(|spec| spec.controller.as_deref()).unwrap_or_default()
}

fn is_default(class: &IngressClass) -> bool {
    let annotations = class.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(DEFAULT_ANNOTATION)).is_some_and(|value| value == "true")
}
