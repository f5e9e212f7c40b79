//! Session tickets that other processes can open: the keys are derived from a secret, and no state is
//! kept.
//!
//! A ticket is encrypted with AES-256-GCM under its own key: HKDF-SHA256 (RFC 5869) of the secret, the
//! time, the policy of the session, and a random salt in the ticket. So no number of tickets on any
//! number of nodes wears out a key, and a ticket of another policy, another secret or an expired period
//! cannot be opened: the client gets a full handshake, never an error.
//!
//! The secret can forge tickets, and so sessions that claim a client certificate that was never
//! presented; and it can decrypt recorded TLS 1.2 sessions. It is as sensitive as a private key. Without
//! a configured secret, each process has secrets of its own, which rotate and are never written to disk.

mod local;
mod policy;
#[cfg(test)]
mod tests;

use crate::pki::client_certificate::Demand;
use arc_swap::ArcSwapOption;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use aws_lc_rs::rand;
use local::Local;
use policy::PolicyId;
use rustls::Error;
use rustls::server::ProducesTickets;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// How long keys are used for new tickets. One that is as old can be opened for as long again: a ticket
/// counts for 6 to 12 hours, as those of rustls do.
const EPOCH_SECONDS: u64 = 6 * 60 * 60;

/// Shortest secret, in bytes: the strength of the keys that are derived from it.
const LEAST_SECRET_BYTES: usize = 32;

/// Maximum size of a secret file, in bytes: far less than any other file that could be named by mistake,
/// such as a certificate chain with its key.
pub const MOST_SECRET_BYTES: usize = 1024;

/// In front of everything that is derived, so that the secret may serve other ends as well.
const LABEL: &[u8] = b"ravelin ticket 1";

const SALT_BYTES: usize = 24;
const KEY_BYTES: usize = 32;
/// The number of the epoch, and the salt: in the clear, and authenticated.
const HEAD_BYTES: usize = 8 + SALT_BYTES;

/// Why bytes are no secret. Never a part of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Fewer than 32, which is the strength of the keys that are derived from it.
    #[error("has {0} bytes, fewer than 32; write random ones: openssl rand -hex 32")]
    TooShort(usize),
    /// More than [`MOST_SECRET_BYTES`].
    #[error("has {0} bytes, more than 1024; write random ones: openssl rand -hex 32")]
    TooLong(usize),
    /// One byte, repeated.
    #[error("repeats one byte; write random ones: openssl rand -hex 32")]
    Monotonous,
}

/// Who has issued the certificate of a session: a host may have one for Cloudflare and one for others, and a session is
/// resumed by whom it was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Issuer {
    /// Whom nobody but Cloudflare trusts.
    OriginCa,
    /// Any other.
    Other,
}

/// The source of ticket keys, shared by all policies.
pub struct TicketKeys {
    /// The secret that was given.
    given: ArcSwapOption<Prk>,
    /// What counts where none was.
    local: Arc<Mutex<Local>>,
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketKeys").field("is_given", &self.is_given()).finish_non_exhaustive()
    }
}

impl TicketKeys {
    /// Secrets of this process only, until one is configured.
    ///
    /// # Errors
    /// Only where the system has no random numbers.
    pub fn new() -> Result<Arc<Self>, Error> {
        let local = Arc::new(Mutex::new(Local::new(epoch(now()))?));
        Ok(Arc::new(Self { given: ArcSwapOption::empty(), local }))
    }

    /// With the same secrets of the process, and no configured one yet.
    pub fn successor(&self) -> Arc<Self> {
        Arc::new(Self { given: ArcSwapOption::empty(), local: Arc::clone(&self.local) })
    }

    /// Takes a secret that others have too: from now on tickets are sealed with it, and those of before
    /// are not opened any more, because a secret may be changed after a leak. A line end behind
    /// the last byte is not a part of it.
    ///
    /// # Errors
    /// Where it is no secret; the one before counts on.
    pub fn give(&self, secret: &[u8]) -> Result<(), SecretError> {
        let secret = secret.strip_suffix(b"\n").unwrap_or(secret);
        let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
        match secret.len() {
            short @ ..LEAST_SECRET_BYTES => return Err(SecretError::TooShort(short)),
            long if long > MOST_SECRET_BYTES => return Err(SecretError::TooLong(long)),
            _ if secret.iter().all(|byte| *byte == secret[0]) => {
                return Err(SecretError::Monotonous);
            }
            _ => {}
        }
        self.given.store(Some(Arc::new(extract(secret))));
        Ok(())
    }

    /// Whether others may have the secret too.
    pub fn is_given(&self) -> bool {
        self.given.load().is_some()
    }

    /// Tickets of the sessions of one policy, with certificates of one issuer.
    pub(super) fn of(
        self: &Arc<Self>,
        demand: &Demand,
        issuer: Issuer,
    ) -> Arc<dyn ProducesTickets> {
        Arc::new(Tickets { keys: Arc::clone(self), policy: PolicyId::of(demand, issuer) })
    }

    /// The secret of an epoch that is this one or the one before.
    fn secret(&self, wanted: u64, now: u64) -> Option<Arc<Prk>> {
        if let Some(given) = &*self.given.load() {
            return Some(Arc::clone(given));
        }
        self.local.lock().unwrap_or_else(PoisonError::into_inner).secret(wanted, now)
    }

    /// A ticket for what `plain` says, at a time in seconds since the Unix epoch.
    fn seal(&self, policy: &PolicyId, plain: &[u8], seconds: u64) -> Option<Vec<u8>> {
        let now = epoch(seconds);
        let secret = self.secret(now, now)?;
        let mut salt = [0; SALT_BYTES];
        rand::fill(&mut salt).ok()?;
        let key = key(&secret, now, policy, &salt)?;
        let mut sealed = plain.to_vec();
        let head = [&now.to_be_bytes()[..], &salt].concat();
        key.seal_in_place_append_tag(nonce(), Aad::from(&head), &mut sealed).ok()?;
        Some([head, sealed].concat())
    }

    /// What a ticket says, if it is one of ours, of this policy, and young enough.
    fn open(&self, policy: &PolicyId, ticket: &[u8], seconds: u64) -> Option<Vec<u8>> {
        let now = epoch(seconds);
        let (head, sealed) = ticket.split_at_checked(HEAD_BYTES)?;
        let (number, salt) = head.split_first_chunk()?;
        let wanted = u64::from_be_bytes(*number);
        if wanted > now || now - wanted > 1 {
            return None;
        }
        let secret = self.secret(wanted, now)?;
        let key = key(&secret, wanted, policy, salt)?;
        let mut opened = sealed.to_vec();
        let length = key.open_in_place(nonce(), Aad::from(head), &mut opened).ok()?.len();
        opened.truncate(length);
        Some(opened)
    }
}

fn extract(secret: &[u8]) -> Prk {
    Salt::new(HKDF_SHA256, LABEL).extract(secret)
}

/// How many epochs have begun since 1970.
fn epoch(seconds: u64) -> u64 {
    seconds / EPOCH_SECONDS
}

/// Seconds since the Unix epoch. A clock before it is one at it.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The length of a key, for HKDF.
struct KeyBytes;

impl KeyType for KeyBytes {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

/// The key of one ticket.
fn key(secret: &Prk, epoch: u64, policy: &PolicyId, salt: &[u8]) -> Option<LessSafeKey> {
    let number = epoch.to_be_bytes();
    // Each part but the last has a length of its own, so that no two lists read alike.
    let info = [LABEL, &number, policy.bytes(), salt];
    let mut key = [0; KEY_BYTES];
    secret.expand(&info, KeyBytes).and_then(|derived| derived.fill(&mut key)).ok()?;
    Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).ok()?))
}

/// Always the same: no key seals twice.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

/// Tickets of one policy.
#[derive(Debug)]
struct Tickets {
    keys: Arc<TicketKeys>,
    policy: PolicyId,
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    /// The least that a ticket counts for.
    fn lifetime(&self) -> u32 {
        u32::try_from(EPOCH_SECONDS).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.keys.seal(&self.policy, plain, now())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.keys.open(&self.policy, cipher, now())
    }
}
