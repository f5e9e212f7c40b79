//! The middlewares of a route, as `explain` shows them, on the command line and on the status page.

use crate::http::{self as stage, ForwardedFields, HeaderTrust, Target};
use crate::net::addr::PeerAddr;
use crate::net::fields::{FieldMap, Fields};
use crate::net::message::Request;
use crate::proxy::middleware::{
    self, Passage, Received, RequestSource, RequestView, States, StepAnswer, StepReport,
};
use crate::routing::{RouteId, Table};
use crate::upstream::body::RequestBody;
use http::{HeaderName, HeaderValue, Method, Uri};
use serde::Serialize;
use std::net::{Ipv4Addr, SocketAddr};

/// One middleware, and what it would do to the request.
#[derive(Debug, Serialize)]
pub(crate) struct StepEffect {
    pub(crate) middleware: String,
    pub(crate) kind: &'static str,
    pub(crate) effect: String,
}

/// The request as it comes to the steps.
pub(crate) struct AskedSteps<'a> {
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a FieldMap,
    pub(crate) target: &'a Target,
    pub(crate) uri: Uri,
    pub(crate) over_tls: bool,
    /// The other end of the connection, where it is known.
    pub(crate) peer: Option<PeerAddr>,
    /// The visitor as text, where a trusted peer names it.
    pub(crate) visitor: Option<&'a HeaderValue>,
}

/// Walks the steps of a route. Returns the answer as well, if one of them answers.
pub(crate) fn walk(
    table: &Table,
    id: RouteId,
    asked: AskedSteps<'_>,
) -> (Vec<StepEffect>, Option<Box<StepAnswer>>) {
    let Some(chain) = table.chain(id) else { return (Vec::new(), None) };
    let (peer, visitor) = (asked.peer, asked.visitor);
    let unknown = PeerAddr::new(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
    let mut request = Request::new(RequestBody::Empty);
    *request.method_mut() = asked.method.clone();
    *request.uri_mut() = asked.uri;
    *request.headers_mut() = asked.headers.clone();
    let received_for = asked.headers.get(HeaderName::from_static("x-forwarded-for"));
    let received_for = received_for.filter(|_| visitor.is_some()).cloned();
    let received = Received::of(chain, asked.headers);
    let text = visitor.cloned().unwrap_or_else(|| text(peer.unwrap_or(unknown)));
    let scheme = HeaderValue::from_static(if asked.over_tls { "https" } else { "http" });
    let port = HeaderValue::from_static(if asked.over_tls { "443" } else { "80" });
    let fields = ForwardedFields { client: text, proto: scheme, port };
    let trust = HeaderTrust { via_cloudflare: visitor.is_some(), ..HeaderTrust::default() };
    stage::clean_request(request.headers_mut(), &asked.target.host, &fields, trust);
    let (states, mut passage) = (States::default(), Passage::new(received_for, received));
    let mut view = RequestView {
        request: &mut request,
        origin: RequestSource {
            peer: peer.unwrap_or(unknown),
            visitor,
            over_tls: asked.over_tls,
            session: None,
            target: asked.target,
            version: http::Version::HTTP_11,
        },
        upload: None,
        passage: &mut passage,
        states: &states,
    };
    let (reports, answer) = middleware::explain(chain, &mut view, peer.is_some());
    let steps = reports.into_iter().map(|StepReport { name, kind, effect }| StepEffect {
        middleware: name.to_string(),
        kind,
        effect,
    });
    (steps.collect(), answer)
}

fn text(peer: PeerAddr) -> HeaderValue {
    let text = peer.ip().to_string();
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}
