"""KiB for each unit: what the processes of a proxy have in memory with the clients, less what they had."""

import time

import attacks
import clients
import standing
from idle import memory_kib

COUNTS = {"heads": 400, "unread": 200, "drips": 200, "half-heads": 200, "idle-tls": 500, "h2-answers": 400,
          "h2-uploads": 50}
SETTLE_SECONDS = 2


def measure(options):
    """Measures all kinds at all proxies, each in a fresh process. Returns and prints the figures."""
    programs = standing.programs(options)
    names = [*options.proxies.split(","), *(pair.partition("=")[0] for pair in options.extra)]
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
    with standing.proxy(name, programs, kind in attacks.SECURE) as (server, _, _):
        before = memory_kib(server.session)
        with clients.Clients(kind, server.port, count) as attack:
            connections = attack.wait_until_held()
            time.sleep(SETTLE_SECONDS)
            after = memory_kib(server.session)
            still = attack.end()
    held = min(count, connections * attacks.STREAMS) if kind in attacks.UNITS else connections
    kib = (after["rss"] - before["rss"]) / max(1, held)
    return {"kib": kib, "held": held, "connections": connections, "open": still, "notes": attack.notes,
            "before_kib": before, "after_kib": after}
