//! How large the body of a request may be.

use crate::error::Reason;
use crate::upstream::body::Upload;
use std::num::NonZeroU64;

/// Bounds the body of a request, if its route has a limit; an error where it is known to be larger.
pub(super) fn fits(upload: Option<&Upload>, most: Option<NonZeroU64>) -> Result<(), Reason> {
    match (most, upload) {
        (Some(most), Some(upload)) if !upload.may_have(most.get()) => Err(Reason::BodyTooLarge),
        _ => Ok(()),
    }
}
