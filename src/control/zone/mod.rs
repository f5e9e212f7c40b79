//! What Cloudflare has set for the zones of served hosts: read from its API, as plain data.
//!
//! ```text
//! token -> ZoneApi (one GET after another) -> answers (serde) -> ZoneState
//! ```
//!
//! Nothing is written and nothing is judged here. A right that the token lacks, or a part that cannot be
//! read, is a [`ZoneReadError`] in the place of that part; the rest is read.
//!
//! Source: Cloudflare's API reference (zones, zone settings, `origin_tls_client_auth`, DNS records,
//! account DNS settings, Origin CA certificates).

mod answers;
mod api;
mod error;
mod nodes;
mod read;
mod token;

pub use answers::{HostPull, OriginCertificate, PullCertificate, Record, RecordTarget, Zone};
pub use api::{PUBLIC_API, ZoneApi, ZoneApiError};
pub use error::ZoneReadError;
pub use nodes::ready_nodes;
pub use read::{Part, ZoneState};
pub use token::{TOKEN_VARIABLE, Token, TokenError};
