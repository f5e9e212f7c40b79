#!/usr/bin/env python3
"""Writes the dashboards of ravelin: `dashboards.py DIRECTORY`. deploy/render runs it after a change here.

tests/monitoring holds every metric, label and query against a ravelin under load.
"""

import json
import pathlib
import sys

from grafana import (BAD_ABOVE_0, DAYS_LEFT, GOOD, H, I, NEUTRAL, NOW, QUANTILES, RATIO, RESULTS, SHARE_USED, SOON, SOON_ABOVE_0,
                     STATUS, dashboard, fixed, lines, quantiles, rate, row, shades, stat, states, steps, success, table, total)

# What a Service is called in `service` of ravelin_requests_total is NAMESPACE/NAME:PORT, and NAME:PORT with a label of its
# own for the namespace elsewhere.
S = I + ',service=~"$service"'
BY_LISTENER = "{{instance}} {{listener}}"
LATENCY = steps(GOOD, (1, SOON), (5, NOW))


def overview():
    own = H + ',reason!=""'
    by_host = rate("ravelin_request_duration_seconds_bucket", "le, host", H + ',host!=""')
    return dashboard("ravelin-overview", "ravelin / Overview", "Is the site up, for whom is it not, and who answers?", ["instance", "host"], [
        stat("Requests", total("ravelin_requests_total", H), "reqps", "Requests a second, of all nodes and hosts that are selected.",
             width=8, at=(0, 0)),
        stat("Success rate", success("", H, "[5m]"), "percentunit",
             "The share of requests of the last 5 minutes that was not answered 5xx, whoever made the answer. Green: 99.9 % and more. "
             "Red: look at `By host`, then at `Answers of ravelin's own`.", width=8, height=8, at=(8, 0), thresholds=RATIO, decimals=2,
             empty="no traffic", alerts=["RavelinServerErrors", "RavelinServerErrorsHigh"]),
        stat("p99", f"histogram_quantile(0.99, {rate('ravelin_request_duration_seconds_bucket', 'le', I, '[5m]')})", "s",
             "One request in a hundred took longer, from its head to the last byte of the answer.", width=8, at=(16, 0),
             thresholds=LATENCY, empty="no traffic"),
        stat("5xx", total("ravelin_requests_total", H + ',status="5xx"'), "reqps", "Answers 5xx a second.", width=8, at=(0, 4),
             thresholds=BAD_ABOVE_0, alerts=["RavelinServerErrors"]),
        stat("Alerts", 'count(ALERTS{alertname=~"Ravelin.+",alertstate="firing"}) or vector(0)', "short",
             "Alerts of ravelin that fire now. Needs the rules in the same data source.", width=8, at=(16, 4), thresholds=BAD_ABOVE_0),
        lines("Requests by status", {"{{status}}": rate("ravelin_requests_total", "status", H)}, "reqps",
              "Answers by class of status, those of pods and ravelin's own. 4xx has 499 for visitors who left.", stacked=True,
              overrides=STATUS),
        lines("Latency", quantiles("ravelin_request_duration_seconds"), "s",
              "From the request's head to the last byte of the answer: pod, network and visitor together. The dashboard of pods has "
              "the pod's share.", overrides=QUANTILES),
        table("By host", {
            "Requests": (rate("ravelin_requests_total", "host", H), "reqps", None),
            "Success": (success("host"), "percentunit", RATIO),
            "5xx": (rate("ravelin_requests_total", "host", H + ',status="5xx"'), "reqps", BAD_ABOVE_0),
            "Own answers": (rate("ravelin_requests_total", "host", own), "reqps", None),
        }, "Every host with requests. Own answers are those that ravelin made itself: redirects, refusals and failures of pods.",
            alerts=["RavelinServerErrors"]),
        lines("Success rate by host", {"{{host}}": success("host")}, "percentunit",
              "One line a host. All lines that fall at once: a node, the network or Cloudflare. One line: its pods.",
              thresholds=RATIO, alerts=["RavelinServerErrors"]),
        table("By Ingress", {
            "Requests": (rate("ravelin_requests_total", "route, service", H), "reqps", None),
            "Success": (success("route, service"), "percentunit", RATIO),
            "5xx": (rate("ravelin_requests_total", "route, service", H + ',status="5xx"'), "reqps", BAD_ABOVE_0),
        }, "By object (NAMESPACE/NAME of the Ingress or IngressRoute) and Service. `_` is what no rule matches.",
            alerts=["RavelinServerErrors"]),
        lines("Answers of ravelin's own", {"{{reason}}": rate("ravelin_requests_total", "reason", own)}, "reqps",
              "By reason. The reference (config/README.md, Reasons) says what to do about each: no_endpoint and its like are the "
              "manifests, connect_* and upstream_* the pods, memory_* ravelin.", stacked=True, alerts=["RavelinServerErrors"]),
        lines("p99 by host", {"{{host}}": f"histogram_quantile(0.99, {by_host})"}, "s",
              "Needs `metrics.per_route = \"all\"`: durations are kept by listener otherwise."),
        lines("Traffic", {"from visitors": total("ravelin_body_bytes_total", I + ',direction="in"'),
                          "to visitors": total("ravelin_body_bytes_total", I + ',direction="out"')}, "Bps",
              "Bytes of bodies, without heads and TLS."),
        table("Nodes", {
            "Requests": (rate("ravelin_requests_total", "instance"), "reqps", None),
            "Success": (success("instance", I), "percentunit", RATIO),
            "Connections": (f"sum by (instance) (ravelin_connections_open{{{I}}})", "short", None),
            "Memory": (f"sum by (instance) (ravelin_memory_held_bytes{{{I}}}) / on (instance) "
                       f"max by (instance) (ravelin_memory_limit_bytes{{{I}}})", "percentunit", SHARE_USED),
            "Routes": (f"max by (instance) (ravelin_snapshot_routes{{{I}}})", "short", None),
            "Table changed": (f"time() - max by (instance) (ravelin_snapshot_published_timestamp_seconds{{{I}}})", "s", None),
        }, "One row a node. Routes that differ between nodes: one of them does not follow the cluster.", width=24, height=7,
            alerts=["RavelinTablesDiffer", "RavelinTargetDown", "RavelinNodeGone"]),
    ])


def edge():
    return dashboard("ravelin-edge", "ravelin / Edge", "Ports, gate, certificates, TLS, limits: all that is before a route.", ["instance"], [
        states("Gate", f"sum by (instance, listener) (ravelin_admission_mode{{{I},mode=\"user_space\"}}) + 2 * "
               f"sum by (instance, listener) (ravelin_admission_mode{{{I},mode=\"off\"}})", BY_LISTENER,
               [("kernel or trap", GOOD), ("user space", SOON), ("off", NOW)],
               "Where sources that are not admitted are kept out. Kernel or trap: their packets are dropped unanswered. User space: their "
               "connections are accepted and reset, so that the port is visible. Off: everybody is admitted.",
               alerts=["RavelinGateInUserSpace", "RavelinGateOff"]),
        lines("Dropped packets", {BY_LISTENER: rate("ravelin_admission_dropped_packets_total", "instance, listener")}, "pps",
              "Packets of sources that are not admitted, dropped by the kernel at the socket: scanners, as a rule. A jump while visitors see "
              "522: Cloudflare connects from a range that is not in the list.", color=shades(NEUTRAL),
              alerts=["RavelinCloudflareListNotRefreshed"]),
        stat("Age of Cloudflare's list", f"max(time() - ravelin_cloudflare_list_confirmed_timestamp_seconds{{{I}}})", "s",
             "Since its source last confirmed the list, on the worst node. Refreshes are 12 hours apart.",
             thresholds=steps(GOOD, (86400, SOON), (172800, NOW)), alerts=["RavelinCloudflareListNotRefreshed"]),
        stat("First certificate to end", f"(min(ravelin_tls_certificate_not_after_timestamp_seconds{{{I}}}) - time()) / 86400", "d",
             "Days until the first certificate of any host ends.", thresholds=DAYS_LEFT, decimals=0, empty="no TLS",
             alerts=["RavelinCertificateExpiresSoon"]),
        stat("Refused by Full (strict)", f"count(count by (host) (ravelin_tls_full_strict{{{I},verdict!~\"ok|expires_soon\"}} == 1)) "
             "or vector(0)", "short", "Hosts whose certificate Cloudflare refuses under Full (strict): 525 and 526.",
             thresholds=BAD_ABOVE_0, alerts=["RavelinFullStrictRefuses"]),
        stat("Unusable Secrets", f"max(sum by (instance) (ravelin_tls_secret_failing{{{I}}}))", "short",
             "TLS Secrets that cannot be used; a last good certificate may be presented in their place.", thresholds=SOON_ABOVE_0,
             alerts=["RavelinSecretUnusable"]),
        stat("Age of what is known", f"max(ravelin_watch_age_seconds{{{I}}})", "s",
             "Since the API server last confirmed what is served, for the worst kind and node. Checks are 45 s apart.",
             thresholds=steps(GOOD, (120, SOON), (180, NOW)), empty="no API server", alerts=["RavelinWatchSilent"]),
        stat("Findings", f"max(sum by (instance) (ravelin_rejected_objects{{{I},severity=\"error\"}})) or vector(0)", "short",
             "Objects that are not served as written. `ravelin check` names them, with the fix.", thresholds=SOON_ABOVE_0,
             alerts=["RavelinFindings"]),
        row("TLS"),
        lines("Handshakes", {"TLS {{version}}, resumed {{resumed}}": rate("ravelin_tls_handshakes_total", "version, resumed")}, "ops",
              "TLS handshakes that succeeded. Cloudflare keeps connections for 15 minutes: far fewer than requests.", width=8),
        lines("Failed handshakes", {"{{reason}}": rate("ravelin_tls_handshake_failures_total", "reason")}, "ops",
              "By reason. unknown_sni and no_sni: the name is not served. client_certificate: Authenticated Origin Pulls. Cloudflare answers "
              "525 for those that it began.", width=8, alerts=["RavelinHandshakesFailing"]),
        lines("Handshakes in progress", {BY_LISTENER: f"sum by (instance, listener) (ravelin_tls_handshakes_in_flight{{{I}}})"}, "short",
              "Bounded by limits.handshakes. A level that rises and stays: slow or silent clients.", width=8, color=shades(NEUTRAL)),
        table("Certificates", {
            "Days left": (f"(min by (host) (ravelin_tls_certificate_not_after_timestamp_seconds{{{I}}}) - time()) / 86400", "d", DAYS_LEFT),
        }, "By host; of several certificates the one that ends first.", width=8, sort="Days left",
            alerts=["RavelinCertificateExpiresSoon", "RavelinCertificateExpired"]),
        table("Full (strict)", {
            "Nodes": (f"count by (host, verdict) (ravelin_tls_full_strict{{{I}}} == 1)", "short", None),
        }, "What Cloudflare says to the certificate of each host under Full (strict), and on how many nodes. ok is accepted; "
            "no_certificate and key_unsupported are 525, all others 526.", width=8, alerts=["RavelinFullStrictRefuses"]),
        lines("Client certificates", {"{{policy}} {{result}}": rate("ravelin_tls_client_certificates_total", "policy, result")}, "reqps",
              "Authenticated Origin Pulls: requests by policy of the host and by what the client's certificate is. Empty where no host asks "
              "for one.", width=8),
        row("Connections and limits"),
        lines("Open connections", {BY_LISTENER: f"sum by (instance, listener) (ravelin_connections_open{{{I}}})",
                                   "{{instance}} {{listener}} tunnels": f"sum by (instance, listener) (ravelin_tunnels_open{{{I}}})"},
              "short", "Client connections, and those of them that are WebSockets or relayed.", width=8,
              alerts=["RavelinConnectionsAtLimit"]),
        lines("Refused connections", {"{{reason}}": rate("ravelin_connections_refused_total", "reason")}, "ops",
              "Accepted by the kernel and reset before HTTP. proxy_*: the load balancer in front and its PROXY header. memory: see the alert.",
              width=8, alerts=["RavelinMemoryRefused"]),
        lines("At the limit", {"waited": total("ravelin_connections_at_limit_total"),
                               "closed, {{state}}": rate("ravelin_connections_evicted_total", "state"),
                               "HTTP/2 floods": total("ravelin_connections_reset_floods_total"),
                               "accept errors": total("ravelin_accept_errors_total")}, "ops",
              "Connections that had to wait because limits.connections were open, those that were closed to make room, and floods.",
              width=8, alerts=["RavelinConnectionsAtLimit", "RavelinConnectionsEvicted", "RavelinAcceptErrors"]),
        lines("Memory", {"{{kind}}": f"sum by (kind) (ravelin_memory_held_bytes{{{I}}})",
                         "limit of one node": f"min(ravelin_memory_limit_bytes{{{I}}})"}, "bytes",
              "Held for connections and requests, by kind, of all nodes that are selected. At the limit of a node its next request is "
              "refused.", width=8, overrides=[fixed("limit of one node", NOW)], alerts=["RavelinMemoryRefused", "RavelinMemoryPressed"]),
        lines("Refused and ended for memory", {"refused, {{cause}}": rate("ravelin_memory_refused_total", "cause"),
                                               "ended, {{state}}": rate("ravelin_memory_ended_total", "state")}, "ops",
              "Connections and requests refused because memory is short, and requests without progress that were ended for it.", width=8,
              alerts=["RavelinMemoryRefused"]),
        lines("Lost log lines", {"access log, {{cause}}": rate("ravelin_access_log_dropped_lines_total", "cause"),
                                 "process log, {{cause}}": rate("ravelin_process_log_dropped_lines_total", "cause")}, "ops",
              "behind: the sink is too slow. sink: it failed or is stuck.", width=8, alerts=["RavelinAccessLogLost"]),
        row("Cluster"),
        lines("Age by kind", {"{{kind}}": f"max by (kind) (ravelin_watch_age_seconds{{{I}}})"}, "s",
              "Since the API server last proved that what is known of a kind is what it has, on the worst node. It rises while the API server "
              "is away or silent; what is known is still served.", width=8, alerts=["RavelinWatchSilent"]),
        lines("Failed watches", {"{{kind}} {{reason}}": rate("ravelin_watch_errors_total", "kind, reason") + " > 0"}, "ops",
              "Lists, watches and checks that failed. Empty while all is well.", width=8, alerts=["RavelinWatchFailing"]),
        lines("Changes", {"{{effect}}": rate("ravelin_object_changes_total", "effect")}, "ops",
              "Batches of changes of objects that were put in force: a new table, endpoints alone, or nothing.", width=8),
        table("Findings by kind", {
            "Objects": (f"max by (kind, reason, severity) (ravelin_rejected_objects{{{I}}})", "short", None),
        }, "What is not served as written. Empty while there is nothing. `ravelin check` names the objects.", width=8,
            alerts=["RavelinFindings"]),
        lines("Writes to the API server", {"{{kind}} {{result}}": rate("ravelin_writes_total", "kind, result"),
                                           "leaders": f"sum(ravelin_leader{{{I}}})"}, "ops",
              "Of the elected instance: status of Ingresses, Events and the Lease. There has to be one leader.", width=8,
              alerts=["RavelinNoLeader", "RavelinWritesFailing"]),
        lines("Building the table", {"{{instance}}": f"max by (instance) (ravelin_snapshot_build_seconds{{{I}}})"}, "s",
              "How long the last change took from objects to a table.", width=8, color=shades(NEUTRAL)),
    ])


def pods():
    why = 'connect_failed|connect_timeout|upstream_.*|request_deadline|tunnel_idle'
    return dashboard("ravelin-pods", "ravelin / Pods", "The way to the pods: who is picked, who fails, who waits.", ["instance", "service"], [
        stat("Ready endpoints", f"sum(max by (namespace, service) (ravelin_endpoints{{{S},state=\"ready\"}}))", "short",
             "Endpoints that take requests, of all Services in use."),
        stat("Services without one", f"count(max by (namespace, service) (ravelin_endpoints{{{S},state=\"ready\"}}) == 0) or vector(0)",
             "short", "Services in use without a ready endpoint: 503 no_endpoint.", thresholds=BAD_ABOVE_0, alerts=["RavelinNoReadyPods"]),
        stat("Ejected", f"sum(max by (namespace, service) (ravelin_endpoints_ejected{{{S}}})) or vector(0)", "short",
             "Endpoints that get no requests after consecutive failures.", thresholds=SOON_ABOVE_0, alerts=["RavelinPodsEjected"]),
        stat("Waiting requests", f"sum(ravelin_upstream_queued{{{I}}})", "short",
             "Queued because every endpoint has reached ravelin.dev/max-connections.", thresholds=SOON_ABOVE_0,
             alerts=["RavelinRequestsQueued"]),
        stat("Retries", f"({total('ravelin_upstream_retries_total')}) / ({rate('ravelin_requests_total', '')} > 0)", "percentunit",
             "Retries in relation to requests. The budget is 20 %.", thresholds=steps(GOOD, (0.05, SOON), (0.15, NOW)), empty="no traffic",
             alerts=["RavelinRetryBudgetUsedUp"]),
        stat("p99 of pods", f"histogram_quantile(0.99, {rate('ravelin_upstream_duration_seconds_bucket', 'le', I, '[5m]')})", "s",
             "From sending the request to the head of the pod's answer.", thresholds=LATENCY, empty="no traffic"),
        lines("Latency of pods", quantiles("ravelin_upstream_duration_seconds"), "s",
              "From sending the request to the head of the answer: the pod's time, with the network of the cluster.", overrides=QUANTILES),
        lines("Failures of pods", {"{{reason}}": rate("ravelin_requests_total", "reason", I + f',reason=~"{why}"') + " or vector(0)"}, "reqps",
              "Answers 502 and 504 about pods, by reason: connect_* nothing listens or packets are lost; upstream_closed and _truncated it broke "
              "off; upstream_timeout and request_deadline it was too slow. One line at 0 without a name: none.", stacked=True,
              alerts=["RavelinServerErrors"]),
        lines("Picks by place", {"{{place}}": rate("ravelin_upstream_picks_total", "place")}, "ops",
              "Endpoints picked for Services that have some on the same node or in the same zone: near or far.", stacked=True, width=8,
              overrides=RESULTS),
        lines("Connections to pods", {"{{result}}": rate("ravelin_upstream_connects_total", "result"),
                                      "reused": total("ravelin_upstream_reuses_total"),
                                      "TLS failed": total("ravelin_upstream_tls_failures_total"),
                                      "retired": total("ravelin_upstream_connections_retired_total")}, "ops",
              "New connections by result, and requests on kept ones. Few are reused: pods close too early, see upstream.idle.", width=8,
              overrides=RESULTS),
        lines("Idle connections", {"{{instance}}": f"sum by (instance) (ravelin_upstream_idle_connections{{{I}}})"}, "short",
              "Kept to pods for reuse.", width=8, color=shades(NEUTRAL)),
        lines("Retries by reason", {"{{reason}}": rate("ravelin_upstream_retries_total", "reason"),
                                    "refused, budget used up": total("ravelin_upstream_retries_refused_total")}, "ops",
              "Requests that were sent again, on another endpoint or connection, and those that were not because the budget was used up.",
              width=8, alerts=["RavelinRetryBudgetUsedUp"]),
        lines("Ejections", {"{{instance}}": rate("ravelin_upstream_ejections_total", "instance")}, "ops",
              "How often endpoints were taken out after consecutive failures.", width=8, color=shades(SOON), alerts=["RavelinPodsEjected"]),
        lines("Ejected endpoints", {"{{namespace}}/{{service}}": f"max by (namespace, service) (ravelin_endpoints_ejected{{{S}}})"}, "short",
              "By Service, as the node sees it that has ejected most. Empty while none is.", width=8, alerts=["RavelinPodsEjected"]),
        table("Services", {
            "Ready": (f"max by (namespace, service) (ravelin_endpoints{{{S},state=\"ready\"}})", "short", steps(NOW, (1, GOOD))),
            "Ejected": (f"max by (namespace, service) (ravelin_endpoints_ejected{{{S}}})", "short", SOON_ABOVE_0),
            "Not ready": (f"max by (namespace, service) (ravelin_endpoints{{{S},state=\"not_ready\"}})", "short", None),
            "Terminating": (f"max by (namespace, service) (ravelin_endpoints{{{S},state=\"terminating\"}})", "short", None),
        }, "Endpoints of every Service in use, by state.", sort="Ejected", alerts=["RavelinNoReadyPods"]),
        lines("Waiting requests by node", {"{{instance}}": f"sum by (instance) (ravelin_upstream_queued{{{I}}})"}, "short",
              "Queued because every endpoint has reached ravelin.dev/max-connections. A level that stays: add pods.", color=shades(SOON),
              alerts=["RavelinRequestsQueued"]),
        lines("Health checks", {"{{result}}": rate("ravelin_health_checks_total", "result")}, "ops",
              "Active checks of Services that ask for them (ravelin.dev/health-check).", width=8, overrides=RESULTS,
              alerts=["RavelinHealthChecksFailing"]),
        lines("DNS lookups", {"{{result}}": rate("ravelin_dns_lookups_total", "result")}, "ops",
              "For Services of type ExternalName.", width=8, overrides=RESULTS, alerts=["RavelinDnsLookupsFailing"]),
        lines("Mirrored requests", {"{{result}}": rate("ravelin_mirrored_requests_total", "result")}, "ops",
              "Copies for the mirrors of a TraefikService.", width=8, overrides=RESULTS),
        lines("Mismatching ETags", {"{{host}} {{service}}": rate("ravelin_etag_mismatches_total", "host, service", I)}, "ops",
              "Answers whose ETag is not the one that another pod has for the same path. Empty while there are none.", width=8,
              alerts=["RavelinETagMismatch"]),
        lines("Middlewares that answered", {"{{kind}}": rate("ravelin_middleware_requests_total", "kind", I + ',outcome="answered"')}, "reqps",
              "Requests that a middleware answered itself: limits, log-ins, redirects.", width=8),
        lines("Circuit breakers and rate limits", {"breakers opened": total("ravelin_circuit_breaker_trips_total"),
                                                   "limits without redis": total("ravelin_rate_limit_fallbacks_total"),
                                                   "buckets evicted": total("ravelin_rate_limit_evicted_total")}, "ops",
              "Breakers that opened, rate limits that a node decided alone because redis did not answer, and buckets that were dropped.",
              width=8, alerts=["RavelinCircuitBreakerOpened", "RavelinRateLimitStoreFailing"]),
    ])


def cloudflare():
    def reasons(words):
        return rate("ravelin_requests_total", "reason", H + f',reason=~"{words}"') + " or vector(0)"

    def seen(metric, labels):
        return f'sum by (status) (rate(cloudflare_zone_requests_{metric}_country_host{{host=~"$host",status=~"{labels}"}}[15m]))'

    exporter = " Needs a Cloudflare exporter (README.md)."
    return dashboard("ravelin-cloudflare", "ravelin / Cloudflare", "What Cloudflare makes of it: the 52x by our side of them, and the switch.",
                     ["instance", "host"], [
        stat("Break-glass", f"max(ravelin_break_glass{{{I}}})", "short", "1: every address is admitted, and visitors may come past Cloudflare.",
             thresholds=BAD_ABOVE_0, alerts=["RavelinBreakGlassOn", "RavelinBreakGlassForgotten"],
             mappings=[{"type": "value", "options": {"0": {"text": "off", "index": 0}, "1": {"text": "ON", "index": 1}}}]),
        stat("Past Cloudflare", f"sum(ravelin_break_glass_open_connections{{{I}}})", "short",
             "Open connections that break-glass alone admits.", thresholds=SOON_ABOVE_0, alerts=["RavelinBreakGlassOn"]),
        stat("Ranges of Cloudflare", f"min(sum by (instance) (ravelin_cloudflare_list_ranges{{{I}}}))", "short",
             "Ranges in force on the node with the fewest; there are 21 today.", thresholds=steps(NOW, (15, GOOD)),
             alerts=["RavelinCloudflareListMissing"]),
        stat("Age of the list", f"max(time() - ravelin_cloudflare_list_confirmed_timestamp_seconds{{{I}}})", "s",
             "Since its source last confirmed the list, on the worst node.", thresholds=steps(GOOD, (86400, SOON), (172800, NOW)),
             alerts=["RavelinCloudflareListNotRefreshed"]),
        stat("Unnamed visitors", total("ravelin_client_unnamed_total"), "reqps",
             "Requests of trusted peers without a usable CF-Connecting-IP.", thresholds=SOON_ABOVE_0, alerts=["RavelinClientsUnnamed"]),
        stat("Not from your zone", total("ravelin_requests_total", H + ',reason=~"secret_missing|worker_refused|cdn_loop_refused|client_certificate_required"'),
             "reqps", "Requests that came through Cloudflare and not through your zone: refused with 403.", thresholds=SOON_ABOVE_0),
        row("Our side of each status of Cloudflare"),
        lines("520: broken answers", {"{{reason}}": reasons("upstream_truncated|upstream_stalled|cut_by_drain|memory_reclaimed|client_stalled"),
                                      "reset, {{reason}}": rate("ravelin_connections_refused_total", "reason",
                                                                I + ',reason!="not_admitted"')}, "ops",
              "Answers that broke off, and connections that were reset after the kernel had accepted them. Cloudflare does not retry these.",
              width=8, alerts=["RavelinMemoryRefused"]),
        lines("521 to 523: no connection", {"dropped packets": total("ravelin_admission_dropped_packets_total"),
                                            "waited at the limit": total("ravelin_connections_at_limit_total"),
                                            "accept errors": total("ravelin_accept_errors_total")}, "ops",
              "What can keep a connection of Cloudflare out on a node that is up: its range is not in the list, or the limit of connections.",
              width=8, alerts=["RavelinCloudflareListNotRefreshed", "RavelinConnectionsAtLimit", "RavelinTargetDown"]),
        lines("504 and 524: too slow", {"{{reason}}": reasons("upstream_timeout|request_deadline|connect_timeout|queue_timeout")}, "reqps",
              "ravelin answers 504 after 95 s; a longer timeouts.response_head is a 524 of Cloudflare, which is not seen here.", width=8,
              alerts=["RavelinServerErrors"]),
        lines("525: failed handshakes", {"{{reason}}": rate("ravelin_tls_handshake_failures_total", "reason", I + ',reason!~"closed|drained"')},
              "ops", "By reason, without connections that were closed before they said anything.", width=8,
              alerts=["RavelinHandshakesFailing"]),
        table("525 and 526: certificates", {
            "Days left": (f"(min by (host) (ravelin_tls_full_strict_until_timestamp_seconds{{{I},host=~\"$host\"}}) - time()) / 86400", "d",
                          DAYS_LEFT),
        }, "Days for which Full (strict) accepts the certificate of each host. A host that is missing is refused now: see Full (strict) in the "
            "dashboard of the edge.", width=8, sort="Days left", alerts=["RavelinFullStrictRefuses"]),
        lines("Requests by colo", {"{{colo}}": f"topk(10, {rate('ravelin_cloudflare_colo_requests_total', 'colo')})"}, "reqps",
              "The ten data centres of Cloudflare (the end of CF-Ray) with most requests. One that falls to nothing alone: a route between it and "
              "you. All at once: the gate, or DNS.", alerts=["RavelinCloudflareListNotRefreshed"]),
        lines("421: misdirected", {"421": total("ravelin_requests_total", H + ',reason="misdirected_request"')}, "reqps",
              "Requests for a host that the connection's certificate does not cover: an Origin Rule, or hosts with different policies."),
        row("What Cloudflare saw, beside what was answered here"),
        lines("52x at Cloudflare", {"{{status}}": seen("status", "52.")}, "reqps",
              "What visitors got from Cloudflare in place of an answer." + exporter),
        lines("5xx of the origin, seen and answered", {"seen {{status}}": seen("origin_status", "5.."),
                                                       "answered 5xx": total("ravelin_requests_total", H + ',status="5xx"')}, "reqps",
              "5xx that Cloudflare got from the origin, beside those that ravelin sent. Seen without being answered: another origin, or a "
              "node that is not scraped." + exporter),
        row("List and break-glass"),
        lines("Refreshes of the list", {"{{result}}": f"sum by (result) (increase(ravelin_cloudflare_list_refreshes_total{{{I}}}[1d]))"}, "short",
              "Attempts in a day, by result.", width=8, alerts=["RavelinCloudflareListFailing"]),
        states("Source of the list", f"max by (instance) (ravelin_cloudflare_list_origin{{{I},origin=\"embedded\"}}) + 2 * "
               f"max by (instance) (ravelin_cloudflare_list_origin{{{I},origin=\"none\"}})", "{{instance}}",
               [("refreshed or your own", GOOD), ("compiled in", SOON), ("none", NOW)],
               "Compiled in: no refresh has succeeded yet. None: a ConfigMap has not been read, and nobody is admitted as Cloudflare.",
               width=8, alerts=["RavelinCloudflareListMissing"]),
        lines("Past Cloudflare by break-glass", {"connections": total("ravelin_break_glass_connections_total"),
                                                 "cut when off again": total("ravelin_break_glass_cut_connections_total"),
                                                 "answered 429": total("ravelin_requests_total", H + ',reason="break_glass_limited"')}, "ops",
              "Connections that break-glass alone admitted, and visitors among them who asked too often.", width=8,
              alerts=["RavelinBreakGlassOn"]),
        lines("Access", {"verified": total("ravelin_access_verifications_total"),
                         "refused, {{cause}}": rate("ravelin_access_refused_tokens_total", "cause")}, "ops",
              "Tokens of Cloudflare Access: those whose signature was verified, and those that were refused.", width=8,
              alerts=["RavelinAccessKeysFailing"]),
        lines("Further ranges", {"{{family}}": f"max by (family) (ravelin_cloudflare_extra_ranges{{{I}}})"}, "short",
              "Ranges that are trusted as Cloudflare's beside the list: cloudflare.extra and its like.", width=8,
              alerts=["RavelinExtraRangesFailing"]),
        lines("Decisions of CrowdSec", {"{{scope}}": f"max by (scope) (ravelin_crowdsec_decisions{{{I}}})"}, "short",
              "Bans in force by scope; `ignored` are not obeyed.", width=8, alerts=["RavelinCrowdSecFailing"]),
    ])


DASHBOARDS = {"overview": overview, "edge": edge, "pods": pods, "cloudflare": cloudflare}

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: dashboards.py DIRECTORY")
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, made in DASHBOARDS.items():
        text = json.dumps(made(), indent=1, ensure_ascii=False)
        (folder / f"ravelin-{name}.json").write_text(text + "\n", encoding="utf-8")
