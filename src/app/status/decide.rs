//! The decisions up to the endpoints, as `explain` shows them on the command line and on the status page: by the functions
//! of the request path.

use super::proofs::{Proof, ZoneSettings, proofs};
use super::steps::{AskedSteps, StepEffect, walk};
use crate::error::Reason;
use crate::http::Target;
use crate::model::{ACME_CHALLENGES, Sender};
use crate::net::addr::PeerAddr;
use crate::net::message::Request;
use crate::proxy::ListenerEntry;
use crate::proxy::middleware::StepAnswer;
use crate::proxy::request::{self, Seen};
use crate::routing::{RouteId, Table};
use http::{HeaderValue, Uri};

/// A request, and how it comes.
pub(crate) struct AskedRoute<'a> {
    pub(crate) request: &'a Request<()>,
    /// The most bytes of a target.
    pub(crate) most_target: usize,
    /// The listener that it comes through, to routes.
    pub(crate) entry: ListenerEntry,
    pub(crate) over_tls: bool,
    /// Whether it belongs on its connection.
    pub(crate) belongs: Result<(), Reason>,
    /// The other end of the connection, where it is known.
    pub(crate) peer: Option<PeerAddr>,
    /// The visitor as text, where a trusted peer names it.
    pub(crate) visitor: Option<&'a HeaderValue>,
    pub(crate) via_cloudflare: bool,
    /// What is asked of requests before their route.
    pub(crate) settings: ZoneSettings<'a>,
}

/// What was decided, as far as it came.
#[derive(Default)]
pub(crate) struct Decided {
    /// As matched.
    pub(crate) host: Option<String>,
    /// As matched.
    pub(crate) path: Option<String>,
    pub(crate) route: Option<RouteId>,
    /// As forwarded.
    pub(crate) uri: Option<Uri>,
    /// The middlewares, up to the one that answers.
    pub(crate) steps: Vec<StepEffect>,
    /// What proves that its requests came through the operator's zone, strongest first. Empty where nothing is served.
    pub(crate) proofs: Vec<Proof>,
}

/// Decides where a request goes: to the endpoints of the route that is returned.
///
/// # Errors
/// Our answer, where it goes to none.
pub(crate) fn decide(
    table: &Table,
    asked: &AskedRoute<'_>,
    decided: &mut Decided,
) -> Result<RouteId, Box<StepAnswer>> {
    let AskedRoute { over_tls, peer, visitor, .. } = *asked;
    let (mut head, ()) = asked.request.clone().into_parts();
    let target = Target::read(&mut head, asked.most_target)?;
    decided.host = Some(target.host_name()?.as_str().to_owned());
    decided.path = Some(target.uri.path().to_owned());
    let anywhere = Seen::anywhere(&head.method, &head.headers);
    let proto = HeaderValue::from_static(if over_tls { "https" } else { "http" });
    let sender = Sender {
        client: visitor,
        proto: Some(&proto),
        host: Some(&target.host),
        via_cloudflare: asked.via_cloudflare,
        ..Sender::default()
    };
    let seen = Seen {
        entry_points: asked.entry.bits,
        sender,
        peer: peer.map_or(anywhere.peer, PeerAddr::ip),
        ..anywhere
    };
    let found = request::find(table, &target, &seen);
    let is_forced = asked.entry.redirects && !target.uri.path().starts_with(ACME_CHALLENGES);
    let may_go_on = found.map_or(Ok(()), |id| request::secured(table, id, over_tls, is_forced));
    may_go_on.and(asked.belongs)?;
    let id = found?;
    decided.route = Some(id);
    let uri = request::sent(table, id, &target, &seen)?;
    decided.uri = Some(uri.clone());
    if is_served(table, id) {
        decided.proofs = proofs(table, id, target.host_name()?.as_str(), asked.settings);
    }
    let (method, headers) = (&head.method, &head.headers);
    let steps = AskedSteps { method, headers, target: &target, uri, over_tls, peer, visitor };
    let answer;
    (decided.steps, answer) = walk(table, id, steps);
    answer.map_or(Ok(id), Err)
}

/// Whether a pod may get requests of a route, now or when there is one.
fn is_served(table: &Table, id: RouteId) -> bool {
    matches!(request::usable(table.backend(id)), Ok(_) | Err(Reason::NoEndpoint))
}
