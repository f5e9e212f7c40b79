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
    /// An object that can ask for certificates of clients.
    TlsOptions,
    /// Entry points other than those of ports 80 and 443.
    EntryPoint,
    /// Conditions on a request.
    Condition,
    /// TLS towards the pods.
    PodTls,
    /// A key that makes Traefik drop the Ingress.
    UnknownRouterKey,
    /// One below `ravelin.dev/` that nobody reads.
    Unread,
    /// An annotation whose name says that it protects, and of which nothing else is known.
    Unknown,
}

impl Guard {
    /// What it does, after "the annotation ...".
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Authentication => "asks visitors to authenticate",
            Self::Sources => "restricts the addresses of visitors",
            Self::Rate => "limits what each visitor may ask for",
            Self::Certificate => "asks visitors for a certificate",
            Self::Body => "limits the size of requests",
            Self::Firewall => "filters requests by a firewall",
            Self::Snippet => "is text for another proxy, which may restrict who is served",
            Self::Middlewares => "names Middlewares, which may restrict who is served",
            Self::TlsOptions => "names TLS options, which may ask visitors for a certificate",
            Self::EntryPoint => {
                "names neither `web` nor `websecure`, but a way in that is not public"
            }
            Self::Condition => "serves the requests that meet a condition, and no others",
            Self::PodTls => "asks for TLS between proxy and pods",
            Self::UnknownRouterKey => "is no key of Traefik, which serves no Ingress that has one",
            Self::Unread => "is not known, and protects by its name",
            Self::Unknown => "protects, by its name",
        }
    }

    /// What does the same with ravelin, or beside it.
    pub(super) fn instead(self) -> &'static str {
        match self {
            Self::Authentication => "authenticate in the pod or with Cloudflare Access",
            Self::Sources => "use a rule of Cloudflare's WAF, or `admit` of a listener",
            Self::Rate => "use a rate limiting rule of Cloudflare",
            Self::Certificate | Self::TlsOptions => {
                "use ravelin.dev/client-certificate and ravelin.dev/client-ca"
            }
            Self::Body => "use ravelin.dev/max-body-size on the Ingress",
            Self::Firewall => "use Cloudflare's WAF",
            Self::Snippet => "say the same by annotations of ravelin.dev, or do it in the pod",
            Self::Middlewares => "do the same in the pod or at Cloudflare",
            Self::EntryPoint => "add `websecure`, if the internet may have it",
            Self::Condition => "decide it in the pod",
            Self::PodTls => "set ravelin.dev/upstream-protocol: https on the Service",
            Self::UnknownRouterKey | Self::Unread | Self::Unknown => "write what is meant",
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
            Self::Match => "has paths matched in another way, perhaps as regular expressions",
            Self::Redirect => "redirects visitors, so that pods get no request",
            Self::Passthrough => "passes TLS on to the pods",
            Self::Protocol => "has pods spoken to in a protocol that is not HTTP",
        }
    }

    /// What does the same with ravelin, or beside it.
    pub(super) fn instead(self) -> &'static str {
        match self {
            Self::Rewrite => "have the pod serve the path as visitors write it",
            Self::Match => "write plain paths of type Prefix or Exact",
            Self::Redirect => "redirect by a rule of Cloudflare, or in the pod",
            Self::Passthrough => {
                "end TLS here with a Secret, or keep the host on a balancer of its own"
            }
            Self::Protocol => "speak HTTP in the pod",
        }
    }
}
