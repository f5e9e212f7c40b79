//! **ravelin** is a reverse proxy that runs on every node of a small Kubernetes cluster behind
//! Cloudflare: it takes the node's ports 80 and 443, admits whom its sets admit, routes by Host and
//! path to the pods behind Services, and says in metrics, logs and `explain` what it did and why.
//!
//! # The way of a request
//!
//! ```text
//! admission (kernel) -> listen -> edge: proxy_protocol -> admission -> tls -> http
//!     -> forward: client_ip -> routing -> balance -> upstream
//!                                    \-> our own answer (error, http)
//! ```
//!
//! Read [`proxy::connection`] (life of a connection) and [`proxy::request`] (life of a request) first: they tell the
//! story, and everything else is what they call.
//!
//! # The way of a change
//!
//! ```text
//! API server  -> control::watch -\
//! directory   -> control::files --> control::translate -> Model
//!     -> routing::compile -> Publisher (the one ArcSwap) => workers
//!                                             \-> endpoints alone: into the cells of its backends
//! findings, statuses -> control::write_back (the elected instance) -> API server
//! objects -> control::last_good -> disk, for a start without an API server
//!
//! addresses of the cluster, control::cloudflare -> LiveSets -> admission::Gate => acceptors, workers
//!                                                           -> admission::bpf => kernel
//! ```
//!
//! The translator keeps what it has read and takes changes; it gives what a translation from scratch
//! would. `compile` is pure. `check`, `explain` and `run` go through the same functions.
//!
//! # Threads
//!
//! One per worker: a single-threaded runtime with its own connections to clients and pods, its own
//! counters and log buffer. Nothing on the request path crosses a thread. One thread accepts and
//! hands each connection to the worker with the fewest; one follows the objects of the source; with a
//! cluster, one follows and writes to the API server, and one keeps the last good state on disk; one
//! keeps the list of Cloudflare's addresses; one serves the admin port; one writes the access log; one
//! follows the files of certificates, and judges as Cloudflare would, if a listener has TLS; one watches
//! the cgroup's memory, if that has a limit.
//!
//! # Modules
//!
//! A module imports only from rows above its own, and a stage never imports another stage.
//! `tests/layering` fails on anything else.
//!
//! | row | module | job |
//! |---|---|---|
//! | words | [`net::addr`] | addresses by role; IPv4-mapped ones are unmapped here |
//! | | [`error`] | every way a request can end badly: status, label, culprit, words |
//! | | [`model`] | what the cluster asks for, as plain data; hosts and paths in one form |
//! | | [`config`] | the configuration file, valid by construction |
//! | | [`net::trust`] | whom to believe: the proof that a peer may speak for its clients |
//! | | [`pki::certificate`] | a certificate with its chain and key, read; what Cloudflare says of it |
//! | | [`pki::client_certificate`] | what is asked of the clients of a host (Authenticated Origin Pulls) |
//! | | [`pki::endpoint_tls`] | TLS towards the pods: whose certificates are believed, for which name |
//! | base | [`balance`] | which endpoint of a Service takes a request |
//! | | [`upstream::body`] | the request body on its way upstream |
//! | | [`http::client_ip`] | the one client address, and what shows that a request is of our zone |
//! | | [`net::deadline`] | a deadline for every phase, without a timer per request |
//! | | [`net::gather`] | one send for a small message in several pieces |
//! | | [`net::stream`] | a TCP connection, with or without TLS |
//! | | [`net::memory`] | what connections and requests hold, and how much they may |
//! | | [`net::random`] | numbers for spreading load and time |
//! | | [`routing`] | the table: compiled, looked up, published |
//! | | [`net::shutdown`] | the stages of leaving |
//! | | [`telemetry`] | metrics, access log, log of the process |
//! | stages | [`transport::admission`] | who may connect: in user space, and as a program for the kernel |
//! | | [`transport::proxy_protocol`] | the word of a balancer: whose connection it passes on |
//! | | [`tls`] | the handshake, and which certificate a name is shown |
//! | | [`transport::listen`] | sockets, accepting, hand-over to workers |
//! | | [`http`] | HTTP/1.1 towards the client: limits, targets, header hygiene, our answers |
//! | | [`upstream`] | connections to pods, pools, retries |
//! | paths | [`proxy::connection`] | the life of a connection |
//! | | [`proxy::request`] | the life of a request |
//! | | [`upstream::dns`] | the addresses of external names, by the clock |
//! | | [`upstream::health_check`] | requests by the clock, that tell which endpoints are fit |
//! | control | [`control`] | from manifests or a cluster to a table in force, and the life of Cloudflare's list; the only place that knows Kubernetes' types |
//! | process | [`app`] | builds all of it from a configuration, runs it, takes it down |
//! | | [`app::admin`] | the admin port |
//! | | [`cli`] | the verbs of the command line |
//! | | [`app::allocator`] | where memory comes from |
//!
//! # Words
//!
//! *Listener*: an address that takes connections. *Set*: addresses under a name. *Gate*: what one
//! listener admits and believes now. *Route*: one path of one rule of an Ingress.
//! *Backend*: a Service port. *Endpoint*: address and port of one pod behind it. *Downstream* and
//! *client*: towards the one who asks; *upstream*: towards the pods. *Finding*: what is not served
//! as its manifest was written.

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
