//! Every way a request can end other than by the pod's own answer, and what we say then.
//!
//! [`Reason`] is a closed set. Status, culprit and words are exhaustive matches in this file and
//! nowhere else, so a new reason does not compile until each has been decided. The label is the
//! same in the response body, the access log, the metrics and `explain`.

use http::StatusCode;

/// An error with its fix. Displayed as `reason; fix`.
pub trait Advice: std::error::Error {
    /// What is wrong, behind the name of what is.
    fn reason(&self) -> &'static str;

    /// What to do about it.
    fn fix(&self) -> &'static str;
}

/// Gives an error its words, a line a variant: [`Advice`], and both as one text.
macro_rules! advice {
    ($error:ident: $($variant:pat => $reason:literal, $fix:literal;)*) => {
        impl $crate::error::Advice for $error {
            fn reason(&self) -> &'static str {
                match self { $($variant => $reason,)* }
            }

            fn fix(&self) -> &'static str {
                match self { $($variant => $fix,)* }
            }
        }

        impl std::fmt::Display for $error {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                use $crate::error::Advice;
                write!(f, "{}; {}", self.reason(), self.fix())
            }
        }
    };
}
pub(crate) use advice;

/// A closed set of values with the label of each beside it: a variant that is renamed keeps its label. Makes
/// the enum, the list `ALL`, and the function that returns the label.
macro_rules! labels {
    (
        fn $label:ident;
        $(#[$of_enum:meta])*
        $vis:vis enum $name:ident { $($(#[$of_variant:meta])* $variant:ident = $text:literal,)* }
    ) => {
        $(#[$of_enum])*
        $vis enum $name { $($(#[$of_variant])* $variant,)* }

        impl $name {
            /// Every value, in the order of the discriminants.
            $vis const ALL: [Self; [$($text),*].len()] = [$(Self::$variant),*];

            /// The label in metrics, logs and JSON.
            $vis const fn $label(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}
pub(crate) use labels;

/// The party that has to act on a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Culprit {
    /// The peer sent something wrong, or went away.
    Client,
    /// The manifests say so.
    Configuration,
    /// The pod failed or was too slow.
    Upstream,
    /// We did.
    Ravelin,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $label:literal, $culprit:ident, $status:expr, $text:literal;)*) => {
        /// Why a request got an answer of our own, or lost the one it was getting.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// Every reason, in the order of the discriminants.
            pub const ALL: [Self; [$($label),*].len()] = [$(Self::$name),*];

            /// The word in metrics, logs and bodies.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }

            /// Whose fault it is.
            pub const fn culprit(self) -> Culprit {
                match self { $(Self::$name => Culprit::$culprit,)* }
            }

            /// The status of our answer. Where the answer had begun, what it would have been.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => $status,)* }
            }

            /// One sentence for a person.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Position in [`Reason::ALL`].
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

/// What nginx logs for a client that went away; never sent.
fn client_closed_request() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)
}

reasons! {
    /// The request head is not HTTP (RFC 9112).
    MalformedRequest = "malformed_request", Client, StatusCode::BAD_REQUEST,
        "The request is not valid HTTP.";
    /// The head is larger, or has more fields, than we take.
    HeadersTooLarge = "headers_too_large", Client, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "The request header is too large.";
    /// The request target is longer than we take.
    TargetTooLong = "target_too_long", Client, StatusCode::URI_TOO_LONG,
        "The request target is too long.";
    /// No canonical path.
    BadTarget = "bad_target", Client, StatusCode::BAD_REQUEST,
        "The path of the request is ambiguous or invalid.";
    /// No `Host` in HTTP/1.1, or several (RFC 9112 section 3.2).
    BadHost = "bad_host", Client, StatusCode::BAD_REQUEST,
        "The request has no valid Host header.";
    /// HTTP/1.1 CONNECT: ravelin is no forward proxy.
    ConnectRefused = "connect_refused", Client, StatusCode::NOT_IMPLEMENTED,
        "CONNECT is not supported.";
    /// A method that is longer than any, TRACE with `Max-Forwards: 0`, or a transfer coding beside
    /// `chunked` (RFC 9112 section 6.1).
    NotImplemented = "not_implemented", Client, StatusCode::NOT_IMPLEMENTED,
        "The method or transfer coding of the request is not supported.";
    /// OPTIONS with `Max-Forwards: 0` (RFC 9110 section 7.6.2).
    MaxForwards = "max_forwards", Client, StatusCode::OK,
        "The request asked not to be forwarded (Max-Forwards: 0).";
    /// A host that the connection's certificate does not cover (RFC 9110 section 15.5.20), or `https` in
    /// the target on a connection without TLS (section 7.4).
    MisdirectedRequest = "misdirected_request", Client, StatusCode::MISDIRECTED_REQUEST,
        "The certificate of this connection does not cover this host.";
    /// A request without TLS for a host whose clients have to show a certificate.
    ClientCertificateRequired = "client_certificate_required", Client, StatusCode::FORBIDDEN,
        "This host requires TLS with a client certificate.";
    /// A Worker of a zone that is not named in `cloudflare.worker_zones`, `zone.worker_zones` or
    /// `ravelin.dev/worker-zones`.
    WorkerRefused = "worker_refused", Client, StatusCode::FORBIDDEN,
        "Requests from this Worker are not allowed.";
    /// A request through Cloudflare without the field of `cloudflare.secret_header`, or any without that of
    /// `ravelin.dev/secret-header` or `zone.secret_header`.
    SecretMissing = "secret_missing", Client, StatusCode::FORBIDDEN,
        "The request does not prove that it came through the right zone.";
    /// A request that has passed Cloudflare too often, or another network, by `CDN-Loop`.
    CdnLoopRefused = "cdn_loop_refused", Client, StatusCode::FORBIDDEN,
        "The request has passed other networks on its way.";
    /// A visitor whom CrowdSec has banned.
    ClientDenied = "client_denied", Client, StatusCode::FORBIDDEN,
        "This client is denied by a list.";
    /// Head or body came too slowly.
    RequestTimeout = "request_timeout", Client, StatusCode::REQUEST_TIMEOUT,
        "The request took too long to arrive.";
    /// A body that is larger than its Ingress lets it be.
    BodyTooLarge = "body_too_large", Client, StatusCode::PAYLOAD_TOO_LARGE,
        "The request body is too large.";
    /// The body broke its own framing or ended early.
    MalformedBody = "malformed_body", Client, StatusCode::BAD_REQUEST,
        "The request body is not valid.";
    /// The client went away before it had the whole answer. The status is for the log alone.
    ClientGone = "client_gone", Client, client_closed_request(),
        "The client closed the connection.";
    /// The client stopped taking the answer.
    ClientStalled = "client_stalled", Client, StatusCode::REQUEST_TIMEOUT,
        "The client stopped reading the response.";
    /// No rule for host and path.
    NoRoute = "no_route", Configuration, StatusCode::NOT_FOUND,
        "No Ingress rule matches this host and path.";
    /// The rule names a Service that does not exist.
    ServiceMissing = "service_missing", Configuration, StatusCode::SERVICE_UNAVAILABLE,
        "The Service of this rule does not exist.";
    /// The rule names a port that its Service does not have.
    PortMissing = "port_missing", Configuration, StatusCode::SERVICE_UNAVAILABLE,
        "The Service of this rule has no such port.";
    /// The rule's backend is of a sort that we do not serve.
    BackendUnsupported = "backend_unsupported", Configuration, StatusCode::SERVICE_UNAVAILABLE,
        "The backend of this rule is not supported.";
    /// The Service has no usable protocol or TLS settings, or the CAs for
    /// its certificate are missing.
    ProtocolUnusable = "protocol_unusable", Configuration, StatusCode::SERVICE_UNAVAILABLE,
        "The protocol or TLS settings of the Service cannot be used.";
    /// An annotation restricts who is served, and it is not obeyed.
    RestrictionUnsupported = "restriction_unsupported", Configuration, StatusCode::SERVICE_UNAVAILABLE,
        "An annotation restricts this route in a way that is not supported.";
    /// An annotation changes what the rule matches or what the pod gets, and it is not obeyed.
    AnnotationUnsupported = "annotation_unsupported", Configuration, StatusCode::SERVICE_UNAVAILABLE,
        "An annotation changes this route in a way that is not supported.";
    /// Not one endpoint that may be used.
    NoEndpoint = "no_endpoint", Configuration, StatusCode::SERVICE_UNAVAILABLE,
        "The Service has no ready endpoint.";
    /// Every endpoint has as many requests as its Service lets it have, and as many more wait.
    QueueFull = "queue_full", Configuration, StatusCode::SERVICE_UNAVAILABLE,
        "Too many requests are queued for the Service.";
    /// No endpoint had room in time.
    QueueTimeout = "queue_timeout", Configuration, StatusCode::SERVICE_UNAVAILABLE,
        "The request waited too long in the queue of the Service.";
    /// What connections and requests hold has reached its bound: for the process, or for the connection
    /// that the request came on.
    MemoryExhausted = "memory_exhausted", Ravelin, StatusCode::SERVICE_UNAVAILABLE,
        "The proxy has no memory left for this request.";
    /// Memory was short, and nothing of the request or its answer had moved for a while.
    MemoryReclaimed = "memory_reclaimed", Ravelin, StatusCode::SERVICE_UNAVAILABLE,
        "The request made no progress, and the proxy needed its memory.";
    /// Every endpoint tried refused the connection.
    ConnectFailed = "connect_failed", Upstream, StatusCode::BAD_GATEWAY,
        "The upstream refused the connection.";
    /// Every endpoint tried left the connection attempt unanswered.
    ConnectTimeout = "connect_timeout", Upstream, StatusCode::GATEWAY_TIMEOUT,
        "Connecting to the upstream timed out.";
    /// No TLS with any endpoint tried: a failed handshake, or no protocol in common.
    UpstreamTlsFailed = "upstream_tls_failed", Upstream, StatusCode::BAD_GATEWAY,
        "The TLS handshake with the upstream failed.";
    /// The certificate of every endpoint tried was refused: another authority, another name, or out
    /// of its dates.
    UpstreamUntrusted = "upstream_untrusted", Upstream, StatusCode::BAD_GATEWAY,
        "The certificate of the upstream is not trusted.";
    /// Closed or reset before a whole response head.
    UpstreamClosed = "upstream_closed", Upstream, StatusCode::BAD_GATEWAY,
        "The upstream closed the connection without a response.";
    /// The same for a request that must not be sent twice, and may have been carried out.
    UpstreamInDoubt = "upstream_in_doubt", Upstream, StatusCode::BAD_GATEWAY,
        "The upstream closed the connection without a response, and may have carried out the request.";
    /// The response head is not HTTP.
    UpstreamMalformed = "upstream_malformed", Upstream, StatusCode::BAD_GATEWAY,
        "The response of the upstream is not valid HTTP.";
    /// 101 to a request that asked for no upgrade.
    UpstreamUpgraded = "upstream_upgraded", Upstream, StatusCode::BAD_GATEWAY,
        "The upstream switched protocols without a request to.";
    /// No response head in time.
    UpstreamTimeout = "upstream_timeout", Upstream, StatusCode::GATEWAY_TIMEOUT,
        "The upstream did not respond in time.";
    /// The whole exchange took longer than its Ingress allows.
    RequestDeadline = "request_deadline", Upstream, StatusCode::GATEWAY_TIMEOUT,
        "The request took longer than its timeout.";
    /// The response broke off; so did ours, visibly.
    UpstreamTruncated = "upstream_truncated", Upstream, StatusCode::BAD_GATEWAY,
        "The upstream broke off its response.";
    /// A WebSocket, or whatever else the connection was upgraded to, was silent.
    TunnelIdle = "tunnel_idle", Upstream, StatusCode::GATEWAY_TIMEOUT,
        "The tunnel was idle for too long.";
    /// The response body made no progress; ours was broken off.
    UpstreamStalled = "upstream_stalled", Upstream, StatusCode::GATEWAY_TIMEOUT,
        "The upstream stopped sending its response.";
    /// The process left before the answer was complete.
    CutByDrain = "cut_by_drain", Ravelin, StatusCode::SERVICE_UNAVAILABLE,
        "The proxy is shutting down, and the drain timeout has passed.";
    /// The visitor came without TLS, and the Ingress asks for it.
    HttpsRedirect = "https_redirect", Configuration, StatusCode::PERMANENT_REDIRECT,
        "This URL is served over TLS.";
    /// A middleware of the route does not exist, or cannot be used.
    MiddlewareUnusable = "middleware_unusable", Configuration, StatusCode::SERVICE_UNAVAILABLE,
        "A middleware of this route does not exist or cannot be used.";
    /// `redirectScheme`, `redirectRegex` and their kin. The status is that of the middleware.
    Redirected = "redirected", Configuration, StatusCode::FOUND,
        "A middleware of this route sends requests elsewhere.";
    /// `noop@internal`.
    Noop = "noop", Configuration, StatusCode::IM_A_TEAPOT,
        "This route leads nowhere: its Service is noop@internal.";
    /// The address of the client is not among those that may ask, or is one of those that may not.
    SourceDenied = "source_denied", Client, StatusCode::FORBIDDEN,
        "Requests from this address are not allowed.";
    /// `allowedHosts` of `headers`.
    HostNotAllowed = "host_not_allowed", Client, StatusCode::FORBIDDEN,
        "Requests for this host are not allowed here.";
    /// A preflight of cross-origin resource sharing, which is answered in the pod's place.
    CorsPreflight = "cors_preflight", Client, StatusCode::OK,
        "The preflight of a cross-origin request.";
    /// A path of which a rewrite makes one that is ambiguous or invalid.
    RewriteRefused = "rewrite_refused", Client, StatusCode::BAD_REQUEST,
        "The rewritten path of the request is ambiguous or invalid.";
    /// No credentials, or wrong ones.
    Unauthorized = "unauthorized", Client, StatusCode::UNAUTHORIZED,
        "This route requires valid credentials.";
    /// No token of Cloudflare Access. 403 and not 401, as in Cloudflare's examples ("Validate JWTs"): 401 would have to
    /// name a scheme to log in with (RFC 9110 section 15.5.2), and it is Access that logs in, in front of us.
    AccessTokenMissing = "access_token_missing", Client, StatusCode::FORBIDDEN,
        "This route requires a token of Cloudflare Access.";
    /// A token of Cloudflare Access that is not good, or not for this route.
    AccessTokenRefused = "access_token_refused", Client, StatusCode::FORBIDDEN,
        "The token of Cloudflare Access is not valid for this route.";
    /// A good token of somebody who is in none of the groups that the route asks for.
    AccessGroupDenied = "access_group_denied", Client, StatusCode::FORBIDDEN,
        "This route is for members of other groups.";
    /// The keys of the team have never been fetched: nobody gets in.
    AccessKeysMissing = "access_keys_missing", Configuration, StatusCode::SERVICE_UNAVAILABLE,
        "The keys of Cloudflare Access for this route are not available.";
    /// More failed log-ins than one client may have in a while, or more passwords at once than are looked at.
    AuthThrottled = "auth_throttled", Client, StatusCode::TOO_MANY_REQUESTS,
        "Too many failed attempts to log in.";
    /// The auth server of the route refused the request. Status and body are its own.
    AuthDenied = "auth_denied", Client, StatusCode::FORBIDDEN,
        "The authentication server of this route refused the request.";
    /// The auth server of the route did not answer: nobody gets in.
    AuthUnavailable = "auth_unavailable", Upstream, StatusCode::BAD_GATEWAY,
        "The authentication server of this route did not answer.";
    /// More requests than `rateLimit` allows.
    RateLimited = "rate_limited", Client, StatusCode::TOO_MANY_REQUESTS,
        "Too many requests.";
    /// More requests than `break_glass.requests` allows a visitor whom break-glass alone admits.
    BreakGlassLimited = "break_glass_limited", Client, StatusCode::TOO_MANY_REQUESTS,
        "Too many requests.";
    /// More requests at once than `inFlightReq` allows.
    InFlightLimited = "in_flight_limited", Client, StatusCode::TOO_MANY_REQUESTS,
        "Too many requests at once.";
    /// A circuit breaker is open.
    CircuitOpen = "circuit_open", Upstream, StatusCode::SERVICE_UNAVAILABLE,
        "The circuit breaker of this route is open.";
    /// A response whose page of `errors` could not be had. The status is that of the response.
    ErrorPageUnavailable = "error_page_unavailable", Upstream, StatusCode::BAD_GATEWAY,
        "The page for this status could not be loaded.";
    /// A fault of ours.
    Internal = "internal", Ravelin, StatusCode::INTERNAL_SERVER_ERROR,
        "Internal error of the proxy.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    enum Mistake {
        List,
    }
    impl std::error::Error for Mistake {}
    advice! { Mistake:
        Mistake::List => "has \"a; b\", and one is the most", "leave one; the first, say";
    }

    #[test]
    fn what_is_wrong_and_what_to_do_are_apart_whatever_their_words() {
        assert_eq!(Mistake::List.reason(), "has \"a; b\", and one is the most");
        assert_eq!(Mistake::List.fix(), "leave one; the first, say");
        assert_eq!(
            Mistake::List.to_string(),
            "has \"a; b\", and one is the most; leave one; the first, say"
        );
    }

    #[test]
    fn labels_are_distinct_and_indices_are_positions() {
        let labels: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|r| r.label()).collect();
        assert_eq!(labels.len(), Reason::ALL.len());
        for (position, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), position);
        }
    }

    #[test]
    fn the_status_tells_the_culprit() {
        for reason in Reason::ALL {
            let status = reason.status().as_u16();
            let expected = match reason.culprit() {
                // What it asked for, and no fault.
                Culprit::Client
                    if [Reason::MaxForwards, Reason::CorsPreflight].contains(&reason) =>
                {
                    status == 200
                }
                Culprit::Client => (400..=499).contains(&status) || status == 501,
                Culprit::Configuration => matches!(status, 302 | 308 | 404 | 418 | 503),
                Culprit::Upstream if reason == Reason::CircuitOpen => status == 503,
                Culprit::Upstream => status == 502 || status == 504,
                Culprit::Ravelin => status == 500 || status == 503,
            };
            assert!(expected, "{reason:?} answers {status}");
        }
    }
}
