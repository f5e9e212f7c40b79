//! Requests that are sent often: which pods get them, by share, and whether a cookie keeps them at one.

use crate::cases::Case;
use crate::client::Response;
use crate::lab::{Lab, SIDES, Side};
use crate::request::Request;
use std::collections::BTreeMap;

/// How far two shares may be from each other, of a hundred: more than five standard deviations of 400 requests.
const TOLERANCE: usize = 12;

/// Sends a request to both, as often as it says. What differs, if anything does.
pub(crate) fn compare(lab: &Lab, case: &Case, request: &Request, name: &str) -> Option<String> {
    if request.kept > 0 {
        let [traefik, ravelin] = SIDES.map(|side| is_kept(lab, side, case, request, name));
        let differs = traefik != ravelin || !traefik;
        return differs
            .then(|| format!("kept by its cookie: Traefik {traefik}, ravelin {ravelin}"));
    }
    let [traefik, ravelin] = SIDES.map(|side| shares(lab, side, case, request, name));
    let pods = traefik.keys().chain(ravelin.keys());
    let share = |of: &BTreeMap<String, usize>, pod: &String| of.get(pod).copied().unwrap_or(0);
    let differs = pods.into_iter().any(|pod| {
        let (theirs, ours) = (share(&traefik, pod), share(&ravelin, pod));
        theirs.abs_diff(ours) > TOLERANCE || (theirs == 0) != (ours == 0)
    });
    differs.then(|| format!("shares of a hundred: Traefik {traefik:?}, ravelin {ravelin:?}"))
}

/// Of a hundred requests those that each pod gets; under its status what none gets.
fn shares(
    lab: &Lab,
    side: Side,
    case: &Case,
    request: &Request,
    name: &str,
) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for number in 0..request.times {
        let none = Response::default();
        let (response, received) =
            lab.exchange(side, case, request, &format!("{name}-{number}"), &none);
        let pod =
            received.first().map_or_else(|| response.status.to_string(), |one| one.pod.into());
        *counts.entry(pod).or_insert(0) += 1;
    }
    counts.values_mut().for_each(|count| *count = *count * 100 / request.times.max(1));
    counts
}

/// Whether requests with the cookie of the first answer go where that went, and set no further cookie.
fn is_kept(lab: &Lab, side: Side, case: &Case, request: &Request, name: &str) -> bool {
    let none = Response::default();
    let (first, received) = lab.exchange(side, case, request, name, &none);
    let pod = received.first().map(|one| one.pod);
    let Some(cookie) = first.field("set-cookie").and_then(|cookie| cookie.split(';').next()) else {
        return false;
    };
    let mut again = request.clone();
    again.fields.push(format!("Cookie: {cookie}"));
    (0..request.kept).all(|number| {
        let name = format!("{name}-{number}");
        let (response, received) = lab.exchange(side, case, &again, &name, &none);
        received.first().map(|one| one.pod) == pod && response.field("set-cookie").is_none()
    })
}
