"""The clients: each kind opens what it is told to and holds it until its standard input ends.

Prints `HELD n` when that many units are held, and `OPEN n` at the end: how many were still open.
"""

import resource
import select
import socket
import ssl
import struct
import sys
import time

import load

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1
# Of one connection: as many as every proxy here allows, or fewer.
STREAMS = 100
# A field that just fits into the table of 4096 bytes (RFC 7541 section 4.1), and then costs one byte.
VALUE = b"v" * 3900
CONNECT_SECONDS = 20


def frame(kind, flags, stream, payload=b""):
    """A frame of HTTP/2 (RFC 9113 section 4.1)."""
    return struct.pack("!I", len(payload))[1:] + bytes((kind, flags)) + struct.pack("!I", stream) + payload


def literal(text):
    """A string of HPACK without Huffman's code."""
    length, prefix = len(text), b""
    if length < 127:
        return bytes((length,)) + text
    prefix, length = b"\x7f", length - 127
    while length >= 128:
        prefix, length = prefix + bytes((length % 128 + 128,)), length // 128
    return prefix + bytes((length,)) + text


def fields(method, path):
    """The pseudo-fields: `:method`, `:scheme`, `:path`, `:authority`."""
    verb = b"\x82" if method == "GET" else b"\x83"
    return verb + b"\x87\x04" + literal(path.encode()) + b"\x01" + literal(load.HOST.encode())


def raised_files():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def plain(port):
    """A TCP connection whose receive buffer is small: what is not read waits in the proxy."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(CONNECT_SECONDS)
    sock.connect((load.ADDRESS, port))
    return sock


def secure(port, protocol):
    """A TLS connection with this ALPN protocol. What the server shows is not checked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    sock = socket.create_connection((load.ADDRESS, port), CONNECT_SECONDS)
    return context.wrap_socket(sock, server_hostname=load.HOST)


class Http2:
    """A connection that opens streams and does not read what it need not."""

    def __init__(self, port, window=None):
        self.sock = secure(port, "h2")
        settings = struct.pack("!HI", 4, window) if window is not None else b""
        self.sock.sendall(PREFACE + frame(SETTINGS, 0, 0, settings))
        self.stream = 1

    def open(self, block, flags):
        """Opens a stream with this header block, in as many frames as it takes."""
        self.sock.sendall(frame(HEADERS, flags | END_HEADERS, self.stream, block))
        self.stream += 2

    def frames(self, seconds):
        """The frames that come in within this time: kind, flags, stream, payload."""
        data, deadline = b"", time.monotonic() + seconds
        while True:
            while len(data) >= 9 and len(data) >= 9 + int.from_bytes(data[:3], "big"):
                size = int.from_bytes(data[:3], "big")
                kind, flags, stream = data[3], data[4], int.from_bytes(data[5:9], "big")
                payload, data = data[9:9 + size], data[9 + size:]
                if kind == SETTINGS and not flags & ACK:
                    self.sock.sendall(frame(SETTINGS, ACK, 0))
                yield kind, flags, stream, payload
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self.sock.settimeout(left)
            try:
                more = self.sock.recv(65536)
            except (TimeoutError, OSError):
                return
            if not more:
                return
            data += more


def head_block(repeats, path, first):
    """A head with a long field so many times; the first one of a connection brings the field along."""
    long = b"\x40" + literal(b"x") + literal(VALUE) if first else b"\xbe"
    return fields("GET", path) + long + b"\xbe" * (repeats - 1)


def largest_head(port):
    """How often the long field may be in a head: the most that this proxy answers with 200."""
    for repeats in (32, 16, 7, 3, 1):
        client = Http2(port)
        client.open(head_block(repeats, "/", True), END_STREAM)
        for kind, _, stream, payload in client.frames(2):
            # 0x88 is `:status: 200`; a size update of the table may come before it.
            if kind == HEADERS and stream == 1:
                if b"\x88" in payload[:4]:
                    client.sock.close()
                    return repeats
                break
        client.sock.close()
    return 1


def heads(port, count):
    """Streams with a head as large as this proxy takes, for a pod that does not answer."""
    repeats = largest_head(port)
    held, left = [], count
    while left > 0:
        now = min(STREAMS, left)
        try:
            client = Http2(port)
            for number in range(now):
                client.open(head_block(repeats, "/wait", number == 0), END_STREAM)
        except OSError:
            # Refused; the next may be, too.
            left -= now
            continue
        held.append(client.sock)
        left -= now
    print(f"NOTE heads of {repeats * (len(VALUE) + 33) // 1024} KiB", flush=True)
    return held


def uploads2(port, count):
    """Connections with uploads that fill the window, for a pod that does not read."""
    held = []
    # Together what the first window of the protocol allows (RFC 9113 section 6.9.2).
    piece = frame(DATA, 0, 0, b"d" * 8000)
    for _ in range(count):
        try:
            client = Http2(port)
            for _ in range(8):
                client.open(fields("POST", "/stuck"), 0)
            for stream in range(1, 17, 2):
                client.sock.sendall(piece[:5] + struct.pack("!I", stream) + piece[9:])
        except OSError:
            continue
        held.append(client.sock)
    return held


def answers2(port, count):
    """Streams that ask for 8 MiB and give no window for them."""
    held, left = [], count
    while left > 0:
        now = min(STREAMS, left)
        left -= now
        try:
            client = Http2(port, window=0)
            for _ in range(now):
                client.open(fields("GET", "/pour"), END_STREAM)
        except OSError:
            continue
        held.append(client.sock)
    return held


def opened(port, count, request):
    held = []
    for _ in range(count):
        try:
            sock = plain(port)
            sock.sendall(request)
        except OSError:
            continue
        held.append(sock)
    return held


def unread(port, count):
    """Connections that ask for 8 MiB and do not read."""
    return opened(port, count, f"GET /pour HTTP/1.1\r\nHost: {load.HOST}\r\n\r\n".encode())


def drips(port, count):
    """Uploads that send 16 bytes at a time."""
    request = f"POST /drip HTTP/1.1\r\nHost: {load.HOST}\r\nTransfer-Encoding: chunked\r\n\r\n"
    held = opened(port, count, request.encode())
    for _ in range(24):
        for sock in held:
            try:
                sock.sendall(b"10\r\n0123456789abcdef\r\n")
            except OSError:
                pass
        time.sleep(0.05)
    return held


def half_heads(port, count):
    """Request heads of 30 kB that do not end."""
    lines = [f"GET / HTTP/1.1\r\nHost: {load.HOST}"] + [f"x-{number:02}: {'h' * 990}" for number in range(30)]
    return opened(port, count, "\r\n".join(lines).encode())


def idle(port, count):
    """TLS connections with one request each, and then silence."""
    held = []
    for _ in range(count):
        try:
            sock = secure(port, "http/1.1")
            sock.sendall(f"GET / HTTP/1.1\r\nHost: {load.HOST}\r\n\r\n".encode())
            sock.recv(4096)
        except OSError:
            continue
        held.append(sock)
    return held


KINDS = {"heads": heads, "unread": unread, "drips": drips, "half-heads": half_heads, "idle-tls": idle,
         "h2-answers": answers2, "h2-uploads": uploads2}
SECURE = ("heads", "idle-tls", "h2-answers", "h2-uploads")
# What a unit is.
UNITS = {"heads": "stream", "h2-answers": "stream"}


def still_open(sock):
    """Whether the other end has not closed."""
    ready, _, _ = select.select([sock], [], [], 0)
    if not ready:
        return True
    try:
        sock.settimeout(0.0)
        return sock.recv(1) != b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False


def main(kind, address, port, count):
    raised_files()
    load.ADDRESS = address
    held = KINDS[kind](int(port), int(count))
    print(f"HELD {len(held)}", flush=True)
    sys.stdin.read()
    alive = sum(map(still_open, held)) if len(held) < 1000 else -1
    print(f"OPEN {alive}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
