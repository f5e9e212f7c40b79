"""Memory of idle connections: a fresh process, what it has in memory, then what it has with them."""

import pathlib
import subprocess
import time

import load
import measure
from cpu_time import ProcessLost, processes_of_session

CONNECTIONS = 1000
# Memory varies little; every measurement starts its proxy anew.
MOST_ROUNDS = 3


def memory_kib(session):
    """What the processes of a session have in memory: `rss`, and `pss`, which counts shared pages once."""
    totals = {"rss": 0, "pss": 0}
    for pid in processes_of_session(session):
        try:
            lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError) as error:
            raise ProcessLost(f"a process ended while it was read: {error}") from error
        for line in lines:
            name, _, value = line.partition(":")
            if name.lower() in totals:
                totals[name.lower()] += int(value.split()[0])
    if totals["rss"] == 0:
        raise ProcessLost("no process is left")
    return totals


def measure_idle(server, generator, seconds):
    """Memory before, and with the connections, `seconds` after the last answer."""
    before = memory_kib(server.session)
    with generator.hold(server.port, CONNECTIONS) as held:
        held.wait_until_open()
        time.sleep(seconds)
        after = memory_kib(server.session)
        held.release()
    return {
        "proxy": server.name,
        "connections": CONNECTIONS,
        "before_kib": before,
        "after_kib": after,
        "rss_kib_per_connection": (after["rss"] - before["rss"]) / CONNECTIONS,
        "pss_kib_per_connection": (after["pss"] - before["pss"]) / CONNECTIONS,
    }


def measure_rounds(launcher, names, programs, generator, options, running):
    """All rounds; `running` holds what has to be stopped at any time. Returns versions and samples."""
    rounds = min(options.rounds, MOST_ROUNDS)
    versions, samples = {}, []
    for round_number in range(1, rounds + 1):
        for name in measure.in_turn(names, round_number):
            server = measure.start(launcher.within(f"{name}-{round_number}"), name, programs)
            running.append(server)
            server.wait_until_ready(generator.scenario)
            versions[name] = server.version
            try:
                sample = measure_idle(server, generator, options.seconds)
            except (load.LoadFailed, ProcessLost, subprocess.TimeoutExpired) as error:
                message = f"{name}, round {round_number}: {error}\n{server.last_output()}"
                raise load.LoadFailed(message) from error
            running.remove(server)
            server.stop()
            samples.append({"round": round_number, **sample})
            print(f"  round {round_number}/{rounds}  {name:<12} {sample['rss_kib_per_connection']:7.2f} KiB/connection  "
                  f"({sample['before_kib']['rss']} KiB before, {sample['after_kib']['rss']} KiB with "
                  f"{CONNECTIONS} connections)", flush=True)
    return versions, samples
