"""The request of the comparison, and the probe that checks the answer to it."""

import http.client
import os
import socket
import ssl

HOST = "bench.example"
HEADERS = {
    "Host": HOST,
    "CF-Connecting-IP": "203.0.113.7",
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Proto": "https",
    "CF-Ray": "9a1b2c3d4e5f6071-FRA",
    "CF-Visitor": '{"scheme":"https"}',
    "CF-IPCountry": "DE",
    "CDN-Loop": "cloudflare; loops=1",
    "Accept-Encoding": "gzip, br",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept": "text/html,application/xhtml+xml,*/*;q=0.8",
}

# Whose address the generator, and so the proxies, have.
PEERS = {"cloudflare": "104.16.0.1", "loopback": "127.0.0.1"}
# Where the backend listens.
LOOPBACK = PEERS["loopback"]
# Where the proxies do; set by `run`.
ADDRESS = LOOPBACK

# How much longer than its own duration a generator may take before it is given up.
GENERATOR_GRACE_SECONDS = 15
PROBE_SECONDS = 5


class LoadFailed(Exception):
    """The generator met an error, or an answer was not the expected one."""


class NotSpoken(LoadFailed):
    """The server does not speak what was asked for."""


def yielding():
    """What a child runs to have what CPU nobody else wants at once (SCHED_IDLE of sched(7)): on a machine of its own it
    would not take that of the proxy and of the measured client, which wait for its turn to end at a low priority."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def fields(scenario):
    """The fields of the request, by name."""
    return {**HEADERS, **dict(scenario.fields)}


def request(scenario):
    """The request as HTTP/1.1 has it on the wire."""
    named = (f"{name}: {value}" for name, value in fields(scenario).items())
    lines = [f"GET {scenario.path} HTTP/1.1", *named, "", ""]
    return "\r\n".join(lines).encode()


def probe(address, port, scenario, authority=None):
    """Sends one request and checks status and body. Raises OSError or LoadFailed.

    `authority`: the file with the certificate that a TLS server has to be of; None: no TLS.
    """
    connection = http.client.HTTPConnection(address, port, timeout=PROBE_SECONDS)
    try:
        if authority:
            if scenario.alpn != "http/1.1":
                _handshake(address, port, authority, scenario.alpn).close()
            connection.sock = _handshake(address, port, authority, "http/1.1")
        connection.request("GET", scenario.path, headers=fields(scenario))
        response = connection.getresponse()
        body = response.read()
    except http.client.HTTPException as error:
        raise LoadFailed(f"no HTTP answer: {error!r}") from error
    finally:
        connection.close()
    if response.status != 200 or body != b"r" * scenario.body_bytes:
        raise LoadFailed(f"status {response.status} with {len(body)} B: {body[:200]!r}")


def _handshake(address, port, authority, protocol):
    """A TLS 1.3 connection whose certificate was good, for `protocol`."""
    context = ssl.create_default_context(cafile=authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([protocol])
    plain = socket.create_connection((address, port), timeout=PROBE_SECONDS)
    try:
        connection = context.wrap_socket(plain, server_hostname=HOST)
    except ssl.SSLError as error:
        plain.close()
        if "no application protocol" in str(error).lower().replace("_", " "):
            raise NotSpoken(f"it does not speak {protocol} within TLS: {error}") from error
        raise
    chosen = connection.selected_alpn_protocol()
    if chosen != protocol:
        connection.close()
        raise NotSpoken(f"it does not speak {protocol} within TLS (ALPN: {chosen})")
    return connection
