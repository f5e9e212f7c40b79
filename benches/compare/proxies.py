"""The servers of the comparison: how each one is started, asked, and stopped."""

import copy
import ctypes
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import load
import middlewares

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent

BUILD_SECONDS = 1800
READY_SECONDS = 10
STOP_SECONDS = 5
READ_BYTES = 1 << 20
PR_SET_PDEATHSIG = 1  # linux/prctl.h

DEBIAN_PACKAGES = {
    "nginx": "nginx-light",
    "haproxy": "haproxy",
    "wrk": "wrk",
    "h2load": "nghttp2-client",
    "openssl": "openssl",
    "cc": "gcc and libc6-dev",
    "ip": "iproute2",
    "unshare": "util-linux",
}
LIBC = ctypes.CDLL(None, use_errno=True)


class SetUpFailed(Exception):
    """Something that the comparison needs is missing or does not start."""


def require(programs):
    """Raises SetUpFailed that names the Debian package of every program that is missing."""
    search_path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    os.environ["PATH"] = search_path
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        lines = [f"  {program}: Debian package {DEBIAN_PACKAGES[program]}" for program in missing]
        raise SetUpFailed("\n".join(["missing programs (nothing is installed by this script):", *lines]))


def free_ports(count):
    """Distinct free TCP ports on loopback. All are held until the last one is known."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for held in sockets:
            held.bind(("127.0.0.1", 0))
        return [held.getsockname()[1] for held in sockets]
    finally:
        for held in sockets:
            held.close()


def pin_to(cpu):
    """Returns what a child has to run before exec: it stays on `cpu` and dies with this process."""

    def pin():
        os.sched_setaffinity(0, {cpu})
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    return pin


def compile_c(source, directory, libraries=()):
    """Compiles a C program into `directory`."""
    program = directory / source.stem
    command = ["cc", "-O2", "-o", str(program), str(source), *libraries]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if "openssl/" in result.stderr and "No such file" in result.stderr:
        raise SetUpFailed(f"{source.name} needs the Debian package libssl-dev (nothing is installed by this script)")
    if result.returncode != 0:
        raise SetUpFailed(f"{source.name} does not compile:\n{result.stderr}")
    return program


def render(template, switches, values):
    """Fills a template beside this file: @name@ is replaced. A line that begins with a switch is kept
    only if that is on: `switches` has them all, by name."""
    lines = []
    for line in (HERE / template).read_text().splitlines():
        bare = line.strip()
        if bare.startswith("#"):
            continue
        if any(bare.startswith(f"@{name}@ ") and not on for name, on in switches.items()):
            continue
        for name in switches:
            line = line.replace(f"@{name}@ ", "")
        for name, value in values.items():
            line = line.replace(f"@{name}@", str(value))
        if re.search(r"@\w+@", line):
            raise SetUpFailed(f"{template}: nothing is known for this line: {line}")
        lines.append(line)
    return "\n".join(lines) + "\n"


def ravelin_program(path):
    """The ravelin binary: `path`, or the release binary, which is built if it is missing."""
    if path:
        program = pathlib.Path(path).resolve()
        if not os.access(program, os.X_OK):
            raise SetUpFailed(f"{program} is not an executable file")
        return program
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or REPOSITORY / "target")
    program = (REPOSITORY / target / "release" / "ravelin").resolve()
    if not program.exists():
        _build_ravelin(program)
    return program


def _build_ravelin(program):
    leave_out = "name a binary with --ravelin, or leave ravelin out: --proxies nginx,haproxy,floor"
    print(f"{program} is missing: cargo build --release", flush=True)
    if not shutil.which("cargo"):
        raise SetUpFailed(f"ravelin is not built and there is no cargo; {leave_out}")
    command = ["cargo", "build", "--release", "--bin", "ravelin"]
    try:
        result = subprocess.run(command, cwd=REPOSITORY, timeout=BUILD_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise SetUpFailed(f"cargo build took more than {BUILD_SECONDS} s; {leave_out}") from error
    if result.returncode != 0 or not program.exists():
        raise SetUpFailed(f"ravelin is not built: cargo build failed (its messages are above); {leave_out}")


class Server:
    """One running server: the backend, the floor or a proxy, alone in a session of its own."""

    def __init__(self, name, command, port, directory, cpu, version="", access_log=None, stdout=None,
                 authority=None):
        self.name = name
        self._authority = authority
        self.port = port
        self.version = version
        self.access_log = access_log
        self.logged_lines = 0
        self._output = directory / f"{name}.output"
        with open(self._output, "ab") as output, open(stdout or os.devnull, "ab") as standard_output:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=standard_output if stdout else output,
                stderr=output,
                cwd=directory,
                start_new_session=True,
                preexec_fn=pin_to(cpu),
            )
        # A session leader's id is its process id.
        self.session = self._process.pid

    def wait_until_ready(self, scenario):
        """Returns when the server gives the expected answer."""
        address = load.LOOPBACK if self.name == "backend" else load.ADDRESS
        deadline = time.monotonic() + READY_SECONDS
        while True:
            if self._process.poll() is not None:
                raise SetUpFailed(f"{self.name} ended with {self._process.returncode}:\n{self.last_output()}")
            try:
                return load.probe(address, self.port, scenario, self._authority)
            except (OSError, load.LoadFailed) as error:
                # Being asked again does not change that.
                if isinstance(error, load.NotSpoken):
                    raise SetUpFailed(f"{self.name}: {error}") from error
                if time.monotonic() > deadline:
                    message = f"{self.name} does not serve after {READY_SECONDS} s: {error}"
                    raise SetUpFailed(f"{message}\n{self.last_output()}") from error
            time.sleep(0.05)

    def last_output(self):
        """The end of what the server wrote to standard output and standard error."""
        return "\n".join(self._output.read_text(errors="replace").splitlines()[-20:])

    def empty_access_log(self):
        """Counts the lines of the access log and empties it, so that it never fills the disk."""
        if self.access_log is None or not self.access_log.exists():
            return
        with open(self.access_log, "rb+") as log:
            while chunk := log.read(READ_BYTES):
                self.logged_lines += chunk.count(b"\n")
            log.truncate(0)

    def stop(self):
        """Asks the server to end, waits, and then kills what is left of its session."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.session, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()


def _all_of(command):
    """What a program says about itself, on either stream."""
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=10)
    return (result.stdout + result.stderr).strip()


def _version(command):
    """The first line of that."""
    text = _all_of(command)
    return text.splitlines()[0] if text else "unknown version"


class Launcher:
    """Starts servers with what they have in common: directories, CPUs, the backend, the log switch.

    `tls`: the credentials; None if the proxies speak plain HTTP. `full`: whether resumption is off.
    `steps`: the middlewares that the route asks for.
    """

    def __init__(self, directory, proxy_cpu, load_cpu, logs, tls=None, full=False, steps=()):
        self.directory = directory
        self.proxy_cpu = proxy_cpu
        self.load_cpu = load_cpu
        self.logs = logs
        self.tls = tls
        self.full = full
        self.steps = steps
        self.backend_port = None

    def within(self, name):
        """The same, with a new directory of that name in its own."""
        inner = copy.copy(self)
        inner.directory = self.directory / name
        inner.directory.mkdir()
        return inner

    def backend(self):
        program = compile_c(HERE / "backend.c", self.directory)
        (port,) = free_ports(1)
        self.backend_port = port
        return Server("backend", [program, port], port, self.directory, self.load_cpu)

    def floor(self):
        program = compile_c(HERE / "floor.c", self.directory)
        (port,) = free_ports(1)
        command = [program, load.ADDRESS, port, self.backend_port]
        return self._proxy("floor", command, port, "raw TCP forwarder")

    def nginx(self):
        port, config, access_log = self._configure("nginx", "nginx.conf", ".conf")
        command = ["nginx", "-p", self.directory, "-e", self.directory / "nginx.error.log", "-c", config]
        return self._proxy("nginx", command, port, _version(["nginx", "-v"]), access_log)

    def haproxy(self):
        port, config, access_log = self._configure("haproxy", "haproxy.cfg", ".cfg")
        command = ["haproxy", "-db", "-f", config]
        return self._proxy("haproxy", command, port, _version(["haproxy", "-v"]), access_log, stdout=access_log)

    def envoy(self, program):
        port, config, access_log = self._configure("envoy", "envoy.yaml", ".yaml")
        command = [program, "--concurrency", 1, "--disable-hot-restart", "--log-level", "warning", "-c", config]
        version = re.search(r"\d+\.\d+\.\d+", _version([program, "--version"]).partition("version:")[2])
        return self._proxy("envoy", command, port, f"Envoy {version.group() if version else ''}", access_log)

    def traefik(self, program):
        (port,) = free_ports(1)
        config = self.directory / "traefik.json"
        config.write_text(middlewares.traefik_file(self.steps, f"http://127.0.0.1:{self.backend_port}", self.tls))
        command = [program, "--global.checkNewVersion=false", "--global.sendAnonymousUsage=false",
                   "--log.level=ERROR", "--metrics.prometheus=true", f"--providers.file.filename={config}",
                   "--providers.file.watch=false", f"--entryPoints.bench.address={load.ADDRESS}:{port}",
                   f"--entryPoints.bench.forwardedHeaders.trustedIPs={load.PEERS['cloudflare']}"]
        access_log = self.directory / "traefik.access.log" if self.logs else None
        if access_log:
            command += [f"--accessLog.filePath={access_log}", "--accessLog.format=json",
                        "--accessLog.bufferingSize=1000",
                        *(f"--accessLog.fields.headers.names.{name}=keep" for name in ("Cf-Ray", "User-Agent"))]
        version = re.search(r"\d+\.\d+\.\d+", _all_of([program, "version"]))
        return self._proxy("traefik", command, port, f"Traefik {version.group() if version else ''}", access_log)

    def ravelin(self, name, program):
        manifests = self.directory / f"{name}.manifests"
        manifests.mkdir()
        text = render("manifests.yaml", {}, {"backend_port": self.backend_port})
        text = middlewares.manifests(text, self.steps)
        (manifests / "bench.yaml").write_text(text)
        port, config, access_log = self._configure(name, "ravelin.toml", ".toml", manifests=manifests)
        version = f"{_version([program, 'version'])}, {program}"
        return self._proxy(name, [program, "run", "--config", config], port, version, access_log)

    def _proxy(self, name, command, port, version, access_log=None, stdout=None):
        authority = self.tls.authority if self.tls else None
        return Server(name, command, port, self.directory, self.proxy_cpu, version, access_log, stdout, authority)

    def _configure(self, name, template, suffix, **more):
        port, admin_port = free_ports(2)
        access_log = self.directory / f"{name}.access.log" if self.logs else None
        tls = self.tls is not None
        values = {
            "directory": self.directory,
            "address": load.ADDRESS,
            "port": port,
            "admin_port": admin_port,
            "backend_port": self.backend_port,
            "access_log": access_log,
            "scheme": "https" if tls else "http",
            "tickets": "no-tls-tickets" if self.full else "",
            # A worker that gave up root could not enter the private directory.
            "user": "user root;" if os.geteuid() == 0 else "",
            **more,
        }
        if tls:
            values.update(certificate=self.tls.certificate, key=self.tls.key, both=self.tls.both)
        switches = {"logs": self.logs, "no_logs": not self.logs, "tls": tls, "no_tls": not tls, "full": self.full}
        config = self.directory / f"{name}{suffix}"
        config.write_text(render(template, switches, values))
        return port, config, access_log
