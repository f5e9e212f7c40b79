//! The head of a pod's response, to a request of a client or of a step.

use crate::error::Reason;
use crate::http::{ReplyNoted, clean_response};
use crate::net::fields::trim_values;
use crate::net::message::Response;
use crate::upstream::MOST_ANSWER_FIELDS;
use http::Version;

/// Makes what one protocol tolerates valid for the other, and removes what was for the connection alone.
///
/// # Errors
/// The head cannot be made so.
#[inline]
pub fn clean_reply<B>(response: &mut Response<B>, is_head: bool) -> Result<ReplyNoted, Reason> {
    if response.version() == Version::HTTP_2 {
        if response.headers().len() > MOST_ANSWER_FIELDS {
            return Err(Reason::UpstreamMalformed);
        }
        trim_values(response.headers_mut());
    }
    let status = response.status();
    clean_response(response.headers_mut(), status, is_head)
}
