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

/// Requests of so many hosts are tried at a place: that one of them is answered is enough.
const MOST_TRIED: usize = 3;

/// Asks each place.
///
/// # Errors
/// What is wrong with one of them.
pub(super) async fn check(sides: &Sides, caller: &Caller, plan: &Plan) -> Result<(), Failure> {
    for (name, places) in [("Traefik", &sides.traefik), ("ravelin", &sides.ravelin)] {
        for place in places.iter().flatten() {
            let mut tried: Vec<&str> = Vec::new();
            let mut first = None;
            for request in plan.requests.iter().filter(|it| it.secure == place.secure) {
                if tried.contains(&request.host.as_str()) {
                    continue;
                }
                tried.push(&request.host);
                let seen = caller.ask(place, request).await;
                let Some((problem, is_certain)) = problem(name == "ravelin", place, &seen) else {
                    first = None;
                    break;
                };
                first.get_or_insert(problem);
                if is_certain || tried.len() == MOST_TRIED {
                    break;
                }
            }
            if let Some(problem) = first {
                let text = format!("{name} at {}: {problem}", place.url);
                return Err(Failure { code: COULD_NOT, text });
            }
        }
    }
    Ok(())
}

/// What is wrong with a place by its answer to a request, and whether it is so for every host.
fn problem(is_ours: bool, place: &Place, seen: &Seen) -> Option<(String, bool)> {
    let Broken { failing, words } = match seen {
        Seen::Answer(answer) if !place.secure && answer.wants_tls() => {
            return Some((tls(is_ours, &place.host, place.port), true));
        }
        Seen::Answer(_) => return None,
        Seen::Failed(broken) => broken,
    };
    let with_gate = |fix: &str| match is_ours {
        true => format!("{words}; {NOT_ADMITTED}"),
        false => format!("{words}; {fix}"),
    };
    let text = match failing {
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
    };
    text.map(|text| (text, *failing != Failing::Closed))
}

fn tls(is_ours: bool, host: &str, port: u16) -> String {
    let option = if is_ours { "--ravelin-https" } else { "--with-https" };
    format!("if this port speaks TLS, give it as {option} https://{host}:{port}")
}
