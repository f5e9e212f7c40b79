//! What the head of a request that has not ended holds.

use super::{Account, HolderKind};
use std::sync::Arc;

/// Bytes of a head that are in the price of its connection.
const FIRST_READ: usize = 8 * 1024;

/// The charge for a head that is longer than usual, for as long as this lives.
#[derive(Debug)]
pub struct HeadCharge {
    account: Arc<Account>,
    bytes: usize,
}

impl HeadCharge {
    /// For the heads of a connection, at the cost of its account.
    pub fn new(account: Arc<Account>) -> Self {
        Self { account, bytes: 0 }
    }

    /// Charges so many bytes of a head, whether there is room for them or not; says whether there is. The buffer for
    /// them grows by doubling.
    pub fn has_room(&mut self, head: usize) -> bool {
        if head <= FIRST_READ {
            return true;
        }
        let more = (2 * head).saturating_sub(self.bytes);
        let has_room = self.account.may_hold_part(more).is_ok();
        self.account.move_on();
        self.account.charge(HolderKind::Requests, more);
        self.bytes += more;
        has_room
    }

    /// Releases what was charged: the head is whole.
    pub fn release(&mut self) {
        let held = std::mem::take(&mut self.bytes);
        if held > 0 {
            self.account.release(HolderKind::Requests, held);
        }
    }
}

impl Drop for HeadCharge {
    fn drop(&mut self) {
        self.release();
    }
}
