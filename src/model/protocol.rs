//! How requests reach the endpoints of a backend.

use crate::pki::endpoint_tls::{Alpn, EndpointTls, FIRST_ID, Trust};
use std::fmt;
use std::sync::Arc;

/// What is spoken with the endpoints of a Service port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 without TLS.
    #[default]
    Http,
    /// HTTP/2 without TLS, with prior knowledge (RFC 9113 section 3.3).
    H2c,
    /// The same, and every request is a call of gRPC, as the Service says.
    Grpc,
    /// TLS; what is spoken inside is agreed on by ALPN.
    Https(Arc<EndpointTls>),
}

impl Protocol {
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
            Self::Https(tls) => tls.settings().alpn != Alpn::Http1,
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

/// The words in `check` and `explain`: `https (HTTP/2, web.shop.svc, Secret ca)`.
impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = match self {
            Self::Http => return f.write_str("http"),
            Self::H2c => return f.write_str("h2c"),
            Self::Grpc => return f.write_str("grpc (h2c)"),
            Self::Https(tls) => tls.settings(),
        };
        let inside = match settings.alpn {
            Alpn::Either => "",
            Alpn::Http2 => "HTTP/2, ",
            Alpn::Http1 => "HTTP/1.1, ",
        };
        write!(f, "https ({inside}")?;
        match &settings.trust {
            Trust::Public => write!(f, "{}, public CAs)", settings.server_name.to_str()),
            Trust::Secret { name, .. } => {
                write!(f, "{}, CA of Secret {name})", settings.server_name.to_str())
            }
            Trust::Anybody => write!(f, "{}, not verified)", settings.server_name.to_str()),
        }
    }
}
