"""Routes of mixed kinds, as IngressRoutes and as Traefik's file has them, and the requests that they take."""

import json

BACKEND_URL = "http://127.0.0.1:@port@"
# Requests carry what Cloudflare adds, so that both proxies have the same to pass on.
COMMON = ("CF-Connecting-IP: 203.0.113.7\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n"
          "CF-Ray: 9a1b2c3d4e5f6071-FRA\r\nAccept-Encoding: gzip, br\r\nUser-Agent: bench\r\n")


def host(number):
    return f"app-{number}.example"


def rule(number):
    """The rule of a route: five kinds in turn, each for a host of its own."""
    of_host = f"Host(`{host(number)}`)"
    return (
        of_host,
        f"{of_host} && PathPrefix(`/api`)",
        f"{of_host} && Header(`X-Tenant`, `t{number}`)",
        f"{of_host} && PathRegexp(`^/v[0-9]+/`)",
        f"{of_host} && (Method(`GET`) || Method(`HEAD`)) && Query(`page`, `1`)",
    )[number % 5]


def request(number):
    """A request that the route takes, as HTTP/1.1 has it."""
    path = ("/", "/api/users", "/", "/v1/users", "/?page=1")[number % 5]
    tenant = f"X-Tenant: t{number}\r\n" if number % 5 == 2 else ""
    return f"GET {path} HTTP/1.1\r\nHost: {host(number)}\r\n{COMMON}{tenant}\r\n"


def ingress_route(number):
    """The same as an object of Traefik."""
    return {"apiVersion": "traefik.io/v1alpha1", "kind": "IngressRoute",
            "metadata": {"name": f"app-{number}", "namespace": "bench"},
            "spec": {"routes": [{"match": rule(number), "kind": "Rule", "services": [{"name": "backend", "port": 80}]}]}}


def write_manifests(directory, count, objects, each=500):
    """IngressRoutes in files of `each`, and the Service that they lead to."""
    directory.mkdir()
    (directory / "service.yaml").write_text(objects)
    for first in range(0, count, each):
        items = [ingress_route(number) for number in range(first, min(count, first + each))]
        write_list(directory / f"routes-{first}.json", items)


def write_list(path, items):
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    part.rename(path)


def write_file(path, numbers, backend_port):
    """What Traefik's file provider reads."""
    routers = {f"app-{number}": {"rule": rule(number), "service": "backend"} for number in numbers}
    services = {"backend": {"loadBalancer": {"servers": [{"url": BACKEND_URL.replace("@port@", str(backend_port))}]}}}
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"http": {"routers": routers, "services": services}}))
    part.rename(path)
