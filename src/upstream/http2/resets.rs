//! Streams that are given up on, and what their pod sees of that.
//!
//! Servers take many resets for an attack (CVE-2023-44487) and close the connection, with all that others
//! have on it. So a connection passes on a burst of them, and one a second beyond that. When the burst is
//! used up it gets no new streams: who comes next finds another connection, and so do those whose clients
//! give up on them. What is given up on until then is drained, until its turn to be reset comes, or the
//! connection closes, which it does when no request uses its streams.

use super::connection::Life;
use h2::RecvStream;
use h2::client::ResponseFuture;
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::spawn_local;
use tokio::time::sleep;

/// Resets that are passed on at once: fewer than the fewest that a server in use takes for an attack,
/// which are the 20 of h2, for streams that its application has not taken yet.
const BURST: u32 = 16;

/// After how long there is one more: servers that count all resets of a connection take 33 a second
/// (nghttp2) or half of its streams (Envoy).
const NEXT: Duration = Duration::from_secs(1);

/// The resets of one connection.
#[derive(Debug)]
pub(super) struct Resets {
    life: Rc<Life>,
    left: Cell<u32>,
    /// Since when `left` is what it is.
    since: Cell<Instant>,
    /// How many have waited for their turn.
    turns: Cell<u32>,
    spent: Cell<bool>,
}

/// The rest of a stream.
pub(super) enum GivenUp {
    /// Its answer has not begun.
    Unanswered(ResponseFuture),
    /// Its answer has not ended.
    Answer(RecvStream),
}

impl Resets {
    /// None yet, at `now`.
    pub(super) fn new(life: Rc<Life>, now: Instant) -> Rc<Self> {
        let (left, since) = (Cell::new(BURST), Cell::new(now));
        Rc::new(Self { life, left, since, turns: Cell::new(0), spent: Cell::new(false) })
    }

    /// Whether the burst is used up.
    pub(super) fn is_spent(&self) -> bool {
        self.spent.get()
    }

    /// Gives a stream up: by a reset, at once if there is one left.
    pub(super) fn give_up(&self, what: GivenUp, now: Instant) {
        if self.take(now) {
            return drop(what);
        }
        self.turns.set(self.turns.get().saturating_add(1));
        let turn = NEXT.saturating_mul(self.turns.get());
        let life = Rc::clone(&self.life);
        spawn_local(async move {
            tokio::select! {
                () = drain(what, &life) => {}
                () = sleep(turn) => {}
            }
        });
    }

    /// Counts a reset, of which the peer learns anyway if there is none left.
    pub(super) fn take(&self, now: Instant) -> bool {
        let more = now.saturating_duration_since(self.since.get()).as_secs();
        if more > 0 {
            self.since.set(now);
            let left = u64::from(self.left.get()).saturating_add(more).min(u64::from(BURST));
            self.left.set(u32::try_from(left).unwrap_or(BURST));
        }
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        self.spent.set(self.spent.get() || left <= 1);
        left > 0
    }
}

/// Drops what comes on a stream. Its window is not opened again: it sends as much as that, and then
/// waits. The window of the connection, which others need, is made wider instead.
async fn drain(what: GivenUp, life: &Life) {
    let mut recv = match what {
        GivenUp::Answer(recv) => recv,
        GivenUp::Unanswered(response) => match response.await {
            Ok(response) => response.into_body(),
            Err(_) => return,
        },
    };
    while let Some(Ok(data)) = recv.data().await {
        life.hold(data.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_resets_and_one_a_second_are_passed_on() {
        let begin = Instant::now();
        let resets = Resets::new(Rc::default(), begin);
        let taken = |now: Instant| (0..100).take_while(|_| resets.take(now)).count();
        for second in 0..3 {
            assert!(
                resets.take(begin + Duration::from_secs(2 * second)),
                "seldom ones never end it"
            );
        }
        assert!(!resets.is_spent());
        assert_eq!(taken(begin + Duration::from_secs(4)), 15);
        assert!(resets.is_spent());
        assert_eq!(taken(begin + Duration::from_secs(4)), 0);
        assert_eq!(taken(begin + Duration::from_secs(6)), 2);
        assert_eq!(taken(begin + Duration::from_secs(600)), 16);
        assert!(resets.is_spent(), "for good");
    }
}
