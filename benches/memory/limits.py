"""Bytes of the buckets of rateLimit: of 10 000 keys of one limit, and of 100 000 visitors of another."""

import itertools
import pathlib
import socket
import tempfile
import time
import urllib.request

import clients
import load
import middlewares
import proxies
import standing
from idle import memory_kib

KEYS, VISITORS = 10_000, 100_000
# Requests that are on their way at once.
BATCH = 100
ANSWER_SECONDS = 30
CASES = (
    ("limit-of-keys", KEYS, lambda number: f"X-Key: key-{number}"),
    ("limit-of-visitors", VISITORS, lambda number: f"X-Forwarded-For: {address(number)}"),
)


def address(number):
    """A visitor's, out of 11.0.0.0/8."""
    return f"11.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def measure(options):
    """Measures both, each in a fresh process. Returns and prints the figures."""
    program = proxies.ravelin_program(options.ravelin)
    figures = {}
    for name, count, field in CASES:
        one = at_ravelin(program, name, options.count or count, field)
        figures[name] = one
        print(f"{one['asked']:7d} {name:<18} {one['buckets']:6d} buckets {one['bytes'] / 1024:7.0f} KiB held, "
              f"{one['evicted']:6d} evicted, resident memory +{one['rss_kib']} KiB, "
              f"of the same requests with one client +{one['rss_kib_of_one']} KiB", flush=True)
    return figures


def at_ravelin(program, name, count, field):
    """So many clients of one limit, each with one request."""
    with tempfile.TemporaryDirectory(prefix="ravelin-memory-") as directory:
        directory = pathlib.Path(directory)
        launcher = proxies.Launcher(directory, *standing.cpus(), logs=False)
        launcher.backend_port = clients.free_port()
        behind = clients.start_pod(directory, launcher.backend_port)
        server = None
        try:
            config, port, admin = configure(launcher, name)
            server = proxies.Server("ravelin", [program, "run", "--config", config], port, directory,
                                    launcher.proxy_cpu)
            wait_until_ready(port)
            # Buffers, connections and caches grow with the first requests, whoever asks.
            one = resident_growth(server, port, (field(0) for _ in range(count)))
            many = resident_growth(server, port, map(field, range(count)))
            told = metrics(admin)
        finally:
            if server:
                server.stop()
            clients.stop(behind)
    return {"asked": count, "buckets": told["keys"], "bytes": told["bytes"], "evicted": told["evicted"],
            "rss_kib": many, "rss_kib_of_one": one}


def configure(launcher, name):
    """Writes ravelin's configuration. Returns it, its port, and that of its metrics."""
    directory = launcher.directory
    manifests = directory / "manifests"
    manifests.mkdir()
    objects = proxies.render("manifests.yaml", {}, {"backend_port": launcher.backend_port})
    (manifests / "bench.yaml").write_text(middlewares.manifests(objects, [name]))
    port, admin = proxies.free_ports(2)
    config = directory / "ravelin.toml"
    values = {"address": load.LOOPBACK, "port": port, "admin_port": admin, "manifests": manifests, "scheme": "http"}
    switches = {"logs": False, "no_logs": True, "tls": False, "no_tls": True, "full": False}
    text = proxies.render("ravelin.toml", switches, values)
    config.write_text(text.replace("admit = ", 'trusted_proxies = ["127.0.0.0/8"]\nadmit = ', 1))
    return config, port, admin


def wait_until_ready(port):
    deadline = time.monotonic() + proxies.READY_SECONDS
    while True:
        try:
            return ask(port, ["X-Key: first"])
        except (OSError, load.LoadFailed):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def resident_growth(server, port, fields):
    """KiB that the process has more after these requests."""
    before = memory_kib(server.session)
    ask(port, fields)
    return memory_kib(server.session)["rss"] - before["rss"]


def ask(port, fields):
    """One request for each field, on one connection, many at once. 429 is an answer too."""
    with socket.create_connection((load.LOOPBACK, port), timeout=ANSWER_SECONDS) as connection:
        answers = connection.makefile("rb")
        fields = iter(fields)
        while batch := list(itertools.islice(fields, BATCH)):
            connection.sendall(b"".join(request(field) for field in batch))
            for _ in batch:
                read(answers)


def request(field):
    return f"GET / HTTP/1.1\r\nHost: {load.HOST}\r\n{field}\r\n\r\n".encode()


def read(answers):
    """Reads one answer."""
    status = answers.readline()
    if status.split(b" ")[1:2] not in ([b"200"], [b"429"]):
        raise load.LoadFailed(f"not an answer of the pod or the limit: {status!r}")
    length = 0
    while (line := answers.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    answers.read(length)


def metrics(admin):
    """What ravelin says of its buckets."""
    with urllib.request.urlopen(f"http://{load.LOOPBACK}:{admin}/metrics", timeout=10) as response:
        lines = response.read().decode().splitlines()
    told = {}
    for line in lines:
        name, _, value = line.replace("{}", "").partition(" ")
        for figure in ("keys", "bytes", "evicted"):
            if name in (f"ravelin_rate_limit_{figure}", f"ravelin_rate_limit_{figure}_total"):
                told[figure] = int(float(value))
    return told
