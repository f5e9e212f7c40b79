//! Flags of entry points without a line in the configuration.

use super::Weight::{Differs, Nothing};
use super::{ACME, Row};

const CACHE: &str = "Cloudflare keeps its connections and opens new ones as it needs them";

/// Flags of an entry point, behind its name.
pub(super) const OF_ENTRY_POINTS: [Row; 26] = [
    ("address", Nothing, "the listener has the address that visitors use", ""),
    (
        "http.redirections.entrypoint.priority",
        Nothing,
        "the redirect comes before every route, but for challenges of ACME",
        "",
    ),
    (
        "http.redirections.entrypoint.permanent",
        Nothing,
        "ravelin redirects with 308, which is permanent and keeps the method",
        "",
    ),
    ("http.redirections.entrypoint.scheme", Nothing, "ravelin redirects to https", ""),
    ("http.tls.certresolver", Differs, "ravelin orders no certificates (ACME)", ACME),
    ("http.tls.domains*", Nothing, "it only says which certificates to order", ""),
    (
        "http.tls.options",
        Differs,
        "options of TLS belong to routes or hosts, not to entry points: ravelin speaks TLS 1.2 and 1.3",
        "for client certificates use [[client_certificate]], or name the TLSOption at the routes",
    ),
    ("http.encodequerysemicolons", Nothing, "the query is forwarded as it came", ""),
    ("http.sanitizepath", Nothing, "one canonical path is matched and forwarded", ""),
    (
        "http.encodedcharacters*",
        Differs,
        "paths that two programs read in two ways get 400; all other bytes are forwarded as they came",
        "try such a path with `ravelin explain`",
    ),
    (
        "forwardedheaders.insecure",
        Differs,
        "everybody could claim any client address; ravelin trusts Cloudflare, and the proxies of trusted_proxies",
        "name the addresses of the proxies in trusted_proxies",
    ),
    ("forwardedheaders.connection", Nothing, "fields that Connection names are for one hop", ""),
    (
        "proxyprotocol.insecure",
        Differs,
        "everybody could claim any client address",
        "name the addresses of the load balancer in proxy_protocol_from",
    ),
    (
        "transport.respondingtimeouts.readtimeout",
        Nothing,
        "uploads of any length pass, as long as they make progress (timeouts.body_progress); heads have timeouts.request_head",
        "",
    ),
    (
        "transport.respondingtimeouts.writetimeout",
        Nothing,
        "responses of any length pass, as long as they make progress (timeouts.body_progress)",
        "",
    ),
    (
        "transport.lifecycle.requestacceptgracetimeout",
        Nothing,
        "a successor takes the port over before the old process closes it",
        "",
    ),
    ("transport.keepalivemaxtime", Nothing, CACHE, ""),
    ("transport.keepalivemaxrequests", Nothing, CACHE, ""),
    (
        "http3*",
        Nothing,
        "Cloudflare connects to origins with HTTP/1.1 and HTTP/2 alone; visitors have HTTP/3 with Cloudflare",
        "",
    ),
    ("allowacmebypass", Nothing, "challenges of ACME are never redirected", ""),
    ("reuseport", Nothing, "all listeners of ravelin share their port (SO_REUSEPORT)", ""),
    ("observability*", Nothing, "metrics and access log cover every entry point", ""),
    (
        "udp*",
        Differs,
        "UDP is not served",
        "a Service of type LoadBalancer for the pods themselves",
    ),
    (
        "http2.maxdecoderheadertablesize",
        Nothing,
        "the header table has the size of the standard",
        "",
    ),
    (
        "http2.maxencoderheadertablesize",
        Nothing,
        "the header table has the size of the standard",
        "",
    ),
    ("http2*", Differs, "it has no counterpart", ""),
];
