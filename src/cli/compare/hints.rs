//! What a difference may be, and what is wrong where every answer is the same.

use super::judge::Differing;
use super::plan::Plan;
use super::send::Compared;

/// What the sum of all answers says.
#[derive(Debug, Default)]
pub(super) struct Verdictless {
    /// Why nothing can be said of the routes.
    pub(super) void: Option<String>,
    pub(super) notes: Vec<String>,
}

/// The end of the names in the certificate that Traefik makes for hosts without one.
const TRAEFIKS_OWN: &str = ".traefik.default,";

/// What is often behind a difference.
pub(super) fn of(items: &[Differing]) -> Option<&'static str> {
    let item = |name: &str| items.iter().find(|it| it.item == name && it.known.is_none());
    if let Some(failed) = item("connection") {
        if failed.ravelin.contains("UnrecognisedName") {
            return Some(
                "ravelin has no certificate for this host and refuses the handshake, where Traefik presents its self-signed one: a \
                 zone on Full works with Traefik only; give the host a certificate (deploy/full-strict.md)",
            );
        }
        return Some("one of them gives no answer; the command shows which, and its log says why");
    }
    if let Some(certificate) = item("certificate") {
        return Some(match certificate.traefik.contains(TRAEFIKS_OWN) {
            true => "Traefik presents its self-signed default certificate",
            false => "`ravelin explain` says which certificate this host gets, and why",
        });
    }
    let status = item("status")?;
    Some(match (status.traefik.as_str(), status.ravelin.as_str()) {
        ("429", _) | (_, "429") => {
            "a rate limit counts these requests: a lower --rate may show the pod's answer"
        }
        (_, "503") => {
            "the body of ravelin's answer names the reason, and `ravelin check` the field"
        }
        ("404", _) => "Traefik has no such route at this entry point",
        (_, "404") => "ravelin has no such route here; `ravelin explain` says what matched",
        (_, "502" | "504") => {
            "ravelin did not reach the pod, or did not understand it: its log has the address"
        }
        _ => return None,
    })
}

/// What all answers in total say.
pub(super) fn whole(plan: &Plan, results: &[Compared]) -> Verdictless {
    let mut found = Verdictless::default();
    let mut void = Vec::new();
    let mut groups = 0;
    for (secure, option) in [(false, "--with"), (true, "--with-https")] {
        let of_group = results.iter().filter(|result| {
            plan.requests.get(result.request).is_some_and(|request| request.secure == secure)
        });
        let of_group: Vec<&Compared> = of_group.collect();
        if of_group.is_empty() {
            continue;
        }
        groups += 1;
        let number = of_group.len();
        let theirs = of_group.iter().all(|result| result.traefik.status() == "404");
        let ours = of_group.iter().all(|result| result.ravelin.status() == "404");
        let lacking = of_group
            .iter()
            .filter(|result| result.traefik.status() == "404" && result.ravelin.status() != "404");
        let lacking = lacking.count();
        let words = match (theirs, ours) {
            (false, false) if lacking * 2 > number => {
                found.notes.push(format!(
                    "Traefik answers 404 to {lacking} of {number} requests that ravelin has a route for: is {option} the entry point of \
                     these routes?"
                ));
                continue;
            }
            (false, false) => continue,
            (true, true) => format!("both proxies answer 404 to all {number} requests of {option}"),
            (true, false) => format!(
                "Traefik answers 404 to all {number} requests: is {option} the entry point of these routes? Its port is that of the \
                 pod or of the Service, and routes that name other entry points{} are not there",
                if secure { "" } else { ", or have TLS (compare them with --with-https)," }
            ),
            (false, true) => format!(
                "ravelin answers 404 to all {number} requests beside {option}: does it serve the class (source.ingress_classes), \
                 and has it read the cluster (probe ready)?"
            ),
        };
        void.push(words);
    }
    // Routes that are for one of two entry points leave the other one empty.
    if !void.is_empty() && void.len() == groups {
        found.void = Some(void.join("; "));
    } else {
        found.notes.extend(void);
    }
    if plan.left_out > 0 {
        found.notes.push(format!("{} more requests were not sent: --max", plan.left_out));
    }
    found
}
