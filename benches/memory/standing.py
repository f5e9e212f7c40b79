"""One proxy before one pod, in a folder of its own, for as long as something is measured of it."""

import contextlib
import os
import pathlib
import tempfile

import clients
import credentials
import measure as compare
import proxies
from scenarios import Scenario


def programs(options):
    """The program of each build of ravelin that is asked for, by name: its own, and the extra ones."""
    names = options.proxies.split(",")
    found = {"ravelin": proxies.ravelin_program(options.ravelin)} if "ravelin" in names else {}
    for pair in options.extra:
        name, _, path = pair.partition("=")
        found[name] = proxies.ravelin_program(path)
    return found


@contextlib.contextmanager
def proxy(name, found, is_secure, *pod):
    """Starts the proxy of this name and a pod behind it (with the arguments `pod`); stops both."""
    with tempfile.TemporaryDirectory(prefix="ravelin-memory-") as directory:
        directory = pathlib.Path(directory)
        tls = credentials.make(directory) if is_secure else None
        launcher = proxies.Launcher(directory, *cpus(), logs=False, tls=tls)
        launcher.backend_port = clients.free_port()
        behind = clients.start_pod(directory, launcher.backend_port, *pod)
        server = None
        try:
            server = compare.start(launcher, name, found)
            server.wait_until_ready(Scenario("memory", "", "idle", body_bytes=5, tls=is_secure))
            yield server, directory, tls
        finally:
            if server:
                server.stop()
            clients.stop(behind)


def cpus():
    """Where the proxies and the rest run: everywhere, as no core is kept for one of them here."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[-1], allowed[0]
