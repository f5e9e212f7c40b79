//! The queries of all panels against a real Prometheus and a real VictoriaMetrics, which scrape a ravelin under load. None
//! is empty but those that deploy/monitoring/README.md names, and these fill by the cause of an alert.

use crate::alerts::{alerts, cases, promtool};
use crate::dashboards::{Query, queries};
use crate::edge::{Edge, Pod, own_address, under_load};
use crate::pages::empty_panels;
use crate::reference::values;
use crate::scraper::Scraper;
use crate::{PATIENCE, deploy};
use ravelin::model::EndpointState;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// A query as Grafana sends it: all nodes, hosts and Services, and so long a range.
fn sent(expression: &str, range: &str) -> String {
    let mut sent = expression.replace("$__rate_interval", range);
    for variable in ["$instance", "$host", "$service"] {
        sent = sent.replace(variable, ".*");
    }
    assert!(!sent.contains('$'), "{sent}");
    sent
}

/// A page as an exporter of Cloudflare's analytics serves it (families and labels of lablabs/cloudflare-exporter).
fn exporter() -> SocketAddr {
    let addr = own_address(8081);
    let listener = TcpListener::bind(addr).expect("an address of ours");
    thread::spawn(move || {
        let count = AtomicU64::new(0);
        for mut stream in listener.incoming().map_while(Result::ok) {
            let now = count.fetch_add(10, Ordering::Relaxed);
            let mut page = String::new();
            for (family, labels) in [
                ("cloudflare_zone_requests_status_country_host", "status=\"522\",country=\"DE\""),
                (
                    "cloudflare_zone_requests_origin_status_country_host",
                    "status=\"502\",country=\"DE\"",
                ),
            ] {
                let labels =
                    format!("zone=\"example\",account=\"a\",host=\"shop.example\",{labels}");
                writeln!(page, "# TYPE {family} counter\n{family}{{{labels}}} {now}")
                    .expect("a String");
            }
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                page.len()
            );
            // A scraper that goes away is its own affair.
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all((head + &page).as_bytes());
        }
    });
    addr
}

/// A healthy site: a Service whose pods agree, one with TLS that asks for client certificates, one that checks its pod, and
/// one that has none.
fn site(pod: &Pod) -> Edge {
    let mut edge = Edge::of_folder();
    edge.route("shop", &json!({"ravelin.dev/health-check-path": "/"}), &json!({}));
    edge.endpoint("shop", 0, pod.addr, EndpointState::Ready);
    edge.route("tls", &json!({}), &json!({}));
    edge.endpoint("tls", 0, pod.addr, EndpointState::Ready);
    edge.route("empty", &json!({}), &json!({}));
    edge.endpoint("empty", 0, pod.addr, EndpointState::NotReady);
    edge.endpoint("tls", 1, own_address(8000), EndpointState::Terminating);
    edge.secret("tls", SystemTime::now() + Duration::from_secs(90 * 86400));
    let store = edge.file("trusted.pem");
    let store = format!("[cloudflare]\nrefresh = \"off\"\ntrust_store_file = {store:?}\n");
    let clients = "[[client_certificate]]\nhosts = [\"tls.example\"]\npolicy = \"request\"\nca = \"cloudflare\"\n";
    edge.run("", &(store + clients));
    edge
}

/// Asks for everything once.
fn ask(edge: &Edge) {
    assert_eq!(edge.ask("shop.example"), 200);
    assert_eq!(edge.ask("empty.example"), 503);
    assert_eq!(edge.ask("nobody.example"), 404);
    assert_eq!(edge.ask_tls("tls.example"), 200);
    edge.ask_tls("nobody.example");
    assert_eq!(edge.ask_by_cloudflare("shop.example"), 200);
}

/// Queries with nothing to show now.
fn empty(scraper: &Scraper, queries: &[Query], within: &BTreeSet<String>) -> BTreeSet<String> {
    let asked = queries.iter().filter(|query| within.contains(&query.name));
    let empty = asked.filter(|query| scraper.query(&sent(&query.expression, "10s")).is_empty());
    empty.map(|query| query.name.clone()).collect()
}

/// Sends each query until it has something. Returns those that have nothing when all that are not listed have.
fn never_filled(scraper: &Scraper, listed: &BTreeSet<String>) -> BTreeSet<String> {
    let queries = queries();
    let mut left: BTreeSet<String> = queries.iter().map(|query| query.name.clone()).collect();
    let end = Instant::now() + PATIENCE;
    while !left.is_subset(listed) {
        let missing: Vec<_> = left.difference(listed).collect();
        assert!(Instant::now() < end, "empty all the time: {missing:?}");
        left = empty(scraper, &queries, &left);
    }
    empty(scraper, &queries, &left)
}

/// What matchers of rules and panels compare with and no series has.
fn unknown_values(scraper: &Scraper) -> BTreeSet<String> {
    let rules = alerts().into_iter().map(|alert| alert.expression);
    let panels = queries().into_iter().map(|query| query.expression);
    let asked: BTreeSet<String> = rules.chain(panels).flat_map(|it| values(&it)).collect();
    assert!(asked.len() > 20, "only {asked:?}");
    asked.into_iter().filter(|query| scraper.query(query).is_empty()).collect()
}

#[test]
fn no_query_of_a_panel_is_empty_on_an_edge_under_load_but_those_that_are_listed() {
    let pod = Pod::start("same");
    let edge = site(&pod);
    // What a ravelin tells of an API server.
    let mut follower = Edge::of_cluster();
    follower.route("shop", &json!({}), &json!({}));
    let elsewhere = SocketAddr::from(([192, 0, 2, 1], 8080));
    follower.endpoint("shop", 0, elsewhere, EndpointState::Ready);
    follower.run("", "[cloudflare]\nrefresh = \"off\"\n");
    let targets =
        [("ravelin", edge.admin), ("ravelin/follower", follower.admin), ("cloudflare", exporter())];
    let rules = fs::read_to_string(deploy("monitoring/rules.yaml")).expect("the rules");
    let listed: BTreeSet<String> = empty_panels().into_keys().collect();
    under_load(
        || ask(&edge),
        || {
            let prometheus = Scraper::prometheus(&targets, &rules);
            let victoria_metrics = Scraper::victoria_metrics(&targets);
            for scraper in [prometheus, victoria_metrics].into_iter().flatten() {
                let left = never_filled(&scraper, &listed);
                assert_eq!(left, listed, "a panel that fills is not to be listed");
                assert_eq!(unknown_values(&scraper), BTreeSet::new());
            }
        },
    );
}

#[test]
fn a_panel_that_is_listed_as_empty_fills_by_the_cause_of_its_alert() {
    let (queries, cases) = (queries(), cases());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tests = empty_panels().into_iter().map(|(name, alert)| {
        let query = queries.iter().find(|query| query.name == name);
        let query = query.unwrap_or_else(|| panic!("there is no panel {name}"));
        let case = cases.get(&alert).unwrap_or_else(|| panic!("{name}: there is no alert {alert}"));
        let series = case["fires"].as_object().expect("series").iter();
        let series = series.map(|(series, values)| json!({"series": series, "values": values}));
        json!({
            "name": name,
            "interval": "1m",
            "input_series": series.collect::<Vec<_>>(),
            "promql_expr_test": [{
                "expr": format!("count({}) > bool 0", sent(&query.expression, "5m")),
                "eval_time": case["at"],
                "exp_samples": [{"labels": "{}", "value": 1}],
            }],
        })
    });
    let tests: Vec<Value> = tests.collect();
    let file = folder.path().join("test.yaml");
    let text = json!({"evaluation_interval": "1m", "tests": tests}).to_string();
    fs::write(&file, text).expect("a folder of ours");
    let line = ["test".to_owned(), "rules".to_owned(), file.display().to_string()];
    let Some(output) = promtool(&line) else { return };
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
