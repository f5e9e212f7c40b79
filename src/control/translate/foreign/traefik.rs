//! Traefik 3: `traefik.ingress.kubernetes.io/`, on Ingresses `router.`, on Services `service.`.
//!
//! Traefik reads keys without regard to case, and drops an Ingress that has a key below `router.` which
//! it does not know. Other keys do nothing in it, those of Traefik 1 included.

use super::{Class, Controller, Entry};
use crate::control::translate::annotations::{PATH_MATCHER, PRIORITY, TLS_OPTIONS, TRAEFIKS};
use crate::control::translate::{balancing, entry_points, https, pass_host, protocol};
use Class::{Differs, Tunes};

/// What keys of routers begin with.
pub(super) const ROUTER: &str = "router.";

/// What keys of Services begin with.
pub(super) const SERVICE: &str = "service.";

pub(super) const TRAEFIK: Controller =
    Controller { name: "Traefik", prefixes: &[TRAEFIKS], obeyed: OBEYED, entries: ENTRIES };

const OBEYED: &[&str] = &[
    https::ROUTER_TLS,
    entry_points::ENTRY_POINTS,
    PRIORITY,
    PATH_MATCHER,
    TLS_OPTIONS,
    protocol::TRAEFIK_SCHEME,
    pass_host::PASS_HOST,
    balancing::STICKY,
    balancing::STICKY_NAME,
    balancing::STICKY_SECURE,
    balancing::STICKY_HTTP_ONLY,
    balancing::STICKY_SAME_SITE,
    balancing::STICKY_MAX_AGE,
    balancing::STICKY_PATH,
    balancing::STICKY_DOMAIN,
];

const OBSERVED: Class = Tunes("metrics and access log cover every route");

const ENTRIES: &[Entry] = &[
    ("router.middlewares", Class::Middlewares),
    ("router.rulesyntax", Tunes("Ingresses have no rules in that syntax")),
    (
        "router.tls.certresolver",
        Differs(
            "no certificate is requested",
            "name a Secret in spec.tls, such as cert-manager makes",
        ),
    ),
    ("router.tls.domains.N.main", Tunes("no certificate is requested")),
    ("router.tls.domains.N.sans", Tunes("no certificate is requested")),
    ("router.observability.accesslogs", OBSERVED),
    ("router.observability.metrics", OBSERVED),
    ("router.observability.tracing", Tunes("tracing is not supported")),
    ("router.observability.traceverbosity", Tunes("tracing is not supported")),
    ("service.middlewares", Class::Middlewares),
    (
        "service.serverstransport",
        Differs(
            "annotations of the Service configure TLS to pods, and it is verified",
            "use ravelin.dev/upstream-ca and ravelin.dev/upstream-server-name",
        ),
    ),
    ("service.nativelb", Tunes("requests go to the addresses of pods")),
    ("service.nodeportlb", Tunes("requests go to the addresses of pods")),
];
