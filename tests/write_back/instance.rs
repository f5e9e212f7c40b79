//! Instances of the writer beside each other, fed with what the server holds.

use crate::server::Server;
use k8s_openapi::api::networking::v1::Ingress;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use ravelin::control::write_back::{
    Addresses, Backoff, Election, IngressRef, Inputs, NodeAddresses, ObjectDiagnostic, Presence,
    Timing, WriteBackSettings, WriteBackTask,
};
use ravelin::model::{Diagnostic, Kind, ObjectRef, Severity, Why};
use ravelin::net::shutdown::{Shutdown, Stage};
use ravelin::telemetry::WriteBackMetrics;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_local};

pub(crate) const TIMING: Timing = Timing {
    duration: Duration::from_secs(3),
    deadline: Duration::from_secs(2),
    renew: Duration::from_millis(200),
    retry: Duration::from_millis(50),
};

pub(crate) const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/edge/leases/ravelin";
pub(crate) const PODS: &str = "/api/v1/namespaces/edge/pods";

/// Runs a test with a server of its own.
pub(crate) fn with_server<F: Future<Output = ()>>(test: impl FnOnce(Server) -> F) {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    runtime.expect("a runtime").block_on(async { test(Server::start().await).await });
}

pub(crate) fn ingress_path(name: &str) -> String {
    format!("/apis/networking.k8s.io/v1/namespaces/n/ingresses/{name}")
}

pub(crate) fn mk_ingress(name: &str, class: &str, address: Option<&str>) -> Value {
    let ingress: Vec<_> = address.iter().map(|ip| json!({"ip": ip})).collect();
    json!({
        "metadata": {"namespace": "n", "name": name, "uid": format!("uid-of-{name}")},
        "spec": {"ingressClassName": class},
        "status": {"loadBalancer": {"ingress": ingress}},
    })
}

pub(crate) fn mk_finding(name: &str, reason: &str) -> ObjectDiagnostic {
    let diagnostic = Diagnostic {
        severity: Severity::Error,
        object: ObjectRef::new(Kind::Ingress, "n", name),
        field: "spec.rules[0]".to_owned(),
        why: Why::ServiceMissing,
        reason: reason.to_owned(),
        fix: "create it".to_owned(),
    };
    ObjectDiagnostic { diagnostic, uid: Some(format!("uid-of-{name}").into()) }
}

/// What all instances see, beside the Ingresses of the server.
#[derive(Clone, Default)]
pub(crate) struct World {
    pub(crate) findings: Rc<RefCell<Vec<ObjectDiagnostic>>>,
    pub(crate) nodes: Rc<RefCell<Vec<NodeAddresses>>>,
}

impl World {
    fn inputs(&self, server: &Server) -> Inputs {
        let ingresses = server.objects("/ingresses/").into_iter().map(|object| {
            let ours = object["spec"]["ingressClassName"] == "ravelin";
            let ingress: Ingress = serde_json::from_value(object).expect("an Ingress");
            IngressRef::of(&ingress, ours)
        });
        Inputs {
            ingresses: ingresses.collect(),
            nodes: self.nodes.borrow().clone().into(),
            findings: self.findings.borrow().clone().into(),
            presence: Presence::new(|_, _| true),
        }
    }
}

pub(crate) struct Instance {
    pub(crate) metrics: Arc<WriteBackMetrics>,
    shutdown: Shutdown,
    run: JoinHandle<()>,
    feed: JoinHandle<()>,
}

impl Instance {
    pub(crate) async fn start(
        server: &Server,
        world: &World,
        identity: &str,
        addresses: Addresses,
    ) -> Self {
        let election = Election {
            namespace: "edge".to_owned(),
            name: "ravelin".to_owned(),
            identity: identity.to_owned(),
            timing: TIMING,
        };
        let mut settings =
            WriteBackSettings::new(election, addresses, "ravelin.dev/test".to_owned());
        let backoff =
            Backoff { first: Duration::from_millis(20), most: Duration::from_millis(200) };
        settings.status.backoff = backoff;
        settings.events.backoff = backoff;
        settings.events.settle = Duration::from_millis(20);
        let (sender, inputs) = watch::channel(world.inputs(server));
        let (server, world) = (server.clone(), world.clone());
        let client = client(&server).await;
        let feed = spawn_local(async move {
            let mut changes = server.changes();
            while changes.changed().await.is_ok() {
                sender.send_replace(world.inputs(&server));
            }
        });
        let (shutdown, signal) = Shutdown::new();
        let metrics = Arc::new(WriteBackMetrics::default());
        let writer = WriteBackTask::new(settings).run(client, inputs, signal, Arc::clone(&metrics));
        Self { metrics, shutdown, run: spawn_local(writer), feed }
    }

    pub(crate) fn leads(&self) -> bool {
        self.metrics.read().leader && !self.run.is_finished()
    }

    /// Dies without a word.
    pub(crate) async fn kill(self) {
        self.run.abort();
        self.feed.abort();
        let ended = self.run.await.expect_err("killed");
        assert!(ended.is_cancelled(), "{ended}");
    }

    /// Leaves as a process does.
    pub(crate) async fn leave(self) {
        self.shutdown.advance(Stage::Draining);
        self.run.await.expect("it leaves");
        self.feed.abort();
    }
}

async fn client(server: &Server) -> Client {
    let text = format!(
        "{{apiVersion: v1, kind: Config, current-context: c, \
         clusters: [{{name: c, cluster: {{server: \"http://{}\"}}}}], \
         users: [{{name: c, user: {{}}}}], \
         contexts: [{{name: c, context: {{cluster: c, user: c}}}}]}}",
        server.addr
    );
    let kubeconfig = Kubeconfig::from_yaml(&text).expect("a kubeconfig");
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = config.expect("a configuration");
    config.default_retry = false;
    Client::try_from(config).expect("a client")
}
