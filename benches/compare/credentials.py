"""The certificate that every proxy shows, and what the clients may negotiate."""

import pathlib
import subprocess
from dataclasses import dataclass

import load

# What every client offers, and so what every connection has: what Cloudflare takes first as well.
GROUP = "X25519"
SUITE = "TLS_AES_128_GCM_SHA256"

# Cloudflare's Origin CA gives out such a leaf: P-256, the zone and its wildcard, no chain.
LEAF = f"""\
subjectAltName = DNS:{load.HOST}, DNS:*.{load.HOST}, IP:{load.LOOPBACK}
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth, clientAuth
authorityKeyIdentifier = keyid
subjectKeyIdentifier = hash
"""

CLIENT = f"""\
openssl_conf = settings
[settings]
ssl_conf = modules
[modules]
system_default = client
[client]
MinProtocol = TLSv1.3
Groups = {GROUP}
Ciphersuites = {SUITE}
"""


@dataclass(frozen=True)
class Credentials:
    """Files: PEM, but for the settings of OpenSSL (OPENSSL_CONF) for clients that use it."""

    authority: pathlib.Path
    certificate: pathlib.Path
    key: pathlib.Path
    # Certificate and key in one.
    both: pathlib.Path
    client_settings: pathlib.Path


def make(directory):
    """Makes all files in `directory`. Raises subprocess.CalledProcessError."""
    made = Credentials(*(directory / name for name in (
        "authority.crt", "leaf.crt", "leaf.key", "leaf.pem", "client.cnf")))
    authority_key, request, extensions = (directory / name for name in ("authority.key", "leaf.csr", "leaf.cnf"))
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    _openssl("req", "-x509", *new_key, "-keyout", authority_key, "-out", made.authority, "-days", "30",
             "-subj", "/O=Comparison/CN=Comparison Origin Authority")
    _openssl("req", *new_key, "-keyout", made.key, "-out", request, "-subj", "/O=Comparison/CN=Origin Certificate")
    extensions.write_text(LEAF)
    _openssl("x509", "-req", "-in", request, "-CA", made.authority, "-CAkey", authority_key, "-CAcreateserial",
             "-days", "30", "-extfile", extensions, "-out", made.certificate)
    made.both.write_text(made.certificate.read_text() + made.key.read_text())
    made.client_settings.write_text(CLIENT)
    return made


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)
