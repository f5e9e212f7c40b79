"""The pod behind the proxies: it answers, waits, pours, or does not read, as its path says.

`/` answers at once. `/wait` never does. `/pour` is 8 MiB. `/drip` takes a body and never answers; `/stuck`
does not read it; `/up` takes it and tells its length.
"""

import selectors
import socket
import sys

POUR_BYTES = 8 << 20
PIECE = b"p" * (256 << 10)
# What the probe of the comparison expects.
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nrrrrr"


class Connection:
    """One connection of a proxy: what it has asked, and what it is still to get."""

    def __init__(self, sock):
        self.sock, self.head, self.left, self.out, self.mode = sock, b"", 0, b"", "head"

    def on_readable(self):
        """Reads; False when the connection has ended."""
        try:
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not data:
            return False
        if self.mode == "up":
            return self.took(data)
        if self.mode != "head":
            return True
        self.head += data
        if b"\r\n\r\n" in self.head:
            self.asked()
        return True

    def asked(self):
        head, _, body = self.head.partition(b"\r\n\r\n")
        path = head.split(b" ", 2)[1].decode("latin-1").partition("?")[0]
        self.head = b""
        if path == "/pour":
            self.out = f"HTTP/1.1 200 OK\r\nContent-Length: {POUR_BYTES}\r\n\r\n".encode()
            self.left = POUR_BYTES
        elif path in ("/wait", "/drip", "/stuck"):
            self.mode = path[1:]
        elif path == "/up":
            lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
            self.mode, self.wanted, self.got = "up", int(lengths[0].split(b":")[1]), 0
            self.took(body)
        else:
            self.out = HELLO

    def took(self, data):
        self.got += len(data)
        if self.got >= self.wanted:
            self.out, self.mode = HELLO, "head"
        return True

    def on_writable(self):
        """Sends what there is; False when the connection has ended."""
        try:
            while self.out or self.left:
                if not self.out:
                    self.out = PIECE[: min(len(PIECE), self.left)]
                    self.left -= len(self.out)
                self.out = self.out[self.sock.send(self.out):]
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True

    def events(self):
        """What the loop is to wait for."""
        read = 0 if self.mode == "stuck" else selectors.EVENT_READ
        return read | (selectors.EVENT_WRITE if self.out or self.left else 0)


def serve(listener):
    """Serves until it is killed."""
    loop = selectors.EpollSelector()
    listener.setblocking(False)
    loop.register(listener, selectors.EVENT_READ)
    while True:
        for key, mask in loop.select():
            if key.data is None:
                accept(loop, listener)
                continue
            one = key.data
            alive = one.on_readable() if mask & selectors.EVENT_READ else True
            alive = alive and one.on_writable()
            if not alive:
                loop.unregister(one.sock)
                one.sock.close()
            elif one.events() == 0:
                # Nobody waits for it; the file stays open.
                loop.unregister(one.sock)
                PARKED.append(one)
            elif one.events() != key.events:
                loop.modify(one.sock, one.events(), one)


# Connections that are not read.
PARKED = []


def accept(loop, listener):
    while True:
        try:
            sock, _ = listener.accept()
        except BlockingIOError:
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop.register(sock, selectors.EVENT_READ, Connection(sock))


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096) as listening:
        serve(listening)
