//! Cloudflare Access: the application token that it adds to every request, verified with the keys of its team.
//!
//! ```text
//! control::access -> KeySet::parse -> TeamKeys -> workers: UnverifiedToken::parse -> verify -> Verified
//! ```
//!
//! [`UnverifiedToken`] is all that can be read without a key: what it says counts for nothing but the choice of the
//! key. A [`Verified`] can be made by [`UnverifiedToken::verify`] alone. The format is documented on the pages
//! "Application token" and "Validate JWTs" of Cloudflare One.

mod claims;
mod keys;
mod store;
mod team;
#[cfg(test)]
pub(crate) mod tests;
mod token;

pub use claims::Verified;
pub use keys::{KeySet, KeySetError, MOST_KEYS, MOST_KEYS_BYTES};
pub use store::{EARLIEST_AGAIN, KeyStore, MOST_TEAMS, TeamKeys};
pub use team::{DOMAIN, Team, TeamError, is_audience};
pub use token::{LEEWAY, MOST_TOKEN, TokenRefusal, UnverifiedToken};
