"""KiB for each unit: what the processes of a proxy have in memory with the clients, less what they had."""

import os
import pathlib
import tempfile
import time

import attacks
import clients
import credentials
import load
import measure as compare
import proxies
from idle import memory_kib
from scenarios import Scenario

COUNTS = {"heads": 400, "unread": 200, "drips": 200, "half-heads": 200, "idle-tls": 500, "h2-answers": 400,
          "h2-uploads": 50}
SETTLE_SECONDS = 2


def measure(options):
    """Measures all kinds at all proxies, each in a fresh process. Returns and prints the figures."""
    names = options.proxies.split(",")
    programs = {"ravelin": proxies.ravelin_program(options.ravelin)} if "ravelin" in names else {}
    for pair in options.extra:
        name, _, path = pair.partition("=")
        programs[name] = proxies.ravelin_program(path)
        names.append(name)
    figures = {}
    print(f"{'KiB a unit':<24}" + "".join(f"{name:>12}" for name in names), flush=True)
    for kind in options.kinds:
        count = options.count or COUNTS[kind]
        row = {name: at_proxy(kind, count, name, programs) for name in names}
        figures[kind] = row
        label = f"{kind} ({attacks.UNITS.get(kind, 'connection')})"
        notes = {note for one in row.values() for note in one["notes"]}
        cells = "".join(f"{one['kib']:12.1f}" for one in row.values())
        lost = [f"{name}: {one['held']} held, {one['open']} open" for name, one in row.items()
                if not (one["open"] in (-1, one["connections"]))]
        print(f"{label:<24}{cells}  {'; '.join([*sorted(notes), *lost])}", flush=True)
    return figures


def at_proxy(kind, count, name, programs):
    """One kind of client at one proxy."""
    with tempfile.TemporaryDirectory(prefix="ravelin-memory-") as directory:
        directory = pathlib.Path(directory)
        is_secure = kind in attacks.SECURE
        tls = credentials.make(directory) if is_secure else None
        launcher = proxies.Launcher(directory, *cpus(), logs=False, tls=tls)
        launcher.backend_port = clients.free_port()
        pod = clients.start_pod(directory, launcher.backend_port)
        server = None
        try:
            server = compare.start(launcher, name, programs)
            server.wait_until_ready(Scenario("memory", "", "idle", body_bytes=5, tls=is_secure))
            before = memory_kib(server.session)
            with clients.Clients(kind, server.port, count) as attack:
                connections = attack.wait_until_held()
                time.sleep(SETTLE_SECONDS)
                after = memory_kib(server.session)
                still = attack.end()
        finally:
            if server:
                server.stop()
            clients.stop(pod)
    held = min(count, connections * attacks.STREAMS) if kind in attacks.UNITS else connections
    kib = (after["rss"] - before["rss"]) / max(1, held)
    return {"kib": kib, "held": held, "connections": connections, "open": still, "notes": attack.notes,
            "before_kib": before, "after_kib": after}


def cpus():
    """Where the proxies and the rest run: everywhere, as nothing is timed here."""
    all_of_them = sorted(os.sched_getaffinity(0))
    return all_of_them[-1], all_of_them[0]
