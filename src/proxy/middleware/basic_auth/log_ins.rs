//! What a `basicAuth` keeps from one request to the next: who was right, whose password is being looked at, and
//! how often others were wrong.

use super::super::brake::{Brake, Standing};
use aws_lc_rs::hmac;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Credentials that were right and are remembered, at most.
const MOST_REMEMBERED: usize = 1024;

/// How long right credentials are remembered that nobody shows. They stay right for as long as the middleware
/// says the same: a changed Secret is another middleware.
const REMEMBERED: Duration = Duration::from_secs(900);

/// Name and password, as nobody can read them from memory: a keyed hash.
pub(super) type Token = [u8; 32];

/// The state of one middleware.
pub struct LogIns {
    key: hmac::Key,
    kept: Mutex<Kept>,
}

impl std::fmt::Debug for LogIns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogIns").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
pub(super) struct Kept {
    /// When each was shown last.
    right: HashMap<Token, Instant, foldhash::fast::RandomState>,
    /// Who waits for the verdict on the same credentials.
    pending: HashMap<Token, Vec<oneshot::Sender<bool>>, foldhash::fast::RandomState>,
    pub(super) brake: Brake,
}

/// What is known of credentials without a look at them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// They are right.
    Right,
    /// They have to be looked at.
    Nothing,
    /// They are not looked at, for so long.
    Refused(Duration),
}

/// How a verdict is come by.
pub(super) enum Turn {
    /// This request has to have it computed.
    First(oneshot::Receiver<bool>),
    /// Another one has.
    Shared(oneshot::Receiver<bool>),
    /// There is none, for so long.
    Refused(Duration),
}

impl LogIns {
    /// None yet, under a key that nobody knows.
    pub(in crate::proxy::middleware) fn new() -> Option<Self> {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &random).ok()?;
        Some(Self { key, kept: Mutex::default() })
    }

    /// Stands for a name and a password.
    pub(super) fn token(&self, user: &[u8], password: &[u8]) -> Token {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&(user.len() as u64).to_le_bytes());
        context.update(user);
        context.update(password);
        let mut token = [0; 32];
        token.copy_from_slice(context.sign().as_ref());
        token
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everybody who waits for it the verdict on some credentials.
    pub(super) fn decide(&self, token: Token, is_right: bool) {
        let waiting = {
            let mut kept = self.lock();
            if is_right {
                kept.remember(token, Instant::now());
            }
            kept.pending.remove(&token).unwrap_or_default()
        };
        for one in waiting {
            // It may have gone meanwhile.
            let _ = one.send(is_right);
        }
    }
}

impl Kept {
    /// What is known of some credentials of a visitor.
    pub(super) fn known(&mut self, token: &Token, visitor: IpAddr, now: Instant) -> Known {
        let standing = self.brake.standing(visitor, now);
        if let Standing::Blocked(left) = standing {
            return Known::Refused(left);
        }
        if let Some(last) = self.right.get_mut(token) {
            if now.saturating_duration_since(*last) < REMEMBERED {
                *last = now;
                return Known::Right;
            }
            self.right.remove(token);
        }
        match standing {
            Standing::Free => Known::Nothing,
            Standing::Braked(left) | Standing::Blocked(left) => {
                // The next may block it: this was a guess.
                self.brake.count(visitor, now);
                Known::Refused(left)
            }
        }
    }

    /// Remembers credentials that are right.
    pub(super) fn remember(&mut self, token: Token, now: Instant) {
        if self.right.len() >= MOST_REMEMBERED {
            self.right.retain(|_, last| now.saturating_duration_since(*last) < REMEMBERED);
        }
        if self.right.len() >= MOST_REMEMBERED {
            let oldest = self.right.iter().min_by_key(|(_, last)| **last).map(|(token, _)| *token);
            oldest.map(|oldest| self.right.remove(&oldest));
        }
        self.right.insert(token, now);
    }

    /// Waits for the verdict on some credentials. The first who does is counted as wrong until it is there, so
    /// that many attempts at once are no more than one after another.
    pub(super) fn wait(&mut self, token: Token, visitor: IpAddr, now: Instant) -> Turn {
        let (sender, receiver) = oneshot::channel();
        if let Some(waiting) = self.pending.get_mut(&token) {
            waiting.push(sender);
            return Turn::Shared(receiver);
        }
        if let Standing::Braked(left) | Standing::Blocked(left) = self.brake.standing(visitor, now)
        {
            return Turn::Refused(left);
        }
        self.brake.count(visitor, now);
        self.pending.insert(token, vec![sender]);
        Turn::First(receiver)
    }

    /// Ends the wait for a verdict that nobody computes.
    pub(super) fn give_up(&mut self, token: &Token) {
        self.pending.remove(token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn right_credentials_are_remembered_while_they_are_shown_and_within_the_bound() {
        let log_ins = LogIns::new().expect("random bytes");
        let (start, token) = (Instant::now(), log_ins.token(b"user", b"password"));
        assert_ne!(token, log_ins.token(b"userp", b"assword"));
        assert_ne!(token, LogIns::new().expect("random bytes").token(b"user", b"password"));
        let mut kept = log_ins.lock();
        assert_eq!(kept.known(&token, ME, start), Known::Nothing);
        kept.remember(token, start);
        let mut now = start;
        for _ in 0..3 {
            now += REMEMBERED - Duration::from_secs(1);
            assert_eq!(kept.known(&token, ME, now), Known::Right);
        }
        assert_eq!(kept.known(&token, ME, now + REMEMBERED), Known::Nothing);
        for number in 0..2 * MOST_REMEMBERED {
            kept.remember(log_ins.token(b"user", &number.to_le_bytes()), now);
        }
        assert_eq!(kept.right.len(), MOST_REMEMBERED);
    }

    #[test]
    fn guesses_beside_somebody_who_is_logged_in_come_to_an_end() {
        let log_ins = LogIns::new().expect("random bytes");
        let (now, right) = (Instant::now(), log_ins.token(b"user", b"password"));
        let mut kept = log_ins.lock();
        kept.remember(right, now);
        let wrong = log_ins.token(b"user", b"guess");
        let mut looked_at = 0;
        for _ in 0..1000 {
            if kept.known(&wrong, ME, now) == Known::Nothing {
                looked_at += 1;
                kept.brake.count(ME, now);
            }
            if looked_at == 10 && matches!(kept.brake.standing(ME, now), Standing::Braked(_)) {
                assert_eq!(kept.known(&right, ME, now), Known::Right);
            }
        }
        assert_eq!(looked_at, 10);
        assert!(matches!(kept.known(&right, ME, now), Known::Refused(_)));
    }
}
