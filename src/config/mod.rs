//! The configuration file, read once at start and valid by construction.
//!
//! [`Config::parse`] turns text into a [`Config`] or into all of its mistakes, each with file, line, key
//! and fix. Nothing downstream validates a value again. Unknown and unsupported keys are errors, never
//! ignored. `keys` lists the keys, `raw` is the parsed TOML, `sections` interprets it, and `defaults`
//! holds the default values.
//!
//! Relative paths (`source.directory`, `log.access`) are resolved against the working directory, as
//! `haproxy -f` does, not against the directory of the file: a DaemonSet mounts the file anywhere, and
//! its working directory is fixed.
//!
//! **Invariant**: a [`Config`] is valid, and every key is documented (`tests/config_files.rs`).

mod access;
mod admit;
pub mod atomic_file;
mod break_glass;
mod certificates;
mod client_certificate;
mod cloudflare;
mod crowdsec;
pub mod defaults;
mod dns;
mod entry_point;
mod followed_file;
mod http2;
mod keys;
mod log;
mod log_filter;
mod log_headers;
mod metrics;
mod raw;
mod sections;
mod source;
mod state;
mod timeouts;
mod tracing;
mod units;
mod values;
mod zone;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Https, Prefer};
use ipnet::IpNet;

pub use access::Access;
pub use admit::{
    Admit, CLOUDFLARE, CLOUDFLARE_DATE, LOOPBACK, Members, NEVER_CLOUDFLARE, NamedSet,
};
pub use break_glass::BreakGlass;
pub use certificates::{CertificateFiles, CertificateSecret};
pub use client_certificate::{AuthoritySource, ClientCertificate};
pub use cloudflare::{BROADEST_V4, BROADEST_V6, Cloudflare, ListOrigin, SecretHeader, WorkerZones};
pub use crowdsec::CrowdSec;
pub use dns::Dns;
pub use entry_point::EntryPoint;
pub use followed_file::{FileIdentity, Followed};
pub use http2::Http2;
pub use keys::is_key;
pub use log::{AccessLogConfig, AccessLogFormat, LogConfig, LogLevel};
pub use log_filter::AccessLogFilter;
pub use log_headers::{LoggedHeaders, is_credential};
pub use metrics::{Metrics, PerRoute, RequestLabels, TraefikFamilies};
pub use source::{
    HostPolicy, Kubernetes, MAX_LEASE_BYTES, MiddlewarePolicy, SourceConfig, SourceKind, WriteBack,
};
pub use state::LastGoodConfig;
pub use timeouts::TimeoutsConfig;
pub use tracing::{
    ParentPolicy, SampleRate, TraceCompression, TraceFormat, TraceProtocol, Tracing, trace_header,
};
pub use units::{Fault, MAX_DURATION, duration, size};
pub use values::SOCKET_PATH_BYTES;
pub use zone::ZoneTable;

/// Largest configuration file, in bytes: one that is larger by far is the wrong file.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The whole configuration of `ravelin run`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Worker threads, 1 to 256. Default: the cores that the cgroup grants.
    pub workers: NonZeroUsize,
    /// What speaks HTTP/1.1.
    pub http1: Http1,
    /// At least one; names and addresses are distinct (port 0 may repeat).
    pub listeners: Vec<Listener>,
    /// Names of listeners that routes have; `web` and `websecure` are always among them.
    pub entry_points: Vec<EntryPoint>,
    /// Certificates out of files. At most one is the default; there is one at least if a listener
    /// has TLS.
    pub certificates: Vec<CertificateFiles>,
    /// Secrets whose certificates are presented in all namespaces.
    pub certificate_secrets: Vec<CertificateSecret>,
    /// The client certificate policies of hosts, which Ingresses can make stricter.
    pub client_certificates: Vec<ClientCertificate>,
    /// `[tls] ticket_key_file`: the secret behind session tickets. As written. `None`: one in the state
    /// directory, or, without that, secrets of the process alone.
    pub ticket_key_file: Option<PathBuf>,
    /// Cloudflare: its list of addresses, and what its requests have to show.
    pub cloudflare: Cloudflare,
    /// The switch that admits every address.
    pub break_glass: BreakGlass,
    /// Where the decisions of CrowdSec are. `None`: none are obeyed.
    pub crowdsec: Option<CrowdSec>,
    /// Teams of Cloudflare Access whose keys are elsewhere than Cloudflare documents.
    pub access: Vec<Access>,
    /// What hosts ask of the way that their requests came.
    pub zones: Vec<ZoneTable>,
    /// `[state] directory`: the directory for persistent state. `None`: no state is stored. As written:
    /// relative to the working directory.
    pub state: Option<PathBuf>,
    /// What of the cluster is stored there. `None`: nothing; always with a directory as the source.
    pub last_good: Option<LastGoodConfig>,
    /// The source of the manifests.
    pub source: SourceConfig,
    /// The port for metrics and questions.
    pub admin: AdminConfig,
    /// The process log: severity and destination.
    pub log: LogConfig,
    /// Which requests are traced, and where their spans are sent. `None`: none are.
    pub tracing: Option<Tracing>,
    /// How long each phase may last.
    pub timeouts: TimeoutsConfig,
    /// Bounds on what clients may use.
    pub limits: LimitsConfig,
    /// The default for redirects to TLS and HSTS, for Ingresses that set none.
    pub https: Https,
    /// HTTP/2 on the clients' side.
    pub http2: Http2,
    /// Names of Services of type ExternalName.
    pub dns: Dns,
    /// Labels and buckets of the metrics.
    pub metrics: Metrics,
    /// Connections to pods.
    pub upstream: UpstreamConfig,
}

/// `[[listener]]`: one address that accepts connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The label in metrics and logs: 1 to 63 of `a-z`, `0-9` and `-`.
    pub name: Arc<str>,
    /// Where to bind. `[::]` is dual stack.
    pub address: SocketAddr,
    /// Its protocol.
    pub protocol: ListenerProtocol,
    /// The admitted sources. Default: [`defaults::LISTENER_ADMIT`].
    pub admit: Admit,
    /// Whether the kernel is to drop what is not admitted. Default: yes.
    pub kernel_filter: bool,
    /// Load balancers that must send a PROXY header; it is refused from all other sources. `admit` then
    /// applies to the source in the header.
    pub proxy_protocol_from: Vec<IpNet>,
    /// Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are trusted.
    pub trusted_proxies: Vec<IpNet>,
}

/// The protocol of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerProtocol {
    /// HTTP/1.1 without TLS.
    Http,
    /// The same within TLS 1.2 or 1.3.
    Https,
    /// Neither: connections with TLS or without, for the routes of IngressRouteTCPs.
    Tcp,
}

impl ListenerProtocol {
    /// Whether TLS may end at a listener with it.
    pub fn may_end_tls(self) -> bool {
        self != Self::Http
    }

    /// The value in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Tcp => "tcp",
        }
    }
}

/// `[admin]`: the port for metrics and questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    /// Where to bind. Default: [`defaults::ADMIN_ADDRESS`].
    pub address: SocketAddr,
    /// The admitted sources. Default: [`defaults::ADMIN_ADMIT`].
    pub admit: Admit,
    /// Those of them that may read the status page and `/api/v1/`. Default: [`defaults::ADMIN_ADMIT_STATUS`].
    pub admit_status: Admit,
    /// A socket in the file system that serves the same, for `ravelin probe`: at most
    /// [`SOCKET_PATH_BYTES`], as written: relative to the working directory. `None`: there is none.
    pub socket: Option<PathBuf>,
}

/// `[limits]`. The number of header fields is fixed: [`defaults::HEADER_COUNT`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Client connections in the process, 1 to 1 000 000.
    pub connections: NonZeroUsize,
    /// TLS handshakes that each worker computes before requests have their turn, 1 to 100 000.
    pub handshakes: NonZeroUsize,
    /// Longest request target, in bytes, 1 KiB to 1 MiB.
    pub request_target: usize,
    /// Largest request header block, in bytes, 1 KiB to 1 MiB.
    pub header_block: usize,
    /// The most that connections and requests of the process may hold, in bytes, 16 MiB to 1 TiB.
    pub memory: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections: defaults::CONNECTIONS,
            handshakes: defaults::HANDSHAKES,
            request_target: defaults::REQUEST_TARGET,
            header_block: defaults::HEADER_BLOCK,
            memory: defaults::MEMORY,
        }
    }
}

/// `[upstream]`: connections to pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// How long an idle connection is kept. More than zero, at most [`MAX_DURATION`].
    pub idle: Duration,
    /// Idle connections kept for each endpoint by each worker, 0 (none is reused) to 1024.
    pub idle_per_endpoint: usize,
    /// Other endpoints tried after a failed connect, 0 to 10.
    pub connect_retries: u32,
    /// Retries per hundred requests, 0 to 100, in addition to three a second.
    pub retry_budget: u32,
    /// Consecutive failures after which an endpoint is ejected for a while, 0 (never) to 100.
    pub eject_after: u32,
    /// Whether answers of 502, 503 and 504 count as failures.
    pub eject_on_status: bool,
    /// Which endpoints are preferred, for Services that do not set it.
    pub prefer: Prefer,
}

/// What speaks HTTP/1.1, with clients and with pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Http1 {
    /// ravelin itself.
    #[default]
    Ravelin,
    /// The library hyper, to fall back on for one version.
    Hyper,
}

impl Http1 {
    /// The values in text form.
    pub const WORDS: [(&'static str, Self); 2] =
        [("ravelin", Self::Ravelin), ("hyper", Self::Hyper)];
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        Self {
            idle: defaults::UPSTREAM_IDLE,
            idle_per_endpoint: defaults::IDLE_PER_ENDPOINT,
            connect_retries: defaults::CONNECT_RETRIES,
            retry_budget: defaults::RETRY_BUDGET,
            eject_after: defaults::EJECT_AFTER,
            eject_on_status: false,
            prefer: Prefer::None,
        }
    }
}

impl Config {
    /// Reads a configuration. `origin` is the name that errors give to the text, usually its path.
    ///
    /// Touches neither files nor network; asks the system only for its cores, if `workers` is
    /// absent.
    ///
    /// # Errors
    /// All mistakes, by line. Where the text is not TOML, only what is wrong with the syntax.
    pub fn parse(text: &str, origin: &str) -> Result<Self, Vec<ConfigError>> {
        let document = raw::Document::parse(text, origin)?;
        match sections::config(&document) {
            Some(config) if document.faults() == 0 => Ok(config),
            _ => Err(document.into_errors()),
        }
    }

    /// Reads the file, at most 1 MiB.
    ///
    /// # Errors
    /// As [`Config::parse`]; one error without line where the file cannot be read.
    pub fn load(path: &Path) -> Result<Self, Vec<ConfigError>> {
        let origin = path.display().to_string();
        match read_bounded(path) {
            Ok(text) => Self::parse(&text, &origin),
            Err(error) => Err(vec![ConfigError {
                origin,
                line: None,
                key: String::new(),
                problem: format!("the file cannot be read: {error}"),
                fix: "name a readable TOML file with --config".to_owned(),
            }]),
        }
    }

    /// Whether TLS may end at a listener.
    pub fn has_tls(&self) -> bool {
        self.listeners.iter().any(|listener| listener.protocol.may_end_tls())
    }

    /// Whether a listener is for routes of HTTP within TLS, which Cloudflare connects to under Full.
    pub fn has_https(&self) -> bool {
        self.listeners.iter().any(|listener| listener.protocol == ListenerProtocol::Https)
    }

    /// Every key that a configuration may have, with its table (empty for the top level). The
    /// keys of `[admit]` are the user's and not listed.
    pub fn keys() -> impl Iterator<Item = (&'static str, &'static str)> {
        keys::TABLES.into_iter().flat_map(|table| table.keys.iter().map(|key| (table.table, *key)))
    }
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB"));
    }
    Ok(text)
}

/// A mistake. `Display` gives one line: `file:line: key: what is wrong; what to do`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, as the caller named it.
    pub origin: String,
    /// Counted from 1; for a missing key the line of its table. `None`: the file as a whole.
    pub line: Option<usize>,
    /// The key with the name of its table (`listener.address`). Empty for a syntax error.
    pub key: String,
    /// The problem, with the value.
    pub problem: String,
    /// The fix.
    pub fix: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}; {}", self.problem, self.fix)
    }
}

impl std::error::Error for ConfigError {}
