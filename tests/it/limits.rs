//! Limits of routes: how often one client may ask, and how often at once.

use crate::support::{Client, Edge, Gate, Stepped, Upstream, eventually, program};
use http::StatusCode;
use ravelin::model::middleware::{
    ClientSelector, InFlightLimit, LimitKey, RateLimit, SharedStore, Step,
};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

fn positive(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("more than zero")
}

fn visitor() -> LimitKey {
    LimitKey::Client(ClientSelector::Visitor { ipv6_bits: 64 })
}

fn rate(average: u32, period: Duration, shared: Option<SharedStore>) -> Step {
    Step::RateLimit(Box::new(RateLimit {
        average: positive(average),
        period,
        burst: positive(1),
        key: visitor(),
        except: Vec::new(),
        status: StatusCode::TOO_MANY_REQUESTS,
        shared: shared.map(Box::new),
    }))
}

/// What three proxies may let pass in a second.
const RATE: u32 = 50;

/// The same with a second's worth at once.
fn burst(average: u32, period: Duration, shared: Option<SharedStore>) -> Step {
    match rate(average, period, shared) {
        Step::RateLimit(limit) => {
            Step::RateLimit(Box::new(RateLimit { burst: positive(average), ..*limit }))
        }
        other => other,
    }
}

fn store(address: SocketAddr, budget: Duration) -> SharedStore {
    SharedStore {
        endpoints: vec![address.to_string().into()],
        service: None,
        username: None,
        password: None,
        database: 0,
        tls: None,
        budget,
    }
}

fn await_counts(edge: &Edge, kind: &str, passed: f64, answered: f64) {
    for (outcome, count) in [("passed", passed), ("answered", answered)] {
        let labels = [("kind", kind), ("outcome", outcome)];
        edge.await_metric("ravelin_middleware_requests_total", &labels, count);
    }
}

#[test]
fn a_request_beyond_the_rate_is_answered_in_the_pods_place_and_counted() {
    let pod = Upstream::saying("hello");
    let hourly = rate(1, Duration::from_secs(3600), None);
    let edge = Stepped::new(pod.addr()).route("", "/", vec![hourly]).start();
    let mut client = edge.connect();
    assert_eq!(client.get("a", "/").status(), 200);
    let refused = client.get("a", "/");
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.field("retry-after"), Some("3600"));
    assert!(refused.field("x-retry-in").is_some_and(|text| text.starts_with("59m59.")));
    assert!(refused.text().contains("rate_limited"), "{}", refused.text());
    assert_eq!(pod.requests().len(), 1);
    await_counts(&edge, "rateLimit", 1.0, 1.0);
    edge.await_metric("ravelin_rate_limit_keys", &[], 1.0);
}

/// An edge that lets one request of a client pass at once, the connection of that one, and its pod, which answers
/// when the gate opens.
fn one_at_a_time(gate: &Gate) -> (Edge, Client, Upstream) {
    let waits = gate.clone();
    let pod = Upstream::scripted(move |conn| {
        while conn.request().is_some() {
            waits.wait();
            conn.answer("done");
        }
    });
    let single = Step::InFlight(Box::new(InFlightLimit {
        amount: positive(1),
        key: visitor(),
        except: Vec::new(),
        status: StatusCode::TOO_MANY_REQUESTS,
    }));
    let edge = Stepped::new(pod.addr()).route("", "/", vec![single]).start();
    let mut first = edge.connect();
    first.ask("GET", "a", "/");
    pod.await_requests(1);
    (edge, first, pod)
}

#[test]
fn requests_at_once_are_counted_until_their_answers_are_through() {
    let gate = Gate::default();
    let (edge, mut first, _pod) = one_at_a_time(&gate);
    let refused = edge.get("a", "/");
    assert_eq!(refused.status(), 429);
    assert!(refused.text().contains("in_flight_limited"), "{}", refused.text());
    gate.open();
    assert_eq!(first.response().status(), 200);
    eventually("its turn is free", || (edge.get("a", "/").status() == 200).then_some(()));
}

#[test]
fn a_client_that_leaves_gives_its_turn_back() {
    let gate = Gate::default();
    let (edge, first, _pod) = one_at_a_time(&gate);
    drop(first);
    gate.open();
    eventually("its turn is free", || (edge.get("a", "/").status() == 200).then_some(()));
}

#[test]
fn without_its_store_a_process_limits_alone_and_counts_that() {
    let pod = Upstream::saying("hello");
    // Nobody listens there.
    let nowhere = store(SocketAddr::from(([127, 0, 0, 1], 1)), Duration::from_millis(5));
    let hourly = rate(1, Duration::from_secs(3600), Some(nowhere));
    let edge = Stepped::new(pod.addr()).route("", "/", vec![hourly]).start();
    assert_eq!(edge.get("a", "/").status(), 200);
    assert_eq!(edge.get("a", "/").status(), 429);
    let labels = [("reason", "disconnected")];
    edge.await_metric("ravelin_rate_limit_fallbacks_total", &labels, 2.0);
    await_counts(&edge, "rateLimit", 1.0, 1.0);
}

/// A server of Valkey or Redis, on an address of its own.
struct Server {
    address: SocketAddr,
    child: Child,
}

impl Server {
    fn start() -> Option<Self> {
        let program = ["valkey-server"].iter().find_map(|name| installed(name));
        let program = program.or_else(|| self::program("redis-server"))?;
        let [high, low] = u16::try_from(std::process::id() % 0xffff).unwrap_or(1).to_be_bytes();
        let address = SocketAddr::from(([127, high, low, 200], 6379));
        let mut child = Command::new(program)
            .args(["--bind", &address.ip().to_string(), "--save", "", "--appendonly", "no"])
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        lines
            .find(|line| line.as_ref().is_ok_and(|line| line.contains("Ready to accept")))
            .expect("it is ready")
            .expect("text");
        thread::spawn(move || lines.for_each(drop));
        Some(Self { address, child })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program in `PATH`, without a word where there is none.
fn installed(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|place| place.join(name)).find(|file| file.is_file())
}

#[test]
fn three_proxies_share_one_rate_through_a_store() {
    let Some(server) = Server::start() else { return };
    let pod = Upstream::saying("hello");
    let shared = || store(server.address, Duration::from_secs(5));
    let edges: Vec<_> = (0..3)
        .map(|_| {
            let limit = burst(RATE, Duration::from_secs(1), Some(shared()));
            Stepped::new(pod.addr()).route("", "/", vec![limit]).start()
        })
        .collect();
    for edge in &edges {
        eventually("it is connected", || {
            edge.get("a", "/");
            let connected = edge.metrics().sum("ravelin_rate_limit_stores", &[]);
            (connected >= 1.0).then_some(())
        });
    }
    // A machine that is busy with other tests may not ask often enough, or pause for longer than the burst keeps what it
    // leaves: then it tells nothing, and is asked again. Too many may never pass.
    eventually("three ask for more than the limit, and get nearly all of it", || {
        let (passed, refused, expected) = for_three_seconds(&edges);
        let share = f64::from(passed) / expected;
        assert!(share <= 1.1, "{share} of what may pass has passed");
        (refused > passed && share >= 0.9).then_some(())
    });
}

/// Asks all of them at once, for as often as they answer: how many passed, how many did not, and how many may.
fn for_three_seconds(edges: &[Edge]) -> (u32, u32, f64) {
    let mut client = edges[0].connect();
    for _ in 0..10_000 {
        if client.get("a", "/").status() != 200 {
            break;
        }
    }
    let begun = Instant::now();
    let ask = |edge: &Edge| {
        let (mut client, mut passed, mut refused) = (edge.connect(), 0, 0);
        while begun.elapsed() < Duration::from_secs(3) {
            match client.get("a", "/").status() {
                200 => passed += 1,
                _ => refused += 1,
            }
        }
        (passed, refused)
    };
    let counts: Vec<(u32, u32)> = thread::scope(|scope| {
        let asking: Vec<_> = edges.iter().map(|edge| scope.spawn(|| ask(edge))).collect();
        asking.into_iter().map(|one| one.join().expect("a count")).collect()
    });
    let sum = |part: fn(&(u32, u32)) -> u32| counts.iter().map(part).sum();
    (sum(|one| one.0), sum(|one| one.1), begun.elapsed().as_secs_f64() * f64::from(RATE))
}
