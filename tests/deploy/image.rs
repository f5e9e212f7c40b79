//! The image, built by `deploy/image/build` and started as a pod starts it: a read-only root, another
//! user, few capabilities, no way to more of them, and ports 80 and 443 in a network of its own.

use crate::container::{ARGUMENTS, GRANTED, ROOT, USER, set};
use crate::eventually;
use crate::{deploy, program, skipped};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// How long a test waits for what has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The configuration of the containers: a directory, because there is no cluster.
const CONFIG: &str = r#"
workers = 2
[[listener]]
name = "web"
address = "[::]:80"
admit = ["loopback"]
[[listener]]
name = "websecure"
address = "[::]:443"
protocol = "https"
admit = ["loopback"]
[cloudflare]
refresh = "off"
[source]
kind = "directory"
directory = "/etc/ravelin"
[admin]
socket = "/run/ravelin/admin.sock"
[state]
directory = "/var/lib/ravelin"
"#;

/// A built image in a store of its own.
struct Image {
    store: TempDir,
    /// Its files, of a container made of it.
    root: PathBuf,
}

impl Image {
    /// Builds it. `None`: it cannot be built here, and the reason has been said.
    fn build() -> Option<Self> {
        let root = rustix::thread::capabilities(None).expect("Linux").effective;
        if !root.contains(CapabilitySet::SYS_ADMIN | CapabilitySet::SETFCAP) {
            skipped("an image is built and started by root alone");
            return None;
        }
        let needed = ["buildah", "setcap", "readelf", "unshare", "nsenter", "mount", "ip", "curl"];
        if let Some(missing) = needed.into_iter().find(|name| program(name).is_none()) {
            skipped(&format!("{missing} is not installed, and no image is built"));
            return None;
        }
        let store = tempfile::tempdir().expect("a temporary folder");
        let mut image = Self { store, root: PathBuf::new() };
        // Where these tests were built: what runs on the build's side is there already.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("in the target folder");
        let mut build = Command::new(deploy("image/build"));
        build
            .args(["--tag", "ravelin:test", "--profile", "rough", "--archive"])
            .arg(image.archive());
        build.env("BUILDAH_OPTIONS", image.options().join(" ")).env("CARGO_TARGET_DIR", target);
        assert_eq!(output(&mut build).lines().last(), Some("ravelin:test"));
        image.buildah(&["from", "--name", "pod", "ravelin:test"]);
        image.root = image.buildah(&["mount", "pod"]).trim().into();
        Some(image)
    }

    fn archive(&self) -> PathBuf {
        self.store.path().join("ravelin.tar")
    }

    /// The name under which containerd keeps the image of the archive: it takes a reference with `/`,
    /// `:` or `@` in it as it is (`AddRefPrefix` in core/images/archive/reference.go of containerd).
    fn imported_name(&self) -> String {
        let mut tar = Command::new("tar");
        let index = output(tar.arg("-xOf").arg(self.archive()).arg("index.json"));
        let index: Value = serde_json::from_str(&index).expect("JSON");
        let [image] = &index["manifests"].as_array().expect("a list")[..] else {
            panic!("one image: {index}")
        };
        image["annotations"]["org.opencontainers.image.ref.name"]
            .as_str()
            .expect("a name")
            .to_owned()
    }

    fn options(&self) -> Vec<String> {
        let folder = self.store.path();
        let of = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
        let words = ["--storage-driver", "vfs", "--root", &of("root"), "--runroot", &of("run")];
        words.map(str::to_owned).to_vec()
    }

    fn buildah(&self, line: &[&str]) -> String {
        output(
            Command::new(program("buildah").expect("tried before")).args(self.options()).args(line),
        )
    }

    /// What a runtime is told by the image.
    fn settings(&self) -> Value {
        let text = self.buildah(&["inspect", "--type", "image", "ravelin:test"]);
        let image: Value = serde_json::from_str(&text).expect("JSON");
        image["OCIv1"]["config"].clone()
    }
}

/// Runs a program to its end, which has to be a good one, and returns what it prints.
fn output(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// A pod's container, in a network and with mounts of its own. Killed when dropped.
struct Container {
    child: Child,
    folder: TempDir,
}

impl Container {
    fn start(image: &Image, granted: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("ours");
        fs::write(folder.path().join("ravelin.toml"), CONFIG).expect("a new file");
        let log = File::create(folder.path().join("log")).expect("a new file");
        // Mount points are made before the root becomes read-only, as runtimes do.
        let script = format!(
            "ip link set lo up\n\
             cd \"${ROOT}\"\n\
             mkdir -p etc/ravelin run/ravelin var/lib/ravelin proc\n\
             mount --bind . .\n\
             mount -o remount,bind,ro \"${ROOT}\"\n\
             cd \"${ROOT}\"\n\
             for place in run/ravelin var/lib/ravelin; do mount -t tmpfs -o mode=1777 none $place; done\n\
             mount --bind \"$CONFIG\" etc/ravelin\n\
             exec \"$0\" {ARGUMENTS}\n"
        );
        let child = Command::new(program("unshare").expect("tried before"))
            .args(["--net", "--mount", "--propagation", "private", "sh", "-e", "-c", &script])
            .arg(std::env::current_exe().expect("Linux"))
            .env("CONFIG", folder.path())
            .env(ROOT, &image.root)
            .env(GRANTED, granted)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn()
            .expect("unshare runs");
        Self { child, folder }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("it is there")
    }

    /// A file of it in /proc.
    fn proc(&self, name: &str) -> PathBuf {
        format!("/proc/{}/{name}", self.child.id()).into()
    }

    /// A page of the admin side, as soon as there is one.
    fn page(&self, target: &str) -> String {
        let socket = self.proc("root/run/ravelin/admin.sock");
        let mut stream = eventually("the admin side answers", || UnixStream::connect(&socket).ok());
        let request = format!("GET {target} HTTP/1.0\r\nHost: a\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    /// Runs a program of ours in some of its namespaces.
    fn beside(&self, namespaces: &[&str], line: &[&str]) -> String {
        let mut command = Command::new(program("nsenter").expect("tried before"));
        command.arg("--target").arg(self.child.id().to_string()).args(namespaces).args(line);
        output(&mut command)
    }

    /// Checks user, capabilities, root, and that it serves on ports 80 and 443 and to probes.
    fn serves_as_a_pod(&self, granted: &str) {
        assert!(self.page("/readyz").starts_with("HTTP/1.0 200 "), "{}", self.log());
        let status = fs::read_to_string(self.proc("status")).expect("it runs");
        let user = format!("{USER}\t{USER}\t{USER}\t{USER}");
        assert_eq!((field(&status, "Uid"), field(&status, "Gid")), (&*user, &*user));
        assert_eq!((field(&status, "Groups"), field(&status, "NoNewPrivs")), ("", "1"));
        let held = format!("{:016x}", set(granted).bits());
        for sets in ["CapPrm", "CapBnd"] {
            assert_eq!(field(&status, sets), held, "{sets}");
        }
        let mounts = fs::read_to_string(self.proc("mountinfo")).expect("it runs");
        let root = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        // The last one covers those before it.
        let root = root.rev().find(|words| words[4] == "/").expect("a root");
        assert!(root[5].starts_with("ro,"), "{root:?}");
        let url = "http://[::1]/";
        let line = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-g", url];
        assert_eq!(self.beside(&["--net"], &line), "404", "there is no route");
        // Open without a certificate: the handshake is refused (35), and not the connection (7).
        let line = "curl -s -k -g https://[::1]/ >/dev/null; printf %s $?";
        assert_eq!(self.beside(&["--net"], &["sh", "-c", line]), "35");
        let user = USER.to_string();
        let inside = ["--mount", "--root", "--setuid", &user, "--setgid", &user];
        let probe = ["/ravelin", "probe", "ready", "--socket", "/run/ravelin/admin.sock"];
        assert_eq!(self.beside(&inside, &probe), "ok\n");
        self.clients_are_read_without_capabilities();
    }

    fn clients_are_read_without_capabilities(&self) {
        let mut workers = 0;
        for task in fs::read_dir(self.proc("task")).expect("it runs") {
            let task = task.expect("a readable entry").path();
            let name = fs::read_to_string(task.join("comm")).expect("it runs");
            if name.starts_with("worker-") || ["accept\n", "admin\n"].contains(&&*name) {
                let status = fs::read_to_string(task.join("status")).expect("it runs");
                assert_eq!(field(&status, "CapPrm"), "0000000000000000", "{name}");
                workers += 1;
            }
        }
        assert_eq!(workers, 4, "two workers, one that accepts, one for the admin port");
    }

    /// Who keeps strangers out.
    fn mode(&self) -> String {
        let page = self.page("/metrics");
        let modes = page.lines().filter_map(|line| {
            let labels = line.strip_prefix("ravelin_admission_mode{")?;
            let (labels, value) = labels.split_once("} ")?;
            (labels.contains("listener=\"web\"") && value == "1").then_some(labels)
        });
        let modes: Vec<&str> = modes.collect();
        let [labels] = modes[..] else { panic!("{modes:?}") };
        let (_, mode) = labels.split_once("mode=\"").expect("a label");
        mode.split('"').next().unwrap_or_default().to_owned()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // It may have ended. Its namespaces end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line of /proc/PID/status.
fn field<'s>(status: &'s str, name: &str) -> &'s str {
    let mut lines = status.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(key, _)| *key == name);
    found.unwrap_or_else(|| panic!("no {name}")).1.trim()
}

/// Whether this kernel lets a socket have a filter without NET_ADMIN.
fn filters_are_free() -> bool {
    let attached = thread::spawn(|| {
        let none = CapabilitySet::empty();
        let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
        set_capabilities(None, sets).expect("fewer than before");
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        // BPF_RET | BPF_K: drop everything.
        socket.attach_filter(&[socket2::SockFilter::new(0x06, 0, 0, 0)]).is_ok()
    });
    attached.join().expect("no panic")
}

#[test]
fn the_image_holds_one_program_and_serves_as_a_pod_is_allowed_to() {
    let Some(image) = Image::build() else { return };
    let files: Vec<_> = fs::read_dir(&image.root).expect("a folder").collect();
    assert_eq!(files.len(), 1, "{files:?}");
    // What the kubelet asks for when a manifest says "ravelin:test".
    assert_eq!(image.imported_name(), "docker.io/library/ravelin:test");
    let settings = image.settings();
    assert_eq!(settings["User"], "65532:65532");
    assert_eq!(settings["Entrypoint"], json!(["/ravelin"]));
    assert_eq!(settings["Cmd"], json!(["run", "--config", "/etc/ravelin/ravelin.toml"]));

    let granted = "NET_BIND_SERVICE,NET_ADMIN";
    let container = Container::start(&image, granted);
    container.serves_as_a_pod(granted);
    assert_eq!(container.mode(), "kernel", "{}", container.log());
    drop(container);

    // A cluster that does not grant NET_ADMIN.
    let container = Container::start(&image, "NET_BIND_SERVICE");
    container.serves_as_a_pod("NET_BIND_SERVICE");
    let expected = if filters_are_free() { "kernel" } else { "trap" };
    assert_eq!(container.mode(), expected, "{}", container.log());
    drop(container);

    // One that grants nothing: the program starts, and says what it lacks.
    let mut container = Container::start(&image, "");
    let status = eventually("it ends", || container.child.try_wait().expect("our child"));
    let log = container.log();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("cannot bind [::]:80") && log.contains("NET_BIND_SERVICE"), "{log}");
}
