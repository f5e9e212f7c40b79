//! Fields of requests and responses that are kept for the log or for spans, from the head to the end of the request.

use crate::net::fields::Fields;
use http::{HeaderName, HeaderValue};

/// Values of one field that are kept. Bounded by the header block as well.
const MOST_VALUES: usize = 16;

/// A field that is kept: its position among the names that are configured, and its values.
#[derive(Debug)]
pub(super) struct KeptField {
    pub(super) position: usize,
    pub(super) values: Vec<HeaderValue>,
}

/// Those of these names that are there.
pub(super) fn kept<'n>(
    names: impl Iterator<Item = &'n HeaderName>,
    headers: &impl Fields,
) -> Vec<KeptField> {
    let fields = names.enumerate().map(|(position, name)| {
        let values = headers.get_all(name).take(MOST_VALUES).cloned().collect();
        KeptField { position, values }
    });
    fields.filter(|field| !field.values.is_empty()).collect()
}
