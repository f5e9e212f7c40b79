//! The class, and the objects that name it or do not.

use super::{Guidance, Obstacle, class_name};
use crate::control::objects::Objects;
use crate::control::translate::Options;
use crate::control::translate::class::{CONTROLLER, NamedClass, TRAEFIK_CLASS};
use crate::model::Kind;
use std::collections::BTreeMap;

/// The definitions of Traefik's kinds are installed if this one is.
const DEFINITION: &str = "ingressroutes.traefik.io";

/// How many classes of others are named.
const MOST_CLASSES: usize = 3;

/// Why no Ingress can be of a class of ravelin, if so.
pub(super) fn class(objects: &Objects, options: &Options) -> Option<Obstacle> {
    if !options.taken_classes.is_empty() || options.without_class {
        return None;
    }
    let name = class_name(options);
    let create = format!(
        "echo '{{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"IngressClass\",\"metadata\":{{\"name\":\"{name}\"}},\
         \"spec\":{{\"controller\":\"{CONTROLLER}\"}}}}' | kubectl apply -f -"
    );
    let controller = |class: &k8s_openapi::api::networking::v1::IngressClass| {
        class.spec.as_ref().and_then(|spec| spec.controller.clone()).unwrap_or_default()
    };
    match objects.classes().get("", name).map(|class| controller(class)) {
        Some(own) if own == CONTROLLER => None,
        Some(other) => {
            let missing = format!(
                "IngressClass {name}: spec.controller is \"{other}\", and not \"{CONTROLLER}\""
            );
            let fix = format!("`kubectl delete ingressclass {name} && {create}`");
            Some(Obstacle::new(missing, fix + ", as the field cannot be changed"))
        }
        None if options.ingress_class.is_empty()
            && objects.classes().iter().any(|(.., class)| controller(class) == CONTROLLER) =>
        {
            None
        }
        None => Some(Obstacle::new(
            format!("IngressClass {name} does not exist"),
            format!("`{create}`; deploy/base and the chart have it as well"),
        )),
    }
}

/// What there is instead of an object of ours.
pub(super) fn routes(objects: &Objects, options: &Options, guidance: &Guidance) -> Obstacle {
    let class = class_name(options);
    let (ingresses, routes) = (objects.ingresses(), objects.traefik(Kind::IngressRoute));
    if ingresses.is_empty() && routes.is_empty() {
        return none_at_all(class, options, guidance);
    }
    let is_taken = options.taken_classes.iter().any(|taken| taken == TRAEFIK_CLASS);
    let mut parts = Vec::new();
    let mut fixes = Vec::new();
    let mut by_class: BTreeMap<&str, (usize, String, String)> = BTreeMap::new();
    for (namespace, name, ingress) in ingresses.iter() {
        let named = NamedClass::of_ingress(ingress);
        let of = by_class.entry(named.name().unwrap_or_default());
        let first = || (0, namespace.to_string(), name.to_string());
        of.or_insert_with(first).0 += 1;
    }
    if !ingresses.is_empty() {
        let mut classes: Vec<_> = by_class.into_iter().collect();
        classes.sort_by_key(|(_, (count, ..))| std::cmp::Reverse(*count));
        let words = |(of, (count, namespace, name)): &(&str, (usize, String, String))| match *of {
            "" => format!("{count} without a class (such as {namespace}/{name})"),
            of => format!("{count} of class {of} (such as {namespace}/{name})"),
        };
        let named: Vec<String> = classes.iter().take(MOST_CLASSES).map(words).collect();
        parts.push(format!("no Ingress is of class {class}, but {}", named.join(", ")));
        if let Some((of, (_, namespace, name))) = classes.first() {
            fixes.push(format!(
                "`kubectl -n {namespace} patch ingress {name} --type=merge \
                 -p '{{\"spec\":{{\"ingressClassName\":\"{class}\"}}}}'`"
            ));
            if *of == TRAEFIK_CLASS {
                fixes.push(take_all());
            }
        }
    }
    if let Some((namespace, name, _)) = routes.iter().next().filter(|_| !is_taken) {
        let count = routes.len();
        parts.push(format!("{count} IngressRoutes (such as {namespace}/{name}) are of Traefik"));
        let fix = take_all();
        if !fixes.contains(&fix) {
            fixes.push(fix);
        }
    }
    if parts.is_empty() {
        parts.push("no IngressRoute can be served".to_owned());
    }
    Obstacle::new(parts.join("; "), fixes.join("; or "))
}

fn take_all() -> String {
    format!(
        "for all of Traefik's at once, `ingress_classes = [\"{TRAEFIK_CLASS}\"]` under [source] of ravelin.toml, \
         and `kubectl -n ravelin rollout restart ds/ravelin`"
    )
}

fn none_at_all(class: &str, options: &Options, guidance: &Guidance) -> Obstacle {
    let place = match guidance.namespaces.as_slice() {
        [] => "the cluster".to_owned(),
        namespaces => format!("the namespaces of source.namespaces ({})", namespaces.join(", ")),
    };
    let namespace = guidance.namespaces.first().map_or("NAMESPACE", String::as_str);
    let mut fix = format!(
        "`kubectl -n {namespace} create ingress NAME --class={class} --rule='HOST/*=SERVICE:PORT'`"
    );
    let takes_traefik = options.taken_classes.iter().any(|taken| taken == TRAEFIK_CLASS);
    let missing = match takes_traefik {
        true => {
            fix.push_str(&format!(
                "; for IngressRoutes `kubectl get crd {DEFINITION}` has to find Traefik's definitions"
            ));
            format!("there is neither an Ingress nor an IngressRoute in {place}")
        }
        false => format!("there is no Ingress in {place}"),
    };
    Obstacle::new(missing, fix)
}
