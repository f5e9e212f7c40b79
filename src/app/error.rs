//! Why the process cannot start.

use super::zone::ZoneSecretError;
use crate::control::cloudflare::InitialError;
use crate::control::watch::ConnectError;
use crate::tls::store::TlsFileError;
use crate::transport::listen::LocalError;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the process cannot start. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be bound.
    #[error("cannot bind {address} for {what}: {source}{}", bind_hint(source, *address))]
    Bind {
        /// Listener name, or the admin port.
        what: String,
        /// The address.
        address: SocketAddr,
        /// The error of the kernel.
        source: io::Error,
    },
    /// The directory of manifests is not there.
    #[error("source.directory {path:?} cannot be read: {source}; name an existing directory")]
    Source {
        /// As configured.
        path: PathBuf,
        /// The error of the file system.
        source: io::Error,
    },
    /// The file for the access log cannot be opened.
    #[error("log.access {path:?} cannot be opened: {source}; name a writable file")]
    AccessLog {
        /// As configured.
        path: PathBuf,
        /// The error of the file system.
        source: io::Error,
    },
    /// The file with the secret cannot be used.
    #[error(
        "cloudflare.secret_file {path:?}: {problem}; write the accepted values into it, one per line"
    )]
    Secret {
        /// As configured.
        path: PathBuf,
        /// The problem; never a part of the content.
        problem: String,
    },
    /// A file with secrets of a table `[[zone]]` cannot be used.
    #[error("zone.secret_file {0}")]
    ZoneSecret(#[from] ZoneSecretError),
    /// The list that stands in for Cloudflare's cannot be used.
    #[error(transparent)]
    List(#[from] InitialError),
    /// A file of the TLS settings cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsFileError),
    /// The API server cannot be asked.
    #[error(transparent)]
    Cluster(#[from] ConnectError),
    /// The socket for probes cannot be made.
    #[error(transparent)]
    AdminSocket(#[from] LocalError),
    /// Threads cannot give up their capabilities, and so must not read from clients.
    #[error(
        "threads cannot drop their capabilities: {0}; allow the system call capset, or run the \
            process without capabilities"
    )]
    Privileges(#[source] io::Error),
    /// The system refuses threads, files or memory.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

fn bind_hint(error: &io::Error, address: SocketAddr) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied if address.port() < 1024 => "; ports below 1024 need the \
             capability NET_BIND_SERVICE (setcap cap_net_bind_service=+p on the binary) or the \
             node's net.ipv4.ip_unprivileged_port_start"
            .to_owned(),
        io::ErrorKind::AddrInUse => {
            let port = address.port();
            format!(
                "; stop the process that listens there, or use another port: on the node, `ss -ltnp 'sport = :{port}'` names it (Traefik in \
                 the host network: deploy/swap-from-traefik.md)"
            )
        }
        io::ErrorKind::AddrNotAvailable => "; no interface has this address".to_owned(),
        _ => String::new(),
    }
}
