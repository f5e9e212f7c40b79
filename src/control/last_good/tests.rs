//! What is kept is what is read again; what is wrong with a file is found, named and survived.

use super::{
    FILE, LastGood, MOST_BYTES, StateFileError, StateFileHeader, StateKeeper, WriteIntervals, load,
    read, read_lines, save, write,
};
use crate::config;
use crate::control::objects::{Object, Objects, is_content_left_out};
use crate::control::source::Source as _;
use crate::control::watch::{Cluster, Scope};
use crate::model::Kind;
use crate::net::shutdown::{Shutdown, Stage};
use crate::telemetry::LastGoodMetrics;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fs::{self, File, Permissions};
use std::io::Cursor;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a test waits for what has to happen.
const PATIENCE: Duration = Duration::from_secs(30);
const PEM: &str = "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t";

fn mk<K: DeserializeOwned + Into<Object>>(value: Value) -> Object {
    serde_json::from_value::<K>(value).expect("an object").into()
}

fn mk_service(name: &str) -> Object {
    mk::<Service>(json!({"metadata": {"namespace": "ns", "name": name}}))
}

fn mk_secret(name: &str) -> Object {
    mk::<Secret>(json!({"metadata": {"namespace": "ns", "name": name, "uid": "u"},
                        "type": "kubernetes.io/tls", "data": {"tls.key": PEM}}))
}

/// One object of each kind, with what is kept of it; a Secret without content, and one with none.
fn mk_all() -> Vec<Object> {
    let backend = json!({"service": {"name": "web", "port": {"name": "http"}}});
    let path = json!({"path": "/\u{e9}\n", "pathType": "Prefix", "backend": backend});
    let created = "2026-01-02T03:04:05Z";
    vec![
        mk::<Ingress>(json!({
            "metadata": {"namespace": "ns", "name": "i", "uid": "u", "creationTimestamp": created,
                         "annotations": {"a": "\"b\"\r\n"}},
            "spec": {"ingressClassName": "ravelin", "tls": [{"hosts": [], "secretName": "s"}],
                     "rules": [{"host": "a.test", "http": {"paths": [path]}}, {}]},
        })),
        mk::<IngressClass>(json!({"metadata": {"name": "ravelin"}, "spec": {"controller": "c"}})),
        mk::<Service>(json!({
            "metadata": {"namespace": "ns", "name": "web"},
            "spec": {"ports": [{"name": "http", "port": 80, "targetPort": "x"},
                               {"port": 81, "targetPort": 8081}], "selector": {}},
        })),
        mk::<EndpointSlice>(json!({
            "metadata": {"namespace": "ns", "name": "web-1",
                         "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4", "ports": [{"name": "http", "port": 8080}],
            "endpoints": [{"addresses": ["192.0.2.1"], "conditions": {"ready": false}}],
        })),
        mk::<Node>(json!({
            "metadata": {"name": "n"}, "spec": {"podCIDRs": ["198.51.100.0/24"]},
            "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.9"}]},
        })),
        mk::<ConfigMap>(json!({"metadata": {"namespace": "ns", "name": "c"},
                               "data": {"list": "192.0.2.0/24\n"}, "binaryData": {"b": "AAE="}})),
        mk_secret("held"),
        mk::<Secret>(json!({"metadata": {"namespace": "ns", "name": "empty"}, "data": {}})),
    ]
}

fn mk_objects(all: &[Object]) -> Objects {
    let mut objects = Objects::default();
    all.iter().for_each(|object| drop(objects.insert(object.clone())));
    objects
}

fn mk_scope(kind: Kind) -> Scope {
    Scope { kind, namespace: None, name: None }
}

fn mk_header(certificates: bool) -> StateFileHeader {
    let name =
        Scope { namespace: Some("ns".into()), name: Some("c".into()), ..mk_scope(Kind::ConfigMap) };
    let scopes = vec![mk_scope(Kind::Ingress), name];
    StateFileHeader { written: 1_800_000_000, confirmed: 1_799_999_990, certificates, scopes }
}

fn mk_file(certificates: bool) -> Vec<u8> {
    let mut file = Vec::new();
    write(&mut file, &mk_header(certificates), &mk_objects(&mk_all())).expect("memory");
    file
}

fn mk_keeper(folder: &TempDir, cluster: &Arc<Cluster>) -> (StateKeeper, Arc<LastGoodMetrics>) {
    let metrics = Arc::<LastGoodMetrics>::default();
    let settings = config::LastGoodConfig {
        directory: folder.path().join("state"),
        certificates: false,
        restore_after: Duration::from_millis(1),
    };
    let pace = WriteIntervals { every: Duration::from_millis(5), refresh: PATIENCE };
    let (cluster, noted) = (Arc::clone(cluster), Arc::clone(&metrics));
    (StateKeeper::new(settings, cluster, noted, Arc::default(), pace), metrics)
}

fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "never happened: {what}");
        thread::park_timeout(Duration::from_millis(2));
    }
}

#[test]
fn every_kind_is_read_as_it_was_written() {
    let (header, objects) = read(Cursor::new(mk_file(true))).expect("a good file");
    assert_eq!(header, mk_header(true));
    assert_eq!(mk_objects(&objects), mk_objects(&mk_all()));
}

#[test]
fn without_certificates_secrets_are_known_by_name_alone() {
    let file = mk_file(false);
    assert!(!String::from_utf8_lossy(&file).contains(PEM));
    assert!(String::from_utf8_lossy(&mk_file(true)).contains(PEM));
    let (_, objects) = read(Cursor::new(file)).expect("a good file");
    let objects = mk_objects(&objects);
    assert_eq!(objects.secrets().len(), 2);
    for (_, name, secret) in objects.secrets().iter() {
        assert!(is_content_left_out(secret) && secret.data.is_none(), "{name}");
    }
    let held = objects.secrets().get("ns", "held").expect("its name is known");
    assert_eq!(held.type_.as_deref(), Some("kubernetes.io/tls"));
}

#[test]
fn the_authority_of_client_certificates_is_kept_without_its_key() {
    let public = include_str!("../../pki/client_certificate/cloudflare.pem");
    let key = "-----BEGIN PRIVATE KEY-----";
    for (text, is_kept) in [(public.to_owned(), true), (format!("{public}{key}"), false)] {
        let data = [("ca.crt", text.as_str()), ("tls.key", key)];
        let data = data.map(|(name, text)| (name.to_owned(), ByteString(text.into())));
        let secret: Object = Secret {
            metadata: ObjectMeta {
                namespace: Some("ns".to_owned()),
                name: Some("ca".to_owned()),
                ..ObjectMeta::default()
            },
            data: Some(data.into()),
            ..Secret::default()
        }
        .into();
        let mut file = Vec::new();
        write(&mut file, &mk_header(false), &mk_objects(&[secret])).expect("memory");
        assert!(!String::from_utf8_lossy(&file).contains(PEM));
        let (_, objects) = read(Cursor::new(file)).expect("a good file");
        let objects = mk_objects(&objects);
        let secret = objects.secrets().get("ns", "ca").expect("its name is known");
        assert!(is_content_left_out(secret));
        let kept = secret.data.iter().flat_map(|data| data.keys()).collect::<Vec<_>>();
        assert_eq!(kept, if is_kept { vec!["ca.crt"] } else { Vec::new() });
    }
}

#[test]
fn a_file_that_is_cut_or_altered_anywhere_is_refused() {
    let whole = mk_file(true);
    for end in 0..whole.len() {
        let refused = read(Cursor::new(&whole[..end])).expect_err("cut");
        assert!(
            matches!(refused, StateFileError::Foreign | StateFileError::Checksum),
            "{end}: {refused}"
        );
    }
    for at in 0..whole.len() {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        read(Cursor::new(altered)).expect_err("altered");
    }
    let longer = [&whole[..], b"\n"].concat();
    assert!(matches!(read(Cursor::new(longer)), Err(StateFileError::Checksum)));
}

#[test]
fn a_file_of_another_format_or_program_is_named_as_such() {
    let text = String::from_utf8(mk_file(true)).expect("JSON");
    let other = text.replacen("\"format\":2", "\"format\":1,\"more\":[]", 1);
    assert!(matches!(read(Cursor::new(other)), Err(StateFileError::Format(1))));
    let foreign = text.replacen("last-good state", "something", 1);
    assert!(matches!(read(Cursor::new(foreign)), Err(StateFileError::Foreign)));
    assert!(matches!(read(Cursor::new("{}")), Err(StateFileError::Foreign)));
}

#[test]
fn a_line_that_is_no_object_is_named_by_its_number() {
    let header = String::from_utf8(mk_file(true)).expect("JSON");
    let header = header.lines().next().expect("it has lines");
    for line in ["", "{}", "[]", "{\"kind\":\"Pod\"}", "{\"kind\":\"File\"}", "{\"kind\":\"Node\"}"]
    {
        let refused = read_lines(format!("{header}\n{line}\n").as_bytes()).expect_err(line);
        assert!(matches!(refused, StateFileError::Line(2)), "{line}: {refused}");
    }
    let unfinished = format!("{header}\n{{\"apiVersion\":\"v1\",\"kind\":\"Node\"}}");
    assert!(matches!(read_lines(unfinished.as_bytes()), Err(StateFileError::Line(2))));
}

#[test]
fn nobody_else_can_read_what_is_kept_or_change_what_is_used() {
    let folder = TempDir::new().expect("temporary directory");
    assert!(load(folder.path()).expect("no fault").is_none());
    let path = folder.path().join(FILE);
    let keep = || save(folder.path(), &mk_header(true), &mk_objects(&mk_all())).expect("kept");
    let set = |mode| fs::set_permissions(&path, Permissions::from_mode(mode)).expect("ours");
    let mode = || fs::metadata(&path).expect("it is there").permissions().mode() & 0o777;
    keep();
    assert_eq!(mode(), 0o600);
    let exposed = || load(folder.path()).expect("good").expect("there").exposed;
    assert!(!exposed());
    set(0o640);
    assert!(exposed());
    assert_eq!((exposed(), mode()), (false, 0o600), "tightened once");
    for writable in [0o620, 0o602] {
        set(writable);
        let refused = load(folder.path()).expect_err("others may write");
        assert!(matches!(refused, StateFileError::Writable(mode) if mode == writable), "{refused}");
    }
    keep();
    assert_eq!(mode(), 0o600, "another file in its place");
    if chown(&path, Some(65_534), None).is_ok() {
        let refused = load(folder.path()).expect_err("somebody else's");
        assert!(matches!(refused, StateFileError::Owner { theirs: 65_534, .. }), "{refused}");
    }
}

#[test]
fn what_is_no_file_or_too_large_is_refused_at_once() {
    let folder = TempDir::new().expect("temporary directory");
    let path = folder.path().join(FILE);
    File::create(&path).expect("a new file").set_len(MOST_BYTES + 1).expect("sparse");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("ours");
    assert!(matches!(load(folder.path()), Err(StateFileError::TooLarge)));
    fs::rename(&path, folder.path().join("elsewhere")).expect("renamed");
    symlink("elsewhere", &path).expect("a link");
    assert!(matches!(load(folder.path()), Err(StateFileError::NotAFile)));
    fs::remove_file(&path).expect("removed");
    fs::create_dir(&path).expect("a directory");
    assert!(matches!(load(folder.path()), Err(StateFileError::NotAFile)));
}

#[test]
fn what_is_listed_is_never_replaced_by_what_was_kept() {
    let [a, b] = ["a", "b"].map(|namespace| Scope {
        namespace: Some(namespace.to_owned()),
        ..mk_scope(Kind::Service)
    });
    let service = |namespace: &str, name: &str| {
        mk::<Service>(json!({"metadata": {"namespace": namespace, "name": name}}))
    };
    let cluster = Arc::new(Cluster::new(&[a.clone(), b.clone()]));
    cluster.swap(&a, vec![service("a", "new")]);
    let kept =
        || vec![service("a", "old"), service("b", "old"), service("c", "old"), mk_secret("s")];
    assert_eq!(cluster.restore(&[a], kept()), Err(b.clone()));
    assert_eq!(cluster.restore(&[mk_scope(Kind::Service)], kept()), Ok(1));
    let names = || -> Vec<String> {
        let objects = cluster.objects();
        objects.services().iter().map(|(ns, name, _)| format!("{ns}/{name}")).collect()
    };
    assert_eq!(names(), ["a/new", "b/old"]);
    assert!(cluster.snapshot().is_none() && !cluster.is_synced(), "it was not listed");
    cluster.swap(&b, vec![service("b", "new")]);
    assert_eq!(names(), ["a/new", "b/new"]);
    assert!(cluster.snapshot().is_some());
    assert_eq!(cluster.restore(&[], kept()), Ok(0), "all of it was listed");
}

#[test]
fn a_secret_whose_list_is_still_to_come_holds_no_ingress_back() {
    let scopes = [Kind::Ingress, Kind::Secret].map(mk_scope);
    let cluster = Arc::new(Cluster::new(&scopes));
    let (_, kept) = read(Cursor::new(mk_file(false))).expect("a good file");
    cluster.restore(&scopes, kept).expect("covered");
    let (wake, wakes) = std::sync::mpsc::channel();
    let _following = cluster.follow(wake);
    let ingress = mk::<Ingress>(json!({"metadata": {"namespace": "ns", "name": "j"},
                                       "spec": {"tls": [{"secretName": "held"}]}}));
    cluster.swap(&scopes[0], vec![ingress]);
    assert!(wakes.try_recv().is_ok(), "the reconciler is told at once");
    cluster.swap(&scopes[1], vec![mk_secret("held")]);
    let objects = cluster.objects();
    assert!(objects.secrets().get("ns", "held").expect("listed").data.is_some());
}

#[test]
fn the_state_is_kept_after_the_first_list_with_each_change_and_at_the_end() {
    let folder = TempDir::new().expect("temporary directory");
    let state = folder.path().join("state");
    let scope = mk_scope(Kind::Service);
    let cluster = Arc::new(Cluster::new(std::slice::from_ref(&scope)));
    let (keeper, metrics) = mk_keeper(&folder, &cluster);
    let (shutdown, signal) = Shutdown::new();
    let thread = thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(keeper.run(signal));
    });
    let names = || -> Vec<String> {
        let kept = load(&state).expect("good").expect("there");
        assert_eq!(kept.header.scopes, std::slice::from_ref(&scope));
        kept.objects.iter().map(|object| object.identity().name.to_string()).collect()
    };
    assert_eq!(metrics.read().failures, 0, "nothing is to be kept yet");
    cluster.swap(&scope, vec![mk_service("a")]);
    eventually("the lack of a directory is counted, and again", || metrics.read().failures > 1);
    assert!(metrics.read().failing.is_some() && metrics.read().written.is_none());
    fs::create_dir(&state).expect("a new directory");
    eventually("it is kept", || metrics.read().written.is_some());
    assert_eq!((names(), metrics.read().failing), (vec!["a".to_owned()], None));
    cluster.apply(mk_service("b"));
    eventually("the change is kept", || names() == ["a", "b"]);
    fs::remove_file(state.join(FILE)).expect("removed");
    shutdown.advance(Stage::Draining);
    thread.join().expect("no panic");
    assert_eq!(names(), ["a", "b"]);
}

#[test]
fn what_was_only_restored_is_not_kept_again() {
    let folder = TempDir::new().expect("temporary directory");
    let state = folder.path().join("state");
    fs::create_dir(&state).expect("a new directory");
    let scope = mk_scope(Kind::Service);
    let header = StateFileHeader { scopes: vec![scope.clone()], ..mk_header(false) };
    save(&state, &header, &mk_objects(&[mk_service("a")])).expect("kept");
    let cluster = Arc::new(Cluster::new(&[scope]));
    let (keeper, metrics) = mk_keeper(&folder, &cluster);
    assert!(keeper.restore());
    assert_eq!(metrics.read().restored, Some(header.confirmed));
    let (shutdown, signal) = Shutdown::new();
    shutdown.advance(Stage::Draining);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(keeper.run(signal));
    let LastGood { header: after, .. } = load(&state).expect("good").expect("there");
    assert_eq!((after, metrics.read().written), (header, None));
}

#[test]
fn a_bad_file_restores_nothing() {
    let folder = TempDir::new().expect("temporary directory");
    let state = folder.path().join("state");
    fs::create_dir(&state).expect("a new directory");
    let scopes = [Kind::Ingress, Kind::Service].map(mk_scope);
    let cluster = Arc::new(Cluster::new(&scopes));
    let (keeper, metrics) = mk_keeper(&folder, &cluster);
    assert!(!keeper.restore(), "there is none");
    save(&state, &mk_header(false), &mk_objects(&mk_all())).expect("kept");
    assert!(!keeper.restore(), "it has no Services");
    fs::write(state.join(FILE), "{}").expect("written");
    assert!(!keeper.restore(), "it is not one of ours");
    assert_eq!((cluster.objects(), metrics.read().restored), (Objects::default(), None));
}
