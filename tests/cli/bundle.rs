//! `ravelin bundle`: what is in it, and that no secret is.

use crate::admin::{BALANCED, SESAME, SHOP, visit};
use crate::eventually::eventually;
use crate::program::{command, ravelin};
use crate::running::{Running, folder};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Secrets at every place of the manifests that has some, and in mistakes beside them.
const SECRETS: &str = r#"
---
apiVersion: v1
kind: Secret
metadata: {namespace: ns, name: users}
stringData: {users: "ann:$apr1$SESAME-4711$abc", auth: "SESAME-4711", tls.key: "SESAME-4711"}
---
apiVersion: v1
kind: Secret
metadata: {namespace: ns, name: broken-tls}
type: kubernetes.io/tls
data: {tls.crt: U0VTQU1FLTQ3MTE=, tls.key: U0VTQU1FLTQ3MTE=}
---
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {namespace: ns, name: login}
spec: {basicAuth: {secret: users}}
---
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {namespace: ns, name: head}
spec: {headers: {customRequestHeaders: {Authorization: "Bearer SESAME-4711", X-Key: "SESAME-4711"}}}
---
apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: {namespace: ns, name: mistaken}
spec: {basicAuth: {users: ["ann:SESAME-4711"], password: "SESAME-4711"}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  namespace: ns
  name: secured
  annotations:
    traefik.ingress.kubernetes.io/router.middlewares: ns-login@kubernetescrd,ns-head@kubernetescrd
    ravelin.dev/secret-header: X-Proof
    ravelin.dev/secret-header-secret: users/auth
spec:
  ingressClassName: ravelin
  tls: [{hosts: [secured.example], secretName: broken-tls}]
  rules:
    - host: secured.example
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
"#;

/// The files of a bundle of a process.
const OF_PROCESS: [&str; 13] = [
    "README.md",
    "access.jsonl",
    "certificates.json",
    "failures.json",
    "findings.json",
    "gate.json",
    "metrics.txt",
    "pods.json",
    "ravelin.toml",
    "requests.json",
    "routes.json",
    "status.json",
    "system.json",
];

/// A folder whose files are full of secrets.
fn planted() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let more = format!(
        "{BALANCED}[log]\naccess = {:?}\n# a note: {SESAME}\n[cloudflare]\nsecret_header = \"X-{SESAME}\"\n\
         secret_file = {:?}\n[crowdsec]\nurl = \"http://127.0.0.1:1\"\napi_key_file = {:?}\n",
        path("access.log"),
        path("secret.txt"),
        path("key.txt"),
    );
    let made = crate::running::folder(&more);
    let text = fs::read_to_string(made.path().join("ravelin.toml")).expect("a file of ours");
    let text =
        text.replace(&made.path().display().to_string(), &folder.path().display().to_string());
    fs::write(folder.path().join("ravelin.toml"), text).expect("a new file");
    for name in ["secret.txt", "key.txt"] {
        fs::write(folder.path().join(name), format!("{SESAME}-{name}-abcdefgh\n"))
            .expect("a new file");
    }
    fs::create_dir(folder.path().join("manifests")).expect("a new folder");
    fs::write(folder.path().join("manifests/all.yaml"), format!("{SHOP}{SECRETS}"))
        .expect("a new file");
    folder
}

/// The files of a directory, or of an archive that `tar` unpacks.
fn files(of: &Path) -> BTreeMap<String, String> {
    let all = fs::read_dir(of).expect("a directory").map(|entry| entry.expect("an entry"));
    let read = |path: &Path| fs::read_to_string(path).expect("text");
    all.map(|entry| (entry.file_name().to_string_lossy().into_owned(), read(&entry.path())))
        .collect()
}

fn has_no_secret(files: &BTreeMap<String, String>) {
    for (name, text) in files {
        // In Base64, too.
        for secret in [SESAME, "U0VTQU1FLTQ3MTE", "PRIVATE KEY"] {
            assert!(!text.contains(secret), "{name} has {secret}: {text}");
        }
    }
}

#[test]
fn a_bundle_of_a_process_has_what_helps_and_no_secret() {
    let mut running = Running::begin(planted(), Stdio::null());
    running.listener();
    let balanced = running.listener();
    visit(balanced, "/cart", "8f2b3c4d5e6f7a8b-FRA");
    let path = |name: &str| running.folder.path().join(name);
    eventually("a line", || {
        fs::read_to_string(path("access.log")).ok().filter(|log| log.contains("/cart"))
    });
    let (config, to) = (path("ravelin.toml"), path("bundle.tar.gz"));
    let line = [
        "bundle",
        "--config",
        config.to_str().expect("UTF-8"),
        "--output",
        to.to_str().expect("UTF-8"),
    ];
    let ran = ravelin(&line);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    let unpacked =
        Command::new("tar").arg("xzf").arg(&to).arg("-C").arg(running.folder.path()).status();
    assert!(unpacked.expect("tar").success());
    let files = files(&path("ravelin-bundle"));
    has_no_secret(&files);
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(names, OF_PROCESS);
    let json = |name: &str| serde_json::from_str::<Value>(&files[name]).expect("JSON");
    assert_eq!(json("failures.json")[0]["path"], "/cart");
    assert_eq!(json("status.json")["version"], env!("CARGO_PKG_VERSION"));
    assert!(json("routes.json").as_array().is_some_and(|routes| routes.len() == 2));
    assert!(json("gate.json")["ports"][0]["mode"].is_string());
    let system = json("system.json");
    assert!(
        system["sysctl"]["net/core/somaxconn"].is_string() && system["open_files"]["soft"].is_u64()
    );
    assert!(files["metrics.txt"].contains("ravelin_requests_total"));
    assert!(files["ravelin.toml"].contains("proxy_protocol_from"));
    assert!(
        files["access.jsonl"].contains("\"path\":\"/cart\"")
            && !files["access.jsonl"].contains("203.0.113.7")
    );
    for name in &OF_PROCESS[1..] {
        assert!(files["README.md"].contains(&format!("`{name}`: ")), "{name}");
    }
    // It is not overwritten.
    let again = ravelin(&line);
    assert_eq!(again.code, 73);
    assert!(again.err.contains("name a new file"), "{}", again.err);
}

#[test]
fn a_bundle_without_a_process_tells_what_the_configuration_would_serve() {
    let folder = planted();
    let (config, to) = (folder.path().join("ravelin.toml"), folder.path().join("bundle/"));
    let (config, to) = (config.to_str().expect("UTF-8"), format!("{}/", to.display()));
    let ran =
        ravelin(&["bundle", "--config", config, "--offline", "--log-lines", "0", "--output", &to]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    let all = files(Path::new(&to));
    has_no_secret(&all);
    let names: Vec<&str> = all.keys().map(String::as_str).collect();
    assert_eq!(names, ["README.md", "findings.json", "ravelin.toml", "routes.json", "system.json"]);
    assert!(all["routes.json"].contains("shop.example"));
    // The process is not there: that is told, and the rest is made.
    let ran = command(&["bundle", "--config", config, "--output", "-"]).output().expect("it runs");
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(1), "{told}");
    assert!(told.contains("missing: the process: no answer from"), "{told}");
    assert_eq!(ran.stdout.get(..2), Some(&[0x1f, 0x8b][..]), "gzip");
}

#[test]
fn a_configuration_that_is_no_toml_is_not_in_the_bundle() {
    let folder = folder("");
    let config = folder.path().join("ravelin.toml");
    fs::write(&config, format!("token = \"{SESAME}\nx")).expect("a file of ours");
    let to = format!("{}/bundle/", folder.path().display());
    let ran = ravelin(&["bundle", "--config", config.to_str().expect("UTF-8"), "--output", &to]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("ravelin.toml: it is not valid TOML"), "{}", ran.err);
    let all = files(Path::new(&to));
    has_no_secret(&all);
    assert!(all["README.md"].contains("it is not valid TOML"));
}
