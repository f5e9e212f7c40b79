//! What `explain` says of the proofs that requests of a route came through the operator's own zone.

use crate::program::ravelin;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

const ALONE: &str = "address alone: every customer of Cloudflare can send from an admitted one";
const SHARED: &str = "Cloudflare's shared client certificate, which proves Cloudflare alone";

/// An Ingress of the name and host, with annotations.
fn ingress(name: &str, annotations: &Value) -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"namespace": "app", "name": name, "annotations": annotations},
        "spec": {"ingressClassName": "ravelin", "rules": [{"host": format!("{name}.example"),
            "http": {"paths": [{"path": "/", "pathType": "Prefix",
                "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}]}})
}

fn manifests() -> String {
    let secret = json!({"ravelin.dev/secret-header": "X-Origin-Auth",
        "ravelin.dev/secret-header-secret": "auth"});
    let mut all = secret.clone();
    all["ravelin.dev/access"] = "example/0a".into();
    all["ravelin.dev/worker-zones"] = "example.com, ann.workers.dev".into();
    all["ravelin.dev/max-cdn-passes"] = "1".into();
    let mut broken = secret.clone();
    broken["ravelin.dev/secret-header-secret"] = "nowhere".into();
    let items = [
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "app", "name": "s"},
            "spec": {"ports": [{"port": 80}]}}),
        json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"namespace": "app", "name": "auth"},
            "stringData": {"now": "0123456789abcdef"}}),
        ingress("all", &all),
        ingress("secret", &secret),
        ingress("broken", &broken),
        ingress("shared", &json!({})),
        ingress("asked", &json!({})),
        ingress("table", &json!({})),
        ingress("open", &json!({})),
    ];
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

/// A folder with a configuration and what it names, and the path of the configuration. `all` requires certificates of an
/// own authority, `shared` Cloudflare's; `asked` asks for one. `table` has rules of the configuration.
fn folder(cloudflare: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().expect("a temporary directory");
    let path = |name: &str| folder.path().join(name);
    let names = ["*.example".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("a name");
    fs::write(path("tls.crt"), made.cert.pem()).expect("a file of ours");
    fs::write(path("tls.key"), made.signing_key.serialize_pem()).expect("a file of ours");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "origin pulls");
    let key = KeyPair::generate().expect("a key");
    let authority = params.self_signed(&key).expect("a certificate");
    fs::write(path("ca.pem"), authority.pem()).expect("a file of ours");
    fs::write(path("values"), "fedcba9876543210\n").expect("a file of ours");
    fs::create_dir(path("manifests")).expect("a folder of ours");
    fs::write(path("manifests/all.json"), manifests()).expect("a file of ours");
    let text = format!(
        "[[listener]]\nname = \"tls\"\naddress = \"127.0.0.1:8443\"\nprotocol = \"https\"\n\
         [[certificate]]\ncert_file = {:?}\nkey_file = {:?}\n\
         [[client_certificate]]\nhosts = [\"all.example\"]\npolicy = \"require\"\nca_file = {:?}\n\
         [[client_certificate]]\nhosts = [\"shared.example\"]\npolicy = \"require\"\n\
         ca = \"cloudflare\"\n\
         [[client_certificate]]\nhosts = [\"asked.example\"]\npolicy = \"request\"\nca_file = {:?}\n\
         [[zone]]\nhosts = [\"table.example\"]\nsecret_header = \"X-Table\"\nsecret_file = {:?}\n\
         worker_zones = []\nmax_cdn_passes = 2\n\
         [cloudflare]\nrefresh = \"off\"\n{cloudflare}\n\
         [source]\nkind = \"directory\"\ndirectory = {:?}\n",
        path("tls.crt"),
        path("tls.key"),
        path("ca.pem"),
        path("ca.pem"),
        path("values"),
        path("manifests"),
    );
    fs::write(path("ravelin.toml"), text).expect("a file of ours");
    let config = path("ravelin.toml");
    (folder, config)
}

/// The lines of proofs for a host.
fn proofs(config: &str, host: &str, more: &[&str]) -> Vec<String> {
    let url = format!("https://{host}.example:8443/");
    let ran = ravelin(&[&["explain", "--config", config], more, &[&*url]].concat());
    assert_eq!(ran.err, "", "{host}");
    let lines = ran.out.lines().filter_map(|line| line.strip_prefix("proof"));
    lines.map(|line| line.trim().to_owned()).collect()
}

#[test]
fn the_strongest_proof_comes_first_and_the_address_only_alone() {
    let (_folder, config) = folder("");
    let config = config.to_str().expect("UTF-8");
    let [own, access, secret, workers, passes] = [
        "client certificate: require, of the CA \"CN=origin pulls\"",
        "token of Cloudflare Access, team example.cloudflareaccess.com (app/all: access)",
        "secret header x-origin-auth (app/all: secret-header)",
        "Workers of example.com, ann.workers.dev alone (app/all: worker-zones)",
        "once through Cloudflare, no other network (app/all: max-cdn-passes)",
    ];
    assert_eq!(proofs(config, "all", &[]), [own, access, secret, workers, passes]);
    let expected = ["secret header x-origin-auth (app/secret: secret-header)"];
    assert_eq!(proofs(config, "secret", &[]), expected);
    assert_eq!(proofs(config, "shared", &[]), [ALONE, SHARED]);
    let expected = [
        "secret header x-table (configuration: zone[0].secret_header)",
        "no Workers (configuration: zone[0].worker_zones)",
        "at most 2 times through Cloudflare, no other network (configuration: zone[0].max_cdn_passes)",
    ];
    assert_eq!(proofs(config, "table", &[]), expected);
    for host in ["open", "asked"] {
        assert_eq!(proofs(config, host, &[]), [ALONE], "{host}");
    }
    // It answers 503: there is nothing to get.
    assert_eq!(proofs(config, "broken", &[]), [""; 0]);
}

#[test]
fn what_is_asked_of_all_requests_of_cloudflare_counts_for_every_host() {
    let (folder, config) = folder("");
    let file = folder.path().join("values");
    let text = fs::read_to_string(&config).expect("ours").replace(
        "[cloudflare]\n",
        &format!(
            "[cloudflare]\nsecret_header = \"x-all\"\nsecret_file = {file:?}\nworker_zones = []\n"
        ),
    );
    fs::write(&config, text).expect("a file of ours");
    let all = [
        "secret header x-all (cloudflare.secret_header), of requests from Cloudflare's addresses",
        "no Workers (cloudflare.worker_zones)",
    ];
    assert_eq!(proofs(config.to_str().expect("UTF-8"), "open", &[]), all);
}

#[test]
fn json_names_kinds_and_what_a_request_would_meet_and_no_value() {
    let (_folder, config) = folder("");
    let line = ["explain", "--output", "json", "--config", config.to_str().expect("UTF-8")];
    let asked = |host: &str, more: &[&str]| {
        let url = format!("https://{host}.example:8443/");
        let ran = ravelin(&[&line[..], more, &[&*url]].concat());
        for value in ["0123456789abcdef", "fedcba9876543210"] {
            assert!(!ran.out.contains(value), "{}", ran.out);
        }
        serde_json::from_str::<Value>(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    };
    let said = asked("all", &[]);
    let kinds: Vec<_> =
        said["proofs"].as_array().expect("a list").iter().map(|one| &one["kind"]).collect();
    let expected = ["client-certificate", "access", "secret-header", "worker-zones", "cdn-passes"];
    assert_eq!(kinds, expected);
    assert_eq!(said["answer"], "403 secret_missing");
    let said = asked("secret", &["--header", "X-Origin-Auth: 0123456789abcdef"]);
    let last = said["middlewares"].as_array().and_then(|all| all.last()).expect("a step");
    assert_eq!(last["middleware"], "app/secret: secret-header");
    assert_eq!(last["effect"], "removes x-origin-auth");
    // A file is not read for a question.
    let said = asked("table", &["--header", "X-Table: fedcba9876543210"]);
    let effect = said["middlewares"][0]["effect"].as_str().expect("a text");
    assert!(effect.starts_with("compares x-table with the values in \""), "{effect}");
    assert_eq!(asked("table", &[])["answer"], "403 secret_missing");
}
