//! Other flags without a line in the configuration.

use super::Weight::{Differs, Nothing};
use super::{ACME, Row};

const NO_LOG_FORMAT: &str =
    "lines have all fields of their format, and writing them never holds a request up";

/// Other flags.
pub(super) const FLAGS: [Row; 48] = [
    ("global.*", Nothing, "ravelin asks nobody for new versions and sends no statistics", ""),
    ("log.*", Nothing, "the process log is JSON on standard error", ""),
    (
        "accesslog.fields.names.*",
        Differs,
        "lines have all fields of their format",
        "have the collector drop what must not be kept",
    ),
    ("accesslog.fields.defaultmode", Nothing, "lines have all fields of their format", ""),
    ("accesslog.*", Nothing, NO_LOG_FORMAT, ""),
    ("metrics.prometheus.entrypoint", Nothing, "metrics are on the admin port, 9180", ""),
    (
        "metrics.prometheus.headerlabels*",
        Differs,
        "values of header fields are no labels: each visitor could add series",
        "",
    ),
    ("metrics.prometheus.manualrouting", Nothing, "metrics are on the admin port, 9180", ""),
    (
        "metrics.prometheus.add*",
        Nothing,
        "listener, host, route and service are labels in any case (metrics.labels)",
        "",
    ),
    (
        "metrics.prometheus*",
        Nothing,
        "metrics are always there, on the admin port 9180 at /metrics, with names of their own (ravelin_*): dashboards and alerts on traefik_* need their new names",
        "",
    ),
    ("metrics.*", Differs, "metrics are there for Prometheus alone", "scrape port 9180"),
    (
        "tracing*",
        Differs,
        "traces have a table of their own, and one request in a hundred is traced unless it says otherwise",
        "write [tracing] with endpoint, protocol and sample_rate",
    ),
    ("ping*", Nothing, "readiness is asked with `ravelin probe ready`", ""),
    (
        "api*",
        Differs,
        "there is no dashboard",
        "use `ravelin explain`, the admin port and the metrics",
    ),
    (
        "providers.kubernetesingressnginx*",
        Nothing,
        "annotations of ingress-nginx are read on every Ingress",
        "",
    ),
    ("providers.kubernetesingress", Nothing, "Ingresses are always read", ""),
    (
        "providers.kubernetesingress.allowemptyservices",
        Nothing,
        "a route without pods answers 503 no_endpoint",
        "",
    ),
    (
        "providers.kubernetesingress.strictprefixmatching",
        Nothing,
        "prefixes are always compared element by element",
        "",
    ),
    (
        "providers.kubernetesingress.publishedservice*",
        Nothing,
        "the status of Ingresses has the addresses of the nodes (source.status_addresses)",
        "",
    ),
    (
        "providers.kubernetesingress.ingressendpoint.publishedservice",
        Nothing,
        "the status of Ingresses has the addresses of the nodes (source.status_addresses)",
        "",
    ),
    ("providers.kubernetesingress.nativelb*", Nothing, "requests go to the addresses of pods", ""),
    (
        "providers.kubernetesingress.reportnodeinternalips",
        Nothing,
        "the status of Ingresses has the addresses of the nodes",
        "",
    ),
    (
        "providers.kubernetesingress.labelselector",
        Differs,
        "Ingresses are chosen by class alone",
        "give the others another class",
    ),
    (
        "providers.kubernetescrd.labelselector",
        Differs,
        "objects are not chosen by labels",
        "remove those that should not count",
    ),
    ("providers.kubernetescrd", Nothing, "Middlewares are always read", ""),
    (
        "providers.kubernetescrd.allowemptyservices",
        Nothing,
        "a route without pods answers 503 no_endpoint",
        "",
    ),
    (
        "providers.kubernetescrd.allowcrossnamespace",
        Nothing,
        "routes may name objects of other namespaces (source.middlewares)",
        "",
    ),
    ("providers.kubernetescrd.nativelb*", Nothing, "requests go to the addresses of pods", ""),
    (
        "providers.kubernetes*.disable*",
        Nothing,
        "the rights of deploy/base are for classes and nodes as well",
        "",
    ),
    (
        "providers.kubernetes*.throttleduration",
        Nothing,
        "changes are gathered for milliseconds (timeouts.coalesce)",
        "",
    ),
    ("providers.kubernetes*.endpoint", Nothing, "the API server is that of the pod", ""),
    ("providers.kubernetes*.token", Nothing, "the credentials are those of the pod", ""),
    ("providers.kubernetes*.certauthfilepath", Nothing, "the credentials are those of the pod", ""),
    (
        "providers.kubernetesgateway*",
        Differs,
        "objects of the Gateway API are not served",
        "write Ingresses for these routes",
    ),
    (
        "providers.file*",
        Differs,
        "files of the file provider are not read: what is @file there does not exist",
        "write Middlewares and Ingresses for what is in them",
    ),
    (
        "providers.*",
        Differs,
        "this provider does not exist in ravelin",
        "write Ingresses for its routes",
    ),
    ("certificatesresolvers*", Differs, "ravelin orders no certificates (ACME)", ACME),
    (
        "experimental.plugins*",
        Differs,
        "plugins are not run: a route that names one answers 503",
        "use Cloudflare's WAF, or forwardAuth",
    ),
    (
        "experimental.localplugins*",
        Differs,
        "plugins are not run: a route that names one answers 503",
        "use Cloudflare's WAF, or forwardAuth",
    ),
    (
        "experimental*",
        Nothing,
        "it switches something on in Traefik that ravelin has no switch for",
        "",
    ),
    (
        "core.*",
        Nothing,
        "the syntax of rules is that of Traefik 3, or of Traefik 2 where a route asks for it",
        "",
    ),
    ("serverstransport.forwardingtimeouts*", Differs, "it has no counterpart", ""),
    (
        "serverstransport.maxidleconnsperhost",
        Differs,
        "it is outside of 0 to 1024",
        "upstream.idle_per_endpoint",
    ),
    (
        "serverstransport.*",
        Differs,
        "TLS to pods is verified",
        "configure it at the Service: ravelin.dev/upstream-ca, ravelin.dev/upstream-server-name",
    ),
    (
        "ocsp*",
        Nothing,
        "answers of OCSP are not stapled: Cloudflare asks for none of its origins",
        "",
    ),
    ("spiffe*", Differs, "SPIFFE is not supported", "configure TLS to pods at the Service"),
    (
        "configfile",
        Differs,
        "a file of static configuration is not in the input",
        "read it, and name its values as flags",
    ),
    ("entrypoints.*", Differs, "it has no counterpart", ""),
];
