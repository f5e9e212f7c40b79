//! ingress-nginx: `nginx.ingress.kubernetes.io/`, on Ingresses. The keys of its documentation (1.15),
//! and those that it had before.

use super::guard::{Change, Guard};
use super::values::{NOT_VERIFIED, Unless};
use super::{Class, Controller, DETAIL, Entry, LOGS, STICKY, TLS_POLICY};
use crate::control::translate::https;
use Class::{Alters, Differs, Restricts, Tunes};

pub(super) const PREFIX: &str = "nginx.ingress.kubernetes.io/";

pub(super) const NGINX: Controller =
    Controller { name: "ingress-nginx", prefixes: &[PREFIX], obeyed: OBEYED, entries: ENTRIES };

const OBEYED: &[&str] = &[https::NGINX_SSL_REDIRECT, https::NGINX_FORCE_SSL_REDIRECT];

const BUFFERS: Class = Tunes("bodies are streamed within ravelin's limits");
const RETRIES: Class = Tunes("a request that no pod has read is retried on another one");
const TRACES: Class = Tunes("tracing is not supported");
const CORS: Class =
    Differs("no CORS headers are added, and pods answer preflights", "add them in the pod");
const COOKIES: Class = Differs("Set-Cookie of the pod is passed on unchanged", "set it in the pod");
const LOCATION: Class = Differs("Location of the pod is passed on unchanged", "set it in the pod");
const ERRORS: Class = Differs("responses of the pod are passed on unchanged", "answer in the pod");
const HASH: Class =
    Differs("requests are balanced by load", "use ravelin.dev/balance: hash-header");
const MIRROR: Class = Differs("requests are not mirrored", "remove it");
const POD_TLS: Class = Differs(
    "annotations of the Service configure TLS to pods, and it is verified",
    "use ravelin.dev/upstream-protocol, upstream-ca and upstream-server-name on the Service",
);
const SECONDS: Class = Differs(
    "the timeouts of ravelin apply",
    "use ravelin.dev/response-head-timeout, body-progress-timeout or tunnel-idle-timeout",
);

const ENTRIES: &[Entry] = &[
    // Who is served.
    ("auth-type", Restricts(Guard::Authentication, Unless::Empty)),
    ("auth-secret", Restricts(Guard::Authentication, Unless::Empty)),
    ("auth-secret-type", DETAIL),
    ("auth-realm", DETAIL),
    ("auth-url", Restricts(Guard::Authentication, Unless::Empty)),
    ("auth-signin", DETAIL),
    ("auth-signin-redirect-param", DETAIL),
    ("auth-method", DETAIL),
    ("auth-response-headers", DETAIL),
    ("auth-request-redirect", DETAIL),
    ("auth-proxy-set-headers", DETAIL),
    ("auth-always-set-cookie", DETAIL),
    ("auth-cache-key", DETAIL),
    ("auth-cache-duration", DETAIL),
    ("auth-keepalive", DETAIL),
    ("auth-keepalive-requests", DETAIL),
    ("auth-keepalive-share-vars", DETAIL),
    ("auth-keepalive-timeout", DETAIL),
    ("auth-snippet", Restricts(Guard::Snippet, Unless::Empty)),
    ("enable-global-auth", Restricts(Guard::Authentication, Unless::Off)),
    ("satisfy", Tunes("each of the annotations that it combines applies by itself")),
    ("auth-tls-secret", Restricts(Guard::Certificate, Unless::Unverified)),
    ("auth-tls-verify-client", Restricts(Guard::Certificate, Unless::Certified(NOT_VERIFIED))),
    ("auth-tls-match-cn", Restricts(Guard::Certificate, Unless::Certified(&[]))),
    ("auth-tls-verify-depth", DETAIL),
    ("auth-tls-error-page", DETAIL),
    (
        "auth-tls-pass-certificate-to-upstream",
        Differs("client certificates are not forwarded to pods", "remove it"),
    ),
    ("whitelist-source-range", Restricts(Guard::Sources, Unless::Everybody)),
    ("allowlist-source-range", Restricts(Guard::Sources, Unless::Everybody)),
    ("denylist-source-range", Restricts(Guard::Sources, Unless::Empty)),
    ("limit-connections", Restricts(Guard::Rate, Unless::Zero)),
    ("limit-rps", Restricts(Guard::Rate, Unless::Zero)),
    ("limit-rpm", Restricts(Guard::Rate, Unless::Zero)),
    ("limit-rate", Restricts(Guard::Rate, Unless::Zero)),
    ("limit-rate-after", DETAIL),
    ("limit-burst-multiplier", DETAIL),
    ("limit-allowlist", DETAIL),
    ("limit-whitelist", DETAIL),
    ("global-rate-limit", Restricts(Guard::Rate, Unless::Zero)),
    ("global-rate-limit-window", DETAIL),
    ("global-rate-limit-key", DETAIL),
    ("global-rate-limit-ignored-cidrs", DETAIL),
    ("global-rate-limit-header-name", DETAIL),
    ("proxy-body-size", Class::BodySize),
    ("enable-modsecurity", Restricts(Guard::Firewall, Unless::Off)),
    ("enable-owasp-core-rules", Restricts(Guard::Firewall, Unless::Off)),
    ("modsecurity-snippet", Restricts(Guard::Firewall, Unless::Empty)),
    ("modsecurity-transaction-id", DETAIL),
    ("lua-resty-waf", Restricts(Guard::Firewall, Unless::Is(&["inactive", "simulate"]))),
    ("configuration-snippet", Restricts(Guard::Snippet, Unless::Empty)),
    ("server-snippet", Restricts(Guard::Snippet, Unless::Empty)),
    ("stream-snippet", Restricts(Guard::Snippet, Unless::Empty)),
    // What rules match, and what pods get.
    ("rewrite-target", Class::Rewrite),
    ("use-regex", Alters(Change::Match, Unless::Plain)),
    ("preserve-trailing-slash", Tunes("a trailing slash is kept")),
    (
        "app-root",
        Differs("requests for `/` are not redirected, and go to the pod", "redirect in the pod"),
    ),
    ("permanent-redirect", Alters(Change::Redirect, Unless::Empty)),
    ("permanent-redirect-code", DETAIL),
    ("temporal-redirect", Alters(Change::Redirect, Unless::Empty)),
    ("temporal-redirect-code", DETAIL),
    (
        "from-to-www-redirect",
        Differs("the other host name is not served", "redirect it with a rule of Cloudflare"),
    ),
    ("relative-redirects", LOCATION),
    ("use-port-in-redirects", LOCATION),
    ("server-alias", Differs("the further hosts are not served", "write a rule for each of them")),
    ("ssl-passthrough", Alters(Change::Passthrough, Unless::Off)),
    ("canary", Class::Canary),
    ("canary-weight", DETAIL),
    ("canary-weight-total", DETAIL),
    ("canary-by-header", DETAIL),
    ("canary-by-header-value", DETAIL),
    ("canary-by-header-pattern", DETAIL),
    ("canary-by-cookie", DETAIL),
    ("backend-protocol", Class::PodProtocol),
    ("secure-backends", Restricts(Guard::PodTls, Unless::Off)),
    ("fastcgi-index", Alters(Change::Protocol, Unless::Empty)),
    ("fastcgi-params-configmap", Alters(Change::Protocol, Unless::Empty)),
    ("upstream-vhost", Differs("pods get the Host of the client", "serve that Host in the pod")),
    ("x-forwarded-prefix", Differs("pods get no X-Forwarded-Prefix", "configure it in the pod")),
    // How it is done.
    ("affinity", STICKY),
    ("affinity-mode", DETAIL),
    ("affinity-canary-behavior", DETAIL),
    ("session-cookie-change-on-failure", DETAIL),
    ("session-cookie-conditional-samesite-none", DETAIL),
    ("session-cookie-domain", DETAIL),
    ("session-cookie-expires", DETAIL),
    ("session-cookie-hash", DETAIL),
    ("session-cookie-max-age", DETAIL),
    ("session-cookie-name", DETAIL),
    ("session-cookie-partitioned", DETAIL),
    ("session-cookie-path", DETAIL),
    ("session-cookie-samesite", DETAIL),
    ("session-cookie-secure", DETAIL),
    ("upstream-hash-by", HASH),
    ("upstream-hash-by-subset", DETAIL),
    ("upstream-hash-by-subset-size", DETAIL),
    ("load-balance", Tunes("requests are balanced by load, or by ravelin.dev/balance")),
    ("service-upstream", Tunes("requests go to the addresses of pods")),
    ("enable-cors", CORS),
    ("cors-allow-credentials", DETAIL),
    ("cors-allow-headers", DETAIL),
    ("cors-allow-methods", DETAIL),
    ("cors-allow-origin", DETAIL),
    ("cors-expose-headers", DETAIL),
    ("cors-max-age", DETAIL),
    ("custom-headers", Differs("no headers are added to responses", "add them in the pod")),
    ("custom-http-errors", ERRORS),
    ("disable-proxy-intercept-errors", Tunes("responses of the pod are passed on unchanged")),
    ("default-backend", Differs("requests get 503 without endpoints", "use spec.defaultBackend")),
    ("proxy-connect-timeout", SECONDS),
    ("proxy-read-timeout", SECONDS),
    ("proxy-send-timeout", SECONDS),
    ("proxy-next-upstream", RETRIES),
    ("proxy-next-upstream-timeout", RETRIES),
    ("proxy-next-upstream-tries", RETRIES),
    ("client-body-buffer-size", BUFFERS),
    ("proxy-buffer-size", BUFFERS),
    ("proxy-buffering", BUFFERS),
    ("proxy-buffers-number", BUFFERS),
    ("proxy-busy-buffers-size", BUFFERS),
    ("proxy-max-temp-file-size", BUFFERS),
    ("proxy-request-buffering", BUFFERS),
    ("proxy-http-version", Tunes("pods get HTTP/1.1, h2c or HTTP/2 over TLS")),
    ("connection-proxy-header", Tunes("the Connection header is hop-by-hop")),
    ("proxy-cookie-domain", COOKIES),
    ("proxy-cookie-path", COOKIES),
    ("proxy-redirect-from", LOCATION),
    ("proxy-redirect-to", LOCATION),
    ("proxy-ssl-secret", POD_TLS),
    ("proxy-ssl-ciphers", TLS_POLICY),
    ("proxy-ssl-name", POD_TLS),
    ("proxy-ssl-protocols", TLS_POLICY),
    ("proxy-ssl-server-name", Tunes("the name of the Service is sent in SNI")),
    ("proxy-ssl-verify", Tunes("the certificates of pods are verified")),
    ("proxy-ssl-verify-depth", Tunes("the certificates of pods are verified")),
    ("ssl-ciphers", TLS_POLICY),
    ("ssl-prefer-server-ciphers", TLS_POLICY),
    ("http2-push-preload", Tunes("server push is not supported")),
    ("mirror-target", MIRROR),
    ("mirror-host", DETAIL),
    ("mirror-uri", MIRROR),
    ("mirror-request-body", DETAIL),
    ("enable-access-log", LOGS),
    ("enable-rewrite-log", LOGS),
    ("enable-opentelemetry", TRACES),
    ("opentelemetry-operation-name", TRACES),
    ("opentelemetry-trust-incoming-span", TRACES),
    ("enable-opentracing", TRACES),
    ("opentracing-trust-incoming-span", TRACES),
    ("enable-influxdb", LOGS),
];
