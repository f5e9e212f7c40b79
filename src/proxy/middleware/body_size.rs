//! A limit for request bodies.

use crate::error::Reason;
use crate::upstream::body::Upload;
use std::num::NonZeroU64;

/// Limits the body. An error if its length is known to be larger; a body without a length is counted as
/// it passes.
pub(super) fn on_request(upload: Option<&Upload>, most: NonZeroU64) -> Result<(), Reason> {
    match upload {
        Some(upload) if !upload.may_have(most.get()) => Err(Reason::BodyTooLarge),
        _ => Ok(()),
    }
}
