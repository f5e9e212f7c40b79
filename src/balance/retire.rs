//! Endpoints that go from their Service.
//!
//! A request keeps its first set, possibly for minutes. So that a set does not keep what
//! has gone from it in use, an endpoint knows itself that it has: its idle connections are closed
//! then, and no request is sent again to it.

use super::{Endpoint, EndpointSet};
use std::sync::Arc;

impl EndpointSet {
    /// Records that `next` replaced this set; does nothing if no set follows it.
    pub fn leave_for(&self, next: Option<&Self>) {
        for endpoint in self.usable.iter().chain(&self.ending).chain(&self.resting) {
            if !next.is_some_and(|next| next.has(endpoint)) {
                endpoint.leave();
            }
        }
    }

    fn has(&self, endpoint: &Arc<Endpoint>) -> bool {
        [&self.usable, &self.ending, &self.resting].into_iter().any(|endpoints| {
            let found = endpoints.binary_search_by(|other| other.addr.cmp(&endpoint.addr));
            found.is_ok_and(|position| Arc::ptr_eq(&endpoints[position], endpoint))
        })
    }
}
