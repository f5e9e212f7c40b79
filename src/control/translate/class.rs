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
}

impl Classes {
    pub(super) fn new(objects: &Objects, options: &Options) -> Self {
        let options = options.clone();
        let mut classes = Self { options, controllers: BTreeMap::new(), default: false };
        for (_, name, class) in objects.classes().iter() {
            classes.controllers.insert(Arc::clone(name), controller(class).into());
            classes.default |= classes.is_ours(name) && is_default(class);
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
        let fix = match self.options.ingress_class.as_str() {
            "" => "set it to an IngressClass of ravelin if ravelin shall serve it".to_owned(),
            class => format!("set it to \"{class}\" if ravelin shall serve it"),
        };
        Err(foreign(CLASS_FIELD, "is not set, and no class of ravelin is the default", fix))
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
            None => Err(foreign(
                CLASS_FIELD,
                format!("names \"{class}\", and there is no IngressClass of that name"),
                match nearest(class, self.our_names()) {
                    Some(name) => format!("did you mean \"{name}\"?"),
                    None => String::new(),
                },
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
        Err(foreign(ANNOTATION_FIELD, reason, ""))
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
