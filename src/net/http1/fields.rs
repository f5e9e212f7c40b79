//! The fields of a head: from the bytes that were read into a map, and as they are written.

use crate::net::fields::FieldMap;
use bytes::Bytes;
use http::HeaderValue;

/// Where a field is in the bytes of its head.
#[derive(Clone, Copy, Debug)]
pub struct FieldPlace {
    name: (usize, usize),
    value: (usize, usize),
}

impl FieldPlace {
    /// Of a field whose parts lie in these bytes.
    pub fn of(field: &httparse::Header<'_>, bytes: &[u8]) -> Self {
        let begin = bytes.as_ptr() as usize;
        let place = |part: &[u8]| ((part.as_ptr() as usize).wrapping_sub(begin), part.len());
        Self { name: place(field.name.as_bytes()), value: place(field.value) }
    }
}

/// Puts the fields of a head into a map. The values share the memory of the head. `None` if one is not valid.
pub fn fill(map: &mut FieldMap, head: &Bytes, places: &[FieldPlace]) -> Option<()> {
    map.reserve(places.len());
    for FieldPlace { name, value } in places {
        let name = head.get(name.0..name.0.checked_add(name.1)?)?;
        let value = head.get(value.0..value.0.checked_add(value.1)?)?;
        let value = HeaderValue::from_maybe_shared(head.slice_ref(value)).ok()?;
        map.push(super::names::name(name)?, value);
    }
    Some(())
}

/// Writes a field to the end of a head.
pub fn write_field(text: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    text.reserve(name.len() + value.len() + 4);
    text.extend_from_slice(name);
    text.extend_from_slice(b": ");
    text.extend_from_slice(value);
    text.extend_from_slice(b"\r\n");
}
