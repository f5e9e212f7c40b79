//! What the Middlewares do that an annotation names, where they are among the objects that were read: a
//! finding about them can then say what is missing, and whether it restricts anybody.

use crate::control::files::Surroundings;
use crate::control::objects::Objects;
use crate::model::{Diagnostic, Kind};
use std::collections::BTreeMap;

/// What references to objects of the Kubernetes provider end with.
const PROVIDER: &str = "@kubernetescrd";

/// Adds to findings about annotations of Middlewares what these do.
pub(super) fn name(findings: &mut [Diagnostic], objects: &Objects, around: &Surroundings) {
    for finding in findings {
        if let Some(value) = references(objects, finding)
            && let Some(words) = words(&value, &around.middlewares)
        {
            finding.reason = format!("{} ({words})", finding.reason);
        }
    }
}

/// The value of the annotation that a finding is about, if it is one that names Middlewares.
fn references(objects: &Objects, finding: &Diagnostic) -> Option<String> {
    let Diagnostic { object, field, .. } = finding;
    let key = field.strip_prefix("metadata.annotations[")?.strip_suffix("]")?;
    let is_one = ["router.middlewares", "service.middlewares"].iter().any(|name| {
        let own = key.strip_prefix("traefik.ingress.kubernetes.io/");
        own.is_some_and(|own| own.eq_ignore_ascii_case(name))
    });
    let (namespace, name) = (&object.namespace, &object.name);
    let annotations = match object.kind {
        _ if !is_one => None,
        Kind::Ingress => objects.ingresses().get(namespace, name)?.metadata.annotations.as_ref(),
        Kind::Service => objects.services().get(namespace, name)?.metadata.annotations.as_ref(),
        _ => None,
    };
    annotations?.get(key).cloned()
}

/// `shop-auth is a basicAuth, shop-zip a compress`; nothing where none of them is known.
fn words(value: &str, known: &BTreeMap<String, String>) -> Option<String> {
    let named = value.split(',').filter_map(|reference| {
        let reference = reference.trim();
        let reference = reference.strip_suffix(PROVIDER).unwrap_or(reference);
        let does = known.get(reference).map(String::as_str).filter(|does| !does.is_empty())?;
        Some(format!("{reference}: {does}"))
    });
    let named: Vec<String> = named.collect();
    (!named.is_empty()).then(|| named.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn middlewares_that_are_known_are_told_by_what_they_do() {
        let known = [("shop-auth", "basicAuth"), ("shop-zip", "compress"), ("shop-odd", "")];
        let known = known.map(|(name, does)| (name.to_owned(), does.to_owned())).into();
        for (value, expected) in [
            ("shop-auth@kubernetescrd", Some("shop-auth: basicAuth")),
            (
                "shop-zip@kubernetescrd, shop-auth@kubernetescrd",
                Some("shop-zip: compress; shop-auth: basicAuth"),
            ),
            ("shop-none@kubernetescrd,shop-auth", Some("shop-auth: basicAuth")),
            ("shop-odd@kubernetescrd", None),
            ("auth@file", None),
        ] {
            assert_eq!(words(value, &known).as_deref(), expected, "{value}");
        }
    }
}
