//! The attempts at one request: what was tried, and whether and where it is sent once more.

use super::attempt::Once;
use super::report::Unanswered;
use super::{Journey, To, Upstream};
use crate::balance::{Endpoint, EndpointSet, InFlight, Moment};
use crate::error::Reason;
use std::sync::Arc;

/// What has become of the attempts so far.
pub(super) struct Course {
    /// Endpoints that are not to be tried again.
    pub(super) tried: Vec<Arc<Endpoint>>,
    /// Whether it was sent once more already.
    pub(super) once: Once,
    /// Why the last attempt failed.
    pub(super) last: Reason,
    /// The endpoints of now; those of the request until the first attempt has failed.
    renewed: Option<Arc<EndpointSet>>,
}

impl Course {
    /// Before the first attempt.
    pub(super) fn new() -> Self {
        let (tried, once) = (Vec::new(), Once::default());
        Self { tried, once, last: Reason::NoEndpoint, renewed: None }
    }

    /// The endpoints to choose from.
    pub(super) fn endpoints<'s>(&'s self, to: &To<'s>) -> &'s EndpointSet {
        self.renewed.as_deref().unwrap_or(to.endpoints)
    }

    /// Another endpoint for a request whose connection has closed when it was used again, if one is
    /// neither tried nor left out. A process that ends closes its connections before it stops to
    /// listen, and the kernel takes a new one meanwhile: there the request would be lost.
    fn another(&mut self, to: &To<'_>, closed: &Arc<Endpoint>, random: u64) -> Option<InFlight> {
        let set = self.renewed.insert(to.renew());
        self.tried.push(Arc::clone(closed));
        let other = to.begin(set, random, Moment::now(), &self.tried);
        // It may be well, and is asked again if the other cannot be reached.
        self.tried.pop();
        other.filter(|other| !other.endpoint().is_ejected())
    }
}

impl Upstream {
    /// After a connection that was used again has failed: has the request go to another endpoint, or
    /// else to the same one. An error, if it is not sent again. `is_left`: whether there is a request
    /// that may be.
    pub(super) fn turn_elsewhere(
        &self,
        (to, course): (&To<'_>, &mut Course),
        (failed, is_left): (Unanswered, bool),
        journey: &mut Journey,
        random: u64,
    ) -> Result<(), Reason> {
        let why = failed.retry(true);
        if !is_left || !self.may_retry(&mut journey.retries, why) {
            return Err(failed.reason);
        }
        course.last = failed.reason;
        course.once.note(why);
        if let Some(sent) = &journey.endpoint
            && let Some(other) = course.another(to, sent.endpoint(), random)
        {
            journey.endpoint = Some(other);
        }
        Ok(())
    }

    /// After a new connection to an endpoint has failed, or was not made because the endpoint has gone
    /// (nothing in `failed`): has the request go to another one. An error, if it is not sent again.
    pub(super) fn give_up_on(
        &self,
        endpoint: &Arc<Endpoint>,
        (to, course): (&To<'_>, &mut Course),
        (failed, is_left): (Option<Unanswered>, bool),
        retries: &mut u32,
    ) -> Result<(), Reason> {
        course.tried.push(Arc::clone(endpoint));
        let set = course.renewed.insert(to.renew());
        let Some(failed) = failed else { return Ok(()) };
        course.last = failed.reason;
        let why = failed.retry(false);
        let is_last = course.tried.len() > self.settings.connect_retries as usize
            || set.all_tried(&course.tried);
        if is_last || !is_left || !self.may_retry(retries, why) {
            return Err(failed.reason);
        }
        course.once.note(why);
        Ok(())
    }
}
