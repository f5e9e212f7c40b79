//! Where a request goes next whose connection has turned out closed.

use super::To;
use crate::balance::{Endpoint, EndpointSet, InFlight, Moment};
use std::sync::Arc;

impl To<'_> {
    /// Another endpoint for a request whose connection has closed when it was used again, if one is
    /// neither tried nor left out. A process that ends closes its connections before it stops to
    /// listen, and the kernel takes a new one meanwhile: there the request would be lost.
    pub(super) fn another(
        &self,
        set: &EndpointSet,
        closed: &Arc<Endpoint>,
        tried: &mut Vec<Arc<Endpoint>>,
        random: u64,
    ) -> Option<InFlight> {
        tried.push(Arc::clone(closed));
        let other = self.begin(set, random, Moment::now(), tried);
        // It may be well, and is asked again if the other cannot be reached.
        tried.pop();
        other.filter(|other| !other.endpoint().is_ejected())
    }
}
