"""The processes beside the proxy: the pod, and the clients of one kind."""

import os
import pathlib
import subprocess
import sys
import threading

import load
import proxies

HERE = pathlib.Path(__file__).resolve().parent
OPEN_SECONDS = 180


def start_pod(directory, port, prepare=load.yielding):
    """The pod, on a port of loopback."""
    output = open(directory / "pod.output", "ab")
    return subprocess.Popen([sys.executable, "-B", HERE / "pod.py", str(port)], stdin=subprocess.DEVNULL,
                            stdout=output, stderr=output, preexec_fn=prepare)


class Clients:
    """Clients of one kind, held until the end. A context manager, so that none is left."""

    def __init__(self, kind, port, count):
        self.kind, self.notes = kind, []
        search_path = f"{HERE}:{HERE.parent / 'compare'}"
        self.process = subprocess.Popen(
            [sys.executable, "-B", HERE / "attacks.py", kind, load.ADDRESS, str(port), str(count)],
            env={**os.environ, "PYTHONPATH": search_path}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            preexec_fn=load.yielding)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def wait_until_held(self):
        """Returns how many connections are held. Clients that take too long are ended."""
        watchdog = threading.Timer(OPEN_SECONDS, self.process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            return self._held()
        finally:
            watchdog.cancel()

    def _held(self):
        while True:
            line = self.process.stdout.readline()
            word, _, rest = line.strip().partition(" ")
            if word == "HELD":
                return int(rest)
            if word != "NOTE":
                raise load.LoadFailed(f"{self.kind}: the clients did not begin: {line!r}")
            self.notes.append(rest)

    def end(self):
        """Ends them. Returns how many were still open, or -1 where that was not counted."""
        output, _ = self.process.communicate(timeout=60)
        return int(output.rpartition("OPEN ")[2] or -1)


def stop(process):
    """Ends a process of ours."""
    process.kill()
    process.wait()


def free_port():
    (port,) = proxies.free_ports(1)
    return port
