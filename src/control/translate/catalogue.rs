//! Every annotation that is known, as data: `config/README.md` is held against it.

use super::foreign::{self, ForeignAnnotation};
use super::own::{OF_SERVICES, of_ingresses};
use std::collections::BTreeMap;

/// The objects that may have an annotation of our own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnnotatedObjects {
    /// Ingresses may have it.
    pub ingress: bool,
    /// Services may have it.
    pub service: bool,
}

/// The annotations of our own, with the objects that may have them.
pub fn own_annotations() -> BTreeMap<&'static str, AnnotatedObjects> {
    let mut all = BTreeMap::<_, AnnotatedObjects>::new();
    for name in of_ingresses() {
        all.entry(name).or_default().ingress = true;
    }
    for name in OF_SERVICES {
        all.entry(name).or_default().service = true;
    }
    all
}

/// The annotations of other controllers that are known one by one.
pub fn foreign_annotations() -> Vec<ForeignAnnotation> {
    foreign::catalogue()
}
