//! The proxy of these tests: an https listener, one certificate, everything to one Service.

use crate::certificates::Issued;
use crate::client::Offer;
use crate::support::{Builder, edge, ingress, rule, service};
use rustls::ClientConfig;
use serde_json::json;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// The host that clients ask for.
pub(crate) const HOST: &str = "a.example";

/// A proxy with TLS that sends everything to `backend`, and has a certificate for [`HOST`] and for
/// `localhost`.
pub(crate) fn secured(backend: SocketAddr) -> Builder {
    secured_by(&Issued::new(&[HOST, "localhost"]), backend)
}

/// The same to a backend that speaks HTTP/2 without TLS.
pub(crate) fn h2c(backend: SocketAddr) -> Builder {
    let mut web = service("web", "http", 80);
    web["metadata"]["annotations"] = json!({"ravelin.dev/upstream-protocol": "h2c"});
    secured(backend).object("web.json", &web)
}

/// The same with this certificate, by a Secret.
pub(crate) fn secured_by(issued: &Issued, backend: SocketAddr) -> Builder {
    certified(issued).service("web", &[backend])
}

/// A proxy with TLS that sends everything to the Service `web`, which is still to be added.
pub(crate) fn certified(issued: &Issued) -> Builder {
    let mut everything = ingress("all", &[rule("", &[("/", "Prefix", "web")])]);
    everything["spec"]["tls"] = json!([{"secretName": "own"}]);
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"namespace": "ns", "name": "own"},
        "stringData": {"tls.crt": issued.chain, "tls.key": issued.key}});
    edge()
        .listener("protocol", "\"https\"")
        .object("ingress.json", &everything)
        .object("secret.json", &secret)
}

/// What a client of TLS offers by ALPN.
pub(crate) fn offering(protocols: &[&str]) -> Arc<ClientConfig> {
    let alpn = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Offer { alpn, ..Offer::default() }.config()
}

/// A proxy like that, and the file of the certificate for clients that verify it.
pub(crate) fn verifiable(backend: SocketAddr) -> (Builder, PathBuf) {
    let issued = Issued::new(&[HOST, "localhost"]);
    let builder = secured_by(&issued, backend);
    let file = builder.manifests().with_file_name("authority.pem");
    fs::write(&file, &issued.chain).expect("a folder of ours");
    (builder, file)
}
