"""ravelin in a memory cgroup: each kind of client, and then all at once, beside an honest client.

The honest client asks on new connections and on one that stays, before and during the attack. The process
has to live, every honest request has to be answered, and its p99 is compared with the one before.
"""

import collections
import concurrent.futures
import contextlib
import functools
import http.client
import math
import os
import pathlib
import select
import subprocess
import tempfile
import time
from dataclasses import dataclass

import attacks
import clients
import load
import proxies
import servers
from servers import ask, new_connection

HERE = pathlib.Path(__file__).resolve().parent
# Bounded in count: several times what 512 MiB would hold without bounds.
COUNTS = {"heads": 4000, "unread": 2000, "drips": 3000, "half-heads": 4000, "idle-tls": 2000, "h2-answers": 4000,
          "h2-uploads": 200}
# All at once in a quarter of that each.
TOGETHER = 4
BEFORE_SECONDS = 10
PAUSE_SECONDS = 0.01
MIB = 1 << 20


class Cgroup:
    """A memory cgroup of its own, in either version. A context manager, so that none is left."""

    def __init__(self, limit_mib, cpu=None):
        self.cpu = cpu
        second = pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists()
        root = pathlib.Path("/sys/fs/cgroup") if second else pathlib.Path("/sys/fs/cgroup/memory")
        self.path = root / f"ravelin-memory-{os.getpid()}"
        self._limit, self._peak, self._used = (
            ("memory.max", "memory.peak", "memory.current") if second else
            ("memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.usage_in_bytes"))
        self._mib = limit_mib

    def __enter__(self):
        try:
            self.path.mkdir()
            (self.path / self._limit).write_text(str(self._mib * MIB))
        except OSError as error:
            raise proxies.SetUpFailed(f"a memory cgroup is needed, which takes root: {error}") from error
        swap = self.path / "memory.swap.max"
        if swap.exists():
            swap.write_text("0")
        return self

    def __exit__(self, *_):
        for _ in range(100):
            with contextlib.suppress(OSError):
                self.path.rmdir()
                return
            time.sleep(0.1)

    def join(self):
        """What a child runs to be in it, and on its own CPU if it has one."""
        if self.cpu is not None:
            os.sched_setaffinity(0, {self.cpu})
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def peak_mib(self):
        return self._number(self._peak) // MIB

    def used_mib(self):
        return self._number(self._used) // MIB

    def _number(self, name):
        try:
            return int((self.path / name).read_text())
        except (OSError, ValueError):
            return 0


def cpu_seconds(pids):
    """CPU time that these have used so far; nothing for one that has ended."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def was_closed(connection):
    """Whether an idle connection has been closed, as clients look before they use one again."""
    return connection.sock is not None and bool(select.select([connection.sock], [], [], 0)[0])


@dataclass
class Asked:
    """What an honest client got: seconds of each answer by when it was asked for, and failures by way and kind."""

    times: list
    # Straight from the pod, without the server.
    direct: list
    failures: collections.Counter

    def p99(self, since=0.0, until=math.inf):
        """Milliseconds, of what was asked for within this time."""
        return percentile([took for at, took in self.times if since <= at < until], 0.99)


def honest(server, pod_port, seconds):
    """Asks for so long, in turn on a connection that stays, on a new one, and the pod itself."""
    asked, kept = Asked([], [], collections.Counter()), new_connection(server.plain)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ways = {"kept": kept, "new": new_connection(server.plain), "pod": new_connection(pod_port)}
        for which, connection in ways.items():
            if was_closed(connection):
                connection.close()
            at = time.monotonic()
            try:
                took = ask(connection)
                if took is None:
                    asked.failures[f"{which} status"] += 1
                elif which == "pod":
                    asked.direct.append(took)
                else:
                    asked.times.append((at, took))
            except (OSError, http.client.HTTPException) as error:
                asked.failures[f"{which} {type(error).__name__}"] += 1
                connection.close()
            if connection is not kept:
                connection.close()
        time.sleep(PAUSE_SECONDS)
    kept.close()
    return asked


def percentile(times, share):
    ordered = sorted(times)
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def measure(options):
    """Runs each kind, and `together`, at each server. Returns and prints the figures."""
    cpus = sorted(os.sched_getaffinity(0))
    options.cpu = cpus[-1] if options.apart else None
    if options.apart:
        os.sched_setaffinity(0, cpus[:-1])
    names = [name for name in options.proxies.split(",") if name in servers.SERVERS]
    programs = {name: proxies.ravelin_program(options.ravelin) if name == "ravelin" else None for name in names}
    for pair in options.extra:
        name, _, path = pair.partition("=")
        programs[name] = proxies.ravelin_program(path)
    print(f"{'in ' + str(options.limit) + ' MiB':<12}{'':<9}{'lives':>6}{'peak MiB':>10}{'p50 ms':>12}"
          f"{'p99: before':>13}{'during':>8}{'opening':>9}{'held':>7}{'pod alone':>13}{'failed':>14}{'refused':>9}"
          f"{'ended':>7}{'held MiB':>10}{'CPU % own':>11}{'clients':>9}", flush=True)
    figures = {}
    for kind in options.kinds:
        kinds = list(attacks.KINDS) if kind == "together" else [kind]
        for name, program in programs.items():
            server = functools.partial(servers.SERVERS.get(name, servers.Ravelin), program=program)
            figures.setdefault(kind, {})[name] = one = at_once(options, server, kinds)
            print(f"{kind:<12}{name:<9}{'yes' if one['lives'] else 'NO':>6}{one['peak_mib']:>10}"
                  f"{one['before_50']:>6.1f}{one['during_50']:>6.1f}{one['before_99']:>13.1f}{one['during_99']:>8.1f}"
                  f"{one['opening_99']:>9.1f}{one['held_99']:>7.1f}{one['direct_before_99']:>7.1f}{one['direct_99']:>6.1f}"
                  f"{one['failed']:>6} of {one['asked']:<5}{one['refused']:>8}{one['ended']:>7}{one['held_mib']:>10}"
                  f"{one['cpu']:>11.0f}{one['cpu_clients']:>9.0f}  {one['failures'] or ''}", flush=True)
    return figures


def at_once(options, start, kinds):
    """These kinds of clients at the same time, at a server of its own."""
    with tempfile.TemporaryDirectory(prefix="ravelin-memory-") as directory, Cgroup(options.limit, options.cpu) as cgroup, \
            contextlib.ExitStack() as stack:
        directory = pathlib.Path(directory)
        port = clients.free_port()
        pod = clients.start_pod(directory, port)
        stack.callback(clients.stop, pod)
        # A pod of its own: what the others do to theirs is not what is measured.
        honest_port = clients.free_port()
        stack.callback(clients.stop, clients.start_pod(directory, honest_port, None))
        server = start(directory=directory, cgroup=cgroup, pod_port=port, honest_port=honest_port)
        stack.callback(server.stop)
        before = honest(server, honest_port, BEFORE_SECONDS)
        running = []
        for kind in kinds:
            count = options.count or COUNTS[kind] // (TOGETHER if len(kinds) > 1 else 1)
            attacked = server.secure if kind in attacks.SECURE else server.plain
            running.append(stack.enter_context(clients.Clients(kind, attacked, count)))
        # When all of them are open, or have been refused.
        waiting = concurrent.futures.ThreadPoolExecutor()
        held = [waiting.submit(lambda one=one: (one.wait_until_held(), time.monotonic())[1]) for one in running]
        waiting.shutdown(wait=False)
        others = [pod.pid, *(attack.process.pid for attack in running)]
        used, used_clients, began = cpu_seconds(server.pids()), cpu_seconds(others), time.monotonic()
        during = honest(server, honest_port, options.seconds)
        took = time.monotonic() - began
        cpu, cpu_clients = cpu_seconds(server.pids()) - used, cpu_seconds(others) - used_clients
        opened = max((one.result() if one.done() else math.inf) for one in held)
        times = {name: [took for _, took in one.times] for name, one in (("before", before), ("during", during))}
        return {
            "peak_mib": cgroup.peak_mib(), "used_mib": cgroup.used_mib(),
            **{f"{name}_{share}": percentile(one, share / 100) for name, one in times.items() for share in (50, 99)},
            "opening_99": during.p99(until=opened), "held_99": during.p99(since=opened), "opened": opened - began,
            "direct_before_99": percentile(before.direct, 0.99), "direct_99": percentile(during.direct, 0.99),
            "asked": len(during.times) + during.failures.total(), "failed": during.failures.total(),
            "failures": dict(during.failures),
            "refused": server.metric("ravelin_memory_refused_total"),
            "ended": server.metric("ravelin_memory_ended_total"),
            "cpu": 100 * cpu / took, "cpu_clients": 100 * cpu_clients / took,
            "held_mib": server.metric("ravelin_memory_held_bytes") // MIB,
            # Behind all else: whether it has outlived being asked, too.
            "lives": server.lives(),
        }
