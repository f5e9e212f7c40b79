//! What a key that is not written means: one constant a key, with its reason and its source.
//!
//! `config/ravelin.toml` repeats these for its readers; `tests/config_files.rs` holds the two
//! together. Figures about Cloudflare are from its documentation page "Connection limits".

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::num::NonZeroUsize;
use std::time::Duration;

/// `listener.admit`: the set that design and deployment are made for. A forgotten key admits
/// Cloudflare and not the world.
pub const LISTENER_ADMIT: &str = "cloudflare";

/// `admin.admit`: metrics and `explain` name hosts and pods, so only the node itself may read them by
/// default.
pub const ADMIN_ADMIT: &str = "loopback";

/// `admin.admit_status`: the status page names the last failures with their paths, and every pod; what has to
/// reach the metrics, such as all pods of a cluster, need not read them.
pub const ADMIN_ADMIT_STATUS: &str = "loopback";

/// `admin.address`: loopback for the same reason. 9180 is none of the ports that k3s, the kubelet,
/// node exporter and Traefik take on a node.
pub const ADMIN_ADDRESS: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9180));

/// `source.ingress_class`: the name of the IngressClass in `deploy/`.
pub const INGRESS_CLASS: &str = "ravelin";

/// `source.class_grace`: a class that was deleted by mistake, by a chart that is reinstalled or by a tool
/// that prunes, is recreated within an hour of the warning.
pub const CLASS_GRACE: Duration = Duration::from_secs(60 * 60);

/// `source.watch_timeout`: a watch can stay open and silent forever (API server stopped, a
/// firewall that has forgotten the connection). With 15 s for the answer on top, that is noticed
/// within two minutes. A new watch costs the API server next to nothing.
pub const WATCH_TIMEOUT: Duration = Duration::from_secs(90);

/// `source.request_timeout`: a consistent read takes milliseconds, or hangs as long as etcd does; between
/// two packets of a long list there is no such silence either.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// `source.consistency_check`: a read of one object of each kind. Two of them, and the answer, are
/// within two minutes.
pub const CONSISTENCY_CHECK: Duration = Duration::from_secs(45);

/// `source.lease`: one installation in its own namespace.
pub const LEASE: &str = "ravelin";

/// `source.pod_selector`: the label of the pods in `deploy/base`.
pub const POD_SELECTOR: &str = "app.kubernetes.io/name=ravelin";

/// `state.restore_after`: an API server in reach lists a small cluster within 100 ms. A process that
/// starts without one is to serve within a second, and to read what was kept and make a table of it
/// takes its share of that.
pub const RESTORE_AFTER: Duration = Duration::from_millis(500);

/// `tracing.timeout`: the one of OpenTelemetry's exporters (`OTEL_EXPORTER_OTLP_TIMEOUT`).
pub const TRACING_TIMEOUT: Duration = Duration::from_secs(10);

/// `tracing.queue`, in bytes: some 8000 requests, which is a minute of 130 traced requests a second while the collector
/// restarts.
pub const TRACING_QUEUE: usize = 8 << 20;

/// `tracing.parent_limit`: enough to find one's own request, and little for the collector, even if somebody asks for more
/// all day. Who needs more is in `tracing.parent_from`.
pub const TRACING_PARENT_LIMIT: u32 = 10;

/// `tracing.service_name`.
pub const TRACING_SERVICE_NAME: &str = "ravelin";

/// `timeouts.downstream_idle`: Cloudflare reuses an idle origin connection for 900 s. The side that
/// closes earlier races with that reuse, and the visitor sees a 520; 30 s on top cover clocks and
/// travel.
pub const DOWNSTREAM_IDLE: Duration = Duration::from_secs(930);

/// `timeouts.proxy_header`: a balancer sends it with its first segment; 5 s are what loss may cost.
pub const PROXY_HEADER: Duration = Duration::from_secs(5);

/// `cloudflare.url`: the list as JSON, no credentials needed (Cloudflare API reference, "Cloudflare
/// IPs").
pub const CLOUDFLARE_URL: &str = "https://api.cloudflare.com/client/v4/ips";

/// `cloudflare.refresh`: a new range is listed before it is used (Cloudflare documentation,
/// "Cloudflare IP addresses"), and the list has not changed since 2021: twice a day is soon enough.
pub const CLOUDFLARE_REFRESH: Duration = Duration::from_secs(12 * 60 * 60);

/// `cloudflare.removal_delay`: a day to see the warning, should a wrong list be published; on the
/// day of the last change fetches gave the old and the new list in turns.
pub const CLOUDFLARE_REMOVAL_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

/// `crowdsec.interval`: as CrowdSec's own components have it (documentation, "Remediation components"). A ban counts
/// within that time.
pub const CROWDSEC_INTERVAL: Duration = Duration::from_secs(10);

/// `break_glass.connections`: a browser has six for HTTP/1.1, or one; a hundred are an office behind one address.
pub const BREAK_GLASS_CONNECTIONS: NonZeroUsize = NonZeroUsize::new(100).expect("not zero");

/// `break_glass.requests`: a page with a hundred parts in a second, for each address.
pub const BREAK_GLASS_REQUESTS: NonZeroUsize = NonZeroUsize::new(100).expect("not zero");

/// `break_glass.drain`: most requests are through in it; the ports are closed for these visitors meanwhile.
pub const BREAK_GLASS_DRAIN: Duration = Duration::from_secs(10);

/// `timeouts.tls_handshake`: a handshake is two round trips and a signature. 10 s leave room for lost
/// packets and for a ClientHello in two segments, and less than Cloudflare waits for a connection
/// (19 s, "Connection limits").
pub const TLS_HANDSHAKE: Duration = Duration::from_secs(10);

/// `timeouts.request_head`: every peer is a proxy that holds the whole head when it connects, so
/// 15 s are only reached by loss or by an attack that trickles bytes (slowloris).
pub const REQUEST_HEAD: Duration = Duration::from_secs(15);

/// `timeouts.first_request`: Cloudflare connects when it has a request, and browsers close what they
/// opened ahead of one after 10 s. nginx waits 60 s (`client_header_timeout`), HAProxy's documentation
/// sets 10 s (`timeout http-request`).
pub const FIRST_REQUEST: Duration = Duration::from_secs(15);

/// `timeouts.body_progress`: a limit without progress rather than on the whole body, so that
/// uploads of any length pass (a 60 s total limit is what breaks them in Traefik, issue 10598).
pub const BODY_PROGRESS: Duration = Duration::from_secs(60);

/// `timeouts.connect`: a pod answers a SYN within milliseconds; 2 s allow one lost SYN (the first
/// retransmission comes after 1 s, RFC 6298 section 2) before the next endpoint is tried.
pub const CONNECT: Duration = Duration::from_secs(2);

/// `timeouts.response_head`: Cloudflare gives up after 100 s to 125 s with a 524 without a cause. Our 504
/// comes before it and carries a reason.
pub const RESPONSE_HEAD: Duration = Duration::from_secs(95);

/// `timeouts.tunnel_idle`: what WebSocket servers and clients that never ping expect of a proxy.
/// Cloudflare itself closes a tunnel that is silent for 100 s.
pub const TUNNEL_IDLE: Duration = Duration::from_secs(3600);

/// `timeouts.drain`: long enough for ordinary requests. The pod's `terminationGracePeriodSeconds`
/// has to be longer, or the kubelet's SIGKILL comes first; its default is 30 s as well.
pub const DRAIN: Duration = Duration::from_secs(30);

/// `timeouts.drain_idle`: a busy peer sends its next request within seconds and takes the
/// `Connection: close` of its answer; what is still idle then is closed.
pub const DRAIN_IDLE: Duration = Duration::from_secs(5);

/// `timeouts.reload`: a cluster of 10 000 Ingresses is listed in two seconds; what is not ready in
/// fifteen times that waits for something that is not there.
pub const RELOAD: Duration = Duration::from_secs(30);

/// `timeouts.coalesce`: a roll-out sends several events within a millisecond; after more than 5 ms,
/// requests would be sent to pods that are already removed.
pub const COALESCE: Duration = Duration::from_millis(5);

/// `timeouts.coalesce_max`: a cluster that never falls silent is still published 20 times a second.
pub const COALESCE_MAX: Duration = Duration::from_millis(50);

/// `limits.connections`: 20 000 idle connections of some 20 KiB are 400 MiB, and two descriptors
/// each stay well within the usual hard limit of open files (1 048 576).
pub const CONNECTIONS: NonZeroUsize = NonZeroUsize::new(20_000).expect("not zero");

/// `limits.handshakes`, for each worker: with RSA (2048 bits) the signature takes 0.7 ms of a core, so
/// that requests wait at most 6 ms for eight handshakes that are ready at once.
pub const HANDSHAKES: NonZeroUsize = NonZeroUsize::new(8).expect("not zero");

/// `limits.request_target`, in bytes: Cloudflare forwards URLs up to 16 KB.
pub const REQUEST_TARGET: usize = 16 * 1024;

/// `limits.header_block`, in bytes: Cloudflare forwards request headers up to 128 KB in total.
pub const HEADER_BLOCK: usize = 128 * 1024;

/// `limits.memory`, in bytes: half of what the DaemonSet has. The rest is for the process itself, the
/// table, and what the allocator and the kernel need beside what is charged.
pub const MEMORY: usize = 256 * 1024 * 1024;

/// Most fields in a request head. Not a key: hyper keeps its table of 100 fields on the stack, and
/// another number would cost an allocation for every request
/// (`hyper::server::conn::http1::Builder::max_headers`).
pub const HEADER_COUNT: usize = 100;

/// `http2.streams`: as many as Cloudflare opens on one connection.
pub const HTTP2_STREAMS: u32 = 200;

/// `http2.stream_window`, in bytes. h2 opens a window again when half of it is used, so that at a round trip
/// of 100 ms one upload has 34 MB/s and more: HTTP/1.1 has 40 with the kernel's own buffers. What a pod does
/// not take counts towards `limits.memory`.
pub const HTTP2_STREAM_WINDOW: u32 = 6 * 1024 * 1024;

/// `http2.connection_window`, in bytes: below the share of `limits.memory` that a connection has while the
/// process is idle (24 MiB), so that the window stops a client before its share does, which also stops its
/// other requests.
pub const HTTP2_CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

/// `http2.send_buffer`, in bytes, for each stream: four frames, the most that one send takes.
pub const HTTP2_SEND_BUFFER: usize = 64 * 1024;

/// `http2.resets`: the bound that Envoy has against floods of resets (CVE-2023-44487). Visitors who
/// leave a page make Cloudflare reset streams, but not every second one of hundreds.
pub const HTTP2_RESETS: u64 = 500;

/// `upstream.idle`: below the keep-alive times of most backends (nginx 75 s, Tomcat 60 s). Where
/// they are shorter (Node.js 5 s, gunicorn 2 s), a request may meet a connection that closes, and is
/// sent once more.
pub const UPSTREAM_IDLE: Duration = Duration::from_secs(30);

/// `upstream.idle_per_endpoint`, for each worker: more than one worker has in flight to one pod in
/// the bursts of a small cluster. Where bursts are larger, every request above it makes and closes a
/// connection (with 32, one request in eight at 64 concurrent ones, a third more CPU for each). It
/// costs nothing where it is not needed: what a burst leaves over is closed after `upstream.idle`.
pub const IDLE_PER_ENDPOINT: usize = 128;

/// `upstream.connect_retries`: with 2 s for each attempt the visitor waits 6 s at most.
pub const CONNECT_RETRIES: u32 = 2;

/// `upstream.retry_budget`, in percent: what Finagle and linkerd2-proxy allow. Enough for one pod of
/// five that has gone, and pods that fail under load get a fifth more of it at most.
pub const RETRY_BUDGET: u32 = 20;

/// `upstream.eject_after`: one failure is a restart or a lost packet, three in a row are a dead pod. Envoy
/// waits for five 5xx responses; a failed connection is a stronger sign.
pub const EJECT_AFTER: u32 = 3;
