//! Annotations of which only the name tells what they do: those of controllers that have no table here,
//! and those below `ravelin.dev/` that do not exist.

use super::Subject;
use crate::control::suggest::nearest;
use crate::control::translate::annotations::{Annotations, IGNORE, OURS, field};
use crate::control::translate::clients::{CLIENT_CA, CLIENT_CERTIFICATE, CLIENT_SUBJECT};
use crate::control::translate::middleware::{OWN_STEPS, RESTRICTING_STEPS};
use crate::control::translate::own::{OF_SERVICES, of_ingresses};
use crate::control::translate::report::{Problem, Report};
use crate::model::{Broken, Why};

/// Controllers without a table, by the prefix of their annotations.
pub(super) const OTHERS: [(&str, &str); 7] = [
    ("nginx.org/", "F5's Ingress controller for NGINX"),
    ("nginx.com/", "F5's Ingress controller for NGINX"),
    ("konghq.com/", "Kong"),
    ("alb.ingress.kubernetes.io/", "AWS"),
    ("projectcontour.io/", "Contour"),
    ("k8s.apisix.apache.org/", "APISIX"),
    ("higress.io/", "Higress"),
];

/// Prefixes of words in names of restricting annotations.
const PROTECTING: [&str; 28] = [
    "access",
    "acl",
    "allow",
    "auth",
    "blacklist",
    "block",
    "certificate",
    "cidrs",
    "client",
    "csrf",
    "deny",
    "denylist",
    "firewall",
    "jwt",
    "keycloak",
    "limit",
    "method",
    "oidc",
    "openid",
    "password",
    "plugins",
    "policies",
    "protect",
    "rate",
    "restrict",
    "security",
    "waf",
    "whitelist",
];

/// Whether a name suggests that the annotation restricts access.
pub(super) fn protects(name: &str) -> bool {
    name.split(['-', '_', '.', '/'])
        .any(|word| PROTECTING.iter().any(|protecting| word.starts_with(protecting)))
}

/// An annotation below `ravelin.dev/` that has no effect on this object.
pub(super) struct Unread {
    /// Whether it was meant to restrict access.
    pub(super) protects: bool,
    pub(super) mend: Mend,
}

/// The fix for an annotation without a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mend {
    /// Its name is nearly this one.
    Write(String),
    /// Objects of this kind have it.
    Move(&'static str),
    Remove,
}

/// What is to be said of an annotation below `ravelin.dev/`, unless it is read.
pub(super) fn unread(name: &str, subject: Subject<'_>) -> Option<Unread> {
    let of_ingresses = of_ingresses();
    let (known, others): (&[&str], &[&str]) = match subject {
        Subject::Ingress(_) => (&of_ingresses, &OF_SERVICES),
        Subject::Service => (&OF_SERVICES, &of_ingresses),
    };
    if !name.starts_with(OURS) || known.contains(&name) || name == IGNORE {
        return None;
    }
    if others.contains(&name) {
        let owner = match subject {
            Subject::Ingress(_) => "Service",
            Subject::Service => "Ingress",
        };
        return Some(Unread { protects: is_guard(name), mend: Mend::Move(owner) });
    }
    // What all of them begin with would make all of them alike.
    let key = &name[OURS.len()..];
    Some(match nearest(key, known.iter().filter_map(|known| known.strip_prefix(OURS))) {
        Some(near) => {
            let near = format!("{OURS}{near}");
            Unread { protects: is_guard(&near), mend: Mend::Write(near) }
        }
        None => Unread { protects: protects(key), mend: Mend::Remove },
    })
}

/// Whether an annotation of ravelin restricts access.
fn is_guard(name: &str) -> bool {
    [CLIENT_CERTIFICATE, CLIENT_CA, CLIENT_SUBJECT].contains(&name)
        || RESTRICTING_STEPS.contains(&name)
        || OWN_STEPS.contains(&name) && protects(&name[OURS.len()..])
}

/// Reports the steps that annotations of an IngressRoute ask for, and that only Ingresses have. Returns why none of its
/// routes is served, if one of them restricts access.
pub(in crate::control::translate) fn refuse_steps(
    annotations: Annotations<'_>,
    report: &mut Report<'_>,
) -> Option<Broken> {
    let mut refused = None;
    for name in OWN_STEPS.into_iter().filter(|name| is_guard(name)) {
        if annotations.get(name).is_none() || annotations.ignores(name, None, report) {
            continue;
        }
        let reason = "is for Ingresses, and protects what it is on: requests of this IngressRoute answer 503";
        let fix = "ask for it by a Middleware of its routes, or by [[zone]] or [[access]] in the configuration, and remove it";
        report.add(&field(name), Problem::error(Why::RestrictionUnsupported, "", reason, fix));
        refused = Some(Broken::Restricted);
    }
    refused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_whether_an_annotation_protects() {
        for name in ["allow-list", "basic-auth-secret", "ip-whitelist", "rate-limits", "waf_mode"] {
            assert!(protects(name), "{name}");
        }
        for name in ["websocket-services", "proxy-buffers", "strip-path", "queue-timout"] {
            assert!(!protects(name), "{name}");
        }
    }

    #[test]
    fn of_ours_that_nobody_reads_those_near_a_guard_protect() {
        let unread = |name| unread(name, Subject::Ingress(None)).map(|unread| unread.protects);
        assert_eq!(unread("ravelin.dev/client-certificate"), None);
        assert_eq!(unread("ravelin.dev/client-certifcate"), Some(true));
        assert_eq!(unread("ravelin.dev/allow-from"), Some(true), "possibly of a later version");
        for near in ["worker-zone", "secret-heder", "max-cdn-pass", "secret-header-secrets"] {
            let name = format!("ravelin.dev/{near}");
            let unread = super::unread(&name, Subject::Ingress(None));
            assert!(unread.is_some_and(|unread| unread.protects), "{near}");
        }
        assert_eq!(unread("ravelin.dev/https-redirct"), Some(false));
        assert_eq!(unread("ravelin.dev/max-connections"), Some(false), "it is for Services");
        assert_eq!(unread("other.example/client-certificate"), None);
    }
}
