"""One upload from far away, over HTTP/1.1 and HTTP/2 within TLS: the same client, a relay in between.

The relay holds every byte for half a round trip, and lets no more than a window be on its way, as TCP
would with the kernel's largest buffers.
"""

import re
import socket
import subprocess
import threading
import time
from collections import deque

import load
import proxies
import standing

ROUND_TRIP_SECONDS = 0.1
# 45 MB/s at that round trip: what HTTP/1.1 was measured to have over a real one.
WINDOW_BYTES = 4_500_000
UPLOAD_BYTES = 64 << 20
PIECE_BYTES = 64 << 10
UPLOAD_SECONDS = 120


def relay(listener, port):
    """Relays every connection to `port`, until the listener is closed."""
    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        far = socket.create_connection((load.ADDRESS, port))
        for one, other in ((near, far), (far, near)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=carry, args=(one, other), daemon=True).start()


def carry(source, target):
    """One direction: each piece leaves half a round trip after it came."""
    on_way, ready, left = deque(), threading.Semaphore(0), deque()
    threading.Thread(target=deliver, args=(target, on_way, ready), daemon=True).start()
    inside = 0
    while True:
        now = time.monotonic()
        while left and (left[0][0] <= now or inside >= WINDOW_BYTES):
            due, size = left.popleft()
            time.sleep(max(0.0, due - now))
            inside -= size
            now = time.monotonic()
        try:
            data = source.recv(PIECE_BYTES)
        except OSError:
            data = b""
        now = time.monotonic()
        on_way.append((now + ROUND_TRIP_SECONDS / 2, data))
        ready.release()
        if not data:
            return
        inside += len(data)
        left.append((now + ROUND_TRIP_SECONDS, len(data)))


def deliver(target, on_way, ready):
    while True:
        ready.acquire()
        due, data = on_way.popleft()
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            if not data:
                target.shutdown(socket.SHUT_WR)
                return
            target.sendall(data)
        except OSError:
            return


def measure(options):
    """MB/s of each proxy over each protocol. Returns and prints the figures."""
    proxies.require(["curl"])
    # nginx takes bodies of 1 MiB by default, and defaults are what is compared.
    programs = standing.programs(options)
    names = [name for name in options.proxies.split(",") if name != "nginx"]
    names.extend(pair.partition("=")[0] for pair in options.extra)
    figures = {}
    print(f"{'MB/s at 100 ms':<24}{'HTTP/1.1':>10}{'HTTP/2':>10}{'ratio':>8}", flush=True)
    for name in names:
        one = at_proxy(name, programs)
        figures[name] = one
        print(f"{name:<24}{one['--http1.1']:>10.1f}{one['--http2']:>10.1f}"
              f"{one['--http1.1'] / one['--http2']:>8.2f}", flush=True)
    return figures


def at_proxy(name, programs):
    with standing.proxy(name, programs, True, None) as (server, directory, tls):
        body = directory / "body"
        body.write_bytes(bytes(UPLOAD_BYTES))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=relay, args=(listener, server.port), daemon=True).start()
            port = listener.getsockname()[1]
            return {protocol: upload(protocol, port, body, tls) for protocol in ("--http1.1", "--http2")}


def upload(protocol, port, body, tls):
    """MB/s of one upload."""
    command = ["curl", "-sS", protocol, "--cacert", tls.authority, "--connect-to", f"{load.HOST}:443:127.0.0.1:{port}",
               "-H", "Expect:", "--data-binary", f"@{body}", "-o", body.parent / "answer",
               "-w", "%{http_code} %{http_version} %{speed_upload}", f"https://{load.HOST}/up"]
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=UPLOAD_SECONDS)
    found = re.fullmatch(r"200 (\S+) (\S+)", result.stdout.strip())
    if not found:
        raise load.LoadFailed(f"curl {protocol}: {result.stdout} {result.stderr}")
    return float(found.group(2)) / 1e6
