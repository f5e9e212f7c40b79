"""What runs in the namespace: pods, a proxy, the load, and the counters of the kernel."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "compare"))

import proxies
from proxies import SetUpFailed

RANGE = "10.78.0.0/16"
IPS = ["10.78.1.1", "10.78.1.2", "10.78.1.3"]
PORT = 8080
ADDRESS = "127.0.0.1:8000"
READY_SECONDS = 10
# Between two looks at the counters.
LOOK_SECONDS = 0.25
# Set in the environment of the run that is within the namespace.
WITHIN = "RAVELIN_FAILURES_WITHIN"


def enter_namespace():
    """Begins again in a network namespace that has nothing but a loopback interface."""
    proxies.DEBIAN_PACKAGES.update({"go": "golang-go", "iptables": "iptables"})
    proxies.require(["unshare", "ip", "iptables", "go"])
    if os.environ.get(WITHIN):
        return
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    os.environ[WITHIN] = "1"
    os.execvp("unshare", ["unshare", *user, "--net", sys.executable, *sys.argv])


def set_up_namespace():
    """Addresses, and a rule without a target for each count."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "route", "add", "local", RANGE, "dev", "lo"], check=True)
    for ip in IPS:
        # A request is one packet with PSH; an attempt to connect is one with SYN alone.
        iptables("-A", *towards(ip), "--tcp-flags", "SYN,ACK", "SYN")
        iptables("-A", *towards(ip), "--tcp-flags", "PSH", "PSH")


def towards(ip):
    return ["INPUT", "-d", ip, "-p", "tcp", "--dport", str(PORT)]


def iptables(*words):
    subprocess.run(["iptables", "-w", *words], check=True)


def drop_syns(ip, is_on):
    iptables("-A" if is_on else "-D", *towards(ip), "--syn", "-j", "DROP")


def compile_go(name, directory):
    program = directory / name
    environment = {**os.environ, "CGO_ENABLED": "0", "GO111MODULE": "off", "GOFLAGS": ""}
    result = subprocess.run(["go", "build", "-o", str(program), str(HERE / f"{name}.go")], env=environment,
                            capture_output=True, text=True, timeout=300)
    if result.returncode != 0:
        raise SetUpFailed(f"{name}.go does not compile:\n{result.stderr}")
    return program


class Pod:
    """One pod: a process, alone in a session of its own."""

    def __init__(self, program, number, *flags):
        self.ip = IPS[number]
        command = [program, "-address", f"{self.ip}:{PORT}", "-name", f"pod-{number + 1}", *flags]
        self._process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True, start_new_session=True)
        if self._process.stdout.readline() != "ready\n":
            raise SetUpFailed(f"a pod does not start at {self.ip}")

    def take(self, manner):
        self._process.stdin.write(manner + "\n")
        self._process.stdin.flush()
        self._process.stdout.readline()

    def freeze(self, is_on):
        self._process.send_signal(signal.SIGSTOP if is_on else signal.SIGCONT)

    def stop(self):
        self._process.kill()
        self._process.wait()


def fill(name, values):
    text = (HERE / name).read_text()
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    left = re.findall(r"@[a-z_0-9]+@", text)
    if left:
        raise SetUpFailed(f"{name}: nothing is known for {', '.join(left)}")
    return text


class Proxy:
    """A proxy that has just been started, and serves."""

    def __init__(self, name, program, annotations="", variables=None):
        self._directory = tempfile.TemporaryDirectory(prefix="ravelin-failures-")
        directory = pathlib.Path(self._directory.name)
        manifests = directory / "manifests"
        manifests.mkdir()
        values = {f"pod_{at}": f"{ip}:{PORT}" for at, ip in enumerate(IPS, 1)}
        values.update({f"ip_{at}": ip for at, ip in enumerate(IPS, 1)})
        values.update(address=ADDRESS, directory=directory, manifests=manifests, port=PORT, annotations=annotations,
                      user="user root;" if os.geteuid() == 0 else "")
        (manifests / "all.yaml").write_text(fill("manifests.yaml", values))
        file = {"ravelin": "ravelin.toml", "nginx": "nginx.conf", "haproxy": "haproxy.cfg"}[name]
        config = directory / file
        config.write_text(fill(file, values))
        command = {
            "ravelin": [program, "run", "--config", config],
            "nginx": ["nginx", "-p", directory, "-c", config],
            "haproxy": ["haproxy", "-db", "-f", config],
        }[name]
        self._log = directory / "log"
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log,
                                             stderr=log, start_new_session=True,
                                             env={**os.environ, **(variables or {})})

    def wait_until_ready(self, load):
        """Returns when one request after the other is answered."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            records = run_load(load, 0.05, closed=1, rate=0)
            if records and all(record.status == 200 for record in records):
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise SetUpFailed(f"it does not serve:\n{self.last_words()}")

    def last_words(self):
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])

    def stop(self):
        # nginx has a worker in its session.
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._directory.cleanup()


class Record:
    """One request. Times are in seconds, `due` since 1970."""

    def __init__(self, line):
        due, took, self.loop, self.method, status, self.word = line.split()
        self.due, self.took, self.status = int(due) / 1e6, int(took) / 1e6, int(status)


def run_load(program, seconds, **flags):
    """Runs the load to its end."""
    command = [program, "-address", ADDRESS, "-span", f"{seconds}s"]
    command += [word for key, value in flags.items() for word in (f"-{key}", value)]
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=seconds + 60)
    if result.returncode != 0:
        raise SetUpFailed(f"the load failed: {result.stderr}")
    return [Record(line) for line in result.stdout.splitlines()]


class Counters:
    """Requests and attempts to connect of each pod, read all the time by a thread."""

    def __init__(self):
        self._stop = threading.Event()
        self._looks = []
        self._thread = threading.Thread(target=self._read_all)
        self._thread.start()

    def _read_all(self):
        while True:
            listed = subprocess.run(["iptables", "-w", "-nvxL", "INPUT"], capture_output=True, text=True, check=True)
            counts = [int(line.split()[0]) for line in listed.stdout.splitlines()[2:]]
            self._looks.append((time.time(), counts[: 2 * len(IPS)]))
            if self._stop.wait(LOOK_SECONDS):
                return

    def stop(self):
        """Ends the thread; returns for each span: begin, end, and how often each pod was tried."""
        self._stop.set()
        self._thread.join()
        windows = []
        for (begin, before), (end, after) in zip(self._looks, self._looks[1:]):
            grown = [now - then for then, now in zip(before, after)]
            # Where nothing listens only the SYNs are seen, and elsewhere the requests, which are more.
            windows.append((begin, end, [max(grown[at : at + 2]) for at in range(0, len(grown), 2)]))
        return windows
