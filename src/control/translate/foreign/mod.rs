//! Annotations of other controllers. Each is handled visibly, so that nobody assumes that it applies.
//!
//! Each is **obeyed** (a reader elsewhere in this crate supports it), **tolerated** (it tunes or loosens; what
//! it is on is served, and a finding says what is done instead), or it **restricts** who is served or
//! **changes** what a rule matches or a pod gets. Of the latter two the routes keep their place and answer
//! 503: what is meant to protect is never served open. The rules:
//!
//! - The annotations of every controller count, whatever the class of the Ingress: who moves an Ingress
//!   to another class moves its annotations along.
//! - An empty value, and one that switches the annotation off, restricts nothing.
//! - On an Ingress it is for all of its routes, the default backend among them; on a Service for all
//!   routes to it, as far as the controller reads annotations of Services.
//! - What its own controller does not read (an unknown key, one on the wrong object) has never protected
//!   anybody: a warning, and a loud one where its name says that it should. Below `ravelin.dev/` it is
//!   refused then, as is a key of routers that Traefik does not know: Traefik serves nothing of such an
//!   Ingress.
//! - [`IGNORE`] lists those to be served without. That is a word of the author's own.

mod catalogue;
mod expression;
mod findings;
mod guard;
mod haproxy;
mod nginx;
mod others;
#[cfg(test)]
mod tests;
mod traefik;
mod values;

pub use catalogue::ForeignAnnotation;
pub(super) use catalogue::catalogue;
pub(super) use expression::place as place_of_expression;
pub(super) use others::refuse_steps;

use super::annotations::{Annotations, IGNORE, OURS};
use super::report::Report;
use crate::control::suggest::nearest;
use crate::model::Broken;
use findings::Say;
use guard::{Change, Guard};
use k8s_openapi::api::networking::v1::{HTTPIngressPath, IngressSpec};
use others::Mend;
use std::borrow::Cow;
use std::num::NonZeroU64;
use values::Unless;

/// A key without its prefix, and what it does. `N` in a key stands for any number.
type Entry = (&'static str, Class);

/// What becomes of an annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// It restricts access.
    Restricts(Guard, Unless),
    /// It changes what rules match, or what pods get.
    Alters(Change, Unless),
    /// What is done instead, which its author may want to know, and what to do about it.
    Differs(&'static str, &'static str),
    /// What is done instead, which makes no difference.
    Tunes(&'static str),
    /// A limit for bodies, in the units of nginx.
    BodySize,
    /// What is spoken with the pods.
    PodProtocol,
    /// Lists of Middlewares.
    Middlewares,
    /// `middleware` makes a step of it, or `path_matching` reads it.
    Step,
    /// The same, and it restricts access.
    Guards(Guard),
    /// How HAProxy Ingress matches paths of the type ImplementationSpecific.
    PathType,
    /// Text of nginx's configuration, of which fields alone are read.
    Snippet,
    /// It gets a share of the requests of another Ingress.
    Canary,
}

const DETAIL: Class = Class::Tunes("it configures another annotation, and has no effect alone");
const LOGS: Class = Class::Tunes("[access_log] configures the access log");
const TLS_POLICY: Class = Class::Tunes("only safe ciphers of TLS 1.2 and 1.3 are offered");
const STICKY: Class =
    Class::Differs("requests are balanced by load", "use ravelin.dev/balance: sticky-cookie");

/// The annotations of one controller, or of several that share prefixes.
struct Controller {
    name: &'static str,
    prefixes: &'static [&'static str],
    /// Full names of those that readers of this crate have.
    obeyed: &'static [&'static str],
    entries: &'static [Entry],
}

const CONTROLLERS: [&Controller; 3] = [&traefik::TRAEFIK, &nginx::NGINX, &haproxy::HAPROXY];

/// What annotations of controllers begin with that are of interest here.
pub(in crate::control) fn is_of_controller(name: &str) -> bool {
    let of_tables = CONTROLLERS.into_iter().flat_map(|controller| controller.prefixes);
    let of_others = others::OTHERS.iter().map(|(prefix, _)| prefix);
    of_tables.chain(of_others).any(|prefix| name.starts_with(prefix))
}

/// The smallest limit for bodies among the annotations of an Ingress that are obeyed.
pub(super) fn body_size(annotations: Annotations<'_>) -> Option<NonZeroU64> {
    let ignored = annotations.list(IGNORE);
    let limits = annotations.all().filter_map(|(name, value)| {
        let (controller, prefix) = find(name).filter(|_| !ignored.contains(&name))?;
        let class = controller.class(&name[prefix.len()..])?;
        let limit = values::bytes(value).filter(|_| class == Class::BodySize)?;
        NonZeroU64::new(limit)
    });
    limits.min()
}

/// The object that has the annotations.
#[derive(Clone, Copy)]
pub(super) enum Subject<'s> {
    Ingress(Option<&'s IngressSpec>),
    Service,
}

impl<'s> Subject<'s> {
    fn paths(self) -> impl Iterator<Item = &'s HTTPIngressPath> {
        let spec = match self {
            Self::Ingress(spec) => spec,
            Self::Service => None,
        };
        let rules = spec.and_then(|spec| spec.rules.as_deref()).unwrap_or_default();
        rules.iter().filter_map(|rule| rule.http.as_ref()).flat_map(|http| &http.paths)
    }

    fn has_specific_paths(self) -> bool {
        self.paths().any(|path| path.path_type == "ImplementationSpecific")
    }
}

/// What annotations that are not obeyed come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Consequences {
    /// Why no route is served.
    pub(super) broken: Option<Broken>,
    /// Whether no route is to be in the table: another Ingress has all of the requests.
    pub(super) left_out: bool,
    /// Whether paths may be regular expressions.
    pub(super) expressions: bool,
}

/// What one annotation comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Obeyed,
    Tunes(&'static str),
    Differs(&'static str, &'static str),
    Restricts(Guard),
    Alters(Change),
    LeftOut,
}

/// Judges all annotations of an object, and reports those that are not obeyed.
pub(super) fn judge(
    annotations: Annotations<'_>,
    subject: Subject<'_>,
    report: &mut Report<'_>,
) -> Consequences {
    let mut consequences = Consequences::default();
    let ignored = annotations.list(IGNORE);
    findings::check_ignored(annotations, &ignored, report);
    for (name, value) in annotations.all() {
        let mut say = Say { name, value, subject, report: &mut *report, mend: None };
        let outcome = match find(name) {
            Some((controller, prefix)) => {
                let Some(outcome) = of_table(controller, prefix, annotations, &mut say) else {
                    continue;
                };
                outcome
            }
            None => match by_name(&mut say) {
                Some(guard) => Outcome::Restricts(guard),
                None => continue,
            },
        };
        if ignored.contains(&name) && say.ignored(outcome) {
            continue;
        }
        say.outcome(outcome);
        match outcome {
            Outcome::Restricts(_) => consequences.broken = Some(Broken::Restricted),
            Outcome::Alters(_) => {
                consequences.broken = consequences.broken.or(Some(Broken::Altered));
            }
            Outcome::LeftOut => consequences.left_out = true,
            Outcome::Obeyed | Outcome::Tunes(_) | Outcome::Differs(..) => {}
        }
        consequences.expressions |=
            matches!(outcome, Outcome::Alters(Change::Match | Change::Rewrite));
    }
    consequences
}

/// The controller that an annotation is of, and the prefix.
fn find(name: &str) -> Option<(&'static Controller, &'static str)> {
    CONTROLLERS.into_iter().find_map(|controller| {
        let prefix = controller.prefixes.iter().find(|prefix| name.starts_with(**prefix))?;
        Some((controller, *prefix))
    })
}

/// What an annotation of a controller with a table comes to. `None` if its controller does not read it
/// either, which has been said.
fn of_table(
    controller: &'static Controller,
    prefix: &'static str,
    annotations: Annotations<'_>,
    say: &mut Say<'_, '_>,
) -> Option<Outcome> {
    let key = normal(controller, &say.name[prefix.len()..]);
    let is_traefik = std::ptr::eq(controller, &traefik::TRAEFIK);
    let is_obeyed =
        controller.obeyed.iter().any(|obeyed| obeyed.strip_prefix(prefix) == Some(&*key));
    let class = controller.class(&key);
    let outcome = match class {
        _ if is_obeyed => Outcome::Obeyed,
        Some(class) => class.outcome(say.value, prefix, annotations, say.subject),
        None if is_traefik && key.starts_with(traefik::ROUTER) && !say.value.is_empty() => {
            if matches!(say.subject, Subject::Ingress(_)) {
                say.mend = Some(Mend::of(controller.nearest(prefix, &key)));
                return Some(Outcome::Restricts(Guard::UnknownRouterKey));
            }
            Outcome::Restricts(Guard::UnknownRouterKey)
        }
        None => {
            let near = Mend::of(controller.nearest(prefix, &key));
            say.unknown(controller, meant_elsewhere(controller, &key), &near);
            return None;
        }
    };
    let is_misplaced = match say.subject {
        Subject::Ingress(_) => is_traefik && key.starts_with(traefik::SERVICE),
        Subject::Service if is_traefik => !key.starts_with(traefik::SERVICE),
        Subject::Service => std::ptr::eq(controller, &nginx::NGINX),
    };
    if is_misplaced {
        let outcome = match class {
            Some(Class::Middlewares) => Outcome::Restricts(Guard::Middlewares),
            Some(Class::Guards(guard)) => Outcome::Restricts(guard),
            _ => outcome,
        };
        say.misplaced(controller, outcome);
        return None;
    }
    Some(outcome)
}

/// A key as tables have it. Traefik's are read without regard to case.
fn normal<'k>(controller: &Controller, key: &'k str) -> Cow<'k, str> {
    if !std::ptr::eq(controller, &traefik::TRAEFIK) {
        let status = key.strip_prefix("http-response-");
        let is_status = status.is_some_and(|code| code.bytes().all(|byte| byte.is_ascii_digit()));
        return if is_status { Cow::Borrowed("http-response-N") } else { Cow::Borrowed(key) };
    }
    let key = key.to_ascii_lowercase().replace('[', ".").replace(']', "");
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts = key.split('.').map(|part| if is_number(part) { "N" } else { part });
    Cow::Owned(parts.collect::<Vec<_>>().join("."))
}

impl Controller {
    fn class(&self, key: &str) -> Option<Class> {
        self.entries.iter().find(|(known, _)| *known == key).map(|(_, class)| *class)
    }

    /// The known annotation whose name is nearest.
    fn nearest(&self, prefix: &str, key: &str) -> Option<String> {
        let obeyed = self.obeyed.iter().filter_map(|name| name.strip_prefix(prefix));
        let known = self.entries.iter().map(|(known, _)| *known).chain(obeyed);
        nearest(key, known).map(|near| format!("{prefix}{near}"))
    }
}

/// What a key would do below the prefix of another controller.
fn meant_elsewhere(own: &Controller, key: &str) -> Option<Guard> {
    let others = CONTROLLERS.into_iter().filter(|other| !std::ptr::eq(*other, own));
    others.filter_map(|other| other.class(key)).find_map(|class| match class {
        Class::Restricts(guard, _) | Class::Guards(guard) => Some(guard),
        Class::BodySize => Some(Guard::Body),
        _ => None,
    })
}

/// What an annotation does of which only the name is known; reports it, unless it protects.
fn by_name(say: &mut Say<'_, '_>) -> Option<Guard> {
    if say.name.starts_with(OURS) {
        let unread = others::unread(say.name, say.subject)?;
        if unread.protects {
            say.mend = Some(unread.mend);
            return Some(Guard::Unread);
        }
        say.unread(&unread.mend);
        return None;
    }
    let (prefix, controller) =
        others::OTHERS.into_iter().find(|(prefix, _)| say.name.starts_with(prefix))?;
    if others::protects(&say.name[prefix.len()..]) && !say.value.is_empty() {
        return Some(Guard::Unknown);
    }
    say.strange(controller);
    None
}

impl Class {
    fn outcome(
        self,
        value: &str,
        prefix: &str,
        annotations: Annotations<'_>,
        subject: Subject<'_>,
    ) -> Outcome {
        let holds = |unless: Unless| unless.holds(value, prefix, annotations, subject);
        let nothing = Outcome::Tunes("it has no effect with this value");
        if value.is_empty() {
            return nothing;
        }
        match self {
            Self::Restricts(_, unless) | Self::Alters(_, unless) if holds(unless) => nothing,
            Self::Restricts(guard, _) => Outcome::Restricts(guard),
            Self::Alters(change, _) => Outcome::Alters(change),
            Self::Differs(instead, fix) => Outcome::Differs(instead, fix),
            Self::Tunes(instead) => Outcome::Tunes(instead),
            Self::BodySize => match values::bytes(value) {
                _ if value == "unlimited" => Outcome::Tunes("there is no limit"),
                Some(0) => Outcome::Tunes("there is no limit"),
                Some(_) if matches!(subject, Subject::Ingress(_)) => Outcome::Obeyed,
                _ => Outcome::Restricts(Guard::Body),
            },
            Self::PodProtocol => pod_protocol(value),
            // `middleware` resolves it, on the object where Traefik reads it.
            Self::Middlewares | Self::Step | Self::Guards(_) => Outcome::Obeyed,
            Self::PathType if holds(Unless::Specific(&["prefix", "begin"])) => nothing,
            Self::PathType => Outcome::Alters(Change::Match),
            Self::Snippet if super::snippet::read(value).is_some() => Outcome::Obeyed,
            Self::Snippet => Outcome::Restricts(Guard::Snippet),
            Self::Canary if holds(Unless::Off) => nothing,
            Self::Canary => Outcome::LeftOut,
        }
    }
}

/// The words of ingress-nginx, and those of HAProxy Ingress.
fn pod_protocol(value: &str) -> Outcome {
    match value.to_ascii_lowercase().as_str() {
        "http" | "auto_http" | "h1" => Outcome::Tunes("pods get HTTP"),
        "grpc" | "h2" => Outcome::Differs(
            "the Service selects the protocol to pods",
            "set ravelin.dev/upstream-protocol: h2c on the Service",
        ),
        "fcgi" => Outcome::Alters(Change::Protocol),
        _ => Outcome::Restricts(Guard::PodTls),
    }
}
