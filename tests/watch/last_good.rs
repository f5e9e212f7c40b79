//! A restart without an API server: what the last process knew is served, and said to be old.

use crate::api::{Api, Fault, On, ingress};
use crate::edge::{Edge, config, get};
use crate::eventually;
use crate::process::Process;
use k8s_openapi::ByteString;
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tempfile::TempDir;

const RESTORED: &str = "ravelin_last_good_restored{} ";

fn keys(folder: &Path, more: &str) -> String {
    format!("[state]\ndirectory = {folder:?}\ncluster = true\n{more}")
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("last-good.jsonl")
}

fn text(folder: &TempDir) -> String {
    String::from_utf8_lossy(&fs::read(file(folder)).unwrap_or_default()).into_owned()
}

/// Serves from the API server until the file has this in it, and leaves.
fn keep(api: &Api, folder: &TempDir, more: &str, what: &str) {
    let edge = Edge::of(api, &keys(folder.path(), more)).ready();
    eventually("it is kept", || text(folder).contains(what).then_some(()));
    let written = "ravelin_last_good_written_timestamp_seconds{} ";
    eventually("that is noted", || (edge.metric(written) > 0.0).then_some(()));
    assert!(edge.metric(RESTORED) < 0.5);
    assert_eq!(edge.readyz(), (200, "ok\n".to_owned()));
}

#[test]
fn a_restart_without_an_api_server_serves_what_was_known_and_then_what_is_so() {
    let (api, folder) = (Api::new(), tempfile::tempdir().expect("a folder"));
    api.serve("a.test");
    keep(&api, &folder, "", "a.test");
    let mode = fs::metadata(file(&folder)).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = text(&folder);
    api.cut(true);

    let started = Instant::now();
    let edge = Edge::of(&api, &keys(folder.path(), "")).ready();
    assert_eq!((edge.status("a.test"), edge.status("b.test")), (503, 404));
    println!("served {:?} after the start", started.elapsed());
    let (status, body) = edge.readyz();
    assert_eq!(status, 200);
    assert!(body.contains("serving the last-good state of 20"), "{body}");
    assert!(body.contains(" s old, until these are listed:\n"), "{body}");
    assert!(body.contains("\nIngress: connect: "), "{body}");
    assert!(edge.metric(RESTORED) > 0.5);
    assert!(edge.metric("ravelin_last_good_confirmed_timestamp_seconds{} ") > 0.0);
    assert!(edge.metric("ravelin_watch_synced{kind=\"Ingress\"}") < 0.5);
    assert!(edge.metric("ravelin_watch_age_seconds{kind=\"Ingress\"} ") > 0.0);

    api.restore(102, "b.test");
    assert_eq!(text(&folder), before, "what was only restored is not kept anew");
    api.back();
    edge.await_status("b.test", 503);
    assert_eq!(edge.status("a.test"), 404);
    eventually("all has been listed", || (edge.metric(RESTORED) < 0.5).then_some(()));
    assert_eq!(edge.readyz(), (200, "ok\n".to_owned()));
    eventually("that is kept", || text(&folder).contains("b.test").then_some(()));
}

#[test]
fn a_restart_without_an_api_server_serves_ingress_routes_as_they_were() {
    let (api, folder) = (Api::new(), tempfile::tempdir().expect("a folder"));
    let object = |kind: &str, name: &str, spec| json!({"kind": kind, "metadata": {"namespace": "ns", "name": name}, "spec": spec});
    let redirect = json!({"redirectScheme": {"scheme": "https"}});
    api.put("middlewares", object("Middleware", "m", redirect));
    let route = |host: &str, middleware: &str| {
        json!({"match": format!("Host(`{host}`) && Method(`GET`)"), "middlewares": [{"name": middleware}],
            "services": [{"name": "noop@internal", "kind": "TraefikService"}]})
    };
    let routes = json!({"routes": [route("a.test", "m"), route("b.test", "gone")]});
    api.put("ingressroutes", object("IngressRoute", "r", routes));
    let keys = format!("ingress_classes = [\"traefik\"]\n{}", keys(folder.path(), ""));
    let served = |edge: &Edge| [edge.status("a.test"), edge.status("b.test")];
    let edge = Edge::of(&api, &keys).ready();
    assert_eq!(served(&edge), [302, 503]);
    eventually("both are kept", || {
        let kept = text(&folder);
        (kept.contains("\"IngressRoute\"") && kept.contains("redirectScheme")).then_some(())
    });
    drop(edge);
    api.cut(true);
    let edge = Edge::of(&api, &keys).ready();
    assert_eq!(served(&edge), [302, 503]);
    assert!(edge.metric(RESTORED) > 0.5);
}

#[test]
fn a_restart_without_an_api_server_has_the_routes_of_connections() {
    let (api, folder) = (Api::new(), tempfile::tempdir().expect("a folder"));
    let object = |kind: &str, name: &str, spec| json!({"kind": kind, "metadata": {"namespace": "ns", "name": name}, "spec": spec});
    let list = json!({"ipAllowList": {"sourceRange": ["192.0.2.0/24"]}});
    api.put("middlewaretcps", object("MiddlewareTCP", "m", list));
    // Without a Service it closes the connections that it is for.
    let route = |rule: &str| {
        let routes = json!({"routes": [{"match": rule, "middlewares": [{"name": "m"}],
            "services": [{"name": "s", "port": 80}]}]});
        object("IngressRouteTCP", "r", routes)
    };
    api.put("ingressroutetcps", route("HostSNI(`*`)"));
    let keys = format!("ingress_classes = [\"traefik\"]\n{}", keys(folder.path(), ""));
    let edge = Edge::of(&api, &keys).ready();
    assert!(edge.closes());
    eventually("both are kept", || {
        let kept = text(&folder);
        (kept.contains("\"IngressRouteTCP\"") && kept.contains("192.0.2.0/24")).then_some(())
    });
    drop(edge);
    api.cut(true);
    let edge = Edge::of(&api, &keys).ready();
    assert!(edge.closes());
    assert!(edge.metric(RESTORED) > 0.5);
    api.back();
    api.put("ingressroutetcps", route("ClientIP(`192.0.2.1`)"));
    eventually("it is for others", || (!edge.closes()).then_some(()));
}

#[test]
fn an_api_server_that_hangs_is_as_good_as_none() {
    let (api, folder) = (Api::new(), tempfile::tempdir().expect("a folder"));
    api.serve("a.test");
    keep(&api, &folder, "", "a.test");
    for plural in ["ingresses", "secrets"] {
        api.fail(plural, On::List, usize::MAX, Fault::Hang);
    }
    let edge = Edge::of(&api, &keys(folder.path(), "restore_after = \"100ms\"")).ready();
    assert_eq!(edge.status("a.test"), 503);
    let body = edge.readyz().1;
    assert!(body.ends_with("\nIngress: not listed yet\nSecret: not listed yet\n"), "{body}");
}

#[test]
fn an_api_server_that_answers_in_time_is_believed_alone() {
    let (api, folder) = (Api::new(), tempfile::tempdir().expect("a folder"));
    api.serve("a.test");
    keep(&api, &folder, "", "a.test");
    api.restore(102, "b.test");
    let edge = Edge::of(&api, &keys(folder.path(), "restore_after = \"1h\"")).ready();
    assert_eq!((edge.status("a.test"), edge.status("b.test")), (404, 503));
    assert!(edge.metric(RESTORED) < 0.5);
}

/// As the data of a Secret are written.
fn base64(text: String) -> String {
    let value = serde_json::to_value(ByteString(text.into_bytes())).expect("bytes");
    value.as_str().expect("text").to_owned()
}

#[test]
fn keys_are_kept_only_if_that_is_asked_for_and_their_lack_rejects_nothing() {
    for (more, kept) in [("", false), ("certificates = true", true)] {
        let (api, folder) = (Api::new(), tempfile::tempdir().expect("a folder"));
        let made = rcgen::generate_simple_self_signed(["a.test".to_owned()]).expect("a pair");
        let [certificate, key] = [made.cert.pem(), made.signing_key.serialize_pem()].map(base64);
        api.put(
            "secrets",
            json!({"metadata": {"namespace": "ns", "name": "cert"}, "type": "kubernetes.io/tls",
                   "data": {"tls.crt": certificate, "tls.key": key}}),
        );
        let mut tls = ingress("a.test");
        tls["spec"]["tls"] = json!([{"secretName": "cert"}]);
        api.put("ingresses", tls);
        keep(&api, &folder, more, "\"kind\":\"Secret\"");
        let text = text(&folder);
        assert!(text.contains("\"cert\""));
        assert_eq!((text.contains(&key), text.contains(&certificate)), (kept, kept));
        api.cut(true);
        let edge = Edge::of(&api, &keys(folder.path(), more)).ready();
        assert_eq!(edge.status("a.test"), 503);
        let rejected = |severity: &str| {
            edge.metric(&format!(
                "ravelin_rejected_objects{{kind=\"Ingress\",reason=\"secret_unusable\",\
                 severity=\"{severity}\"}}"
            ))
        };
        assert!(rejected("error") < 0.5);
        assert_eq!(rejected("warning") > 0.5, !kept);
        api.back();
        eventually("the certificate is there", || (rejected("warning") < 0.5).then_some(()));
        assert!(rejected("error") < 0.5);
    }
}

#[test]
fn a_namespace_that_was_not_followed_is_waited_for() {
    let (api, folder) = (Api::new(), tempfile::tempdir().expect("a folder"));
    api.serve("a.test");
    let with = |namespaces: &str, more: &str| {
        format!("namespaces = {namespaces}\n{}", keys(folder.path(), more))
    };
    let edge = Edge::of(&api, &with("[\"ns\"]", "")).ready();
    eventually("it is kept", || text(&folder).contains("a.test").then_some(()));
    drop(edge);
    api.cut(true);
    let config = config(&api, folder.path(), &with("[\"ns\", \"new\"]", ""));
    let process = Process::run(&config, folder.path());
    let line = process.says("the last-good state is not usable");
    let reason = line["reason"].as_str().expect("a reason");
    assert_eq!(reason, "it has no ingresses in namespace new, which the configuration follows");
}

#[test]
fn a_process_that_was_killed_is_followed_by_one_that_serves_and_says_how_old_its_state_is() {
    let (api, folder) = (Api::new(), tempfile::tempdir().expect("a folder"));
    api.serve("a.test");
    let config = config(&api, folder.path(), &keys(folder.path(), ""));
    let process = Process::run(&config, folder.path());
    eventually("it is kept", || text(&folder).contains("a.test").then_some(()));
    process.kill();
    api.cut(true);

    let started = Instant::now();
    let process = Process::run(&config, folder.path());
    let address = process.address();
    assert_eq!(get(address, "a.test", "/").0, 503);
    assert_eq!(get(address, "b.test", "/").0, 404);
    println!("served {:?} after the start", started.elapsed());
    let line = process.says("serving the last-good state");
    assert_eq!(line["level"], "WARN");
    assert!(line["age"].as_str().is_some_and(|age| age.ends_with(" s")), "{line}");
    assert!(line["missing"].as_str().is_some_and(|all| all.contains("Ingress: ")), "{line}");
    api.back();
    process.says("the cluster has been listed: the last-good state is no longer served");
}

#[test]
fn a_file_that_was_altered_is_named_and_the_api_server_waited_for() {
    let (api, folder) = (Api::new(), tempfile::tempdir().expect("a folder"));
    api.serve("a.test");
    keep(&api, &folder, "", "a.test");
    fs::write(file(&folder), text(&folder).replace("a.test", "x.test")).expect("ours");
    api.cut(true);
    let config = config(&api, folder.path(), &keys(folder.path(), ""));
    let process = Process::run(&config, folder.path());
    let line = process.says("the last-good state is not usable");
    assert!(line["file"].as_str().is_some_and(|path| path.contains("last-good.jsonl")), "{line}");
    assert_eq!(line["reason"], "it is truncated or altered: its checksum does not match");
    assert!(line["fix"].as_str().is_some_and(|fix| fix.contains("remove it")), "{line}");
    api.back();
    let address = process.address();
    assert_eq!((get(address, "a.test", "/").0, get(address, "x.test", "/").0), (503, 404));
    eventually("it is written anew", || text(&folder).contains("a.test").then_some(()));
}
