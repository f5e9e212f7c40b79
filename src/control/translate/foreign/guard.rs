//! What annotations of other controllers do that ravelin does not, in the words of its messages.

/// Whom or what an annotation keeps out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::control::translate) enum Guard {
    /// Basic or digest authentication, an authentication server, OAuth.
    Authentication,
    /// Lists of addresses that may, or may not, come.
    Sources,
    /// Requests, connections or bytes for each client.
    Rate,
    /// Certificates of clients.
    Certificate,
    /// The size of requests' bodies.
    Body,
    /// A web application firewall.
    Firewall,
    /// Text for another proxy's configuration.
    Snippet,
    /// Objects that can do any of the others.
    Middlewares,
    /// Conditions on a request.
    Condition,
    /// TLS towards the pods.
    PodTls,
    /// A key that makes Traefik drop the Ingress.
    UnknownRouterKey,
    /// One below `ravelin.dev/` without an effect.
    Unread,
    /// An annotation whose name says that it protects, and of which nothing else is known.
    Unknown,
}

impl Guard {
    /// What it does, after "the annotation ...".
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Authentication => "requires authentication",
            Self::Sources => "restricts client addresses",
            Self::Rate => "limits requests per client",
            Self::Certificate => "requires client certificates",
            Self::Body => "limits the size of requests",
            Self::Firewall => "filters requests with a firewall",
            Self::Snippet => "is configuration of another proxy, which may restrict access",
            Self::Middlewares => "names Middlewares, which may restrict access",
            Self::Condition => "serves only requests that meet a condition",
            Self::PodTls => "requires TLS between proxy and pods",
            Self::UnknownRouterKey => "is not a key of Traefik, and Traefik rejects the Ingress",
            Self::Unread => "is unknown, but suggests by its name that it protects",
            Self::Unknown => "suggests by its name that it protects",
        }
    }

    /// What does the same with ravelin, or beside it.
    pub(super) fn instead(self) -> &'static str {
        match self {
            Self::Authentication => "authenticate in the pod or with Cloudflare Access",
            Self::Sources => "use a rule of Cloudflare's WAF, or `admit` of a listener",
            Self::Rate => "use a rate limiting rule of Cloudflare",
            Self::Certificate => "use ravelin.dev/client-certificate and ravelin.dev/client-ca",
            Self::Body => "use ravelin.dev/max-body-size on the Ingress",
            Self::Firewall => "use Cloudflare's WAF",
            Self::Snippet => "use annotations of ravelin.dev, or do it in the pod",
            Self::Middlewares => "do the same in the pod or at Cloudflare",
            Self::Condition => "decide it in the pod",
            Self::PodTls => "set ravelin.dev/upstream-protocol: https on the Service",
            Self::UnknownRouterKey | Self::Unread | Self::Unknown => "write the intended value",
        }
    }
}

/// What an annotation changes about the requests that pods get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::control::translate) enum Change {
    /// The path that pods see.
    Rewrite,
    /// Which paths the rules match.
    Match,
    /// A redirect in the place of the pod.
    Redirect,
    /// TLS that is not ended at the proxy.
    Passthrough,
    /// A protocol that is not spoken here.
    Protocol,
}

impl Change {
    /// What it does, after "the annotation ...".
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Rewrite => "rewrites the path of requests",
            Self::Match => "changes how paths are matched, possibly as regular expressions",
            Self::Redirect => "redirects requests, so that pods get none",
            Self::Passthrough => "passes TLS through to the pods",
            Self::Protocol => "uses a protocol other than HTTP to the pods",
        }
    }

    /// What does the same with ravelin, or beside it.
    pub(super) fn instead(self) -> &'static str {
        match self {
            Self::Rewrite => "serve the original path in the pod",
            Self::Match => "write plain paths of type Prefix or Exact",
            Self::Redirect => "redirect with a rule of Cloudflare, or in the pod",
            Self::Passthrough => {
                "terminate TLS here with a Secret, or keep the host on its own load balancer"
            }
            Self::Protocol => "speak HTTP in the pod",
        }
    }
}
