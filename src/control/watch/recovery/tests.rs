//! Absences and returns of an API server, which is played in memory.

use super::super::client::Api;
use super::super::cluster::Cluster;
use super::super::follow::Follower;
use super::super::ingress_status::IngressStatuses;
use super::super::scope::scopes;
use super::*;
use crate::config::Kubernetes;
use crate::model::Kind;
use crate::telemetry::{WatchFailure, WatchMetrics};
use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use kube::client::{Body, Client};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower::service_fn;

/// Far more than it takes, on any machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// A back-off whose end no test sees.
const NEVER: Duration = Duration::from_secs(3600);

#[derive(Debug, Default)]
struct Server {
    away: bool,
    refused: usize,
    /// Whole lists that were answered, by plural.
    lists: BTreeMap<String, usize>,
}

type Shared = Arc<watch::Sender<Server>>;

fn refused() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionRefused)
}

/// Empty lists, and watches that say nothing until the server goes away.
async fn answer(
    request: Request<Body>,
    server: Shared,
) -> Result<Response<UnsyncBoxBody<Bytes, io::Error>>, io::Error> {
    if server.borrow().away {
        server.send_modify(|state| state.refused += 1);
        return Err(refused());
    }
    let query = request.uri().query().unwrap_or_default();
    let plural = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    if query.contains("watch=true") {
        let silence = stream::once(async move {
            let mut state = server.subscribe();
            let _ = state.wait_for(|state| state.away).await;
            Err::<Frame<Bytes>, _>(refused())
        });
        return Ok(Response::new(StreamBody::new(silence).boxed_unsync()));
    }
    if !query.split('&').any(|part| part == "limit=1") {
        server.send_modify(|state| *state.lists.entry(plural).or_default() += 1);
    }
    let list = "{\"metadata\": {\"resourceVersion\": \"7\"}, \"items\": []}";
    let body = Full::new(Bytes::from_static(list.as_bytes()));
    Ok(Response::new(body.map_err(|never| match never {}).boxed_unsync()))
}

fn follow_all(server: &Shared, pace: fn() -> RetryBackoff) -> JoinSet<()> {
    let shared = Arc::clone(server);
    let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
    let settings = Kubernetes::default();
    let api = Api::of(Client::new(service, "default"), settings.request_timeout);
    let scopes = scopes(&settings, &[]);
    let cluster = Arc::new(Cluster::new(&scopes));
    let mut tasks = JoinSet::new();
    for scope in scopes {
        let follower = Follower {
            api: api.clone(),
            scope,
            cluster: Arc::clone(&cluster),
            standings: Arc::<IngressStatuses>::default(),
            metrics: Arc::<WatchMetrics>::default(),
            settings: settings.clone(),
            pace: pace(),
            watching: pace(),
        };
        tasks.spawn(follower.run());
    }
    tasks
}

async fn see(server: &Shared, what: &str, is_so: impl FnMut(&Server) -> bool) {
    let mut state = server.subscribe();
    let seen = timeout(PATIENCE, state.wait_for(is_so)).await.is_ok();
    assert!(seen, "{what}: {:?}", server.borrow());
}

#[test]
fn the_first_good_answer_wakes_every_kind_whatever_it_waits_for() {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let server: Shared = Arc::default();
        let kinds = scopes(&Kubernetes::default(), &[]).len();
        let _tasks = follow_all(&server, || RetryBackoff::beginning_with(NEVER));
        for outage in 1..=2 {
            let all = |state: &Server| {
                state.lists.len() == kinds && state.lists.values().all(|lists| *lists >= outage)
            };
            see(&server, "all are listed", all).await;
            server.send_modify(|state| (state.away, state.refused) = (true, 0));
            see(&server, "one asks", |state| state.refused >= 3).await;
            server.send_modify(|state| state.away = false);
        }
        see(&server, "all are listed after the return", |state| {
            state.lists.values().all(|lists| *lists >= 3)
        })
        .await;
    });
}

fn mk_scope(kind: Kind) -> Scope {
    Scope { kind, namespace: None, name: None }
}

fn mk_failure(why: WatchFailure) -> Failure {
    Failure::new(why, "words")
}

#[test]
fn one_kind_alone_does_not_tell_that_the_server_is_away_unless_nobody_is_there() {
    let recovery = Recovery::default();
    let [ingresses, secrets] = [Kind::Ingress, Kind::Secret].map(mk_scope);
    for _ in 0..3 {
        recovery.failed(&secrets, &mk_failure(WatchFailure::ServerError));
    }
    recovery.failed(&ingresses, &mk_failure(WatchFailure::Forbidden));
    assert!(!recovery.is_away());
    recovery.failed(&ingresses, &mk_failure(WatchFailure::Closed));
    assert!(recovery.is_away());
    let recovery = Recovery::default();
    let failure = Failure::of_error(WatchFailure::Connect, &refused());
    recovery.failed(&ingresses, &failure);
    assert!(recovery.is_away());
    let of_tls = io::Error::new(io::ErrorKind::InvalidData, "certificate expired");
    let of_tls = kube::Error::Service(Box::new(io::Error::other(of_tls)));
    let of_tls = Failure::of_error(WatchFailure::Connect, &of_tls);
    assert!(!of_tls.unreached && failure.unreached);
}

#[test]
fn a_server_that_comes_and_goes_is_told_to_be_back_ever_more_rarely() {
    let recovery = Recovery::default();
    let returns = recovery.returns();
    let failure = Failure::of_error(WatchFailure::Connect, &refused());
    let start = Instant::now();
    for millisecond in (0..300_000).step_by(100) {
        recovery.failed(&mk_scope(Kind::Node), &failure);
        recovery.answered(start + Duration::from_millis(millisecond));
    }
    // At 0, 1, 3, 7, 15 and 31 s, and then one in half a minute.
    assert_eq!(*returns.borrow(), 14);
    recovery.failed(&mk_scope(Kind::Node), &failure);
    recovery.answered(start + Duration::from_secs(300) + CALM);
    recovery.failed(&mk_scope(Kind::Node), &failure);
    recovery.answered(start + Duration::from_secs(301) + CALM);
    assert_eq!(*returns.borrow(), 16, "after a calm the intervals start again");
}

#[test]
fn one_asks_at_a_time_and_nobody_while_the_server_is_there() {
    let recovery = Recovery::default();
    assert!(recovery.turn().now_or_never().is_none());
    let failure = Failure::of_error(WatchFailure::Connect, &refused());
    recovery.failed(&mk_scope(Kind::Node), &failure);
    let first = recovery.turn().now_or_never().expect("the server is away");
    assert!(recovery.turn().now_or_never().is_none());
    drop(first);
    assert!(recovery.turn().now_or_never().is_some());
    recovery.answered(Instant::now());
    assert!(recovery.turn().now_or_never().is_none());
}
