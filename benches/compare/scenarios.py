"""The scenarios: what is asked for, over which protocol, and what is counted."""

from dataclasses import dataclass

from middlewares import CREDENTIALS


@dataclass(frozen=True)
class Scenario:
    """One thing that is measured at every proxy."""

    name: str
    help: str
    # wrk, h2load or handshakes; or idle: connections are opened and held, and memory is measured.
    generator: str
    path: str = "/"
    # Of the answer's body.
    body_bytes: int = 128
    tls: bool = False
    # Whether the proxies must not offer resumption, so that every handshake is full on both sides.
    full_handshakes: bool = False
    # What is asked for in the probe; a proxy that does not choose it cannot take part.
    alpn: str = "http/1.1"
    # Those of middlewares.py that the route asks for: then ravelin and Traefik alone take part.
    middlewares: tuple = ()
    # Fields of the request beyond those of all scenarios.
    fields: tuple = ()
    # Bytes of a body that is sent with POST; none: GET.
    sent_bytes: int = 0
    # What is counted, the name of the figure in samples and summary, and its heading in the table.
    unit: str = "request"
    figure: str = "cpu_us_per_request"
    heading: str = "us CPU/request"


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("h1", "HTTP/1.1, 128 B", "wrk"),
        Scenario("h1-64k", "HTTP/1.1, 64 KiB", "wrk", path="/64k", body_bytes=64 * 1024),
        Scenario("h1-1m", "HTTP/1.1, 1 MiB", "wrk", path="/1m", body_bytes=1024 * 1024),
        Scenario("h1-post", "HTTP/1.1, a POST of 64 KiB", "wrk", sent_bytes=64 * 1024),
        Scenario("h1-new", "HTTP/1.1, 128 B, each request on a connection of its own", "wrk",
                 fields=(("Connection", "close"),)),
        Scenario("middlewares", "HTTP/1.1, 128 B, through headers, ipAllowList, stripPrefix and rateLimit", "wrk",
                 path="/shop/", middlewares=("headers", "ip-allow-list", "strip-prefix", "rate-limit")),
        Scenario("basic-auth", "HTTP/1.1, 128 B, through basicAuth with a bcrypt hash", "wrk",
                 middlewares=("basic-auth",), fields=(CREDENTIALS,)),
        Scenario("tls-h1", "HTTP/1.1 within TLS, 128 B", "wrk", tls=True),
        Scenario("tls-h2", "HTTP/2 within TLS, 8 streams a connection, 128 B", "h2load", tls=True, alpn="h2"),
        Scenario("handshake", "a full TLS handshake and one request", "handshakes", tls=True, full_handshakes=True,
                 unit="handshake", figure="cpu_us_per_handshake", heading="us CPU/handshake"),
        Scenario("tls-idle", "memory of idle TLS connections", "idle", tls=True,
                 unit="connection", figure="rss_kib_per_connection", heading="KiB/connection"),
    )
}
