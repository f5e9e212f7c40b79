//! Whether both proxies are where they are said to be, asked with one request each; and what to do if not.

use super::COULD_NOT;
use super::answer::{Failing, Failure as Broken, Seen};
use super::plan::Plan;
use super::send::Sides;
use super::side::{Caller, Place};
use crate::cli::Failure;

/// What to do where ravelin does not admit the comparing machine.
const NOT_ADMITTED: &str = "a listener of ravelin admits configured sources only, and nobody else gets an answer. Compare on a node \
                            or in a pod of ravelin, through a listener that admits loopback (`trial` and `trial-tls` of the \
                            overlays): kubectl -n ravelin exec POD -- /ravelin compare --in-cluster --with http://TRAEFIK \
                            --ravelin http://127.0.0.1:9181; or add this machine's address to `admit` of the listener";

/// Asks each place once.
///
/// # Errors
/// What is wrong with one of them.
pub(super) async fn check(sides: &Sides, caller: &Caller, plan: &Plan) -> Result<(), Failure> {
    for (name, places) in [("Traefik", &sides.traefik), ("ravelin", &sides.ravelin)] {
        for place in places.iter().flatten() {
            let request = plan.requests.iter().find(|it| it.secure == place.secure);
            let Some(request) = request else { continue };
            let seen = caller.ask(place, request).await;
            let Some(problem) = problem(name == "ravelin", place, &seen) else { continue };
            let text = format!("{name} at {}: {problem}", place.url);
            return Err(Failure { code: COULD_NOT, text });
        }
    }
    Ok(())
}

/// What is wrong with a place by its answer to the first request.
fn problem(is_ours: bool, place: &Place, seen: &Seen) -> Option<String> {
    let Broken { failing, words } = match seen {
        Seen::Answer(answer) if !place.secure && answer.wants_tls() => {
            return Some(tls(is_ours, &place.host, place.port));
        }
        Seen::Answer(_) => return None,
        Seen::Failed(broken) => broken,
    };
    let with_gate = |fix: &str| match is_ours {
        true => format!("{words}; {NOT_ADMITTED}"),
        false => format!("{words}; {fix}"),
    };
    match failing {
        Failing::Refused => Some(format!("{words}; is the port right, and does it run there?")),
        Failing::Unreachable => Some(with_gate("is the address right, and reachable from here?")),
        Failing::Closed if !place.secure => Some(format!(
            "{}; or the port speaks TLS: {}",
            with_gate("is it the entry point?"),
            tls(is_ours, &place.host, place.port)
        )),
        Failing::Closed => Some(with_gate("is it the entry point with TLS?")),
        Failing::NotTls => {
            let option = if is_ours { "--ravelin" } else { "--with" };
            let Place { host, port, .. } = place;
            Some(format!(
                "{words}; give it as {option} http://{host}:{port}, or name the port that has TLS"
            ))
        }
        Failing::NotHttp => Some(format!("{words}; {}", tls(is_ours, &place.host, place.port))),
        // Of one route, and told with it.
        Failing::Slow | Failing::Handshake | Failing::Unsendable => None,
    }
}

fn tls(is_ours: bool, host: &str, port: u16) -> String {
    let option = if is_ours { "--ravelin-https" } else { "--with-https" };
    format!("if this port speaks TLS, give it as {option} https://{host}:{port}")
}
