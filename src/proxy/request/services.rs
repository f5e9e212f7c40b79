//! Which of several Services a request goes to (`model::middleware::ServiceChoice`).

use super::decide::{protocol, usable};
use super::exchange::Exchange;
use super::session_affinity;
use crate::balance::EndpointSet;
use crate::error::Reason;
use crate::model::middleware::{
    Failover, HashedService, Mirroring, ServiceChoice, Step, WeightedServices,
};
use crate::model::{BackendKey, CookieSettings};
use crate::net::message::Request;
use crate::proxy::middleware::{ChosenService, CopyTo, FollowUp, KeptRequest, MOST_KEPT_BODY};
use crate::routing::{EndpointProtocol, Held, Table};
use crate::upstream::body::RequestBody;
use http::HeaderValue;
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
    let (found, key) = Draw::of(&table, exchange, request, choice)?;
    Some(found.lead(&table, exchange, request, &key, None))
}

/// Chooses in the place of a Service that has failed.
pub(super) fn choose_again(
    exchange: &mut Exchange,
    request: &mut Request<RequestBody>,
    choice: &ServiceChoice,
    before: FollowUp,
) -> Option<Destination> {
    let (table, _) = exchange.route()?;
    let table = Rc::clone(table);
    let (found, key) = Draw::of(&table, exchange, request, choice)?;
    Some(found.lead(&table, exchange, request, &key, Some(before)))
}

/// What was found on the way to a Service.
#[derive(Default)]
struct Drawn {
    cookies: Vec<HeaderValue>,
    /// Failovers that may have another Service, the innermost last.
    failovers: Vec<Arc<Failover>>,
    copies: Vec<CopyTo>,
}

impl Drawn {
    /// Has the request go to a Service, with what is to follow its answer.
    fn lead(
        self,
        table: &Held,
        exchange: &mut Exchange,
        request: &mut Request<RequestBody>,
        key: &BackendKey,
        before: Option<FollowUp>,
    ) -> Destination {
        let Some(backend) = table.backend_of(key) else {
            let (endpoints, protocol) = (Err(Reason::ServiceMissing), EndpointProtocol::Http);
            return Destination { endpoints, protocol };
        };
        let algorithm = &backend.balancing.algorithm;
        exchange.choice = session_affinity::choose(algorithm, exchange, request.headers());
        let backend = Arc::clone(backend);
        let mut endpoints = usable(&backend);
        let Self { mut cookies, failovers, copies } = self;
        let mut follow_up = match before {
            Some(mut before) => {
                before.failovers.extend(failovers);
                before.copies.extend(copies);
                Some(Box::new(before))
            }
            None if failovers.is_empty() && copies.is_empty() => None,
            None => match follow_up(exchange, request, failovers, copies) {
                Ok(follow_up) => Some(Box::new(follow_up)),
                Err(reason) => {
                    endpoints = Err(reason);
                    None
                }
            },
        };
        let protocol = protocol(&backend, exchange, request.headers_mut());
        if let Some(passage) = &mut exchange.passage {
            if let Some(earlier) = &mut passage.service {
                cookies = std::mem::take(&mut earlier.cookies).into_iter().chain(cookies).collect();
                follow_up = follow_up.or(earlier.follow_up.take());
            }
            passage.service = Some(Box::new(ChosenService { backend, cookies, follow_up }));
        }
        Destination { endpoints, protocol }
    }
}

/// Keeps a request for what is to follow its answer.
///
/// # Errors
/// Its body is larger than a failover allows.
fn follow_up(
    exchange: &Exchange,
    request: &Request<RequestBody>,
    failovers: Vec<Arc<Failover>>,
    mut copies: Vec<CopyTo>,
) -> Result<FollowUp, Reason> {
    let upload = exchange.upload();
    let bounds = failovers.iter().filter_map(|one| one.errors.as_ref()?.max_body);
    if let (Some(upload), Some(most)) = (&upload, bounds.min())
        && !upload.may_have(most.min(upload.most()))
    {
        return Err(Reason::BodyTooLarge);
    }
    // What is known to be too large need not be kept for a copy.
    let length = upload.as_ref().and_then(|upload| upload.rest()).unwrap_or(0);
    let cells = &exchange.downstream().worker.cells.upstream;
    copies.retain(|copy| {
        let fits = copy.most_body.is_none_or(|most| length <= most);
        if !fits {
            cells.count_mirrored(crate::telemetry::Mirrored::TooLarge);
        }
        fits
    });
    let of_copies = copies.iter().filter_map(|copy| copy.most_body).max().unwrap_or(0);
    let most = if failovers.is_empty() { of_copies } else { MOST_KEPT_BODY };
    let request = KeptRequest::of(request, most, &exchange.downstream().account);
    Ok(FollowUp { request, failovers, copies })
}

struct Draw<'d> {
    table: &'d Table,
    exchange: &'d Exchange,
    request: &'d Request<RequestBody>,
    drawn: Drawn,
}

impl Draw<'_> {
    /// Draws among the Services of a choice.
    fn of(
        table: &Table,
        exchange: &Exchange,
        request: &Request<RequestBody>,
        choice: &ServiceChoice,
    ) -> Option<(Drawn, BackendKey)> {
        let mut draw = Draw { table, exchange, request, drawn: Drawn::default() };
        let key = draw.pick(choice)?.clone();
        Some((draw.drawn, key))
    }

    fn pick<'c>(&mut self, choice: &'c ServiceChoice) -> Option<&'c BackendKey> {
        match choice {
            ServiceChoice::One(key) => Some(key),
            ServiceChoice::Failover(failover) => self.of_failover(failover),
            ServiceChoice::Weighted(weighted) => self.of_weighted(weighted),
            ServiceChoice::Hashed(services) => self.of_hashed(services),
            ServiceChoice::Mirrored(mirroring) => self.of_mirrored(mirroring),
        }
    }

    fn is_up(&self, key: &BackendKey) -> bool {
        let backend = self.table.backend_of(key);
        backend.is_some_and(|backend| !backend.fails_checks() && usable(backend).is_ok())
    }

    fn of_failover<'c>(&mut self, failover: &'c Arc<Failover>) -> Option<&'c BackendKey> {
        let before = self.drawn.depth();
        let first = self.pick(&failover.main)?;
        if !self.is_up(first) {
            self.drawn.cut(before);
            return self.pick(&failover.fallback);
        }
        if failover.errors.is_some() {
            self.drawn.failovers.insert(before.failovers, Arc::clone(failover));
        }
        Some(first)
    }

    fn of_weighted<'c>(&mut self, weighted: &'c WeightedServices) -> Option<&'c BackendKey> {
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
            self.drawn.cookies.extend(HeaderValue::try_from(value).ok());
        }
        self.pick(&part.choice)
    }

    /// The one with the highest score for the client, of those that can be used.
    fn of_hashed<'c>(&mut self, services: &'c [HashedService]) -> Option<&'c BackendKey> {
        let client = session_affinity::client(self.exchange).to_string();
        let mut scored: Vec<(f64, &HashedService)> =
            services.iter().map(|service| (service.score(&client), service)).collect();
        scored.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        let before = self.drawn.depth();
        for (_, service) in &scored {
            let key = self.pick(&service.choice)?;
            if self.is_up(key) {
                return Some(key);
            }
            self.drawn.cut(before);
        }
        self.pick(&scored.first()?.1.choice)
    }

    fn of_mirrored<'c>(&mut self, mirroring: &'c Mirroring) -> Option<&'c BackendKey> {
        let main = self.pick(&mirroring.main)?;
        // What comes behind the head of an upgrade is nobody's but the two ends'.
        if self.exchange.noted.upgrade.is_some() {
            return Some(main);
        }
        for mirror in &mirroring.mirrors {
            let worker = &self.exchange.downstream().worker;
            if worker.random() % 100 >= u64::from(mirror.percent) {
                continue;
            }
            let before = self.drawn.depth();
            let key = self.pick(&mirror.choice);
            let backend = key.and_then(|key| self.table.backend_of(key)).map(Arc::clone);
            // Its answer is nobody's: there is no cookie of it, and nothing in its place.
            self.drawn.cookies.truncate(before.cookies);
            self.drawn.failovers.truncate(before.failovers);
            let most = mirroring.max_body.unwrap_or(u64::MAX).min(MOST_KEPT_BODY);
            let most_body = mirroring.with_body.then_some(most);
            let copy = backend.map(|backend| CopyTo { backend, most_body });
            self.drawn.copies.extend(copy);
        }
        Some(main)
    }

    fn has_cookie(&self, cookie: &CookieSettings, token: &str) -> bool {
        let mut values = session_affinity::values(self.request.headers(), &cookie.name);
        values.any(|value| value == token.as_bytes())
    }
}

/// How much was found so far.
#[derive(Clone, Copy)]
struct Depth {
    cookies: usize,
    failovers: usize,
    copies: usize,
}

impl Drawn {
    fn depth(&self) -> Depth {
        let Self { cookies, failovers, copies } = self;
        Depth { cookies: cookies.len(), failovers: failovers.len(), copies: copies.len() }
    }

    /// Forgets what was found since then.
    fn cut(&mut self, then: Depth) {
        self.cookies.truncate(then.cookies);
        self.failovers.truncate(then.failovers);
        self.copies.truncate(then.copies);
    }
}
