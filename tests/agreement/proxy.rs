//! The proxy in this process, and the directory that it follows.

use ravelin::app::App;
use ravelin::config::Config;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a change may take to be served before the test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A host that the manifests of a case have and no request asks for: where it leads somewhere, they
/// are in force.
pub(crate) fn marker(case: u32) -> String {
    format!("case-{case}.marker.test")
}

pub(crate) struct Proxy {
    app: App,
    /// What is served, and beside it where files are prepared.
    place: TempDir,
    served: Option<PathBuf>,
}

impl Proxy {
    pub(crate) fn start() -> Self {
        let place = TempDir::new().expect("a temporary directory");
        for name in ["served", "aside"] {
            std::fs::create_dir(place.path().join(name)).expect("a directory of ours");
        }
        let text = format!(
            "workers = 1\n\
             [[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\nadmit = [\"loopback\"]\n\
             [cloudflare]\nrefresh = \"off\"\n\
             [source]\nkind = \"directory\"\ndirectory = {:?}\n\
             [admin]\naddress = \"127.0.0.1:0\"\n\
             [log]\naccess = \"off\"\n\
             [timeouts]\ndrain = \"1s\"\ndrain_idle = \"10ms\"\n\
             [limits]\nconnections = 100\n",
            place.path().join("served")
        );
        let config = Config::parse(&text, "test").expect("the configuration is valid");
        let app = App::start(config).expect("the proxy starts");
        Self { app, place, served: None }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.app.listeners()[0]
    }

    /// Replaces what is served, waits until it is in force, and returns where it is.
    pub(crate) fn serve(&mut self, files: &[(String, String)], case: u32) -> PathBuf {
        let [served, aside] = ["served", "aside"].map(|name| self.place.path().join(name));
        let name = format!("case-{case}");
        let (prepared, directory) = (aside.join(&name), served.join(&name));
        std::fs::create_dir(&prepared).expect("a name of its own");
        for (file, text) in files {
            std::fs::write(prepared.join(file), text).expect("a file of ours");
        }
        if let Some(old) = self.served.replace(directory.clone()) {
            let gone = aside.join(format!("before-{case}"));
            std::fs::rename(old, gone).expect("both are in one file system");
        }
        std::fs::rename(prepared, &directory).expect("both are in one file system");
        self.wait_until_in_force(case);
        directory
    }

    fn wait_until_in_force(&self, case: u32) {
        let started = Instant::now();
        let (new, old) = (marker(case), marker(case - 1));
        loop {
            let table = self.app.table();
            // Another rule or default backend may be for every host.
            let has = |host: &str| {
                table.lookup(host, "/marker").is_some_and(|id| table.route(id).host == host)
            };
            if has(&new) && !has(&old) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "case {case} is not served");
            thread::park_timeout(Duration::from_millis(1));
        }
    }

    pub(crate) fn stop(self) {
        self.app.stop();
    }
}
