use super::super::passage::Passage;
use super::super::state::{StateRegistry, States};
use super::super::view::{RequestSource, RequestView};
use super::super::{Stop, on_request};
use crate::http::Target;
use crate::model::NamedStep;
use crate::model::middleware::{ClientSelector, InFlightLimit, LimitKey, RateLimit, Step};
use crate::net::addr::PeerAddr;
use crate::net::fields::Fields;
use crate::net::message::Request;
use crate::proxy::gcra::tests::mk_limit;
use crate::upstream::body::RequestBody;
use http::{HeaderValue, StatusCode};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// One request to a limit: where it comes from, and what it asks for.
struct Asker<'a> {
    peer: &'a str,
    visitor: Option<&'a str>,
    host: &'a str,
    field: Option<&'a str>,
}

const ASKER: Asker<'static> =
    Asker { peer: "192.0.2.1:443", visitor: None, host: "a.example", field: None };

/// Sends a request through one step. Returns the status of the refusal, and what it carries if it passes.
fn ask(
    states: &States,
    middleware: &Arc<NamedStep>,
    asker: &Asker<'_>,
) -> Result<Passage, (StatusCode, crate::net::fields::FieldMap)> {
    let mut request = Request::new(RequestBody::Empty);
    if let Some(value) = asker.field {
        request.headers_mut().set("x-key", HeaderValue::from_str(value).expect("a value"));
    }
    let asked = http::Request::get("/").header("host", asker.host).body(()).expect("a request");
    let mut head = asked.into_parts().0.into();
    let target = Target::read(&mut head, 1000).expect("a target");
    let visitor = asker.visitor.map(|text| HeaderValue::from_str(text).expect("a value"));
    let mut passage = Passage::default();
    let mut view = RequestView {
        request: &mut request,
        origin: RequestSource {
            peer: PeerAddr::new(asker.peer.parse().expect("an address")),
            visitor: visitor.as_ref(),
            over_tls: false,
            session: None,
            target: &target,
            version: http::Version::HTTP_11,
        },
        upload: None,
        passage: &mut passage,
        states,
    };
    match on_request(middleware, &mut view) {
        Ok(()) => Ok(passage),
        Err(Stop::StepAnswer(answer)) => Err((answer.status(), answer.headers)),
        Err(Stop::Wait) => panic!("no step waits here"),
    }
}

fn mk_states() -> States {
    States::new(Arc::new(StateRegistry::default()))
}

fn mk_middleware(step: Step) -> Arc<NamedStep> {
    Arc::new(NamedStep { name: "default/limit".into(), step })
}

/// One request an hour for each client.
fn hourly(key: LimitKey) -> Arc<NamedStep> {
    let limit = mk_limit(1, Duration::from_secs(3600), 1);
    mk_middleware(Step::RateLimit(Box::new(RateLimit { key, ..limit })))
}

fn visitor() -> LimitKey {
    LimitKey::Client(ClientSelector::Visitor { ipv6_bits: 64 })
}

#[test]
fn a_request_without_a_token_is_refused_and_told_when_to_come_again() {
    let (states, limit) = (mk_states(), hourly(visitor()));
    assert!(ask(&states, &limit, &ASKER).is_ok());
    let (status, fields) = ask(&states, &limit, &ASKER).expect_err("no token");
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(fields["retry-after"], "3600");
    let text = fields["x-retry-in"].to_str().expect("text");
    assert!(text.starts_with("59m59."), "{text}");
}

#[test]
fn each_verified_visitor_has_a_bucket_and_its_ipv6_network_one() {
    let (states, limit) = (mk_states(), hourly(visitor()));
    let from = |visitor| Asker { visitor: Some(visitor), ..ASKER };
    let passes = |visitor| ask(&states, &limit, &from(visitor)).is_ok();
    assert!(passes("203.0.113.1"));
    assert!(passes("203.0.113.2"), "behind the same edge of Cloudflare");
    assert!(!passes("203.0.113.1"));
    assert!(passes("2001:db8::1"));
    assert!(!passes("2001:db8::2:3:4:5"), "the same /64");
    assert!(passes("2001:db8:0:1::1"));
}

#[test]
fn clients_without_what_a_limit_counts_by_share_one_bucket() {
    let limit = hourly(LimitKey::Field("x-key".parse().expect("a name")));
    let states = mk_states();
    let with = |field| ask(&states, &limit, &Asker { field, ..ASKER }).is_ok();
    assert!(with(Some("a")) && with(Some("A")) && with(None));
    assert!(!with(Some("a")) && !with(None));
}

#[test]
fn a_host_has_one_bucket_however_it_is_spelled() {
    let (states, limit) = (mk_states(), hourly(LimitKey::Host));
    let passes = |host| ask(&states, &limit, &Asker { host, ..ASKER }).is_ok();
    assert!(passes("a.example"));
    assert!(!passes("A.example") && !passes("a.example:8080"));
    assert!(passes("b.example"));
}

#[test]
fn workers_share_the_buckets_of_a_middleware() {
    let registry = Arc::new(StateRegistry::default());
    let limit = hourly(LimitKey::Route);
    let [one, other] = [(); 2].map(|()| States::new(Arc::clone(&registry)));
    assert!(ask(&one, &limit, &ASKER).is_ok());
    assert!(ask(&other, &limit, &ASKER).is_err());
    assert_eq!(registry.cells().rate_keys.now(), 1);
}

#[test]
fn a_request_is_on_its_way_until_what_it_carries_is_dropped() {
    let limit = mk_middleware(Step::InFlight(Box::new(InFlightLimit {
        amount: NonZeroU32::MIN,
        key: LimitKey::Client(ClientSelector::Peer),
        except: Vec::new(),
        status: StatusCode::SERVICE_UNAVAILABLE,
    })));
    let states = mk_states();
    let first = ask(&states, &limit, &ASKER).expect("a turn");
    let (status, _) = ask(&states, &limit, &ASKER).expect_err("one at once");
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let other = Asker { peer: "192.0.2.2:443", ..ASKER };
    assert!(ask(&states, &limit, &other).is_ok());
    drop(first);
    assert!(ask(&states, &limit, &ASKER).is_ok());
}

#[test]
fn visitors_that_are_exempt_are_not_limited_and_take_nothing_of_others() {
    let except = vec!["10.0.0.0/8".parse().expect("a network")];
    let rate = RateLimit {
        key: LimitKey::Route,
        except: except.clone(),
        ..mk_limit(1, Duration::from_secs(3600), 1)
    };
    let in_flight = InFlightLimit {
        amount: NonZeroU32::MIN,
        key: LimitKey::Route,
        except,
        status: StatusCode::SERVICE_UNAVAILABLE,
    };
    for step in [Step::RateLimit(Box::new(rate)), Step::InFlight(Box::new(in_flight))] {
        let (states, limit) = (mk_states(), mk_middleware(step));
        let from = |visitor| Asker { visitor: Some(visitor), ..ASKER };
        let mut held = Vec::new();
        for visitor in ["10.0.0.1", "10.0.0.1", "::ffff:10.0.0.1", "203.0.113.1"] {
            held.push(ask(&states, &limit, &from(visitor)).expect("a request that passes"));
        }
        assert!(ask(&states, &limit, &from("203.0.113.1")).is_err());
        assert!(ask(&states, &limit, &from("unknown")).is_err(), "nobody is in no network");
        // The peer is an edge of Cloudflare, or a proxy: its address exempts nobody.
        let behind = Asker { peer: "10.0.0.1:443", ..from("203.0.113.1") };
        assert!(ask(&states, &limit, &behind).is_err());
        held.push(ask(&states, &limit, &from("10.0.0.1")).expect("a request that passes"));
    }
}
