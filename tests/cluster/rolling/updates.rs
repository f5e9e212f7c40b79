//! Rolling updates: ravelin hears of them at once, or late.

use crate::edge::{Load, Method};
use crate::plane::Plane;
use crate::rolling::pod::Life;
use crate::rolling::relay::Relay;
use crate::rolling::{PAUSE, Setting, report, retries};
use std::time::Duration;

/// By how much ravelin hears of everything late.
const DELAY: Duration = Duration::from_secs(2);

/// Requests in an ordinary run: what one update and some time after it come to.
const ORDINARY: usize = 10_000;

/// Rolls out again and again until there were so many requests, or once. None may fail.
fn roll_out_under(requests: usize, (visitors, pause): (usize, Duration), namespace: &str) {
    let Some(plane) = Plane::shared() else { return };
    let setting = Setting::usual(namespace);
    let (mut node, edge) = setting.start(&plane);
    let each = [(Method::Get, visitors), (Method::Post, visitors)];
    let load = Load::of(edge.addr(), &setting.host(), &each, pause);
    let has_enough = || load.requests(Method::Get) + load.requests(Method::Post) >= requests;
    let mut updates = 1;
    setting.roll_out(&plane, &mut node, 2);
    while requests > ORDINARY && !has_enough() {
        updates += 1;
        setting.roll_out(&plane, &mut node, updates + 1);
    }
    node.until("so many requests", |_| has_enough().then_some(()));
    report(&format!("{updates} updates"), &load, &edge);
    assert!(load.failures().is_empty(), "{:?}", load.failures());
}

#[test]
fn a_rolling_update_under_constant_requests_loses_none() {
    roll_out_under(ORDINARY, (3, PAUSE), "rolling");
}

#[test]
#[ignore = "two hundred thousand requests take two minutes; RAVELIN_BIN names the release"]
fn figures_of_rolling_updates_under_two_hundred_thousand_requests() {
    roll_out_under(200_000, (4, Duration::from_millis(1)), "rolling-long");
}

#[test]
fn an_update_that_is_heard_of_only_when_the_pods_are_gone_loses_no_request_that_may_be_repeated() {
    let Some(plane) = Plane::shared() else { return };
    let relay = Relay::to(plane.addr());
    let setting = Setting {
        // They are gone long before anybody is told.
        life: Life { linger: Duration::from_millis(300), ..Setting::usual("").life },
        // Longer than the news takes: else no Pod that is known would be left.
        min_ready_seconds: 3,
        api_server: Some(relay.addr),
        ..Setting::usual("rolling-late")
    };
    let (mut node, edge) = setting.start(&plane);
    let load = Load::of(edge.addr(), &setting.host(), &[(Method::Get, 4)], PAUSE);
    relay.delay(DELAY);
    setting.roll_out(&plane, &mut node, 2);
    let met = retries(&edge, &[("reason", "connect_failed")]);
    report("an update that is heard of 2 s late", &load, &edge);
    assert!(load.failures().is_empty(), "{:?}", load.failures());
    assert!(met > 0.5, "Pods that were gone have been dialled");
}
