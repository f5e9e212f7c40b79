//! TLS with Secrets of a real API server, changed by kubectl: what is shown, what is asked of clients,
//! what pods are verified by, and who is sent from http to https.

mod authority;
mod clients;
mod redirect;
mod rights;
mod rotation;
mod routes;
mod upstream;

use crate::edge::{Backend, Edge, Pod, SECURED, Setup, Site, Visitor, all_rules, class};
use crate::eventually;
use crate::plane::{Connection, Plane};
pub(crate) use authority::Authority;
use authority::Issued;
use rustls::ClientConfig;
use serde_json::{Value, json};
use std::fs;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a changed Secret may take to be in force: milliseconds in practice.
const BOUND: Duration = Duration::from_secs(10);

/// A ravelin with a listener for each of http and https, and the site `shop`, whose Ingress names no
/// Secret yet. Namespace, class and account are called alike; it writes Events.
pub(crate) struct Secured<'p> {
    plane: &'p Plane,
    name: &'static str,
    host: String,
    authority: Authority,
    edge: Edge,
    /// It answers as long as it is here.
    _backend: Backend,
}

impl<'p> Secured<'p> {
    fn start(plane: &'p Plane, name: &'static str) -> Self {
        Self::keyed(plane, name, SECURED)
    }

    /// The same with other keys of `[source]`, and tables behind them.
    fn keyed(plane: &'p Plane, name: &'static str, keys: &str) -> Self {
        plane.namespace(name);
        class(plane, name);
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": role_name(name)}, "rules": all_rules()});
        let kubeconfig = plane.service_account(name, "ravelin", &role.to_string());
        let (backend, host) = (Backend::start("shop"), format!("shop.{name}"));
        Site { namespace: name, name: "shop", class: name, host: &host }.create(plane, &backend);
        let setup = Setup { kubeconfig: &kubeconfig, class: name, keys };
        let edge = Edge::start_as(plane, &setup, Pod { namespace: name, name: "ravelin-0" });
        edge.await_ready();
        edge.await_answer(&host, "/", "shop");
        let authority = Authority::new("Tests");
        Self { plane, name, host, authority, edge, _backend: backend }
    }

    /// Has the Ingress name a Secret for its host.
    fn name_secret(&self, secret: &str) {
        self.patch(&json!({"spec": {"tls": [{"hosts": [self.host], "secretName": secret}]}}));
    }

    /// Changes the Ingress.
    fn patch(&self, patch: &Value) {
        self.kubectl(&["patch", "ingress", "shop", "--type=merge", "-p", &patch.to_string()]);
    }

    /// Annotates the Ingress: `NAME=VALUE`, or `NAME-` to take one away.
    fn annotate(&self, annotations: &[&str]) {
        self.kubectl(&[&["annotate", "--overwrite", "ingress", "shop"], annotations].concat());
    }

    /// Runs kubectl in the namespace, which has to succeed.
    fn kubectl(&self, arguments: &[&str]) -> String {
        kubectl(self.plane, self.name, arguments)
    }

    /// A certificate for the host of the site.
    fn issue(&self) -> Issued {
        self.authority.issue(&[&self.host])
    }

    /// Puts a certificate into the Secret `shop`.
    fn certify(&self, issued: &Issued) {
        put_certificate(self.plane, self.name, "shop", issued);
    }

    /// What a new handshake for the host shows, if it succeeds.
    fn shown(&self) -> Option<Vec<u8>> {
        let config = self.authority.client(None);
        let connection = Connection::secured(self.edge.secured_addr(), &self.host, &config).ok()?;
        connection.certificate().map(<[u8]>::to_vec)
    }

    /// Waits until new handshakes show a certificate, for no longer than it may take from now on.
    #[expect(clippy::print_stdout, reason = "a figure, for who asks for the output of tests")]
    fn await_shown(&self, issued: &Issued) {
        let since = Instant::now();
        let expected = issued.der();
        eventually("the certificate is shown", || {
            (self.shown().as_deref() == Some(&*expected)).then_some(())
        });
        let took = since.elapsed();
        assert!(took < BOUND, "shown after {took:?}");
        println!("{}: shown after {took:?}", self.name);
    }

    /// The status that a client gets on a new connection with TLS; an error where there is none.
    fn status(&self, config: &Arc<ClientConfig>) -> io::Result<u16> {
        let mut connection = Connection::secured(self.edge.secured_addr(), &self.host, config)?;
        Ok(connection.get(&self.host, "/")?.status)
    }

    /// Waits until a client gets this status, or (`None`) is refused.
    fn await_status(&self, config: &Arc<ClientConfig>, expected: Option<u16>) {
        eventually(&format!("{expected:?}"), || {
            (self.status(config).ok() == expected).then_some(())
        });
    }

    /// Waits until a metric has a value.
    fn await_metric(&self, name: &str, labels: &[(&str, &str)], expected: f64) {
        eventually(&format!("{name}{labels:?} is {expected}"), || {
            let value = self.edge.metrics().sum(name, labels);
            ((value - expected).abs() < 0.5).then_some(())
        });
    }

    /// Waits until so many Secrets fail with nothing, and so many with their last good content.
    fn await_failing(&self, nothing: f64, last_good: f64) {
        self.await_metric("ravelin_tls_secret_failing", &[("shown", "nothing")], nothing);
        self.await_metric("ravelin_tls_secret_failing", &[("shown", "last_good")], last_good);
    }

    /// Waits for an Event on the Ingress or another object of that name with this reason and these
    /// words.
    fn await_event(&self, reason: &str, words: &str) {
        let path = format!("/apis/events.k8s.io/v1/namespaces/{}/events", self.name);
        eventually(&format!("an Event {reason}: {words}"), || {
            let list = self.plane.get(&path).json();
            let mut events = list["items"].as_array().expect("a list").iter();
            let is_it = |event: &Value| {
                let note = event["note"].as_str().unwrap_or_default();
                event["regarding"]["name"] == "shop"
                    && event["reason"] == reason
                    && note.contains(words)
            };
            events.any(is_it).then_some(())
        });
    }

    /// Visitors with TLS who never pause: one shakes hands for each request, one resumes sessions
    /// when it can, one keeps its connection.
    fn visitors(&self) -> [Visitor; 3] {
        let fresh = self.authority.client(None);
        let resuming = self.authority.resuming();
        let kept = Arc::clone(&fresh);
        [(fresh, 1), (resuming, 1), (kept, usize::MAX)].map(|(config, requests)| {
            let (addr, host) = (self.edge.secured_addr(), self.host.clone());
            let open = move || Connection::secured(addr, &host, &config);
            Visitor::over(open, requests, &self.host, "/")
        })
    }
}

/// The name of the ClusterRole of a namespace's account.
fn role_name(namespace: &str) -> String {
    format!("ravelin-{namespace}")
}

/// Runs kubectl in a namespace, which has to succeed.
fn kubectl(plane: &Plane, namespace: &str, arguments: &[&str]) -> String {
    plane.kubectl_fed(&[&["-n", namespace], arguments].concat(), "")
}

/// Puts a certificate into a Secret, as `deploy/full-strict.md` has it.
pub(crate) fn put_certificate(plane: &Plane, namespace: &str, name: &str, issued: &Issued) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let parts = [("cert", &issued.chain), ("key", &issued.key)].map(|(flag, text)| {
        let file = folder.path().join(flag);
        fs::write(&file, text).expect("a folder of ours");
        format!("--{flag}={}", file.display())
    });
    put(plane, namespace, &["tls", name, &parts[0], &parts[1]]);
}

/// Puts an authority into a Secret.
fn put_authority(plane: &Plane, namespace: &str, name: &str, pem: &str) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("ca.pem");
    fs::write(&file, pem).expect("a folder of ours");
    put(plane, namespace, &["generic", name, &format!("--from-file=ca.crt={}", file.display())]);
}

/// Creates a Secret (its kind, its name, its content), or replaces the one that is there.
fn put(plane: &Plane, namespace: &str, secret: &[&str]) {
    let print = ["--dry-run=client", "-o", "yaml"];
    let text = kubectl(plane, namespace, &[&["create", "secret"], secret, &print].concat());
    let path = format!("/api/v1/namespaces/{namespace}/secrets/{}", secret[1]);
    let verb = if plane.get(&path).status == 404 { "create" } else { "replace" };
    plane.kubectl_fed(&["-n", namespace, verb, "-f", "-"], &text);
}
