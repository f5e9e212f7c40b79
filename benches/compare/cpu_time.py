"""CPU time out of /proc: of all threads of a proxy, and of a whole CPU.

The scheduler's own account (schedstat, nanoseconds) is the measure. It forgets threads that have
ended, so the process's user and system time (10 ms steps, ended threads included) checks it.
"""

import os
import pathlib

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
NANOSECONDS_PER_TICK = 1_000_000_000 // TICKS_PER_SECOND


class ProcessLost(Exception):
    """A process of a proxy ended, or a new one began, while it was measured."""


def processes_of_session(session):
    """The process ids of one session, found by reading every /proc/PID/stat."""
    found = set()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            fields = _stat_fields(int(entry))
        except (FileNotFoundError, ProcessLookupError):
            continue
        # proc(5): field 3 is the state, field 6 the session; Z and X are dead processes.
        if int(fields[3]) == session and fields[0] not in ("Z", "X"):
            found.add(int(entry))
    return found


def _stat_fields(pid):
    """The fields of /proc/PID/stat from the third on; the name before may hold any character."""
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    return text.rpartition(")")[2].split()


class CpuReading:
    """The CPU time that the processes of one session have used up to now."""

    def __init__(self, session):
        self.pids = processes_of_session(session)
        if not self.pids:
            raise ProcessLost("no process is left")
        self._thread_ns = {}
        self._ticks = 0
        try:
            for pid in self.pids:
                for task in os.listdir(f"/proc/{pid}/task"):
                    text = pathlib.Path(f"/proc/{pid}/task/{task}/schedstat").read_text()
                    self._thread_ns[pid, int(task)] = int(text.split()[0])
                fields = _stat_fields(pid)
                self._ticks += int(fields[11]) + int(fields[12])
        except (FileNotFoundError, ProcessLookupError) as error:
            raise ProcessLost(f"a process or thread ended while it was read: {error}") from error

    def since(self, earlier):
        """Nanoseconds used since `earlier`.

        If threads have ended in between, their time is only in the ticks: then these are taken.
        """
        if self.pids != earlier.pids:
            raise ProcessLost(f"processes changed from {sorted(earlier.pids)} to {sorted(self.pids)}")
        by_thread = sum(ns - earlier._thread_ns.get(key, 0) for key, ns in self._thread_ns.items())
        by_tick = (self._ticks - earlier._ticks) * NANOSECONDS_PER_TICK
        if earlier._thread_ns.keys() - self._thread_ns.keys():
            return by_tick
        # Two values (user, system) are cut to whole ticks per process, before and after.
        allowed = 4 * len(self.pids) * NANOSECONDS_PER_TICK + by_thread // 50
        if abs(by_tick - by_thread) > allowed:
            # Threads that began and ended in between are in neither reading.
            return max(by_tick, by_thread)
        return by_thread


class MachineReading:
    """The ticks of each CPU, as /proc/stat counts them."""

    def __init__(self):
        self._cpus = {}
        for line in pathlib.Path("/proc/stat").read_text().splitlines():
            name, *values = line.split()
            if name.startswith("cpu") and name != "cpu":
                # proc(5): guest time (fields 9 and 10) is already within user and nice.
                self._cpus[int(name[3:])] = [int(value) for value in values[:8]]

    def steal_since(self, earlier):
        """The largest share of time, over all CPUs, that the hypervisor gave to others."""
        shares = [0.0]
        for cpu, values in self._cpus.items():
            delta = [now - before for now, before in zip(values, earlier._cpus.get(cpu, values))]
            shares.append(delta[7] / max(1, sum(delta)))
        return max(shares)

    def busy_ns_since(self, earlier, cpu):
        """Nanoseconds that one CPU was neither idle, nor waiting for a disk, nor stolen."""
        delta = [now - before for now, before in zip(self._cpus[cpu], earlier._cpus[cpu])]
        return (sum(delta) - delta[3] - delta[4] - delta[7]) * NANOSECONDS_PER_TICK
