//! **ravelin** is an edge reverse proxy for Kubernetes. It runs on every node of a small cluster behind
//! Cloudflare, listens on ports 80 and 443 of the node, and accepts connections only from configured
//! sources. It routes requests by host and path to the pods behind Services. Metrics, logs and `explain`
//! show what it did and why.
//!
//! # Life of a request
//!
//! ```text
//! transport: admission (kernel) -> listen -> proxy::connection: proxy_protocol -> admission -> tls -> http
//!     -> proxy::request: http::client_ip -> routing -> balance -> upstream -> pod
//!                                    \-> our own response (error, http::respond)
//! ```
//!
//! Read [`proxy::connection`] (life of a connection) and [`proxy::request`] (life of a request) first.
//! Everything else is called from there.
//!
//! # Life of a change
//!
//! ```text
//! API server  -> control::watch -\
//! directory   -> control::files --> control::translate -> Model
//!     -> routing::compile -> Publisher (the one ArcSwap) => workers
//!                                             \-> endpoints only: into the cells of their backends
//! findings, statuses -> control::write_back (the elected leader) -> API server
//! objects -> control::last_good -> disk, for a start without an API server
//!
//! cluster addresses, control::cloudflare -> LiveSets -> admission::Gate => acceptors, workers
//!                                                    -> admission::bpf => kernel
//! ```
//!
//! The translator keeps the objects that it has read and takes changes; its result equals a translation
//! from scratch. `compile` is pure. `check`, `explain` and `run` call the same functions.
//!
//! # Threads
//!
//! Each worker is a single-threaded runtime with its own connections to clients and pods, its own counters
//! and its own log buffer. Nothing on the request path crosses a thread. The other threads:
//!
//! - the acceptor, which hands each connection to the worker with the fewest;
//! - the reconciler, which follows the objects of the source;
//! - with a cluster: the API client (watch and write-back), and the writer of the last-good state;
//! - the keeper of Cloudflare's address list;
//! - the admin port; the writers of access log and process log; the export of traces, if it is configured;
//! - with TLS: the certificate store, which follows files and checks Full (strict);
//! - health checks and DNS, if a Service needs them;
//! - the watch of the cgroup's memory, if it has a limit.
//!
//! # Rooms
//!
//! A room imports only from rooms above it in this table, and a stage never imports another stage.
//! `tests/layering` fails on anything else. It also limits files to 400 lines and functions to 60.
//!
//! | kind | room | job | **Invariant** | held by |
//! |---|---|---|---|---|
//! | words | [`error`] | every reason for a response of our own: label, status, culprit, text | a new reason does not compile until all four are decided | its own unit tests |
//! | | [`net`] | addresses, streams, deadlines, memory budget, shutdown, trust | never blocks; knows no route, certificate or Kubernetes type | `tests/layering` |
//! | | [`pki`] | certificates and tokens of Cloudflare Access, parsed and checked | pure functions over bytes; opens no connection and follows no file | `tests/layering` |
//! | | [`model`] | what the cluster asks for | plain data: no Kubernetes type, no live object, no I/O | `tests/layering` |
//! | | [`config`] | the configuration file | valid by construction: nothing downstream validates a value again | `tests/config_files.rs` |
//! | base | [`balance`] | which endpoint of a Service takes a request | pure decisions without I/O; imports neither HTTP nor Kubernetes types | `tests/layering` |
//! | | [`routing`] | the routing table: compiled, looked up, published | one place swaps the table; a request uses one table from start to end | `tests/it` |
//! | | [`telemetry`] | metrics, access log, process log, traces | never makes a worker wait, even if a sink is stuck | `tests/cli` |
//! | stage | [`transport`] | admission, sockets, PROXY protocol | reads no byte of HTTP or TLS | `tests/layering` |
//! | | [`tls`] | handshake, certificate store, session tickets | an unknown server name ends the handshake before a certificate is presented, unless one is the default | `tests/tls` |
//! | | [`http`] | HTTP/1.1 and HTTP/2 to the client, header rules, client address, our responses | only `http::client_ip` creates a client address; imports no other stage | the compiler; `tests/layering` |
//! | | [`upstream`] | connections to pods, pools, retries, health checks, DNS | retries no request that a pod may have processed, unless it is idempotent | `tests/it` |
//! | path | [`proxy`] | life of a connection, life of a request | calls the stages in their order; `request` never imports `connection` | `tests/layering` |
//! | control | [`control`] | from manifests or a cluster to a table in force | the only room that knows Kubernetes types; imports no stage | `tests/layering` |
//! | process | [`app`] | builds, runs, reloads and shuts down; the admin port | no room but `cli` imports it | `tests/layering` |
//! | | [`cli`] | the commands | `check` and `explain` agree with `run` | `tests/agreement` |
//!
//! # How to add something
//!
//! `CONTRIBUTING.md` lists the files for an annotation, a middleware, a metric, a reason and a configuration
//! key.
//!
//! # Glossary
//!
//! | term | meaning |
//! |---|---|
//! | listener | an address that accepts connections |
//! | admission set | a named set of source addresses that may connect |
//! | gate | the admission sets and trusted proxies of one listener, as they are now |
//! | route | one path of one rule of an Ingress |
//! | backend | a port of a Service |
//! | endpoint | address and port of one pod of a backend |
//! | client, downstream | the side that sends requests |
//! | upstream | the side of the pods |
//! | table | the compiled, immutable routing table |
//! | snapshot | an immutable value that workers read, replaced as a whole |
//! | finding | an object that is not served as written, with field, reason and fix: [`model::Diagnostic`] |
//! | reason | why a request got a response of our own |
//! | last-good state | the last complete state of the cluster, stored on disk |
//! | drain | shutdown that lets requests in flight finish |

pub mod app;
pub mod balance;
pub mod cli;
pub mod config;
pub mod control;
pub mod error;
pub mod http;
pub mod model;
pub mod net;
pub mod pki;
pub mod proxy;
pub mod routing;
pub mod telemetry;
pub mod tls;
pub mod transport;
pub mod upstream;
