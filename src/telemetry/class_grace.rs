//! IngressClasses that were deleted while their Ingresses are served. Written by the control thread, read
//! by the scrape and by `/readyz`.

use super::Locked;
use super::last_good::age;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// Until when each is served by, in seconds since the Unix epoch.
pub type ClassGrace = Locked<BTreeMap<Arc<str>, u64>>;

impl ClassGrace {
    /// A line for each; empty in ordinary times. `now` is in seconds since the Unix epoch.
    pub fn words(&self, now: u64) -> String {
        let mut page = String::new();
        for (class, until) in self.read() {
            let left = age(now, until);
            // Writing into a String cannot fail.
            let _ = writeln!(
                page,
                "serving the Ingresses of the deleted IngressClass {class} for {left} more: create it again"
            );
        }
        page
    }
}
