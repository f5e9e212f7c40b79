"""The request of the comparison, and the generator that sends it."""

import http.client
import json
import pathlib
import re
import subprocess

HERE = pathlib.Path(__file__).resolve().parent

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

# Scenario: path, and the bytes of the answer's body.
SCENARIOS = {"h1": ("/", 128), "h1-64k": ("/64k", 64 * 1024)}

# How much longer than its own duration wrk may take before it is given up.
GENERATOR_GRACE_SECONDS = 15


class LoadFailed(Exception):
    """The generator met an error, or an answer was not the expected one."""


def request_bytes(scenario):
    """The size of one request on the wire."""
    path, _ = SCENARIOS[scenario]
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in HEADERS.items()), "", ""]
    return len("\r\n".join(lines).encode())


def probe(address, port, scenario):
    """Sends one request and checks status and body. Raises OSError or LoadFailed."""
    path, body_bytes = SCENARIOS[scenario]
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        connection.request("GET", path, headers=HEADERS)
        response = connection.getresponse()
        body = response.read()
    except http.client.HTTPException as error:
        raise LoadFailed(f"no HTTP answer: {error!r}") from error
    finally:
        connection.close()
    if response.status != 200 or body != b"r" * body_bytes:
        raise LoadFailed(f"status {response.status} with {len(body)} B: {body[:200]!r}")


def generate(port, scenario, seconds, connections, pin):
    """Runs wrk with one thread; returns its totals, or raises LoadFailed on any error.

    `pin` is called in the child before it becomes wrk.
    """
    path, body_bytes = SCENARIOS[scenario]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(HERE / "summary.lua")]
    for name, value in HEADERS.items():
        command += ["-H", f"{name}: {value}"]
    command.append(f"http://{ADDRESS}:{port}{path}")
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, preexec_fn=pin, timeout=seconds + GENERATOR_GRACE_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise LoadFailed(f"wrk did not end within {error.timeout} s") from error
    found = re.search(r"^SUMMARY (.*)$", result.stdout, re.MULTILINE)
    if result.returncode != 0 or not found:
        raise LoadFailed(f"wrk failed ({result.returncode}): {result.stdout}{result.stderr}")
    totals = json.loads(found.group(1))
    errors = {key: totals[key] for key in ("status", "connect", "read", "write", "timeout") if totals[key]}
    # wrk counts statuses from 400 on; a redirect would show as a body that is too short.
    if totals["bytes"] < totals["requests"] * body_bytes:
        errors["short_bodies"] = totals["bytes"]
    if errors or totals["requests"] == 0:
        raise LoadFailed(f"{totals['requests']} requests, errors: {errors or 'no request completed'}")
    return totals
