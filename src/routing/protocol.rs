//! The protocol of a backend, ready to connect with.

use crate::model::Protocol;
use crate::pki::endpoint_tls::{Alpn, EndpointTls, FIRST_ID};
use std::fmt;
use std::sync::Arc;

/// A [`Protocol`] with the TLS configuration that follows from its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointProtocol {
    /// See [`Protocol::Http`].
    Http,
    /// See [`Protocol::H2c`].
    H2c,
    /// See [`Protocol::Grpc`].
    Grpc,
    /// See [`Protocol::Https`].
    Https(Arc<EndpointTls>),
}

impl EndpointProtocol {
    /// Prepares connections. Equal settings keep the value of the previous table, with its connections and
    /// sessions; so do settings whose CAs are missing, if the previous table has those of the same Secret.
    pub(super) fn new(wanted: &Protocol, previous: Option<&Self>) -> Self {
        let settings = match wanted {
            Protocol::Http => return Self::Http,
            Protocol::H2c => return Self::H2c,
            Protocol::Grpc => return Self::Grpc,
            Protocol::Https(settings) => settings,
        };
        match previous {
            Some(Self::Https(tls))
                if tls.settings() == settings || tls.is_last_good_of(settings) =>
            {
                Self::Https(Arc::clone(tls))
            }
            _ => Self::Https(Arc::new(EndpointTls::new(Arc::clone(settings)))),
        }
    }

    /// Whether connections can be made: not while the CAs are missing.
    pub(super) fn is_usable(&self) -> bool {
        !matches!(self, Self::Https(tls) if tls.config().is_none())
    }

    /// A number for the protocol and its settings: connections with one are never used for another.
    pub fn id(&self) -> u64 {
        // Below FIRST_ID, so none of an EndpointTls.
        const { assert!(FIRST_ID > 1) };
        match self {
            Self::Http => 0,
            Self::H2c | Self::Grpc => 1,
            Self::Https(tls) => tls.id(),
        }
    }

    /// The same for a request that wants to change the protocol, which only HTTP/1.1 can.
    pub fn for_upgrades(&self) -> Self {
        match self {
            Self::Https(tls) if tls.settings().alpn == Alpn::Either => {
                Self::Https(Arc::clone(tls.over_http1()))
            }
            _ => self.clone(),
        }
    }

    /// Whether HTTP/2 may be spoken.
    pub fn may_be_http2(&self) -> bool {
        match self {
            Self::Http => false,
            Self::H2c | Self::Grpc => true,
            Self::Https(tls) => matches!(tls.settings().alpn, Alpn::Either | Alpn::Http2),
        }
    }

    /// Whether HTTP/1.1 may be spoken.
    pub fn may_be_http1(&self) -> bool {
        match self {
            Self::Http => true,
            Self::H2c | Self::Grpc => false,
            Self::Https(tls) => tls.settings().alpn != Alpn::Http2,
        }
    }

    /// Whether the Service declares gRPC: `grpc`, or `grpcs`, the only one that requires HTTP/2 inside TLS.
    pub fn is_grpc(&self) -> bool {
        match self {
            Self::Http | Self::H2c => false,
            Self::Grpc => true,
            Self::Https(tls) => tls.settings().alpn == Alpn::Http2,
        }
    }
}

/// The words of [`Protocol`].
impl fmt::Display for EndpointProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http => Protocol::Http.fmt(f),
            Self::H2c => Protocol::H2c.fmt(f),
            Self::Grpc => Protocol::Grpc.fmt(f),
            Self::Https(tls) => Protocol::Https(Arc::clone(tls.settings())).fmt(f),
        }
    }
}
