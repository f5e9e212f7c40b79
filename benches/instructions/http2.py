"""A client of HTTP/2 for one request after the other, on one connection, by the frames alone (RFC 9113)."""

import load

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
ACK = END_STREAM = 1
END_HEADERS = 4

# Positions in HPACK's static table (RFC 7541 appendix A), and the first of the dynamic one.
METHOD_GET, PATH_ROOT, SCHEME_HTTPS, AUTHORITY, PATH, DYNAMIC = 2, 4, 7, 1, 4, 62

# What a stream and the connection may get before the window is opened again, in bytes.
WINDOW = 65_535


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def text(value):
    if len(value) > 126:
        raise ValueError(f"longer than the frames here take: {value!r}")
    return bytes([len(value)]) + value


class Blocks:
    """The field blocks of a request that is sent again and again: its own fields are in the table after the first."""

    def __init__(self, request):
        head, _, _ = request.partition(b"\r\n\r\n")
        line, *fields = head.split(b"\r\n")
        _, path, _ = line.split(b" ")
        pairs = [tuple(part.strip() for part in field.split(b":", 1)) for field in fields]
        host = next(value for name, value in pairs if name.lower() == b"host")
        pairs = [(name.lower(), value) for name, value in pairs if name.lower() not in (b"host", b"connection")]
        # Static fields, and then literals with incremental indexing (RFC 7541 section 6.2.1).
        static = bytes([0x80 | METHOD_GET, 0x80 | SCHEME_HTTPS])
        own = [bytes([0x40 | AUTHORITY]) + text(host)]
        if path == b"/":
            static += bytes([0x80 | PATH_ROOT])
        else:
            own.append(bytes([0x40 | PATH]) + text(path))
        own += [b"\x40" + text(name) + text(value) for name, value in pairs]
        self.first = static + b"".join(own)
        self.next = static + bytes(0x80 | DYNAMIC + place for place in reversed(range(len(own))))


class Connection:
    """Asks over a socket within TLS on which HTTP/2 has been agreed on."""

    def __init__(self, sock, request, body_bytes):
        self._socket, self._blocks, self._body_bytes = sock, Blocks(request), body_bytes
        self._stream, self._unacknowledged, self._got = -1, 0, b""
        sock.sendall(PREFACE + frame(SETTINGS, 0, 0))

    def ask(self):
        self._stream += 2
        block = self._blocks.first if self._stream == 1 else self._blocks.next
        self._socket.sendall(frame(HEADERS, END_HEADERS | END_STREAM, self._stream, block))
        body, is_ended = 0, False
        while not is_ended:
            kind, flags, stream, payload = self._frame()
            if kind == SETTINGS and not flags & ACK:
                self._socket.sendall(frame(SETTINGS, ACK, 0))
            elif kind == PING and not flags & ACK:
                self._socket.sendall(frame(PING, ACK, 0, payload))
            elif kind in (RST_STREAM, GOAWAY):
                raise load.LoadFailed(f"the stream ended by a frame of type {kind}: {payload.hex()}")
            elif kind in (HEADERS, DATA):
                # `:status: 200` is the eighth of the static table.
                if kind == HEADERS and payload[:1] != b"\x88":
                    raise load.LoadFailed(f"not an answer of the backend: {payload[:20].hex()}")
                body += len(payload) if kind == DATA else 0
                is_ended = bool(flags & END_STREAM)
        if body != self._body_bytes:
            raise load.LoadFailed(f"{body} bytes in place of {self._body_bytes}")
        self._unacknowledged += body
        if self._unacknowledged > WINDOW // 2:
            self._socket.sendall(frame(WINDOW_UPDATE, 0, 0, self._unacknowledged.to_bytes(4, "big")))
            self._unacknowledged = 0

    def _frame(self):
        head = self._read(9)
        length = int.from_bytes(head[:3], "big")
        return head[3], head[4], int.from_bytes(head[5:], "big"), self._read(length)

    def _read(self, count):
        while len(self._got) < count:
            more = self._socket.recv(1 << 16)
            if not more:
                raise load.LoadFailed("the connection was closed")
            self._got += more
        read, self._got = self._got[:count], self._got[count:]
        return read
