//! Metrics: the families of a scrape with everything on, their types, labels and help.

use super::page::{Row, hold, root};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use ravelin::config::{Metrics, PerRoute, TraefikFamilies};
use ravelin::control::files::Directory;
use ravelin::control::translate::{Options, translate};
use ravelin::error::Reason;
use ravelin::model::{Diagnostic, Kind, ObjectRef, Severity, Why};
use ravelin::pki::certificate::LeafText;
use ravelin::pki::client_certificate::{Mode, Verification};
use ravelin::pki::full_strict::Verdict;
use ravelin::routing::{Publisher, compile};
use ravelin::telemetry::{
    MethodLabel, Outcome, RequestProtocol, SeriesCache, TcpSeriesCache, Telemetry, TlsSuite,
    TlsVersion,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const HEADER: [&str; 4] = ["metric", "type", "labels", "help"];

/// The labels of families of which nothing is seen here.
const UNSEEN: [(&str, &str); 1] = [("ravelin_endpoints_ejected", "`namespace`, `service`")];

#[test]
fn every_metric_is_described() {
    let page = scrape();
    let mut rows = Vec::new();
    let mut kinds = BTreeMap::new();
    for line in page.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|it| it.split_once(' ')) {
            kinds.insert(name, kind);
        }
    }
    for line in page.lines() {
        let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|it| it.split_once(' '))
        else {
            continue;
        };
        let kind = kinds.get(name).copied().unwrap_or("unknown");
        let sample = match kind {
            "counter" => format!("{name}_total"),
            "histogram" => format!("{name}_sum"),
            _ => name.to_owned(),
        };
        let key = if kind == "counter" { sample.clone() } else { name.to_owned() };
        let unseen = UNSEEN.iter().find(|(name, _)| *name == key);
        let labels = match unseen {
            Some((_, labels)) => (*labels).to_owned(),
            None => labels_of(&page, &sample).unwrap_or_else(|| panic!("{sample} has no sample")),
        };
        let help = help.trim_end_matches('.').to_owned();
        rows.push(Row { key, cells: vec![Some(kind.to_owned()), Some(labels), Some(help)] });
    }
    assert!(rows.len() > 60, "only {} families", rows.len());
    hold(&HEADER, &rows);
}

/// The names of the labels of the first sample with this name.
fn labels_of(page: &str, sample: &str) -> Option<String> {
    let mut lines = page.lines().filter_map(|line| line.strip_prefix(sample));
    let rest = lines.find(|rest| rest.starts_with([' ', '{']))?;
    let Some((labels, _)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
        return Some("none".to_owned());
    };
    let names = labels.split("\",").filter_map(|label| label.split_once('='));
    let names: Vec<String> = names.map(|(name, _)| format!("`{name}`")).collect();
    Some(if names.is_empty() { "none".to_owned() } else { names.join(", ") })
}

/// A page on which every family has a sample.
fn scrape() -> String {
    let listeners: [Arc<str>; 1] = ["web".into()];
    let traefik = TraefikFamilies { entry_points: true, routers: true, services: true };
    let metrics = Metrics { per_route: PerRoute::Requests, traefik, ..Metrics::default() };
    let telemetry = Telemetry::configured(&listeners, 1, 1 << 20, metrics);
    telemetry.secure([true]);
    let mut registry = Registry::default();
    telemetry.register(&mut registry);
    serve_one(&telemetry, &listeners);
    watch(&telemetry);
    telemetry.certificates().update(|cells| {
        cells.not_after.push(("a.example".to_owned(), 1));
        cells.leaves.push(Arc::new(LeafText {
            cn: "a".into(),
            serial: "1".into(),
            sans: "a.example".into(),
            not_after: 1,
        }));
        cells.full_strict.push(("a.example".to_owned(), Verdict::ALL[0], Some(1)));
        cells.files.push(("a.pem".into(), false));
    });
    telemetry.list().update(|cells| {
        cells.succeed(true, 1);
        cells.confirmed = Some(1);
        cells.fail(ravelin::telemetry::ListFailure::ALL[0], 1);
    });
    telemetry.decisions().update(|cells| cells.attempts.succeed(true, 1));
    telemetry.access().update(|cells| cells.succeed(&"example".into(), 2, true, 1));
    telemetry.class_grace().update(|classes| {
        classes.insert("ravelin".into(), 1);
    });
    telemetry.workers()[0].colos.count(b"1-FRA");
    telemetry.workers()[0].listeners[0].handshakes.judge(Mode::Require, Verification::None);
    telemetry.set_findings(Arc::new([Arc::new(Diagnostic {
        severity: Severity::Error,
        object: ObjectRef::new(Kind::Ingress, "ns", "name"),
        field: String::new(),
        why: Why::Invalid,
        reason: String::new(),
        fix: String::new(),
    })]));
    let mut page = String::new();
    encode(&mut page, &registry).expect("a page");
    page
}

/// The demo's table, with one request to its first route.
fn serve_one(telemetry: &Arc<Telemetry>, listeners: &[Arc<str>]) {
    let mut directory = Directory::new([root().join("config/demo")]);
    directory.scan();
    let options = Options {
        ingress_class: "ravelin".to_owned(),
        loopback_endpoints: true,
        ..Options::default()
    };
    let (model, _) = translate(&directory.objects(), &options);
    let publisher = Publisher::new(compile(&model, None));
    let table = publisher.current();
    telemetry.follow(publisher.handle());
    let cache = SeriesCache::new(Arc::clone(&telemetry.workers()[0]), listeners.into());
    let route = table.routes().next();
    assert!(route.is_some(), "the demo has routes");
    let outcome = Outcome {
        method: MethodLabel::ALL[0],
        status: Reason::NoEndpoint.status(),
        protocol: RequestProtocol::Http,
        is_asked: true,
        reason: Some(Reason::NoEndpoint),
        duration: Duration::from_millis(1),
        upstream: None,
        bytes_in: 0,
        bytes_out: 0,
        tls: Some((TlsVersion::ALL[0], TlsSuite::ALL[0])),
        retries: 0,
        trace_id: None,
    };
    cache.with(0, &table, route, |series| {
        series.record(&outcome, None);
        series.etag_mismatches.add(1);
    });
    let cache = TcpSeriesCache::new(Arc::clone(&telemetry.workers()[0]), listeners.into());
    cache.find(0, None, None).record(None, [1, 1]);
}

/// A cluster is watched, written to, and kept on disk.
fn watch(telemetry: &Telemetry) {
    telemetry.watch().expect([Kind::Ingress]);
    telemetry.watch().update(Kind::Ingress, |cells| {
        cells.prove();
        cells.hear();
    });
    telemetry.write_back().update(|cells| cells.enabled = true);
    telemetry.last_good().update(|cells| {
        cells.kept = true;
        cells.restored = Some(1);
        cells.succeed(1);
    });
}
