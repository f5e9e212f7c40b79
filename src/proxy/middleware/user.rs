//! Who has logged in, for the pod.

use super::{RequestView, twins};
use crate::net::fields::Fields;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue, InvalidHeaderValue};

/// Tells the pod the user, in `field` if there is one, and with `removes` not the credentials.
///
/// # Errors
/// The name of the user cannot be in a field.
pub(super) fn tell(
    request: &mut RequestView<'_>,
    user: &[u8],
    field: Option<&HeaderName>,
    removes: bool,
) -> Result<(), InvalidHeaderValue> {
    let headers = request.headers();
    if removes {
        headers.remove(AUTHORIZATION);
    }
    if let Some(name) = field {
        let user = HeaderValue::from_bytes(user)?;
        twins::remove(headers, name);
        headers.set(name, user);
    }
    Ok(())
}

/// The same where nobody has logged in.
pub(super) fn forget(request: &mut RequestView<'_>, field: Option<&HeaderName>, removes: bool) {
    let headers = request.headers();
    if removes {
        headers.remove(AUTHORIZATION);
    }
    if let Some(name) = field {
        twins::remove(headers, name);
    }
}
