//! Who a client is: what others say of it, what Cloudflare's requests have to show, and balancers.

mod balancers;
mod policy;
mod proxy_protocol;
mod spoofing;

use crate::support::Client;
use std::io::{ErrorKind, Read};

/// Checks that the proxy resets the connection without a byte.
fn is_reset(client: &mut Client) {
    let mut byte = [0];
    let end = client.wire.stream.read(&mut byte).map_err(|error| error.kind());
    assert_eq!(end, Err(ErrorKind::ConnectionReset), "{byte:?}");
}
