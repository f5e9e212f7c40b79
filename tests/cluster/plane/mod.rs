//! A real control plane: etcd, kube-apiserver with RBAC and, if wanted, kube-controller-manager,
//! as processes without containers.
//!
//! [`Plane::shared`] is the one for ordinary tests, each in a namespace of its own; a test that
//! kills, stops or restores a server starts its own by [`Plane::start`], which takes three seconds
//! and 350 MB. All servers listen on 127.0.0.1, keep their ports when they are started again, and
//! end with the test, however that ends.

mod access;
mod api;
mod assets;
mod authority;
mod connection;
mod etcd;
mod flags;
mod group;
mod kubectl;
mod kubelet;
mod namespace;
mod place;
mod server;

pub(crate) use api::{Api, Heard, Watch};
pub(crate) use connection::{Connection, Response};

use authority::Authority;
use group::Group;
use place::Place;
use serde_json::{Value, json};
use server::{Port, Server};
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::{fs, thread};

/// The administrator's kubeconfig, in the plane's folder.
const ADMIN_KUBECONFIG: &str = "admin.kubeconfig";
/// The data of etcd, in the plane's folder.
const ETCD_DATA: &str = "etcd-data";

/// A control plane. It is killed, and its folder removed, when this is dropped; if the test has
/// failed, the ends of its logs are shown and the logs kept.
pub(crate) struct Plane {
    api: Api,
    etcd_api: Api,
    controllers: Option<Server>,
    api_server: Server,
    etcd: Server,
    ports: [Port; 3],
    authority: Authority,
    programs: PathBuf,
    folder: PathBuf,
    /// Last but one, because it removes the folder.
    group: Group,
    _place: Option<Place>,
}

impl Plane {
    /// Starts one without controllers. `None`: it cannot be had here, and the reason has been said.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(false, &[])
    }

    /// Starts one with or without controllers, and with further flags of the API server.
    pub(crate) fn start_with(controllers: bool, api_server_flags: &[&str]) -> Option<Self> {
        let programs = namespace::enter()?;
        let place = Place::wait();
        let controllers: Option<&[&str]> = controllers.then_some(&[]);
        Self::start_in(&programs, Some(place), controllers, api_server_flags)
    }

    /// Starts one with controllers, also that of DaemonSets, whose API server listens at all addresses of this
    /// network: other namespaces reach it under [`Plane::for_elsewhere`].
    pub(crate) fn start_for_nodes() -> Option<Self> {
        let programs = namespace::enter()?;
        let place = Place::wait();
        let controllers: Option<&[&str]> = Some(&[flags::DAEMONS]);
        Self::start_in(&programs, Some(place), controllers, &["--bind-address=0.0.0.0"])
    }

    fn start_in(
        programs: &Path,
        place: Option<Place>,
        controllers: Option<&[&str]>,
        api_server_flags: &[&str],
    ) -> Option<Self> {
        // The group removes it.
        let folder = tempfile::Builder::new().prefix("ravelin-plane-").tempdir();
        let folder = folder.expect("a temporary directory").keep();
        let group = Group::new(&folder);
        let authority = Authority::create(&folder);
        let ports = [Port::reserve(), Port::reserve(), Port::reserve()];
        let [etcd, api_server, manager] = [0, 1, 2].map(|at: usize| ports[at].addr);
        let server = |name, flags| Server::new(name, programs, &folder, &group, flags);
        let admin = folder.join(ADMIN_KUBECONFIG);
        let mut of_api_server = flags::api_server(&authority, etcd, api_server);
        of_api_server.extend(api_server_flags.iter().map(|&flag| flag.to_owned()));
        let more = controllers.unwrap_or_default();
        let of_manager = flags::controllers(&authority, &admin, manager, more);
        let plane = Self {
            etcd: server("etcd", flags::etcd(&folder.join(ETCD_DATA), etcd)),
            api_server: server("kube-apiserver", of_api_server),
            controllers: controllers.map(|_| server("kube-controller-manager", of_manager)),
            api: Api::new(api_server, Some(authority.client(true)), None),
            etcd_api: Api::new(etcd, None, None),
            ports,
            authority,
            programs: programs.to_owned(),
            folder,
            group,
            _place: place,
        };
        plane.write_kubeconfig(&admin, &plane.authority.admin_user());
        plane.restart_etcd();
        plane.restart_api_server();
        plane.restart_controllers();
        // It is made some time after the server says that it is ready.
        let made = || (plane.get("/api/v1/namespaces/default").status == 200).then_some(());
        crate::eventually("the namespace `default`", made);
        Some(plane)
    }

    /// The one of this process, with controllers. It runs until the process ends. A test makes a
    /// namespace of its own in it and disturbs no server.
    pub(crate) fn shared() -> Option<Shared> {
        static PLANE: OnceLock<Option<Plane>> = OnceLock::new();
        let start = || Self::start_in(&namespace::enter()?, None, Some(&[]), &[]);
        PLANE.get_or_init(start).as_ref().map(Shared)
    }

    /// Where the API server listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.ports[1].addr
    }

    /// The process group of its servers, which ends with it, however the test ends.
    pub(crate) fn group(&self) -> i32 {
        self.group.id()
    }

    /// A client with all rights.
    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    /// Reads, with all rights.
    pub(crate) fn get(&self, path: &str) -> Response {
        self.request("GET", path, None)
    }

    /// Asks for anything, with all rights. A PATCH is a strategic merge.
    pub(crate) fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Response {
        self.api.request(method, path, body)
    }

    /// Makes an object, which has to succeed, and returns it.
    pub(crate) fn create(&self, path: &str, object: &Value) -> Value {
        let response = self.request("POST", path, Some(object));
        assert!([200, 201].contains(&response.status), "{path}: {}", response.body);
        response.json()
    }

    /// Replaces an object, which has to succeed.
    pub(crate) fn put(&self, path: &str, object: &Value) {
        let response = self.request("PUT", path, Some(object));
        assert_eq!(response.status, 200, "{path}: {}", response.body);
    }

    /// Makes a namespace.
    pub(crate) fn namespace(&self, name: &str) {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.create("/api/v1/namespaces", &namespace);
    }

    /// Gives the API server another certificate of the same authority. It reads it by itself.
    pub(crate) fn renew_certificate(&self) {
        self.authority.renew_server();
    }

    /// Kills the API server: connections and watches are cut.
    pub(crate) fn kill_api_server(&self) {
        self.api_server.kill();
    }

    /// Stops the API server (SIGSTOP): connections open, and nothing is said on any.
    pub(crate) fn stop_api_server(&self) {
        self.api_server.signal("STOP");
    }

    /// Lets a stopped API server go on.
    pub(crate) fn continue_api_server(&self) {
        self.api_server.signal("CONT");
    }

    /// Starts the API server, killed or not, at its address, and waits until it is ready.
    pub(crate) fn restart_api_server(&self) {
        self.api_server.start(|| is_well(&self.api, "/readyz"));
    }

    /// Kills etcd: the API server answers lists and watches from its cache, and no write.
    pub(crate) fn kill_etcd(&self) {
        self.etcd.kill();
    }

    /// Stops etcd (SIGSTOP).
    pub(crate) fn stop_etcd(&self) {
        self.etcd.signal("STOP");
    }

    /// Lets a stopped etcd go on.
    pub(crate) fn continue_etcd(&self) {
        self.etcd.signal("CONT");
    }

    /// Starts etcd, killed or not, on the data it has, and waits until it is ready.
    pub(crate) fn restart_etcd(&self) {
        self.etcd.start(|| is_well(&self.etcd_api, "/readyz"));
    }

    /// Starts the controllers, if this plane has any, and waits until they are well.
    pub(crate) fn restart_controllers(&self) {
        if let Some(controllers) = &self.controllers {
            let api = Api::new(self.ports[2].addr, Some(self.authority.client(false)), None);
            controllers.start(|| is_well(&api, "/healthz"));
        }
    }

    fn etcd_data(&self) -> PathBuf {
        self.folder.join(ETCD_DATA)
    }

    /// Shows the ends of the logs (in the output of the test), and keeps the logs where the build keeps such things.
    #[expect(clippy::print_stderr, reason = "the output of a test that has failed")]
    fn show_logs(&self) {
        let name = self.folder.file_name().expect("a folder in the temporary one");
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        // What cannot be kept is shown all the same.
        let _ = fs::create_dir_all(&kept);
        for server in [Some(&self.etcd), Some(&self.api_server), self.controllers.as_ref()] {
            let Some(server) = server else { continue };
            eprintln!("{}", server.last_words());
            let log = server.log();
            let _ = fs::copy(log, kept.join(log.file_name().expect("a file")));
        }
        eprintln!("--- the whole logs are in {}", kept.display());
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        if thread::panicking() {
            self.show_logs();
        }
    }
}

/// The shared plane, in the hands of one test.
pub(crate) struct Shared(&'static Plane);

impl Deref for Shared {
    type Target = Plane;

    fn deref(&self) -> &Plane {
        self.0
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Once: the logs are those of all tests.
        static SHOWN: Mutex<bool> = Mutex::new(false);
        if thread::panicking()
            && let Ok(mut shown) = SHOWN.lock()
            && !std::mem::replace(&mut *shown, true)
        {
            self.0.show_logs();
        }
    }
}

fn is_well(api: &Api, path: &str) -> bool {
    api.try_request("GET", path, None).is_ok_and(|answer| answer.status == 200)
}
