//! Which of several Services a request goes to (`model::middleware::ServiceChoice`).

use super::decide::{protocol, usable};
use super::exchange::Exchange;
use super::session_affinity;
use crate::balance::EndpointSet;
use crate::error::Reason;
use crate::model::middleware::{ServiceChoice, Step};
use crate::model::{BackendKey, CookieSettings};
use crate::proxy::middleware::ChosenService;
use crate::routing::{EndpointProtocol, Table};
use crate::upstream::body::RequestBody;
use http::{HeaderValue, Request};
use std::rc::Rc;
use std::sync::Arc;

/// Where a request goes that has passed its steps.
pub(super) struct Destination {
    pub(super) endpoints: Result<Arc<EndpointSet>, Reason>,
    pub(super) protocol: EndpointProtocol,
}

/// Chooses, where the route of a request has several Services.
pub(super) fn choose(
    exchange: &mut Exchange,
    request: &mut Request<RequestBody>,
) -> Option<Destination> {
    let (table, id) = exchange.route()?;
    let table = Rc::clone(table);
    let Step::Services(choice) = &table.chain(id)?.last()?.step else {
        return None;
    };
    let mut draw = Draw { table: &table, exchange, request, cookies: Vec::new() };
    let key = draw.pick(choice)?.clone();
    let cookies = draw.cookies;
    let Some(backend) = table.backend_of(&key) else {
        let (endpoints, protocol) = (Err(Reason::ServiceMissing), EndpointProtocol::Http);
        return Some(Destination { endpoints, protocol });
    };
    let algorithm = &backend.balancing.algorithm;
    exchange.choice = session_affinity::choose(algorithm, exchange, request.headers());
    let protocol = protocol(backend, exchange, request.headers_mut());
    let backend = Arc::clone(backend);
    let endpoints = usable(&backend);
    if let Some(passage) = &mut exchange.passage {
        passage.service = Some(Box::new(ChosenService { backend, cookies }));
    }
    Some(Destination { endpoints, protocol })
}

struct Draw<'d> {
    table: &'d Table,
    exchange: &'d Exchange,
    request: &'d Request<RequestBody>,
    cookies: Vec<HeaderValue>,
}

impl Draw<'_> {
    fn pick<'c>(&mut self, choice: &'c ServiceChoice) -> Option<&'c BackendKey> {
        match choice {
            ServiceChoice::One(key) => Some(key),
            ServiceChoice::Failover(both) => {
                let [main, fallback] = &**both;
                let first = self.pick(main)?;
                let is_up = self.table.backend_of(first).is_some_and(|main| usable(main).is_ok());
                if is_up { Some(first) } else { self.pick(fallback) }
            }
            ServiceChoice::Weighted(weighted) => {
                let worker = &self.exchange.downstream().worker;
                let cookie = weighted.cookie.as_deref();
                let named = cookie.and_then(|cookie| {
                    let is_named = |token: &str| self.has_cookie(cookie, token);
                    weighted.parts.iter().find(|part| is_named(&part.token))
                });
                if let Some(part) = named {
                    return self.pick(&part.choice);
                }
                let part = weighted.drawn(worker.random())?;
                if let Some(cookie) = cookie {
                    let over_tls = self.exchange.over_tls;
                    let value = session_affinity::cookie(cookie, &part.token, over_tls);
                    self.cookies.extend(HeaderValue::try_from(value).ok());
                }
                self.pick(&part.choice)
            }
        }
    }

    fn has_cookie(&self, cookie: &CookieSettings, token: &str) -> bool {
        let mut values = session_affinity::values(self.request.headers(), &cookie.name);
        values.any(|value| value == token.as_bytes())
    }
}
