//! What tells one client of a limit from another.

use super::super::client::address;
use super::super::view::RequestView;
use crate::model::middleware::LimitKey;
use crate::net::fields::Fields;
use aws_lc_rs::digest;
use std::hash::{BuildHasher, Hash, Hasher};
use std::net::IpAddr;

/// One client of a limit, as a request shows it. Clients that show nothing are one: none of them gets a bucket
/// of its own by leaving something out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in super::super) enum Key<'r> {
    Address(Option<IpAddr>),
    Field(Option<&'r [u8]>),
    /// Without its port and in any case, so that no spelling has a bucket of its own.
    Host(&'r [u8]),
    All,
}

impl<'r> Key<'r> {
    /// The client of a request.
    pub(super) fn of(key: &LimitKey, request: &'r RequestView<'_>) -> Self {
        match key {
            LimitKey::Client(selector) => Self::Address(address(selector, request)),
            LimitKey::Field(name) => {
                let value = request.request.headers().get(name);
                Self::Field(value.map(http::HeaderValue::as_bytes))
            }
            LimitKey::Host => Self::Host(without_port(request.origin.target.host.as_bytes())),
            LimitKey::Route => Self::All,
        }
    }

    /// A number for it that nobody outside can foresee.
    pub(super) fn number(self, keys: &impl BuildHasher) -> u64 {
        let mut hasher = keys.build_hasher();
        match self {
            Self::Host(host) => host.to_ascii_lowercase().hash(&mut hasher),
            other => Hash::hash(&other, &mut hasher),
        }
        hasher.finish()
    }

    /// The same number in every process, of which nobody can read a field that may be a secret.
    pub(super) fn digest(self) -> [u8; 16] {
        let mut context = digest::Context::new(&digest::SHA256);
        match self {
            Self::Address(Some(address)) => context.update(address.to_string().as_bytes()),
            Self::Field(Some(value)) => context.update(value),
            Self::Host(host) => context.update(&host.to_ascii_lowercase()),
            Self::Address(None) | Self::Field(None) | Self::All => {}
        }
        let mut first = [0; 16];
        first.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
        first
    }
}

fn without_port(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|byte| *byte == b':') {
        Some(colon) if host[colon + 1..].iter().all(u8::is_ascii_digit) => &host[..colon],
        _ => host,
    }
}
