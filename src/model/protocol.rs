//! How requests reach the endpoints of a backend.

use crate::pki::endpoint_tls::{Alpn, TlsSettings, Trust};
use std::fmt;
use std::sync::Arc;

/// The protocol to the endpoints of a Service port.
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
    Https(Arc<TlsSettings>),
}

/// The words in `check` and `explain`: `https (HTTP/2, web.shop.svc, Secret ca)`.
impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = match self {
            Self::Http => return f.write_str("http"),
            Self::H2c => return f.write_str("h2c"),
            Self::Grpc => return f.write_str("grpc (h2c)"),
            Self::Https(settings) => settings,
        };
        let inside = match settings.alpn {
            Alpn::Either => "",
            Alpn::Http2 => "HTTP/2, ",
            Alpn::Http1 => "HTTP/1.1, ",
            Alpn::None => "",
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
