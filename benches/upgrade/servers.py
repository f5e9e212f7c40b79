"""The servers that are upgraded: how each is started, replaced, and known to have let go of the old."""

import os
import pathlib
import shutil
import signal
import subprocess
import time

READY_SECONDS = 20
GONE_SECONDS = 120
LOOK_SECONDS = 0.02


class Failed(Exception):
    """A server did not do what it is here for."""


def until(what, seconds, condition):
    """Waits for a condition to return something, and returns that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(LOOK_SECONDS)
    raise Failed(f"not within {seconds} s: {what}")


def children(pid):
    """The processes below one."""
    path = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    try:
        return {int(child) for child in path.read_text().split()}
    except OSError:
        return set()


def is_alive(pid):
    """Whether a process is there and no zombie."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Server:
    """Writes its files into a folder; `places` are the ports and paths that go into them."""

    def __init__(self, folder, places):
        self.folder = folder
        self.places = places
        self.started = []

    def spawn(self, command, **options):
        log = open(self.folder / f"log.{len(self.started)}", "wb")
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
        log.close()
        self.started.append(process)
        return process

    def stop(self):
        for process in self.started:
            if process.poll() is None:
                process.terminate()
        for process in self.started:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Ravelin(Server):
    """Another process beside the old one, which gets SIGTERM when `probe` says that the new one is ready:
    what a DaemonSet with maxSurge does."""

    name = "ravelin"

    def __init__(self, folder, places, program):
        super().__init__(folder, places)
        self.program = program
        (folder / "manifests").mkdir()
        (folder / "manifests" / "all.yaml").write_text(MANIFESTS.format(**places))
        self.old = self.start(0)

    def config(self, number, more=""):
        path = self.folder / f"ravelin.{number}.toml"
        values = {**self.places, "folder": self.folder, "number": number, "more": more}
        path.write_text(RAVELIN.format(**values))
        return path

    def start(self, number):
        process = self.spawn([self.program, "run", "--config", self.config(number)])
        self.await_ready(process, number)
        return process

    def is_ready(self, number):
        socket = self.folder / f"admin.{number}.sock"
        words = [self.program, "probe", "ready", "--socket", socket]
        return subprocess.run(words, capture_output=True, timeout=10).returncode == 0

    def await_ready(self, process, number):
        def ready():
            if process.poll() is not None:
                raise Failed(f"{self.name} has ended; see {self.folder}")
            return self.is_ready(number)

        until(f"{self.name} is ready", READY_SECONDS, ready)

    def upgrade(self):
        new = self.start(len(self.started))
        self.old.terminate()
        begun = time.monotonic()
        until("the old process has left", GONE_SECONDS, lambda: self.old.poll() is not None)
        self.old = new
        return time.monotonic() - begun


class RavelinKilled(Ravelin):
    """A successor that listens, and is killed before it is ready."""

    name = "ravelin, successor killed"

    def upgrade(self):
        number = len(self.started)
        config = self.config(number, 'config_map = "bench/nobody/writes"')
        new = self.spawn([self.program, "run", "--config", config])
        listening = f":{self.places['http'].rsplit(':', 1)[1]}"
        until("the successor listens", READY_SECONDS, lambda: b'"admin port"' in self.log(number))
        if self.is_ready(number):
            raise Failed(f"the successor at {listening} is ready and must not be")
        # Long enough for the old one to see it.
        time.sleep(1)
        new.send_signal(signal.SIGKILL)
        new.wait()
        return None

    def log(self, number):
        return (self.folder / f"log.{number}").read_bytes()


class RavelinReload(Ravelin):
    """The same process, by SIGHUP."""

    name = "ravelin, SIGHUP"

    def count(self, message):
        return (self.folder / "log.0").read_bytes().count(message)

    def upgrade(self):
        begun, left = (self.count(text) for text in (b"is in force", b'"message":"left"'))
        self.old.send_signal(signal.SIGHUP)
        until("the reload is through", READY_SECONDS, lambda: self.count(b"is in force") > begun)
        at = time.monotonic()
        until("the old one has left", GONE_SECONDS, lambda: self.count(b'"message":"left"') > left)
        return time.monotonic() - at


class Master(Server):
    """A master that replaces its workers."""

    def __init__(self, folder, places, program):
        super().__init__(folder, places)
        self.program = program
        self.write()
        self.master = self.spawn(self.command())
        until(f"{self.name} has a worker", READY_SECONDS, lambda: children(self.master.pid))
        time.sleep(0.5)

    def upgrade(self):
        old = children(self.master.pid)
        self.reload()
        begun = time.monotonic()
        until("there is a new worker", READY_SECONDS, lambda: children(self.master.pid) - old)
        until("the old worker has left", GONE_SECONDS, lambda: not any(map(is_alive, old)))
        return time.monotonic() - begun


class HaProxy(Master):
    """haproxy -W: SIGUSR2 to the master, which starts a worker with -sf (management guide, 4)."""

    name = "HAProxy, master-worker"

    def write(self):
        values = {**self.places, "folder": self.folder}
        (self.folder / "haproxy.cfg").write_text(HAPROXY.format(**values))

    def command(self):
        return [self.program, "-W", "-db", "-f", self.folder / "haproxy.cfg",
                "-S", self.folder / "master.sock"]

    def reload(self):
        self.master.send_signal(signal.SIGUSR2)


class Nginx(Master):
    """nginx -s reload: SIGHUP to the master."""

    name = "nginx -s reload"

    def write(self):
        user = "user root;" if os.geteuid() == 0 else ""
        values = {**self.places, "folder": self.folder, "user": user}
        (self.folder / "nginx.conf").write_text(NGINX.format(**values))

    def command(self):
        return [self.program, "-p", self.folder, "-c", self.folder / "nginx.conf",
                "-e", self.folder / "error.log"]

    def reload(self):
        words = [*self.command(), "-s", "reload"]
        subprocess.run(words, check=True, capture_output=True, timeout=READY_SECONDS)


def find(name):
    """A program, where Debian has those of root too."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


RAVELIN = """\
workers = 1
[[listener]]
name = "plain"
address = "{http}"
admit = ["loopback"]
[[listener]]
name = "secure"
address = "{https}"
protocol = "https"
admit = ["loopback"]
[[certificate]]
cert_file = "{certificate}"
key_file = "{key}"
[source]
kind = "directory"
directory = "{folder}/manifests"
[admin]
address = "{admin}"
socket = "{folder}/admin.{number}.sock"
[cloudflare]
refresh = "off"
{more}
[state]
directory = "{folder}"
[log]
access = "off"
[timeouts]
drain = "60s"
"""

MANIFESTS = """\
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {{name: ravelin}}
spec: {{controller: ravelin.dev/ingress-controller}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: bench, namespace: bench}}
spec:
  ingressClassName: ravelin
  rules:
    - host: bench.example
      http:
        paths:
          - path: /
            pathType: Prefix
            backend: {{service: {{name: backend, port: {{number: 80}}}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: backend, namespace: bench}}
spec:
  ports: [{{name: http, port: 80, targetPort: {backend_port}}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: backend-1
  namespace: bench
  labels: {{kubernetes.io/service-name: backend}}
addressType: IPv4
ports: [{{name: http, port: {backend_port}, protocol: TCP}}]
endpoints: [{{addresses: ["127.0.0.1"], conditions: {{ready: true}}}}]
"""

HAPROXY = """\
global
    nbthread 1
    maxconn 4096
    # What the successor needs to take the listening sockets over instead of binding its own.
    stats socket {folder}/stats.sock level admin expose-fd listeners
defaults
    mode http
    timeout connect 5s
    timeout client 3600s
    timeout server 60s
    timeout tunnel 3600s
    timeout http-keep-alive 3600s
frontend bench
    bind {http}
    bind {https} ssl crt {both} alpn h2,http/1.1
    default_backend backend
backend backend
    http-reuse always
    server backend 127.0.0.1:{backend_port}
"""

NGINX = """\
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    # The default closes a connection after 1000 requests, on either side.
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
    upstream backend {{
        server 127.0.0.1:{backend_port};
        keepalive 64;
        keepalive_requests 1000000000;
        keepalive_timeout 3600s;
    }}
    map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
    server {{
        listen {http};
        listen {https} ssl http2;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        client_max_body_size 0;
        proxy_request_buffering off;
        location / {{
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }}
    }}
}}
"""
