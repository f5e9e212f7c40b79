//! Annotations of other controllers, through translation and routing.

use super::{endpoints, lines, mk_ingress, mk_paths, options, run, run_with};
use crate::control::translate::Options;
use crate::model::{Broken, Https, Severity, Why};
use crate::routing::compile;
use Expected::{Changed, Obeyed, Restricted, Told, Tolerated, Unusable};

/// What becomes of an Ingress with one annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// Served, and nothing to say.
    Obeyed,
    /// Served, with an info.
    Tolerated,
    /// Served, with a warning.
    Told,
    /// 503 restriction_unsupported.
    Restricted,
    /// 503 annotation_unsupported.
    Changed,
    /// 503 middleware_unusable.
    Unusable,
}

const TRAEFIK: &str = "traefik.ingress.kubernetes.io/";
const NGINX: &str = "nginx.ingress.kubernetes.io/";
const HAPROXY: &str = "haproxy.org/";
const HAPROXY_INGRESS: &str = "haproxy-ingress.github.io/";

/// The annotations of Ingresses that public manifests have most of, and values that matter.
const MOST_USED: &[(&str, &str, &str, Expected)] = &[
    (TRAEFIK, "router.entrypoints", "websecure", Obeyed),
    (TRAEFIK, "router.entrypoints", "web,websecure", Obeyed),
    (TRAEFIK, "router.entrypoints", "web, websecure", Obeyed),
    (TRAEFIK, "router.entrypoints", "web", Obeyed),
    (TRAEFIK, "router.entrypoints", "internal", Restricted),
    (TRAEFIK, "router.tls", "true", Obeyed),
    (TRAEFIK, "router.tls.certresolver", "letsencrypt", Told),
    (TRAEFIK, "router.tls.options", "default-mtls@kubernetescrd", Restricted),
    (TRAEFIK, "router.tls.domains.0.main", "example.com", Tolerated),
    (TRAEFIK, "router.middlewares", "", Tolerated),
    (TRAEFIK, "router.pathmatcher", "PathPrefix", Obeyed),
    (TRAEFIK, "router.priority", "high", Changed),
    (TRAEFIK, "router.pathmatcher", "PathRegex", Changed),
    (TRAEFIK, "router.observability.metrics", "false", Tolerated),
    (NGINX, "ssl-redirect", "true", Obeyed),
    (NGINX, "force-ssl-redirect", "true", Obeyed),
    (NGINX, "rewrite-target", "/", Obeyed),
    (NGINX, "rewrite-target", "/$2", Obeyed),
    (NGINX, "use-regex", "false", Obeyed),
    (NGINX, "use-regex", "true", Obeyed),
    (NGINX, "proxy-body-size", "0", Tolerated),
    (NGINX, "proxy-body-size", "50m", Obeyed),
    (NGINX, "proxy-body-size", "8k", Obeyed),
    (NGINX, "proxy-body-size", "8 MB", Restricted),
    (NGINX, "whitelist-source-range", "10.0.0.0/8", Obeyed),
    (NGINX, "whitelist-source-range", "0.0.0.0/0,::/0", Obeyed),
    (NGINX, "allowlist-source-range", "10.0.0.0/8", Obeyed),
    (NGINX, "denylist-source-range", "192.0.2.0/24", Obeyed),
    (NGINX, "auth-type", "basic", Unusable),
    (NGINX, "auth-type", "", Tolerated),
    (NGINX, "auth-secret", "users", Unusable),
    (NGINX, "auth-realm", "Login", Obeyed),
    (NGINX, "auth-url", "https://auth.example/verify", Obeyed),
    (NGINX, "auth-signin", "https://auth.example/", Obeyed),
    (NGINX, "auth-response-headers", "X-User", Obeyed),
    (NGINX, "auth-snippet", "return 401;", Restricted),
    (NGINX, "auth-tls-secret", "default/ca", Restricted),
    (NGINX, "auth-tls-verify-client", "on", Restricted),
    (NGINX, "auth-tls-verify-client", "off", Tolerated),
    (NGINX, "enable-global-auth", "false", Tolerated),
    (NGINX, "enable-global-auth", "true", Restricted),
    (NGINX, "limit-rps", "5", Obeyed),
    (NGINX, "limit-rps", "0", Obeyed),
    (NGINX, "limit-rpm", "100", Obeyed),
    (NGINX, "limit-connections", "10", Obeyed),
    (NGINX, "limit-burst-multiplier", "3", Obeyed),
    (NGINX, "proxy-read-timeout", "3600", Told),
    (NGINX, "proxy-send-timeout", "3600", Told),
    (NGINX, "proxy-connect-timeout", "30", Told),
    (NGINX, "backend-protocol", "HTTP", Tolerated),
    (NGINX, "backend-protocol", "HTTPS", Restricted),
    (NGINX, "configuration-snippet", "deny all;", Restricted),
    (NGINX, "configuration-snippet", "more_set_headers \"X-A: 1\";", Obeyed),
    (NGINX, "server-snippet", "deny all;", Restricted),
    (NGINX, "enable-modsecurity", "true", Restricted),
    (NGINX, "enable-modsecurity", "false", Tolerated),
    (NGINX, "enable-owasp-core-rules", "true", Restricted),
    (NGINX, "enable-cors", "true", Obeyed),
    (NGINX, "cors-allow-origin", "*", Obeyed),
    (NGINX, "server-alias", "b.example", Obeyed),
    (NGINX, "proxy-buffer-size", "16k", Tolerated),
    (NGINX, "proxy-buffering", "off", Tolerated),
    (NGINX, "proxy-request-buffering", "off", Tolerated),
    (NGINX, "proxy-http-version", "1.1", Tolerated),
    (NGINX, "client-body-buffer-size", "1m", Tolerated),
    (NGINX, "app-root", "/app", Obeyed),
    (NGINX, "permanent-redirect", "https://b.example", Obeyed),
    (NGINX, "temporal-redirect", "https://b.example", Obeyed),
    (NGINX, "from-to-www-redirect", "true", Obeyed),
    (NGINX, "affinity", "cookie", Told),
    (NGINX, "session-cookie-name", "route", Tolerated),
    (NGINX, "upstream-hash-by", "$request_uri", Told),
    (NGINX, "upstream-vhost", "b.example", Obeyed),
    (NGINX, "enable-access-log", "false", Tolerated),
    (NGINX, "ssl-passthrough", "true", Changed),
    (NGINX, "ssl-passthrough", "false", Tolerated),
    (NGINX, "canary", "false", Tolerated),
    (NGINX, "custom-http-errors", "404", Told),
    (NGINX, "service-upstream", "true", Tolerated),
    (HAPROXY, "ssl-redirect", "true", Obeyed),
    (HAPROXY, "auth-type", "basic-auth", Restricted),
    (HAPROXY, "auth-secret", "default/users", Restricted),
    (HAPROXY, "allow-list", "10.0.0.0/8", Restricted),
    (HAPROXY, "whitelist", "10.0.0.0/8", Restricted),
    (HAPROXY, "deny-list", "192.0.2.1", Restricted),
    (HAPROXY, "blacklist", "192.0.2.1", Restricted),
    (HAPROXY, "rate-limit-requests", "10", Restricted),
    (HAPROXY, "rate-limit-period", "1s", Tolerated),
    (HAPROXY, "path-rewrite", r"/app/(.*) /\1", Changed),
    (HAPROXY, "request-redirect", "b.example", Changed),
    (HAPROXY, "backend-config-snippet", "http-request deny", Restricted),
    (HAPROXY, "ssl-passthrough", "true", Changed),
    (HAPROXY, "server-ssl", "true", Restricted),
    (HAPROXY, "check", "true", Tolerated),
    (HAPROXY, "timeout-server", "50s", Told),
    (HAPROXY, "load-balance", "leastconn", Tolerated),
    (HAPROXY_INGRESS, "auth-url", "http://auth/", Restricted),
    (HAPROXY_INGRESS, "auth-secret", "users", Restricted),
    (HAPROXY_INGRESS, "allowlist-source-range", "10.0.0.0/8", Restricted),
    (HAPROXY_INGRESS, "limit-rps", "10", Restricted),
    (HAPROXY_INGRESS, "oauth", "oauth2_proxy", Restricted),
    (HAPROXY_INGRESS, "waf", "modsecurity", Restricted),
    (HAPROXY_INGRESS, "rewrite-target", "/", Changed),
    (HAPROXY_INGRESS, "proxy-body-size", "8m", Obeyed),
    (HAPROXY_INGRESS, "config-backend", "acl x", Restricted),
    (HAPROXY_INGRESS, "path-type", "regex", Changed),
    (HAPROXY_INGRESS, "hsts", "true", Told),
    ("ingress.kubernetes.io/", "whitelist-source-range", "10.0.0.0/8", Restricted),
];

/// An Ingress with annotations, in flow style.
fn mk_annotated(annotations: &str, paths: &[(&str, &str)]) -> String {
    let ingress = mk_ingress(&mk_paths(paths));
    ingress.replace("name: x", &format!("name: x, annotations: {{{annotations}}}"))
}

#[test]
fn each_of_the_most_used_annotations_has_its_class_and_what_restricts_is_503() {
    let options = Options { details: true, ..options() };
    for (prefix, key, value, expected) in MOST_USED {
        let name = format!("{prefix}{key}");
        let paths = [("Prefix", "/app"), ("ImplementationSpecific", "/x")];
        let yaml = mk_annotated(&format!("{name}: '{value}'"), &paths);
        let (model, findings) = run_with(&options, &yaml);
        let table = compile(&model, None);
        let broken = match expected {
            Obeyed | Tolerated | Told => None,
            Restricted => Some((Broken::Restricted, Why::RestrictionUnsupported)),
            Changed => Some((Broken::Altered, Why::AnnotationUnsupported)),
            Unusable => Some((Broken::MiddlewareUnusable, Why::MiddlewareUnusable)),
        };
        for path in ["/app", "/app/below", "/x"] {
            let id = table.lookup("a.example", path).expect("it keeps its place");
            let found = table.backend(id).broken;
            assert_eq!(found, broken.map(|(broken, _)| broken), "{name}: {value}: {path}");
        }
        let said: Vec<_> = findings.iter().map(|finding| (finding.severity, finding.why)).collect();
        let expected = match (expected, broken) {
            (Obeyed, _) => vec![],
            (Told, _) => vec![(Severity::Warning, Why::AnnotationIgnored)],
            (Tolerated, _) => vec![(Severity::Info, Why::AnnotationIgnored)],
            (_, Some((_, why))) => vec![(Severity::Error, why)],
            (_, None) => unreachable!("it is broken"),
        };
        assert_eq!(said, expected, "{name}: {value}: {:?}", lines(&findings));
        assert!(findings.iter().all(|finding| finding.field.contains(&name)));
        let has_fix = findings
            .iter()
            .all(|finding| finding.severity != Severity::Error || !finding.fix.is_empty());
        assert!(has_fix, "{name}");
    }
    let keys: std::collections::BTreeSet<_> = MOST_USED.iter().map(|row| (row.0, row.1)).collect();
    assert!(keys.len() >= 60, "{}", keys.len());
}

#[test]
fn a_process_that_serves_says_nothing_of_what_makes_no_difference() {
    let yaml =
        mk_annotated("nginx.ingress.kubernetes.io/proxy-buffering: 'off'", &[("Prefix", "/")]);
    assert_eq!(run(&yaml).1, []);
}

#[test]
fn the_default_backend_is_refused_as_well_and_another_ingress_is_not() {
    let backend = "{service: {name: web, port: {name: http}}}";
    let refused = mk_ingress(&format!("defaultBackend: {backend}"))
        .replace("name: x", "name: x, annotations: {nginx.ingress.kubernetes.io/auth-type: basic}");
    let open = super::mk_named("z", &mk_paths(&[("Prefix", "/")]));
    let (model, findings) = run(&format!("{refused}{open}"));
    assert_eq!(findings.len(), 1, "{:?}", lines(&findings));
    let table = compile(&model, None);
    let broken = |host| {
        let id = table.lookup(host, "/").expect("a route");
        table.backend(id).broken
    };
    assert_eq!(broken("a.example"), None);
    assert_eq!(broken("b.example"), Some(Broken::MiddlewareUnusable));
}

#[test]
fn an_annotation_of_a_service_refuses_the_routes_to_it() {
    let service = "
apiVersion: v1
kind: Service
metadata: {name: guarded, annotations: {haproxy.org/route-acl: 'hdr(x) 1'}}
spec: {ports: [{port: 80}]}
---";
    let backend = |name, port| format!("backend: {{service: {{name: {name}, port: {port}}}}}");
    let spec = format!(
        "rules: [{{host: a.example, http: {{paths: [{{pathType: Prefix, path: /, {}}}, {{pathType: Prefix, \
         path: /g, {}}}]}}}}]",
        backend("web", "{name: http}"),
        backend("guarded", "{number: 80}")
    );
    let (model, findings) = run(&format!("{service}{}", mk_ingress(&spec)));
    let states: Vec<_> = model.backends.iter().map(|backend| endpoints(backend)).collect();
    assert_eq!(states, [vec!["Restricted".to_owned()], vec!["10.0.0.1:8080 ready".to_owned()]]);
    assert_eq!(
        lines(&findings),
        [
            "error: Ingress default/x: spec.rules[0].http.paths[1].backend.service.name: Service \
                \"guarded\" has an annotation that is not supported (fix: see the findings about the \
                Service; until then requests get 503)",
            "error: Service default/guarded: metadata.annotations[haproxy.org/route-acl]: serves \
                only requests that meet a condition, and is not supported: the routes to this Service \
                answer 503 (fix: decide it in the pod; then remove it, or list it in \
                ravelin.dev/ignore-annotations to serve without it)",
        ]
    );
}

#[test]
fn a_rewrite_to_the_path_itself_changes_nothing() {
    let yaml = mk_annotated("nginx.ingress.kubernetes.io/rewrite-target: /", &[("Prefix", "/")]);
    let (model, findings) = run(&yaml);
    assert_eq!((endpoints(&model.backends[0]).len(), lines(&findings)), (1, vec![]));
    assert!(endpoints(&model.backends[0])[0].ends_with("ready"));
}

#[test]
fn a_canary_takes_no_request_from_the_ingress_that_it_is_of() {
    let canary = mk_annotated(
        "nginx.ingress.kubernetes.io/canary: 'true', nginx.ingress.kubernetes.io/canary-weight: '10'",
        &[("Prefix", "/")],
    );
    // Were it served, it would come first by its name.
    let main = super::mk_named("z", &mk_paths(&[("Prefix", "/")]));
    let (model, findings) = run(&format!("{canary}{main}"));
    assert_eq!(model.rules.len(), 1);
    assert_eq!(&*model.rules[0].ingress.name, "z");
    assert_eq!(findings.len(), 1, "{:?}", lines(&findings));
    assert_eq!((findings[0].severity, &*findings[0].object.name), (Severity::Error, "x"));
}

#[test]
fn what_is_served_with_tls_alone_brings_visitors_there() {
    let redirects = |annotations: &str, tls: &str| {
        let yaml = mk_annotated(annotations, &[("Prefix", "/")])
            .replace("rules:", &format!("{tls}rules:"));
        run(&yaml).0.ingresses[0].https.redirect
    };
    let tls = "tls: [{hosts: [a.example]}], ";
    for (annotations, tls, expected) in [
        ("traefik.ingress.kubernetes.io/router.entrypoints: websecure", "", true),
        ("traefik.ingress.kubernetes.io/router.entrypoints: 'web, websecure'", "", false),
        ("traefik.ingress.kubernetes.io/router.entrypoints: web", "", false),
        ("traefik.ingress.kubernetes.io/router.tls: 'true'", "", true),
        ("traefik.ingress.kubernetes.io/router.tls: 'false'", "", false),
        ("nginx.ingress.kubernetes.io/ssl-redirect: 'true'", "", false),
        ("nginx.ingress.kubernetes.io/ssl-redirect: 'true'", tls, true),
        ("nginx.ingress.kubernetes.io/ssl-redirect: 'false'", tls, false),
        ("nginx.ingress.kubernetes.io/force-ssl-redirect: 'true'", "", true),
        ("haproxy.org/ssl-redirect: 'true'", "", true),
        ("kubernetes.io/ingress.allow-http: 'false'", "", true),
        ("kubernetes.io/ingress.allow-http: 'true'", "", false),
        (
            "ravelin.dev/https-redirect: 'false', nginx.ingress.kubernetes.io/force-ssl-redirect: 'true'",
            "",
            false,
        ),
    ] {
        assert_eq!(redirects(annotations, tls), expected, "{annotations} {tls}");
    }
}

#[test]
fn what_is_refused_says_so_at_once_and_redirects_nobody() {
    let options = Options { https: Https { redirect: true, hsts: None }, ..options() };
    let yaml = mk_annotated("nginx.ingress.kubernetes.io/auth-type: basic", &[("Prefix", "/")]);
    assert!(!run_with(&options, &yaml).0.ingresses[0].https.redirect);
}
