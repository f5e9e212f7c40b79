//! Sending: each request to both proxies at the same time, bounded in rate, and repeated where the answers differ.

use super::COULD_NOT;
use super::answer::{Failing, Seen};
use super::judge::{Foretold, Judge, Judged};
use super::plan::{Plan, Planned};
use super::side::{Caller, Place};
use crate::cli::migrate::{RouteVerdict, Verdict};
use crate::cli::{Failure, complain};
use futures_util::{StreamExt as _, stream};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

/// Requests at one time: what a rate comes to if answers take long.
const AT_ONCE: usize = 16;

/// How often a request whose answers differ is sent to each proxy in total.
const TIMES: usize = 3;

/// After this many exchanges in a row without connection, a proxy is taken to be gone.
const MOST_FAILED: u32 = 8;

/// How often progress is told.
const TELL: Duration = Duration::from_secs(2);

/// Where both proxies are: for plain HTTP, and for TLS.
#[derive(Debug, Default)]
pub(super) struct Sides {
    pub(super) traefik: [Option<Place>; 2],
    pub(super) ravelin: [Option<Place>; 2],
}

impl Sides {
    /// Both places that a request is for.
    pub(super) fn of(&self, secure: bool) -> Option<(&Place, &Place)> {
        let at = usize::from(secure);
        self.traefik[at].as_ref().zip(self.ravelin[at].as_ref())
    }
}

/// How it is sent.
pub(super) struct Sending<'s> {
    pub(super) sides: &'s Sides,
    pub(super) caller: &'s Caller,
    /// Requests a second to each proxy.
    pub(super) rate: u32,
}

/// What came of a request.
pub(super) struct Compared {
    /// Position in [`Plan::requests`].
    pub(super) request: usize,
    pub(super) judged: Judged,
    /// The first answers, of Traefik and of ravelin.
    pub(super) traefik: Seen,
    pub(super) ravelin: Seen,
}

/// Sends all requests of a plan, and judges the answers.
///
/// # Errors
/// If a proxy goes away meanwhile.
pub(super) async fn all(
    sending: &Sending<'_>,
    plan: &Plan,
    judge: &Judge<'_>,
    routes: &[RouteVerdict],
) -> Result<Vec<Compared>, Failure> {
    let mut ticks = interval(Duration::from_secs(1) / sending.rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let turn = Turn { ticks: Mutex::new(ticks), failed: Cell::default() };
    let hosts = of_hosts(plan, routes);
    let exchanges = plan.requests.iter().enumerate().map(|(at, request)| {
        let foretold = hosts.get(request.host.as_str());
        one(sending, &turn, judge, Asked { at, request, foretold })
    });
    let mut found = Vec::with_capacity(plan.requests.len());
    let mut answers = stream::iter(exchanges).buffer_unordered(AT_ONCE);
    let (mut told, total) = (Instant::now(), plan.requests.len());
    let mut differing = 0;
    while let Some(compared) = answers.next().await {
        differing += usize::from(compared.judged.is_unexplained());
        found.push(compared);
        if let Some((name, words)) = turn.gone() {
            return Err(Failure {
                code: COULD_NOT,
                text: format!(
                    "{name} went away after {} of {total} requests: {words}",
                    found.len()
                ),
            });
        }
        if told.elapsed() >= TELL {
            told = Instant::now();
            complain(&format!("{} of {total} requests, {differing} differ", found.len()));
        }
    }
    found.sort_by_key(|compared| compared.request);
    Ok(found)
}

/// What is known of the routes of each host.
fn of_hosts<'r>(plan: &'r Plan, routes: &'r [RouteVerdict]) -> BTreeMap<&'r str, Foretold<'r>> {
    let mut verdicts: BTreeMap<(&str, &str), Vec<&RouteVerdict>> = BTreeMap::new();
    for route in routes {
        verdicts.entry((&route.object, &route.field)).or_default().push(route);
    }
    let mut hosts: BTreeMap<&str, Foretold<'_>> = BTreeMap::new();
    for (host, numbers) in &plan.hosts {
        let of_host = hosts.entry(host).or_default();
        let routed = numbers.iter().filter_map(|number| plan.routes.get(*number));
        for route in routed.filter_map(|it| verdicts.get(&(&*it.object, &*it.field))).flatten() {
            of_host.ids.extend(route.differences.iter().map(String::as_str));
            of_host.has_neither |= route.verdict == Verdict::Neither;
            of_host.has_not_served |= route.verdict == Verdict::NotServed;
        }
    }
    hosts
}

/// A request, and what is known of its host.
struct Asked<'a> {
    at: usize,
    request: &'a Planned,
    foretold: Option<&'a Foretold<'a>>,
}

/// The rate, and what has failed.
struct Turn {
    ticks: Mutex<Interval>,
    /// Exchanges in a row without connection, of Traefik and of ravelin.
    failed: Cell<[u32; 2]>,
}

impl Turn {
    fn note(&self, seen: [&Seen; 2]) {
        let mut failed = self.failed.get();
        for (count, seen) in failed.iter_mut().zip(seen) {
            let is_gone = matches!(seen, Seen::Failed(it)
                if matches!(it.failing, Failing::Refused | Failing::Unreachable));
            *count = if is_gone { count.saturating_add(1) } else { 0 };
        }
        self.failed.set(failed);
    }

    fn gone(&self) -> Option<(&'static str, String)> {
        let [traefik, ravelin] = self.failed.get();
        let name = match (traefik >= MOST_FAILED, ravelin >= MOST_FAILED) {
            (true, _) => "Traefik",
            (_, true) => "ravelin",
            _ => return None,
        };
        Some((name, format!("{MOST_FAILED} connections in a row failed")))
    }
}

async fn one(sending: &Sending<'_>, turn: &Turn, judge: &Judge<'_>, asked: Asked<'_>) -> Compared {
    let Asked { at, request, foretold } = asked;
    let (mut traefik, mut ravelin) = (Vec::new(), Vec::new());
    if let Some((theirs, ours)) = sending.sides.of(request.secure) {
        for time in 0..TIMES {
            turn.ticks.lock().await.tick().await;
            let caller = sending.caller;
            let (first, second) =
                futures_util::join!(caller.ask(theirs, request), caller.ask(ours, request));
            turn.note([&first, &second]);
            let is_same = time == 0 && judge.same(&first, &second);
            traefik.push(first);
            ravelin.push(second);
            if is_same {
                break;
            }
        }
    }
    let judged = match foretold {
        Some(foretold) => judge.judge(&traefik, &ravelin, foretold),
        None => judge.judge(&traefik, &ravelin, &Foretold::default()),
    };
    let none =
        || Seen::Failed(super::answer::Failure::new(Failing::Unsendable, "not sent".to_owned()));
    let mut firsts = [traefik, ravelin].map(|all| all.into_iter().next().unwrap_or_else(none));
    let [traefik, ravelin] = std::mem::replace(&mut firsts, [none(), none()]);
    Compared { request: at, judged, traefik, ravelin }
}
