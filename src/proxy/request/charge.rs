//! What a request holds, from its head to the last byte of its answer.

use crate::net::fields::Fields;
use crate::net::memory::{Account, HolderKind};
use crate::net::message::RequestParts;
use http::{HeaderName, HeaderValue};
use std::sync::Arc;

/// Memory of a request beside its head, in bytes: its task and record, and its connection to a pod with
/// the buffers of that.
const BASE: usize = 24 * 1024;

/// How often a head is held: as it came, or as it is kept for sending it again; and as it is written.
const COPIES: usize = 2;

/// Memory of a head's fields for each field, in bytes: its name and its value.
const FIELD: usize = size_of::<(HeaderName, HeaderValue)>();

/// The charge for a request, for as long as this lives.
#[derive(Debug)]
pub(super) struct Charge {
    account: Arc<Account>,
    bytes: usize,
}

impl Charge {
    /// Charges a request, whether there is room for it or not; says whether there is. `came`: how many
    /// bytes of the client's its head was, where all of it was written out.
    pub(super) fn of(
        account: &Arc<Account>,
        head: &RequestParts,
        came: Option<usize>,
    ) -> (Self, bool) {
        let bytes = BASE + of_head(head, came);
        let has_room = account.may_hold(bytes).is_ok();
        account.charge(HolderKind::Requests, bytes);
        (Self { account: Arc::clone(account), bytes }, has_room)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.release(HolderKind::Requests, self.bytes);
    }
}

/// As it is written out: a field that HTTP/2 sends in one byte counts as what it stands for. The target
/// is by itself, because escapes lengthen it.
fn of_head(head: &RequestParts, came: Option<usize>) -> usize {
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let fields = came.unwrap_or_else(|| text(&head.headers));
    COPIES * (target + fields) + FIELD * head.headers.capacity()
}

fn text(headers: &impl Fields) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::memory::{Budget, Ledger};
    use crate::net::message::Request;
    use http::HeaderValue;

    #[test]
    fn values_that_are_shared_count_each_time_as_they_are_written_each_time() {
        let ledger = Ledger::new(Budget::new(1 << 30), Arc::default());
        let account = Account::open(&ledger);
        let mut request = Request::new(());
        let long = HeaderValue::from_bytes(&[b'v'; 4000]).expect("a value");
        for _ in 0..32 {
            request.headers_mut().append("x", long.clone());
        }
        let (head, ()) = request.into_parts();
        let (charge, has_room) = Charge::of(&account, &head, None);
        assert!(has_room);
        assert!(account.held() > 2 * 128_000, "{} bytes", account.held());
        drop(charge);
        assert_eq!(account.held(), 0);
    }
}
