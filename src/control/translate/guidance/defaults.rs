//! Two IngressClasses that are both the default.

use crate::control::objects::Objects;
use crate::control::translate::class::{CONTROLLER, DEFAULT_ANNOTATION, is_default};
use crate::model::{Diagnostic, Kind, ObjectRef, Severity, Why};

/// A finding about our default class, if another controller has one as well: which of them takes an Ingress without a
/// class depends on their ages, and both may.
pub(super) fn two_defaults(objects: &Objects) -> Option<Diagnostic> {
    let defaults = || objects.classes().iter().filter(|(.., class)| is_default(class));
    let is_own = |class: &k8s_openapi::api::networking::v1::IngressClass| {
        class.spec.as_ref().and_then(|spec| spec.controller.as_deref()) == Some(CONTROLLER)
    };
    let (_, own, _) = defaults().find(|(.., class)| is_own(class))?;
    let (_, other, _) = defaults().find(|(.., class)| !is_own(class))?;
    Some(Diagnostic {
        severity: Severity::Warning,
        object: ObjectRef::new(Kind::IngressClass, "", own),
        field: format!("metadata.annotations[{DEFAULT_ANNOTATION}]"),
        why: Why::Duplicate,
        reason: format!(
            "is \"true\", and on IngressClass {other} as well: a new Ingress without a class gets the newest of them, and an older \
             one without a class is served by both"
        ),
        fix: format!(
            "`kubectl annotate ingressclass {other} {DEFAULT_ANNOTATION}-`, or the same with {own}"
        ),
    })
}
