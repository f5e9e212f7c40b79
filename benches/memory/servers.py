"""The servers of `survive`: a plain and a TLS listener each, one host for the attackers and one for the honest client."""

import http.client
import os
import pathlib
import subprocess
import time

import clients
import credentials
import load
import proxies

HERE = pathlib.Path(__file__).resolve().parent
READY_SECONDS = 15
# The name of the honest client's Ingress, and of its host.
HONEST = "honest"


def new_connection(port):
    return http.client.HTTPConnection(load.ADDRESS, port, timeout=5)


def ask(connection):
    """Seconds that an answer took, or None for one that is not 200."""
    began = time.monotonic()
    connection.request("GET", "/", headers={"Host": f"{HONEST}.example"})
    response = connection.getresponse()
    response.read()
    return time.monotonic() - began if response.status == 200 else None


class Server:
    """One in a cgroup. `more` are the values of its template beyond those of all."""

    name = None

    def __init__(self, directory, cgroup, template, more):
        tls = credentials.make(directory)
        self.plain, self.secure, self.admin = proxies.free_ports(3)
        text = (HERE / template).read_text()
        values = {"plain": self.plain, "secure": self.secure, "admin": self.admin, "certificate": tls.certificate,
                  "key": tls.key, "directory": directory,
                  # One for each CPU that it has, as by default.
                  "workers": 1 if cgroup.cpu is not None else 2, **more}
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        self.config = directory / template
        self.config.write_text(text)
        self.output = directory / f"{self.name}.output"
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                            preexec_fn=cgroup.join, start_new_session=True)
        deadline = time.monotonic() + READY_SECONDS
        while not self.answers():
            if time.monotonic() > deadline or not self.lives():
                raise load.LoadFailed(f"{self.name} does not serve: {self.output.read_text()[-2000:]}")
            time.sleep(0.1)

    def command(self):
        raise NotImplementedError

    def answers(self):
        try:
            return ask(new_connection(self.plain)) is not None
        except (OSError, http.client.HTTPException):
            return False

    def lives(self):
        return self.process.poll() is None

    def pids(self):
        """Its processes."""
        return [self.process.pid]

    def metric(self, _name):
        """A figure of its own, or -1 where it has none."""
        return -1

    def stop(self):
        clients.stop(self.process)


class Ravelin(Server):
    """ravelin at its defaults."""

    name = "ravelin"

    def __init__(self, directory, program, cgroup, pod_port, honest_port):
        manifests = directory / "manifests"
        manifests.mkdir()
        for name, port in (("bench", pod_port), (HONEST, honest_port)):
            text = proxies.render("manifests.yaml", {}, {"backend_port": port})
            (manifests / f"{name}.yaml").write_text(text.replace("bench", name))
        self.program = program
        super().__init__(directory, cgroup, "ravelin.toml", {"manifests": manifests})

    def command(self):
        return [self.program, "run", "--config", self.config]

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


class Nginx(Server):
    """nginx at its defaults, with as many workers, and room for as many connections as there are files."""

    name = "nginx"

    def __init__(self, directory, program, cgroup, pod_port, honest_port):
        more = {"pod": pod_port, "honest": honest_port, "user": "user root;" if os.geteuid() == 0 else ""}
        self.program = program or "nginx"
        super().__init__(directory, cgroup, "nginx.conf", more)

    def command(self):
        return [self.program, "-e", self.output, "-c", self.config]

    def pids(self):
        """The master, and its workers."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [self.process.pid, *map(int, children.split())]

    def stop(self):
        # The master ends its workers at once.
        self.process.terminate()
        self.process.wait()


SERVERS = {server.name: server for server in (Ravelin, Nginx)}
