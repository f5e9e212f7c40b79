//! A ravelin as users run it, before pods of a scripted cluster.

use crate::api::Api;
use crate::eventually;
use crate::scraper::{ask, get};
use crate::tls_client::{AnyCertificate, handshake};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ravelin::model::EndpointState;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ClientConfig;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{self, Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// Version, kind and plural.
const INGRESS: [&str; 3] = ["networking.k8s.io/v1", "Ingress", "ingresses"];

/// An address of loopback that no other test has.
pub(crate) fn own_address(port: u16) -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(number < 256, "as many as the last eight bits have");
    let process = (process::id() & 0x7fff) << 8;
    SocketAddr::from((Ipv4Addr::from(0x7f80_0000 | process | number), port))
}

/// Asks repeatedly for as long as something else takes, which may panic.
pub(crate) fn under_load<R>(ask: impl Fn() + Send, act: impl FnOnce() -> R) -> R {
    struct Stop<'s>(&'s AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let stopped = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&stopped);
        let stopped = &stopped;
        scope.spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                ask();
                thread::park_timeout(Duration::from_millis(5));
            }
        });
        act()
    })
}

/// A pod that answers every request with a status, an entity tag, and its name.
pub(crate) struct Pod {
    pub(crate) addr: SocketAddr,
    status: Arc<AtomicU16>,
}

impl Pod {
    pub(crate) fn start(tag: &'static str) -> Self {
        let addr = own_address(8000);
        let listener = TcpListener::bind(addr).expect("an address of ours");
        let status = Arc::new(AtomicU16::new(200));
        let told = Arc::clone(&status);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let told = Arc::clone(&told);
                // A client that goes away is its own affair.
                thread::spawn(move || drop(serve(&stream, &told, tag)));
            }
        });
        Self { addr, status }
    }

    /// Answers with this status from now on.
    pub(crate) fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }
}

fn serve(mut stream: &TcpStream, status: &AtomicU16, tag: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        while line.trim_end() != "" || line.is_empty() {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
        }
        let status = status.load(Ordering::SeqCst);
        let head =
            format!("HTTP/1.1 {status} Said\r\nETag: \"{tag}\"\r\nContent-Length: 3\r\n\r\n");
        stream.write_all(format!("{head}pod").as_bytes())?;
    }
}

/// Where the objects are.
enum Source {
    /// In a folder of manifests. Pods may be on loopback there.
    Folder,
    /// In a scripted API server.
    Cluster(Api),
}

/// Objects, and a ravelin that serves them.
pub(crate) struct Edge {
    source: Source,
    authority: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
    pub(crate) web: SocketAddr,
    pub(crate) websecure: SocketAddr,
    /// A listener behind balancers, which speak the PROXY protocol.
    balanced: SocketAddr,
    pub(crate) admin: SocketAddr,
    child: Option<Child>,
    tls: Arc<ClientConfig>,
}

impl Edge {
    /// A folder without a ravelin.
    pub(crate) fn of_folder() -> Self {
        let edge = Self::of(Source::Folder);
        fs::create_dir(edge.file("manifests")).expect("a folder of ours");
        let controller = json!({"controller": "ravelin.dev/ingress-controller"});
        edge.put(
            ["networking.k8s.io/v1", "IngressClass", ""],
            json!({"metadata": {"name": "ravelin"}, "spec": controller}),
        );
        edge
    }

    /// A cluster without a ravelin.
    pub(crate) fn of_cluster() -> Self {
        Self::of(Source::Cluster(Api::new()))
    }

    fn of(source: Source) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, "trusted");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("trusted.pem"), authority.pem()).expect("a folder of ours");
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let tls = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate::default()))
            .with_no_client_auth();
        let address = own_address(0).ip();
        let [web, websecure, balanced, admin] =
            [8080, 8443, 8082, 9180].map(|port| SocketAddr::new(address, port));
        let tls = Arc::new(tls);
        Self { source, authority, folder, web, websecure, balanced, admin, child: None, tls }
    }

    /// Something among its files.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The API server.
    ///
    /// # Panics
    /// If the objects are in a folder.
    pub(crate) fn api(&self) -> &Api {
        let Source::Cluster(api) = &self.source else { panic!("there is no API server") };
        api
    }

    /// Stores an object: version, kind and plural.
    fn put(&self, [version, kind, plural]: [&str; 3], mut object: Value) {
        match &self.source {
            Source::Folder => {
                object["apiVersion"] = json!(version);
                object["kind"] = json!(kind);
                let name = object["metadata"]["name"].as_str().expect("a name");
                let (file, aside) = (format!("manifests/{kind}-{name}.json"), self.file("aside"));
                fs::write(&aside, object.to_string()).expect("a folder of ours");
                fs::rename(aside, self.file(&file)).expect("a folder of ours");
            }
            Source::Cluster(api) => {
                api.put(plural, object);
            }
        }
    }

    /// An Ingress for a host, whose Service is not there.
    pub(crate) fn serve(&self, host: &str) {
        self.put(INGRESS, crate::api::ingress(host));
    }

    /// A Service, and an Ingress that sends a host to it. `of_service` and `of_ingress` are annotations.
    pub(crate) fn route(&self, name: &str, of_service: &Value, of_ingress: &Value) {
        let ports = json!([{"name": "http", "port": 80}]);
        let metadata = json!({"namespace": "ns", "name": name, "annotations": of_service});
        self.put(
            ["v1", "Service", "services"],
            json!({"metadata": metadata, "spec": {"ports": ports}}),
        );
        let backend = json!({"service": {"name": name, "port": {"name": "http"}}});
        let path = json!({"path": "/", "pathType": "Prefix", "backend": backend});
        let host = format!("{name}.example");
        let mut spec = json!({
            "ingressClassName": "ravelin",
            "rules": [{"host": host, "http": {"paths": [path]}}],
        });
        if name.starts_with("tls") {
            spec["tls"] = json!([{"hosts": [host], "secretName": name}]);
        }
        let metadata = json!({"namespace": "ns", "name": name, "annotations": of_ingress});
        self.put(INGRESS, json!({"metadata": metadata, "spec": spec}));
    }

    /// An endpoint of a Service, in one of the states that metrics tell.
    pub(crate) fn endpoint(
        &self,
        service: &str,
        number: u8,
        addr: SocketAddr,
        state: EndpointState,
    ) {
        let labels = json!({"kubernetes.io/service-name": service});
        let conditions = match state {
            EndpointState::Ready => json!({"ready": true}),
            EndpointState::NotReady => json!({"ready": false, "serving": false}),
            EndpointState::Terminating => {
                json!({"ready": false, "serving": true, "terminating": true})
            }
        };
        self.put(
            ["discovery.k8s.io/v1", "EndpointSlice", "endpointslices"],
            json!({
                "metadata": {"namespace": "ns", "name": format!("{service}-{number}"), "labels": labels},
                "addressType": "IPv4",
                "endpoints": [{"addresses": [addr.ip().to_string()], "conditions": conditions}],
                "ports": [{"name": "http", "port": addr.port(), "protocol": "TCP"}],
            }),
        );
    }

    /// The Secret of a host with TLS: valid from a year ago until then.
    pub(crate) fn secret(&self, name: &str, until: SystemTime) {
        let mut params = CertificateParams::new(vec![format!("{name}.example")]).expect("a name");
        params.not_before = (until - Duration::from_secs(365 * 86400)).into();
        params.not_after = until.into();
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.authority).expect("a certificate");
        let [certificate, key] = [certificate.pem(), key.serialize_pem()];
        let data = json!({
            "tls.crt": BASE64_STANDARD.encode(certificate),
            "tls.key": BASE64_STANDARD.encode(key),
        });
        let metadata = json!({"namespace": "ns", "name": name});
        let secret = json!({"metadata": metadata, "type": "kubernetes.io/tls", "data": data});
        self.put(["v1", "Secret", "secrets"], secret);
    }

    /// The tables that say where the objects are.
    fn source(&self) -> String {
        let Source::Cluster(api) = &self.source else {
            let folder = self.file("manifests");
            return format!("[source]\nkind = \"directory\"\ndirectory = {folder:?}\n");
        };
        let kubeconfig = self.file("kubeconfig");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             clusters: [{{name: c, cluster: {{server: \"http://{}\"}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
             users: [{{name: u, user: {{}}}}]\n",
            api.addr()
        );
        fs::write(&kubeconfig, text).expect("a folder of ours");
        format!(
            "[source]\nkind = \"kubernetes\"\nkubeconfig = {kubeconfig:?}\n\
             consistency_check = \"200ms\"\nrequest_timeout = \"2s\"\n"
        )
    }

    fn config(&self, listener: &str, tables: &str) -> String {
        let [web, websecure, balanced, admin] =
            [self.web, self.websecure, self.balanced, self.admin].map(|it| it.to_string());
        let source = self.source();
        format!(
            "workers = 1\n\
             [[listener]]\nname = \"web\"\naddress = {web:?}\nadmit = [\"loopback\"]\n{listener}\n\
             [[listener]]\nname = \"websecure\"\nprotocol = \"https\"\naddress = {websecure:?}\n\
             admit = [\"loopback\"]\n\
             [[listener]]\nname = \"balanced\"\naddress = {balanced:?}\nadmit = [\"cloudflare\"]\n\
             proxy_protocol_from = [\"127.0.0.0/8\"]\n\
             [admin]\naddress = {admin:?}\n\
             [log]\naccess = \"off\"\n\
             [metrics]\nper_route = \"all\"\n\
             [timeouts]\ndrain = \"1s\"\ndrain_idle = \"20ms\"\n{source}{tables}\n"
        )
    }

    /// Runs ravelin until it is ready; `listener` and `tables` are further lines of its configuration.
    pub(crate) fn run(&mut self, listener: &str, tables: &str) {
        let file = self.file("ravelin.toml");
        fs::write(&file, self.config(listener, tables)).expect("a folder of ours");
        let child = Command::new(env!("CARGO_BIN_EXE_ravelin"))
            .args(["run", "--config"])
            .arg(&file)
            .env("POD_NAMESPACE", "ravelin")
            .env("POD_NAME", "ravelin-1")
            .env("NODE_NAME", "node-1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(self.file("log")).expect("a folder of ours"))
            .spawn();
        self.child = Some(child.expect("cargo has built it"));
        let log = self.file("log");
        eventually("ravelin is ready", || {
            let ended = matches!(self.child.as_mut()?.try_wait(), Ok(Some(_)));
            assert!(!ended, "{}", fs::read_to_string(&log).unwrap_or_default());
            get(self.admin, "/readyz").filter(|(status, _)| *status == 200)
        });
    }

    /// Gives it another configuration by SIGHUP.
    pub(crate) fn reload(&self, listener: &str, tables: &str) {
        fs::write(self.file("ravelin.toml"), self.config(listener, tables))
            .expect("a file of ours");
        let id = self.child.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args(["-s", "HUP", &id]).status().expect("kill").success());
    }

    /// Ends it as a machine that loses its power does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The status that a host gets without TLS.
    pub(crate) fn ask(&self, host: &str) -> u16 {
        ask(self.web, host, "/").map_or(0, |(status, _)| status)
    }

    /// The same as an address of Cloudflare's, behind a balancer.
    pub(crate) fn ask_by_cloudflare(&self, host: &str) -> u16 {
        let Ok(mut stream) = TcpStream::connect(self.balanced) else { return 0 };
        let request = format!(
            "PROXY TCP4 104.16.0.1 192.0.2.1 1024 80\r\nGET / HTTP/1.0\r\nHost: {host}\r\n\
             CF-Connecting-IP: 8.8.8.8\r\nCF-Ray: 230b030023ae2822-SJC\r\n\r\n"
        );
        let mut answer = Vec::new();
        let sent = stream.write_all(request.as_bytes());
        let read = sent.and_then(|()| stream.read_to_end(&mut answer));
        read.map_or(0, |_| status(&answer))
    }

    /// The same with TLS; 0 if the handshake fails.
    pub(crate) fn ask_tls(&self, host: &str) -> u16 {
        let Ok(socket) = TcpStream::connect(self.websecure) else { return 0 };
        let Ok(mut stream) = handshake(socket, &self.tls, host) else { return 0 };
        let request = format!("GET / HTTP/1.0\r\nHost: {host}\r\n\r\n");
        let mut answer = Vec::new();
        let sent = stream.write_all(request.as_bytes());
        // It ends without a close_notify, as many servers do.
        let _ = sent.and_then(|()| stream.read_to_end(&mut answer));
        status(&answer)
    }
}

/// The status of an answer; 0 without one.
fn status(answer: &[u8]) -> u16 {
    let status = answer.get(9..12).and_then(|code| str::from_utf8(code).ok());
    status.and_then(|code| code.parse().ok()).unwrap_or(0)
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.kill();
    }
}
