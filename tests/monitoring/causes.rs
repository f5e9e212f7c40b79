//! Alerts by their causes: each is brought about on a live ravelin, which a real Prometheus scrapes and judges by the rules
//! as they are shipped, except that nothing has to last (`for`) and that silence of the API server counts after seconds.

use crate::alerts::alerts;
use crate::edge::{Edge, Pod, own_address, under_load};
use crate::scraper::{Scraper, get};
use crate::server::{Certificate, Play, Server, answer};
use crate::{deploy, eventually};
use ravelin::model::EndpointState;
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(86400);
const NO_LIST: &str = "[cloudflare]\nrefresh = \"off\"\n";

/// The rules, so that a test need not wait.
fn hasty_rules() -> String {
    let rules = fs::read_to_string(deploy("monitoring/rules.yaml")).expect("the rules");
    let lines = rules.lines().filter(|line| !line.trim_start().starts_with("for: "));
    let hasty = lines.collect::<Vec<_>>().join("\n");
    let silence = "ravelin_watch_age_seconds > ";
    assert!(hasty.contains(&format!("{silence}180")), "the threshold of silence has changed");
    hasty.replace(&format!("{silence}180"), &format!("{silence}10"))
}

/// The expression of an alert, likewise.
fn expression(alert: &str) -> String {
    let alert = alerts().into_iter().find(|one| one.name == alert).expect("an alert");
    alert.expression.replace("ravelin_watch_age_seconds > 180", "ravelin_watch_age_seconds > 10")
}

/// A host with a pod, and one with TLS.
fn site(pod: &Pod) -> Edge {
    let edge = Edge::of_folder();
    for name in ["shop", "tls"] {
        edge.route(name, &json!({}), &json!({}));
        edge.endpoint(name, 0, pod.addr, EndpointState::Ready);
    }
    edge.secret("tls", SystemTime::now() + 90 * DAY);
    edge
}

/// Nothing fires before the cause, by what was scraped then; the alert fires after it. Returns its labels. `None`: there is
/// no Prometheus, which is said.
fn fires_by(edge: &mut Edge, alert: &str, cause: impl FnOnce(&mut Edge)) -> Option<Value> {
    let prometheus = Scraper::prometheus(&[("ravelin", edge.admin)], &hasty_rules())?;
    prometheus.await_result("count_over_time(ravelin_snapshot_generation[1m]) >= 4");
    assert_eq!(prometheus.query(&expression(alert)), [], "{alert}");
    assert_eq!(prometheus.firing(alert), Vec::<Value>::new());
    cause(edge);
    let fired = eventually(alert, || prometheus.firing(alert).into_iter().next());
    assert!(!prometheus.query(&expression(alert)).is_empty(), "{alert}");
    for (name, text) in fired["annotations"].as_object().expect("annotations") {
        let text = text.as_str().expect("text");
        assert!(!text.contains("{{") && !text.contains("<error"), "{alert}: {name}: {text}");
    }
    Some(fired["labels"].clone())
}

/// Asks a host for as long as it takes until the page of metrics has this.
fn ask_until(edge: &Edge, host: &str, what: &str, has: impl Fn(&str) -> bool) {
    let ask = || {
        edge.ask(host);
    };
    under_load(ask, || eventually(what, || has(&page(edge)).then_some(())));
}

/// The page of metrics now; empty without one.
fn page(edge: &Edge) -> String {
    get(edge.admin, "/metrics").map_or_else(String::new, |(_, page)| page)
}

#[test]
fn a_certificate_that_has_expired() {
    let pod = Pod::start("a");
    let mut edge = site(&pod);
    edge.run("", NO_LIST);
    let labels = fires_by(&mut edge, "RavelinCertificateExpired", |edge| {
        edge.secret("tls", SystemTime::now() - DAY);
    });
    let Some(labels) = labels else { return };
    assert_eq!((&labels["host"], &labels["severity"]), (&json!("tls.example"), &json!("critical")));
}

#[test]
fn a_certificate_that_expires_soon() {
    let pod = Pod::start("a");
    let mut edge = site(&pod);
    edge.run("", NO_LIST);
    let labels = fires_by(&mut edge, "RavelinCertificateExpiresSoon", |edge| {
        edge.secret("tls", SystemTime::now() + 10 * DAY);
    });
    let Some(labels) = labels else { return };
    assert_eq!(labels["host"], "tls.example");
}

#[test]
fn a_list_that_a_process_never_gets_refreshed() {
    let pod = Pod::start("a");
    let mut edge = site(&pod);
    let networks: Vec<String> =
        ravelin::config::CLOUDFLARE.iter().map(ToString::to_string).collect();
    let [v4, v6]: [Vec<_>; 2] =
        [false, true].map(|v6| networks.iter().filter(|it| it.contains(':') == v6).collect());
    let result = json!({"ipv4_cidrs": v4, "ipv6_cidrs": v6, "etag": "1"});
    let body = json!({"result": result, "success": true, "errors": [], "messages": []}).to_string();
    let folder = edge.file("api");
    fs::create_dir(&folder).expect("a folder of ours");
    let server = Server::start(&folder, Certificate::Good, answer("200 OK", "", &body));
    let url = format!("https://{}/client/v4/ips", server.addr);
    let keys = format!("[cloudflare]\nurl = {url:?}\nca_file = {:?}\n", server.ca_file);
    edge.run("", &keys);
    let listed = "ravelin_cloudflare_list_origin{origin=\"api\"} 1";
    eventually("the list of the API", || page(&edge).contains(listed).then_some(()));
    let labels = fires_by(&mut edge, "RavelinCloudflareListNotRefreshed", |edge| {
        // The next process, as after a reboot, has the list of its build, and nobody tells it more.
        server.plays(Play::Refuse);
        edge.kill();
        edge.run("", &keys);
    });
    let Some(labels) = labels else { return };
    assert_eq!(labels["instance"], edge.admin.to_string());
}

#[test]
fn a_gate_that_is_not_in_the_kernel() {
    let pod = Pod::start("a");
    let mut edge = site(&pod);
    edge.run("", NO_LIST);
    if page(&edge).contains("ravelin_admission_mode{listener=\"web\",mode=\"user_space\"} 1") {
        return crate::unsupported(
            "the kernel gives this user no filter: its gate is in user space from the start",
        );
    }
    let labels = fires_by(&mut edge, "RavelinGateInUserSpace", |edge| {
        edge.reload("kernel_filter = false", NO_LIST);
    });
    let Some(labels) = labels else { return };
    assert_eq!((&labels["listener"], &labels["mode"]), (&json!("web"), &json!("user_space")));
}

#[test]
fn a_pod_that_is_ejected() {
    let pod = Pod::start("a");
    let mut edge = site(&pod);
    edge.run("", NO_LIST);
    let labels = fires_by(&mut edge, "RavelinPodsEjected", |edge| {
        // Nobody listens there.
        edge.endpoint("shop", 1, own_address(8000), EndpointState::Ready);
        ask_until(edge, "shop.example", "an ejection", |page| {
            page.contains("ravelin_endpoints_ejected{")
        });
    });
    let Some(labels) = labels else { return };
    assert_eq!((&labels["namespace"], &labels["service"]), (&json!("ns"), &json!("shop:http")));
}

#[test]
fn a_pod_that_answers_500() {
    let pod = Pod::start("a");
    let mut edge = site(&pod);
    edge.run("", NO_LIST);
    // The ratio is one of 5 minutes, and wants a request in 10 seconds: before and after.
    let ask = |edge: &Edge| (0..100).for_each(|_| assert_ne!(edge.ask("shop.example"), 0));
    ask(&edge);
    let labels = fires_by(&mut edge, "RavelinServerErrorsHigh", |edge| {
        pod.answer(500);
        // A series begins with its first request: what comes after a scrape is its rate.
        ask_until(edge, "shop.example", "some hundred requests", |page| {
            let failed = page.lines().filter(|line| {
                line.starts_with("ravelin_requests_total{") && line.contains("status=\"5xx\"")
            });
            let counts = failed.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
            counts.sum::<f64>() > 600.0
        });
    });
    let Some(labels) = labels else { return };
    assert_eq!(labels["host"], "shop.example");
}

#[test]
fn a_service_without_a_ready_pod() {
    let pod = Pod::start("a");
    let mut edge = site(&pod);
    edge.run("", NO_LIST);
    let labels = fires_by(&mut edge, "RavelinNoReadyPods", |edge| {
        edge.endpoint("shop", 0, pod.addr, EndpointState::NotReady);
    });
    let Some(labels) = labels else { return };
    assert_eq!(labels["service"], "shop:http");
}

#[test]
fn pods_that_disagree_on_an_etag() {
    let pods = ["a", "b"].map(Pod::start);
    let mut edge = site(&pods[0]);
    edge.run("", NO_LIST);
    let labels = fires_by(&mut edge, "RavelinETagMismatch", |edge| {
        edge.endpoint("shop", 1, pods[1].addr, EndpointState::Ready);
        ask_until(edge, "shop.example", "a mismatch", |page| {
            page.contains("ravelin_etag_mismatches_total{")
        });
    });
    let Some(labels) = labels else { return };
    assert_eq!((&labels["host"], &labels["route"]), (&json!("shop.example"), &json!("ns/shop")));
}

#[test]
fn a_watch_that_says_nothing() {
    let mut edge = Edge::of_cluster();
    edge.run("", NO_LIST);
    let labels = fires_by(&mut edge, "RavelinWatchSilent", |edge| {
        // Open watches say nothing, and no check is answered.
        for plural in ["ingresses", "services", "endpointslices", "secrets"] {
            edge.api().mute(plural);
            edge.api().fail(plural, crate::api::On::List, usize::MAX, crate::api::Fault::Hang);
        }
    });
    let Some(labels) = labels else { return };
    let kinds = ["Ingress", "Service", "EndpointSlice", "Secret"];
    assert!(kinds.iter().any(|kind| labels["kind"] == *kind), "{labels}");
}

#[test]
fn an_api_server_that_is_away() {
    let mut edge = Edge::of_cluster();
    edge.run("", NO_LIST);
    let labels = fires_by(&mut edge, "RavelinWatchFailing", |edge| edge.api().cut(true));
    let Some(labels) = labels else { return };
    assert_eq!(labels["severity"], "warning");
    // Its port is closed when it goes, which it does in peace only where it is there.
    edge.api().back();
}

#[test]
fn an_object_that_is_not_served_as_written() {
    let pod = Pod::start("a");
    let mut edge = site(&pod);
    edge.run("", NO_LIST);
    let labels = fires_by(&mut edge, "RavelinFindings", |edge| {
        edge.serve("without-a-service.example");
    });
    let Some(labels) = labels else { return };
    let expected = json!(["Ingress", "service_missing"]);
    assert_eq!(json!([labels["kind"], labels["reason"]]), expected);
}

#[test]
fn a_configuration_that_is_refused_at_a_reload() {
    let pod = Pod::start("a");
    let mut edge = site(&pod);
    edge.run("", NO_LIST);
    let labels = fires_by(&mut edge, "RavelinReloadFailed", |edge| {
        edge.reload("admitt = [\"loopback\"]", NO_LIST);
    });
    if labels.is_none() {
        return;
    }
    // One that is good ends it.
    edge.reload("", NO_LIST);
    let good = "ravelin_config_reload_failing{} 0.0";
    eventually("the metric is 0", || page(&edge).contains(good).then_some(()));
    assert_eq!(edge.ask("shop.example"), 200);
}

#[test]
fn the_switch_of_break_glass() {
    let pod = Pod::start("a");
    let mut edge = site(&pod);
    let switch = edge.file("switch");
    fs::write(&switch, "off\n").expect("a folder of ours");
    edge.run("", &format!("{NO_LIST}[break_glass]\nfile = {switch:?}\n"));
    let labels = fires_by(&mut edge, "RavelinBreakGlassOn", |_| {
        fs::write(&switch, "on\n").expect("a file of ours");
    });
    let Some(labels) = labels else { return };
    assert_eq!(labels["instance"], edge.admin.to_string());
}

#[test]
fn a_process_that_is_gone() {
    let pod = Pod::start("a");
    let mut edge = site(&pod);
    edge.run("", NO_LIST);
    let labels = fires_by(&mut edge, "RavelinTargetDown", Edge::kill);
    let Some(labels) = labels else { return };
    assert_eq!(labels["job"], "ravelin");
}
