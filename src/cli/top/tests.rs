use super::draw::{Palette, draw};
use super::printed;
use super::rates::Rates;
use super::sample::{HostCertificate, Process, Sample, expiries, pods};
use super::view::{AfterKey, HostOrder, TopView};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// The frame of [`view`]; written by `RAVELIN_WRITE_REFERENCE=1 cargo test --lib cli::top`.
const GOLDEN: &str = "src/cli/top/golden.txt";

/// 2023-11-14T22:13:20Z.
const START: i64 = 1_700_000_000;

/// What is counted at a moment.
struct Counts<'c> {
    /// Host, 2xx, and 503 with the reason `no_endpoint`.
    hosts: &'c [(&'c str, u32, u32)],
    /// Requests below 10 ms, and from there to 100 ms.
    quick: u32,
    slow: u32,
    /// Requests that the first pod got.
    picks: u32,
}

const FIRST: Counts<'static> = Counts {
    hosts: &[("shop.example", 100, 0), ("api.example", 10, 1), ("idle.example", 7, 0)],
    quick: 100,
    slow: 18,
    picks: u32::MAX - 9,
};

const SECOND: Counts<'static> = Counts {
    hosts: &[
        ("shop.example", 300, 0),
        ("api.example", 14, 5),
        ("idle.example", 7, 0),
        ("new.example", 1, 0),
    ],
    quick: 290,
    slow: 38,
    picks: 190,
};

fn metrics(counts: &Counts<'_>) -> String {
    let mut text = "# TYPE ravelin_requests counter\n".to_owned();
    let mut add = |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("a String");
    for (host, ok, failed) in counts.hosts {
        for (status, reason, count) in [("2xx", "", ok), ("5xx", "no_endpoint", failed)] {
            let service = format!("ns/{}:http", host.split('.').next().expect("a name"));
            add(format_args!(
                "ravelin_requests_total{{listener=\"web\",host=\"{host}\",route=\"ns/a\\\\\",service=\"{service}\",\
                 method=\"GET\",status=\"{status}\",reason=\"{reason}\"}} {count}"
            ));
        }
    }
    let Counts { quick, slow, .. } = counts;
    for (bound, count) in [("0.01", *quick), ("0.1", quick + slow), ("+Inf", quick + slow)] {
        add(format_args!(
            "ravelin_request_duration_seconds_bucket{{listener=\"web\",le=\"{bound}\"}} {count}"
        ));
    }
    add(format_args!("ravelin_connections_accepted_total{{listener=\"web\"}} {quick}"));
    add(format_args!("ravelin_connections_refused_total{{listener=\"web\"}} {}", 2 * slow));
    add(format_args!("ravelin_admission_dropped_packets_total{{listener=\"web\"}} 40"));
    add(format_args!("ravelin_cloudflare_colo_requests_total{{colo=\"FRA\"}} {quick}"));
    text + "# EOF\n"
}

fn services(picks: u32) -> Vec<Value> {
    let endpoint = |address: &str, requests: u32, failing: bool| {
        json!({"address": address, "state": "ready", "in_flight": 3, "requests": requests, "latency_ms": 12.34,
            "failing": failing})
    };
    vec![
        json!({"service": "ns/shop:http", "endpoints": [
            endpoint("10.42.0.7:8080", picks, false),
            endpoint("10.42.1.9:8080", 0, true),
            {"address": "10.42.1.10:8080", "state": "not_ready", "failing": false},
        ]}),
        json!({"service": "ns/api:http", "endpoints": [endpoint("10.42.0.8:8080", 7, false)]}),
    ]
}

/// A moment so many seconds after the first one.
fn moment(seconds: u64, counts: &Counts<'_>) -> Sample {
    let status = json!({"version": "0.1.0", "started": START - 7500, "not_ready": null, "notes": "",
        "connections_open": 12, "findings": {"error": 1, "warning": 2, "info": 9}});
    let wall = START + i64::try_from(seconds).expect("small");
    let mut sample = Sample::empty(beginning() + Duration::from_secs(seconds), wall);
    sample.process = Process::of(&status);
    sample.count_all(&metrics(counts));
    sample.pods = services(counts.picks).iter().flat_map(pods).collect();
    sample.certificates = expiries(&json!({"items": [
        {"host": "old.example", "days_left": 300, "cloudflare_answers": 526},
        {"host": "soon.example", "days_left": 3},
        {"host": "shop.example", "days_left": 61},
        {"host": "none.example"},
    ]}));
    sample
}

fn beginning() -> Instant {
    static BEGINNING: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *BEGINNING.get_or_init(Instant::now)
}

/// Two moments, two seconds apart.
fn view() -> TopView {
    let mut view =
        TopView::new("/run/ravelin/admin.sock".to_owned(), HostOrder::Rate, String::new());
    view.take(Ok(moment(0, &FIRST)));
    view.take(Ok(moment(2, &SECOND)));
    view
}

fn press(view: &mut TopView, keys: &str) -> AfterKey {
    let mut last = AfterKey::Continue;
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            '\u{8}' => KeyCode::Backspace,
            other => KeyCode::Char(other),
        };
        last = view.press(KeyEvent::new(code, KeyModifiers::NONE));
    }
    last
}

/// The lines of a screen of this size, and whether any of it is red.
fn screen(view: &TopView, width: u16, height: u16, has_colors: bool) -> (Vec<String>, bool) {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a backend");
    terminal.draw(|frame| draw(frame, view, Palette::new(has_colors))).expect("a backend");
    let buffer = terminal.backend().buffer();
    let line = |y: u16| -> String { (0..width).map(|x| buffer[(x, y)].symbol()).collect() };
    let lines = (0..height).map(|y| line(y).trim_end().to_owned()).collect();
    (lines, buffer.content.iter().any(|cell| cell.fg == Color::Red))
}

fn hosts(view: &TopView) -> Vec<&str> {
    view.hosts().into_iter().map(|(host, _)| host).collect()
}

#[test]
fn a_frame_of_80_columns_shows_everything() {
    let frame = printed(&view(), 80).expect("a frame");
    if std::env::var_os("RAVELIN_WRITE_REFERENCE").is_some() {
        std::fs::write(GOLDEN, &frame).expect("a file of ours");
        return;
    }
    assert_eq!(frame, std::fs::read_to_string(GOLDEN).expect("a file of ours"));
}

#[test]
fn rates_are_of_the_time_between() {
    let rates = view().rates;
    let classes = |host: &str| rates.hosts[host].classes;
    assert_eq!(classes("shop.example"), [0.0, 100.0, 0.0, 0.0, 0.0]);
    assert_eq!(classes("api.example"), [0.0, 2.0, 0.0, 0.0, 2.0]);
    assert_eq!(classes("new.example")[1], 0.5);
    assert_eq!(rates.classes, [0.0, 102.5, 0.0, 0.0, 2.0]);
    assert_eq!((rates.gate.refused, rates.gate.dropped, rates.gate.accepted), (20.0, 0.0, 95.0));
    assert_eq!(rates.colos, [("FRA".to_owned(), 95.0)]);
    assert_eq!(rates.reasons, [("no_endpoint".to_owned(), 2.0)]);
    // The count of the first pod wrapped; the state of the third is not known.
    assert_eq!(rates.pods, [Some(100.0), Some(0.0), None, Some(0.0)]);
    let median = rates.quantiles.p50.expect("requests");
    assert!((5.0..6.0).contains(&median), "{median}");
    let slow = rates.quantiles.p99.expect("requests");
    assert!((90.0..95.0).contains(&slow), "{slow}");
}

#[test]
fn one_moment_has_counts_and_no_rates() {
    let rates = Rates::between(None, &moment(0, &FIRST));
    assert_eq!((rates.classes, rates.quantiles.p50), ([0.0; 5], None));
    assert_eq!(rates.hosts["shop.example"].total, 100.0);
    assert_eq!(rates.pods, [None; 4]);
}

#[test]
fn counts_of_a_process_that_started_again_are_all_since() {
    let before = moment(0, &SECOND);
    let mut now = moment(2, &FIRST);
    now.process.started = Some(START + 1);
    let rates = Rates::between(Some(&before), &now);
    assert!(rates.restarted);
    assert_eq!(rates.hosts["shop.example"].classes[1], 50.0);
    assert_eq!(rates.gate.accepted, 50.0);
    assert!(rates.quantiles.p50.is_some());
    // The same of a version that does not say when it started.
    now.process.started = None;
    assert!(Rates::between(Some(&before), &now).restarted);
    let mut view = view();
    now.process.started = Some(START + 1);
    view.take(Ok(now));
    assert!(printed(&view, 80).expect("a frame").contains("ready, RESTARTED"));
}

#[test]
fn a_route_that_is_gone_makes_no_rate() {
    let (before, mut now) = (moment(0, &SECOND), moment(2, &FIRST));
    now.gate.accepted = before.gate.accepted;
    let rates = Rates::between(Some(&before), &now);
    assert!(!rates.restarted);
    assert_eq!(rates.hosts["shop.example"].classes, [0.0; 5]);
}

#[test]
fn a_new_pod_with_the_address_of_an_old_one_counts_from_zero() {
    let before = moment(0, &Counts { picks: 5_000, ..FIRST });
    let now = moment(2, &Counts { picks: 40, ..SECOND });
    assert_eq!(Rates::between(Some(&before), &now).pods[0], Some(20.0));
}

#[test]
fn keys_sort_filter_pause_and_quit() {
    let mut view = view();
    assert_eq!(hosts(&view), ["shop.example", "api.example", "new.example", "idle.example"]);
    press(&mut view, "s");
    assert_eq!((view.order, hosts(&view)[0]), (HostOrder::Errors, "api.example"));
    press(&mut view, "ss");
    assert_eq!((view.order, hosts(&view)[0]), (HostOrder::Total, "shop.example"));
    press(&mut view, "s");
    assert_eq!(hosts(&view), ["api.example", "idle.example", "new.example", "shop.example"]);
    // Within the filter q and s are letters.
    assert_eq!(press(&mut view, "/IDq"), AfterKey::Continue);
    assert_eq!((hosts(&view).len(), view.filter.as_str()), (0, "IDq"));
    press(&mut view, "\u{8}");
    assert!(screen(&view, 80, 24, false).0[23].starts_with("filter: ID_"));
    press(&mut view, "\n");
    assert_eq!(hosts(&view), ["idle.example"]);
    press(&mut view, "\u{1b}p");
    let failed = Err("gone".to_owned());
    view.take(failed.clone());
    assert_eq!((hosts(&view).len(), &view.no_answer, view.paused), (4, &None, true));
    press(&mut view, "p");
    view.take(failed);
    let (lines, _) = screen(&view, 80, 24, false);
    assert!(lines[0].contains("NO ANSWER for 0s") && lines[6] == "gone", "{lines:?}");
    view.take(Err("many words, ".repeat(20)));
    let (lines, _) = screen(&view, 70, 24, false);
    assert!(
        lines[8].starts_with("many words, many words,") && lines[9].starts_with("HOST "),
        "{lines:?}"
    );
    view.take(Ok(moment(4, &SECOND)));
    assert!(screen(&view, 80, 24, false).0[0].contains("  ready  up 2h 5m  "));
    assert_eq!(press(&mut view, "q"), AfterKey::Quit);
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    press(&mut view, "/");
    assert_eq!(view.press(control_c), AfterKey::Quit);
}

#[test]
fn a_small_screen_scrolls_and_tells_what_is_beyond() {
    let mut view = view();
    let (lines, _) = screen(&view, 70, 13, false);
    assert_eq!(lines[7].split("  ").next(), Some("HOST 1-2 of 4"), "{lines:?}");
    view.press(KeyEvent::new(KeyCode::End, KeyModifiers::NONE));
    let (lines, _) = screen(&view, 70, 13, false);
    assert!(
        lines[7].starts_with("HOST 3-4 of 4") && lines[9].starts_with("idle.example"),
        "{lines:?}"
    );
    view.press(KeyEvent::new(KeyCode::Up, KeyModifiers::NONE));
    assert_eq!(view.above, 2);
    let (lines, _) = screen(&view, 69, 13, false);
    assert!(lines[0].starts_with("too small"), "{lines:?}");
    for (width, height) in [(1, 1), (70, 12), (80, 24), (300, 100)] {
        screen(&view, width, height, true);
    }
}

#[test]
fn ejected_pods_come_first_and_the_filter_follows_the_services_of_hosts() {
    let mut view = view();
    let pods = |view: &TopView| -> Vec<(String, String)> {
        view.pods().iter().map(|(pod, _)| (pod.address.clone(), pod.state.clone())).collect()
    };
    let first = ("10.42.1.9:8080".to_owned(), "ejected".to_owned());
    assert_eq!((pods(&view).len(), &pods(&view)[0]), (4, &first));
    assert_eq!(pods(&view)[1].0, "10.42.0.7:8080");
    view.filter = "api.example".to_owned();
    assert_eq!(pods(&view), [("10.42.0.8:8080".to_owned(), "ready".to_owned())]);
    view.filter = "ns/shop".to_owned();
    assert_eq!((hosts(&view).len(), pods(&view).len()), (0, 3));
}

#[test]
fn colours_are_a_choice_and_control_characters_are_not_obeyed() {
    let mut view = view();
    assert!(screen(&view, 80, 24, true).1);
    assert!(!screen(&view, 80, 24, false).1);
    let mut sample = moment(4, &SECOND);
    sample.process.not_ready = Some("a\u{1b}[31mb".to_owned());
    sample.certificates =
        vec![HostCertificate { host: "x".to_owned(), days_left: -1, refused_with: None }];
    view.take(Ok(sample));
    let (lines, _) = screen(&view, 80, 24, false);
    assert!(lines[0].contains("NOT READY") && lines[6] == "a\u{fffd}[31mb", "{lines:?}");
    assert!(lines[5].ends_with("certificates  x EXPIRED"), "{lines:?}");
}

#[test]
fn no_line_is_wider_than_the_screen_whatever_the_numbers() {
    let mut view = view();
    let rates = &mut view.rates;
    rates.classes = [123_456.0; 5];
    rates.quantiles.p50 = Some(0.111);
    rates.quantiles.p99 = Some(0.111);
    rates.gate.refused = 123_456.0;
    rates.gate.dropped = 123_456.0;
    rates.gate.failed_handshakes = 123_456.0;
    rates.reasons = (0..9).map(|at| (format!("a_long_reason_{at}"), 123_456.0)).collect();
    view.now.as_mut().expect("a moment").process.connections = 1_234_567;
    let (lines, _) = screen(&view, 80, 24, false);
    assert!(lines[1].ends_with("p99 0.11ms"), "{lines:?}");
    assert!(lines[2].ends_with("tls failed 123k/s"), "{lines:?}");
    assert!(lines[3].ends_with("a_long_reason_1 123k/s  +7"), "{lines:?}");
}
