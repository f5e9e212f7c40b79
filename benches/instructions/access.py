"""A team of Cloudflare Access on loopback: its keys by TLS, and tokens that it has signed."""

import base64
import http.server
import json
import pathlib
import re
import ssl
import subprocess
import threading
import time

import credentials
import load

TEAM = "bench"
AUDIENCE = "ab" * 32
ANNOTATION = {"ravelin.dev/access": f"{TEAM}/{AUDIENCE}"}
FIELD = "Cf-Access-Jwt-Assertion"


class Team:
    """Serves the keys for as long as the process runs."""

    def __init__(self, directory):
        directory = pathlib.Path(directory)
        self._key = directory / "team.key"
        self._message = directory / "token.txt"
        _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self._key)
        shown = _openssl("rsa", "-in", self._key, "-noout", "-modulus").decode()
        modulus = bytes.fromhex(re.search("Modulus=([0-9A-F]+)", shown).group(1))
        keys = {"keys": [{"kid": "k1", "kty": "RSA", "alg": "RS256", "use": "sig", "n": _base64(modulus),
                          "e": _base64(b"\x01\x00\x01")}]}
        tls = credentials.make(directory)
        self.authority = tls.authority
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key)
        server = http.server.ThreadingHTTPServer((load.LOOPBACK, 0), _answering(json.dumps(keys).encode()))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        self.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def table(self):
        """What leads to it, for the configuration."""
        return (f"\n[[access]]\nteam = \"{TEAM}\"\n"
                f"certs_url = \"https://{load.LOOPBACK}:{self.port}/cdn-cgi/access/certs\"\nca_file = \"{self.authority}\"\n")

    def token(self, number):
        """Signed for a user of this number."""
        now = int(time.time())
        claims = {"aud": [AUDIENCE], "email": f"user{number}@bench.example", "exp": now + 3600, "iat": now - 60,
                  "nbf": now - 60, "iss": f"https://{TEAM}.cloudflareaccess.com", "type": "app",
                  "identity_nonce": "6ei69kawdKzMIAPF", "sub": "7335d417-61da-459d-899c-0a01c76a2f94", "country": "DE"}
        header = {"alg": "RS256", "kid": "k1", "typ": "JWT"}
        message = ".".join(_base64(json.dumps(part).encode()) for part in (header, claims))
        self._message.write_text(message)
        signature = _openssl("dgst", "-sha256", "-sign", self._key, self._message)
        return f"{message}.{_base64(signature)}"


def _answering(body):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


def _base64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _openssl(*arguments):
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30).stdout
