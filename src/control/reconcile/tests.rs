//! What is told, what is published, and what a change of nothing does.

use super::*;
use crate::control::files::Directory;
use crate::control::translate::ConfigMapKey;
use crate::model::{ConfigText, Kind, Severity};
use crate::routing::TableHandle;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use std::fs;
use std::sync::mpsc::channel;
use tempfile::TempDir;

fn audience(addresses: OnAddresses) -> Audience {
    Audience {
        addresses,
        certificates: Box::new(|_| {}),
        clients: Box::new(|_| {}),
        outcomes: Outcomes::new(None),
    }
}

fn mk_node(address: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Node, metadata: {{name: edge}}, \
         status: {{addresses: [{{type: InternalIP, address: {address}}}]}}}}"
    )
}

fn mk_ingress(path: &str) -> String {
    format!(
        "{{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {{name: i}}, spec: \
         {{ingressClassName: ravelin, rules: [{{http: {{paths: [{{path: {path}, pathType: \
         Prefix, backend: {{service: {{name: s, port: {{number: 80}}}}}}}}]}}}}]}}}}"
    )
}

fn options() -> Options {
    Options { ingress_class: "ravelin".to_owned(), ..Options::default() }
}

/// The rules that are served, by path.
fn paths(table: &Table) -> Vec<String> {
    table.routes().map(|id| table.route(id).path.to_string()).collect()
}

#[test]
fn addresses_are_told_at_the_start_and_when_they_change_always_before_the_table() {
    let folder = TempDir::new().expect("temporary directory");
    let write = |file: &str, text: &str| {
        fs::write(folder.path().join(file), text).expect("written");
    };
    write("node.yaml", &mk_node("192.0.2.1"));
    write("ingress.yaml", &mk_ingress("/a"));
    let publisher = Publisher::new(Table::empty());
    let tables = publisher.handle();
    let (told, tells) = channel();
    let at_that_time = tables.clone();
    let on_addresses = Box::new(move |addresses: &ClusterAddresses| {
        let nodes: Vec<_> = addresses.nodes.iter().map(ToString::to_string).collect();
        told.send((nodes, paths(&at_that_time.load()))).expect("the test listens");
    });
    let roots = Box::new(Directory::new([folder.path().to_owned()]));
    let telemetry = Telemetry::new(&[], 1, 1 << 20);
    let mut reconciler =
        Reconciler::start(roots, options(), publisher, telemetry, audience(on_addresses));
    let next = || tells.try_iter().collect::<Vec<_>>();
    assert_eq!(next(), [(vec!["192.0.2.1/32".to_owned()], vec![])]);
    assert_eq!(paths(&tables.load()), ["/a"]);

    write("ingress.yaml", &mk_ingress("/other"));
    reconciler.look();
    assert_eq!(paths(&tables.load()), ["/other"]);
    assert_eq!(next(), [], "the addresses are the same");

    write("node.yaml", &mk_node("192.0.2.99"));
    write("ingress.yaml", &mk_ingress("/third"));
    reconciler.look();
    assert_eq!(next(), [(vec!["192.0.2.99/32".to_owned()], vec!["/other".to_owned()])]);
    assert_eq!(paths(&tables.load()), ["/third"]);

    fs::remove_file(folder.path().join("node.yaml")).expect("removed");
    reconciler.look();
    assert_eq!(next(), [(vec![], vec!["/third".to_owned()])]);
}

#[test]
fn addresses_are_told_at_the_start_even_if_there_are_none() {
    let folder = TempDir::new().expect("temporary directory");
    let (told, tells) = channel();
    let on_addresses = Box::new(move |addresses: &ClusterAddresses| {
        told.send(addresses.clone()).expect("the test listens");
    });
    let roots = Box::new(Directory::new([folder.path().to_owned()]));
    let publisher = Publisher::new(Table::empty());
    Reconciler::start(
        roots,
        options(),
        publisher,
        Telemetry::new(&[], 1, 1 << 20),
        audience(on_addresses),
    );
    assert_eq!(tells.try_iter().collect::<Vec<_>>(), [ClusterAddresses::default()]);
}

#[test]
fn a_config_map_that_nobody_names_is_not_reported_and_holds_nothing_back() {
    let folder = TempDir::new().expect("temporary directory");
    let write = |address: &str, data: &str| {
        let map = format!(
            "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: c}}, data: {{list: {data}}}}}"
        );
        let text = format!("{}\n---\n{map}\n---\n{map}", mk_node(address));
        fs::write(folder.path().join("all.yaml"), text).expect("written");
    };
    let mut directory = Directory::new([folder.path().to_owned()]);
    let key = ConfigMapKey {
        namespace: "default".to_owned(),
        name: "c".to_owned(),
        key: "list".to_owned(),
    };
    let named = Options { texts: vec![(ConfigText::CloudflareList, key)], ..options() };
    // A good version, and one with a mistake and another address.
    for (address, data, list) in [("192.0.2.1", "x", Some("x")), ("192.0.2.99", "[1]", None)] {
        write(address, data);
        assert!(directory.scan());
        let Build { addresses, findings, .. } =
            build(&directory.objects(), directory.findings(), &options());
        assert_eq!(findings, []);
        assert_eq!(addresses.nodes[0].addr().to_string(), address);
        let Build { addresses, findings, .. } =
            build(&directory.objects(), directory.findings(), &named);
        assert_eq!(addresses.texts.get(&ConfigText::CloudflareList).map(|text| &**text), list);
        assert!(findings.iter().all(|finding| finding.object.kind == Kind::ConfigMap));
        assert!(!findings.is_empty(), "a second one of the name, at least");
    }
}

/// A reconciler over a directory, and what it puts in force.
struct Fixture {
    folder: TempDir,
    reconciler: Reconciler,
    tables: TableHandle,
    telemetry: Arc<Telemetry>,
}

impl Fixture {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("temporary directory");
        for (file, text) in files {
            fs::write(folder.path().join(file), text).expect("written");
        }
        let publisher = Publisher::new(Table::empty());
        let tables = publisher.handle();
        let roots = Box::new(Directory::new([folder.path().to_owned()]));
        let telemetry = Telemetry::new(&[], 1, 1 << 20);
        let reconciler = Reconciler::start(
            roots,
            options(),
            publisher,
            Arc::clone(&telemetry),
            audience(Box::new(|_| {})),
        );
        Self { folder, reconciler, tables, telemetry }
    }

    fn write(&mut self, file: &str, text: &str) {
        fs::write(self.folder.path().join(file), text).expect("written");
        self.reconciler.look();
    }

    /// What a scrape says of the endpoints that are ready.
    fn scraped(&self) -> String {
        let mut registry = Registry::default();
        self.telemetry.register(&mut registry);
        let mut page = String::new();
        encode(&mut page, &registry).expect("a page");
        let is_it =
            |line: &&str| line.starts_with("ravelin_endpoints{") && line.contains("\"ready\"");
        page.lines().filter(is_it).collect::<Vec<_>>().join("\n")
    }

    /// Addresses that requests to the one backend may go to.
    fn endpoints(&self) -> Vec<String> {
        let table = self.tables.load();
        let endpoints = table.backends().next().expect("one").endpoints();
        endpoints.usable().iter().map(|endpoint| endpoint.addr.to_string()).collect()
    }
}

const SERVICE: &str =
    "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 80}]}}";

fn mk_slice(service: &str, address: &str) -> String {
    format!(
        "{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: {service}-1, \
         labels: {{kubernetes.io/service-name: {service}}}}}, addressType: IPv4, ports: [{{port: \
         8080}}], endpoints: [{{addresses: [{address}]}}]}}"
    )
}

#[test]
fn a_slice_reaches_the_table_in_force_and_the_scrape_without_a_new_table() {
    let ready = |count: u32| {
        format!(
            "ravelin_endpoints{{namespace=\"default\",service=\"s:80\",state=\"ready\"}} {count}"
        )
    };
    let mut fixture = Fixture::new(&[
        ("ingress.yaml", &mk_ingress("/")),
        ("service.yaml", SERVICE),
        ("slice.yaml", &mk_slice("s", "10.0.0.1")),
    ]);
    let held = fixture.tables.load();
    assert_eq!(fixture.endpoints(), ["10.0.0.1:8080"]);
    assert_eq!(fixture.scraped(), ready(1));
    fixture.write("slice.yaml", &mk_slice("s", "10.0.0.2"));
    assert_eq!(fixture.endpoints(), ["10.0.0.2:8080"]);
    assert!(Arc::ptr_eq(&held, &fixture.tables.load()), "no table was published");
    fs::remove_file(fixture.folder.path().join("slice.yaml")).expect("removed");
    fixture.reconciler.look();
    assert_eq!(fixture.endpoints(), [""; 0]);
    assert!(Arc::ptr_eq(&held, &fixture.tables.load()));
    assert_eq!(fixture.scraped(), ready(0));
}

#[test]
fn endpoints_that_the_table_has_no_place_for_get_a_table() {
    let mut fixture = Fixture::new(&[
        ("ingress.yaml", &mk_ingress("/")),
        ("service.yaml", SERVICE),
        ("slice.yaml", &mk_slice("s", "10.0.0.1")),
    ]);
    fixture.reconciler.publisher.publish(Table::empty());
    fixture.write("slice.yaml", &mk_slice("s", "10.0.0.2"));
    assert_eq!(paths(&fixture.tables.load()), ["/"], "it was compiled again");
    assert_eq!(fixture.endpoints(), ["10.0.0.2:8080"]);
}

#[test]
fn a_change_of_nothing_that_is_used_publishes_nothing() {
    let mut fixture =
        Fixture::new(&[("ingress.yaml", &mk_ingress("/")), ("service.yaml", SERVICE)]);
    let held = fixture.tables.load();
    fixture.write("other.yaml", &SERVICE.replace("name: s", "name: idle"));
    fixture.write("slice.yaml", &mk_slice("idle", "10.0.0.1"));
    fixture.write(
        "secret.yaml",
        "{apiVersion: v1, kind: Secret, metadata: {name: t}, data: {tls.crt: eA==}}",
    );
    fixture.write(
        "foreign.yaml",
        &mk_ingress("/foreign").replace("ravelin", "other").replace("name: i", "name: j"),
    );
    assert!(Arc::ptr_eq(&held, &fixture.tables.load()), "no table was published");
    let foreign = fixture.reconciler.findings.iter().any(|finding| &*finding.object.name == "j");
    assert!(foreign, "it is reported nevertheless");
    fixture.write("more.yaml", &mk_ingress("/more").replace("name: i", "name: k"));
    assert_eq!(fixture.tables.load().generation(), held.generation() + 1);
}

#[test]
fn two_lists_of_findings_differ_by_what_only_one_has() {
    let mk_finding = |name: &str| {
        Arc::new(Diagnostic {
            severity: Severity::Error,
            object: crate::model::ObjectRef::new(Kind::Service, "default", name),
            field: String::new(),
            why: crate::model::Why::Invalid,
            reason: String::new(),
            fix: String::new(),
        })
    };
    let list = |names: &[&str]| names.iter().map(|name| mk_finding(name)).collect::<Vec<_>>();
    for (old, new, gone, come) in [
        (&["a", "b", "d"][..], &["b", "c", "e"][..], &["a", "d"][..], &["c", "e"][..]),
        (&[], &["a"], &[], &["a"]),
        (&["a"], &[], &["a"], &[]),
        (&["a"], &["a"], &[], &[]),
    ] {
        let (old, new) = (list(old), list(new));
        let found = difference(&old, &new);
        let names =
            found.map(|list| list.iter().map(|f| f.object.name.to_string()).collect::<Vec<_>>());
        assert_eq!(names, [gone, come], "{old:?} {new:?}");
    }
}

#[test]
fn a_class_that_is_gone_is_served_by_for_its_time_and_told() {
    let folder = TempDir::new().expect("temporary directory");
    let class = folder.path().join("class.yaml");
    let text = "{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: ravelin}, \
                spec: {controller: ravelin.dev/ingress-controller}}";
    fs::write(&class, text).expect("written");
    fs::write(folder.path().join("ingress.yaml"), mk_ingress("/a")).expect("written");
    let publisher = Publisher::new(Table::empty());
    let tables = publisher.handle();
    let roots = Box::new(Directory::new([folder.path().to_owned()]));
    let telemetry = Telemetry::new(&[], 1, 1 << 20);
    let class_grace = Duration::from_secs(3600);
    let options = Options { class_grace, strict_class: true, ..options() };
    let audience = audience(Box::new(|_| {}));
    let mut reconciler =
        Reconciler::start(roots, options, publisher, Arc::clone(&telemetry), audience);
    assert_eq!(telemetry.class_grace().words(0), "");
    fs::remove_file(&class).expect("removed");
    reconciler.look();
    let gone = Instant::now();
    reconciler.give_up(gone + class_grace - Duration::from_secs(60));
    assert_eq!(paths(&tables.load()), ["/a"]);
    let until = telemetry.class_grace().read()["ravelin"];
    let said = telemetry.class_grace().words(until - 3599);
    assert!(said.contains("of the deleted IngressClass ravelin for 59 min more"), "{said}");
    reconciler.give_up(gone + class_grace);
    assert_eq!(paths(&tables.load()), [""; 0]);
    assert_eq!(telemetry.class_grace().words(0), "");
}
