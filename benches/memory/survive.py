"""ravelin in a memory cgroup: each kind of client, and then all at once, beside an honest client.

The honest client asks on new connections and on one that stays, before and during the attack. The process
has to live, every honest request has to be answered, and its p99 is compared with the one before.
"""

import collections
import contextlib
import http.client
import os
import pathlib
import select
import subprocess
import tempfile
import time

import attacks
import clients
import credentials
import load
import proxies

HERE = pathlib.Path(__file__).resolve().parent
# Bounded in count: several times what 512 MiB would hold without bounds.
COUNTS = {"heads": 4000, "unread": 2000, "drips": 3000, "half-heads": 4000, "idle-tls": 2000, "h2-answers": 4000,
          "h2-uploads": 200}
# All at once in a quarter of that each.
TOGETHER = 4
BEFORE_SECONDS = 5
PAUSE_SECONDS = 0.01
READY_SECONDS = 15
MIB = 1 << 20
# The name of the honest client's Ingress, and of its host.
HONEST = "honest"


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


class Ravelin:
    """A ravelin in a cgroup, with a plain and a TLS listener."""

    def __init__(self, directory, program, cgroup, pod_port, honest_port):
        tls = credentials.make(directory)
        self.plain, self.secure, self.admin = proxies.free_ports(3)
        manifests = directory / "manifests"
        manifests.mkdir()
        for name, port in (("bench", pod_port), (HONEST, honest_port)):
            text = proxies.render("manifests.yaml", {}, {"backend_port": port})
            (manifests / f"{name}.yaml").write_text(text.replace("bench", name))
        values = {"plain": self.plain, "secure": self.secure, "admin": self.admin, "manifests": manifests,
                  "certificate": tls.certificate, "key": tls.key, "directory": directory,
                  # One for each CPU that it has, as by default.
                  "workers": 1 if cgroup.cpu is not None else 2}
        config = directory / "ravelin.toml"
        template = (HERE / "ravelin.toml").read_text()
        for name, value in values.items():
            template = template.replace(f"@{name}@", str(value))
        config.write_text(template)
        self._output = open(directory / "ravelin.output", "ab")
        self.process = subprocess.Popen([program, "run", "--config", config], stdin=subprocess.DEVNULL,
                                        stdout=self._output, stderr=self._output, preexec_fn=cgroup.join)
        deadline = time.monotonic() + READY_SECONDS
        while not self.answers():
            if time.monotonic() > deadline or not self.lives():
                raise load.LoadFailed(f"ravelin does not serve: {(directory / 'ravelin.output').read_text()[-2000:]}")
            time.sleep(0.1)

    def answers(self):
        try:
            return ask(new_connection(self.plain)) is not None
        except (OSError, http.client.HTTPException):
            return False

    def lives(self):
        return self.process.poll() is None

    def metric(self, name):
        """The sum over all series of a name."""
        try:
            connection = http.client.HTTPConnection(load.LOOPBACK, self.admin, timeout=5)
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            return -1
        lines = [line for line in text.splitlines() if line.startswith((name + "{", name + " "))]
        return int(sum(float(line.rpartition(" ")[2]) for line in lines))


def cpu_seconds(processes):
    """CPU time that these have used so far; nothing for one that has ended."""
    ticks = 0
    for process in processes:
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def new_connection(port):
    return http.client.HTTPConnection(load.ADDRESS, port, timeout=5)


def ask(connection):
    """Seconds that an answer took, or None for one that is not 200."""
    began = time.monotonic()
    connection.request("GET", "/", headers={"Host": f"{HONEST}.example"})
    response = connection.getresponse()
    response.read()
    return time.monotonic() - began if response.status == 200 else None


def was_closed(connection):
    """Whether an idle connection has been closed, as clients look before they use one again."""
    return connection.sock is not None and bool(select.select([connection.sock], [], [], 0)[0])


def honest(ravelin, seconds):
    """Asks for so long, in turn on a connection that stays and on a new one. Times and failures."""
    times, failures, kept = [], collections.Counter(), new_connection(ravelin.plain)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for connection in (kept, new_connection(ravelin.plain)):
            which = "kept" if connection is kept else "new"
            if was_closed(connection):
                connection.close()
            try:
                took = ask(connection)
                if took is None:
                    failures[f"{which} status"] += 1
                else:
                    times.append(took)
            except (OSError, http.client.HTTPException) as error:
                failures[f"{which} {type(error).__name__}"] += 1
                connection.close()
            if connection is not kept:
                connection.close()
        time.sleep(PAUSE_SECONDS)
    kept.close()
    return times, failures


def percentile(times, share):
    ordered = sorted(times)
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def measure(options):
    """Runs each kind, and `together`. Returns and prints the figures."""
    cpus = sorted(os.sched_getaffinity(0))
    options.cpu = cpus[-1] if options.apart else None
    if options.apart:
        os.sched_setaffinity(0, cpus[:-1])
    program = proxies.ravelin_program(options.ravelin)
    print(f"{'in ' + str(options.limit) + ' MiB':<14}{'lives':>6}{'peak MiB':>10}{'p50 ms':>14}{'p99 ms':>14}"
          f"{'failed':>14}{'refused':>9}{'ended':>7}{'held MiB':>10}{'CPU % own':>11}{'clients':>9}", flush=True)
    figures = {}
    for kind in options.kinds:
        kinds = list(attacks.KINDS) if kind == "together" else [kind]
        figures[kind] = one = at_once(options, program, kinds)
        print(f"{kind:<14}{'yes' if one['lives'] else 'NO':>6}{one['peak_mib']:>10}"
              f"{one['p50_before']:>7.1f}{one['p50']:>7.1f}{one['p99_before']:>7.1f}{one['p99']:>7.1f}"
              f"{one['failed']:>6} of {one['asked']:<5}{one['refused']:>8}{one['ended']:>7}{one['held_mib']:>10}"
              f"{one['cpu']:>11.0f}{one['cpu_clients']:>9.0f}  {one['failures'] or ''}", flush=True)
    return figures


def at_once(options, program, kinds):
    """These kinds of clients at the same time."""
    with tempfile.TemporaryDirectory(prefix="ravelin-memory-") as directory, Cgroup(options.limit, options.cpu) as cgroup, \
            contextlib.ExitStack() as stack:
        directory = pathlib.Path(directory)
        port = clients.free_port()
        pod = clients.start_pod(directory, port)
        stack.callback(clients.stop, pod)
        # A pod of its own: what the others do to theirs is not what is measured.
        honest_port = clients.free_port()
        stack.callback(clients.stop, clients.start_pod(directory, honest_port, None))
        ravelin = Ravelin(directory, program, cgroup, port, honest_port)
        stack.callback(clients.stop, ravelin.process)
        before, _ = honest(ravelin, BEFORE_SECONDS)
        running = []
        for kind in kinds:
            count = options.count or COUNTS[kind] // (TOGETHER if len(kinds) > 1 else 1)
            attacked = ravelin.secure if kind in attacks.SECURE else ravelin.plain
            running.append(stack.enter_context(clients.Clients(kind, attacked, count)))
        others = [pod, *(attack.process for attack in running)]
        used, used_clients, began = cpu_seconds([ravelin.process]), cpu_seconds(others), time.monotonic()
        times, failures = honest(ravelin, options.seconds)
        took = time.monotonic() - began
        cpu, cpu_clients = cpu_seconds([ravelin.process]) - used, cpu_seconds(others) - used_clients
        figures = {
            "lives": ravelin.lives(), "peak_mib": cgroup.peak_mib(), "used_mib": cgroup.used_mib(),
            "p50_before": percentile(before, 0.5), "p50": percentile(times, 0.5),
            "p99_before": percentile(before, 0.99), "p99": percentile(times, 0.99),
            "asked": len(times) + failures.total(), "failed": failures.total(), "failures": dict(failures),
            "refused": ravelin.metric("ravelin_memory_refused_total"),
            "ended": ravelin.metric("ravelin_memory_ended_total"),
            "cpu": 100 * cpu / took, "cpu_clients": 100 * cpu_clients / took,
            "held_mib": ravelin.metric("ravelin_memory_held_bytes") // MIB,
        }
        figures["lives"] = ravelin.lives()
        return figures
