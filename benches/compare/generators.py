"""The generators: wrk, h2load and tls_client.c. Each has one thread, and any error is a failure."""

import json
import os
import pathlib
import re
import subprocess

import credentials
import load

HERE = pathlib.Path(__file__).resolve().parent
STREAMS = 8
# What each generator needs to be there.
PROGRAMS = {"wrk": ["wrk"], "h2load": ["h2load"], "handshakes": [], "idle": []}


class Generator:
    """Loads one proxy at a time, as the scenario says.

    `tls`: the credentials, or None. `tls_client`: the compiled program, where the scenario needs it.
    `pin` is called in each child before it becomes the generator.
    """

    def __init__(self, scenario, directory, tls, tls_client, pin):
        self.scenario, self._tls, self._tls_client, self._pin = scenario, tls, tls_client, pin
        self._request_file = directory / "request"
        self._request_file.write_bytes(load.request(scenario))

    def generate(self, port, seconds, connections):
        """Loads the proxy on `port`; returns totals with at least `requests`, `duration_us`, `p50_us`
        and `p99_us` (None where the generator does not tell). Raises LoadFailed on any error."""
        return getattr(self, f"_{self.scenario.generator}")(port, seconds, connections)

    def hold(self, port, connections):
        """Starts to open connections that stay open; see `Held`."""
        return Held(self._client_command("idle", port, connections), self._environment(), self._pin)

    def _wrk(self, port, seconds, connections):
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", HERE / "summary.lua"]
        for name, value in load.fields(self.scenario).items():
            command += ["-H", f"{name}: {value}"]
        command.append(f"{'https' if self._tls else 'http'}://{load.HOST}:{port}{self.scenario.path}")
        command += ["--", self.scenario.sent_bytes]
        totals = _summary(self._run(command, seconds))
        errors = {key: totals[key] for key in ("status", "connect", "read", "write", "timeout") if totals[key]}
        # wrk counts statuses from 400 on; a redirect would show as a body that is too short.
        if totals["bytes"] < totals["requests"] * self.scenario.body_bytes:
            errors["short_bodies"] = totals["bytes"]
        return _checked(totals, errors)

    def _h2load(self, port, seconds, connections):
        command = ["h2load", "-t1", f"-c{max(1, connections // STREAMS)}", f"-m{STREAMS}", f"-D{seconds}s",
                   f"--groups={credentials.GROUP}", f"--tls13-ciphers={credentials.SUITE}",
                   f"--connect-to={load.ADDRESS}:{port}"]
        for name, value in load.fields(self.scenario).items():
            if name != "Host":
                command += ["-H", f"{name.lower()}: {value}"]
        command.append(f"https://{load.HOST}{self.scenario.path}")
        return h2load_totals(self._run(command, seconds), seconds, self.scenario.body_bytes)

    def _handshakes(self, port, seconds, connections):
        command = self._client_command("full", port, connections)
        return _checked(_summary(self._run([*command, seconds], seconds)), {})

    def _client_command(self, mode, port, connections):
        return [self._tls_client, mode, load.ADDRESS, port, load.HOST, self._request_file,
                self.scenario.body_bytes, connections]

    def _environment(self):
        settings = {"OPENSSL_CONF": str(self._tls.client_settings)} if self._tls else {}
        return {**os.environ, "COMPARE_ADDRESS": load.ADDRESS, **settings}

    def _run(self, command, seconds):
        """What the generator writes to standard output."""
        name = pathlib.Path(command[0]).name
        try:
            result = subprocess.run(
                [str(part) for part in command], capture_output=True, text=True, env=self._environment(),
                preexec_fn=self._pin, timeout=seconds + load.GENERATOR_GRACE_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise load.LoadFailed(f"{name} did not end within {error.timeout} s") from error
        if result.returncode != 0:
            raise load.LoadFailed(f"{name} failed ({result.returncode}): {result.stdout}{result.stderr}")
        return result.stdout


def _summary(output):
    found = re.search(r"^SUMMARY (.*)$", output, re.MULTILINE)
    if not found:
        raise load.LoadFailed(f"the generator printed no summary: {output}")
    return json.loads(found.group(1))


def _checked(totals, errors):
    if errors or totals["requests"] == 0:
        raise load.LoadFailed(f"{totals['requests']} requests, errors: {errors or 'no request completed'}")
    return totals


def h2load_totals(output, seconds, body_bytes):
    """The totals out of what h2load prints. Its requests are those that ended within `seconds`."""
    counts = re.search(r"^requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, "
                       r"(\d+) errored, (\d+) timeout$", output, re.MULTILINE)
    good = re.search(r"^status codes: (\d+) 2xx", output, re.MULTILINE)
    data = re.search(r"^traffic: .* \((\d+)\) data$", output, re.MULTILINE)
    protocol = re.search(r"^Application protocol: (\S+)$", output, re.MULTILINE)
    agreed = [re.search(rf"^{what}: (\S+)", output, re.MULTILINE)
              for what in ("TLS Protocol", "Cipher", "Server Temp Key")]
    if not (counts and good and data and protocol and all(agreed)):
        raise load.LoadFailed(f"h2load printed no totals, or agreed on no protocol: {output}")
    _, done, succeeded, failed, errored, timed_out = map(int, counts.groups())
    errors = {"failed": failed, "errored": errored, "timeout": timed_out,
              "not_succeeded": done - succeeded, "status": done - int(good.group(1))}
    errors = {name: count for name, count in errors.items() if count}
    if protocol.group(1) != "h2":
        errors["protocol"] = protocol.group(1)
    tls = tuple(found.group(1) for found in agreed)
    if tls != ("TLSv1.3", credentials.SUITE, credentials.GROUP):
        errors["tls"] = tls
    if int(data.group(1)) < done * body_bytes:
        errors["short_bodies"] = int(data.group(1))
    return _checked({"requests": done, "duration_us": seconds * 1e6, "p50_us": None, "p99_us": None}, errors)


class Held:
    """Connections that stay open until `release`. A context manager, so that none is left."""

    def __init__(self, command, environment, pin):
        self._connections = int(command[-1])
        self._process = subprocess.Popen([str(part) for part in command], env=environment, preexec_fn=pin,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()

    def wait_until_open(self):
        """Returns when every connection has had its answer. tls_client gives up after 10 s of silence."""
        totals = _summary(self._process.stdout.readline() or "nothing (its own message is above)")
        if totals["requests"] != self._connections:
            raise load.LoadFailed(f"{totals['requests']} of {self._connections} connections were opened")

    def release(self):
        """Closes them. Raises LoadFailed if the proxy had closed one of them before."""
        output, _ = self._process.communicate(timeout=load.GENERATOR_GRACE_SECONDS)
        if output != f"OPEN {self._connections}\n":
            raise load.LoadFailed(f"of {self._connections} connections: {output}")
