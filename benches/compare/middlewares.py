"""The middlewares that scenarios name, as Traefik's objects and as its file has them."""

import json

# What the route of a scenario asks for, by the name of the Middleware. JSON is YAML.
SPECS = {
    "headers": {"headers": {
        "customRequestHeaders": {"X-Forwarded-Prefix": "/shop", "X-Debug": ""},
        "customResponseHeaders": {"X-Robots-Tag": "noindex", "Server": ""},
        "contentTypeNosniff": True,
    }},
    # Cloudflare's networks, and in place of one of them loopback, at the end.
    "ip-allow-list": {"ipAllowList": {"sourceRange": [
        "173.245.48.0/20", "103.21.244.0/22", "103.22.200.0/22", "103.31.4.0/22", "141.101.64.0/18",
        "108.162.192.0/18", "190.93.240.0/20", "188.114.96.0/20", "197.234.240.0/22", "198.41.128.0/17",
        "162.158.0.0/15", "104.16.0.0/13", "104.24.0.0/14", "172.64.0.0/13", "131.0.72.0/22", "2400:cb00::/32",
        "2606:4700::/32", "2803:f800::/32", "2405:b500::/32", "2405:8100::/32", "2a06:98c0::/29", "127.0.0.0/8",
    ]}},
    "strip-prefix": {"stripPrefix": {"prefixes": ["/shop"]}},
    "rate-limit": {"rateLimit": {"average": 1000000, "burst": 1000000}},
    # Buckets that are in use for as long as anything is measured.
    "limit-of-keys": {"rateLimit": {"average": 1, "period": "1h", "burst": 5,
                                    "sourceCriterion": {"requestHeaderName": "X-Key"}}},
    "limit-of-visitors": {"rateLimit": {"average": 1, "period": "1h", "burst": 5}},
    "basic-auth": {"basicAuth": {"secret": "users"}},
}
# user, secret; bcrypt with 32 rounds, so that a proxy that computes it for each request is not idle but for that.
USERS = ["user:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"]
CREDENTIALS = ("Authorization", "Basic dXNlcjpzZWNyZXQ=")


def manifests(text, names, users=USERS):
    """The objects of the comparison, with an Ingress whose requests pass these."""
    if not names:
        return text
    asked = ",".join(f"bench-{name}@kubernetescrd" for name in names)
    annotation = {"traefik.ingress.kubernetes.io/router.middlewares": asked}
    # The first object is the Ingress.
    text = text.replace("metadata:\n", f"metadata:\n  annotations: {json.dumps(annotation)}\n", 1)
    objects = [_object("traefik.io/v1alpha1", "Middleware", name, {"spec": SPECS[name]}) for name in names]
    objects.append(_object("v1", "Secret", "users", {"stringData": {"users": "\n".join(users)}}))
    return "---\n".join([text, *(json.dumps(each) + "\n" for each in objects)])


def _object(version, kind, name, content):
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "bench"}, **content}


def traefik_file(names, backend, tls):
    """What Traefik reads in place of the objects."""
    router = {"rule": "Host(`bench.example`)", "service": "backend", "middlewares": list(names)}
    document = {"http": {
        "routers": {"bench": {**router, **({"tls": {}} if tls else {})}},
        "services": {"backend": {"loadBalancer": {"servers": [{"url": backend}]}}},
    }}
    if names:
        document["http"]["middlewares"] = {name: _of_file(SPECS[name]) for name in names}
    if tls:
        document["tls"] = {"certificates": [{"certFile": str(tls.certificate), "keyFile": str(tls.key)}]}
    return json.dumps(document, indent=1)


def _of_file(spec):
    """There are no Secrets in files."""
    return {"basicAuth": {"users": USERS}} if "basicAuth" in spec else spec
