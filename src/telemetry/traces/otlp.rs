//! The messages of OTLP (opentelemetry-proto 1.x: trace/v1/trace.proto, common/v1/common.proto,
//! collector/trace/v1/trace_service.proto) as Protocol Buffers have them.
//!
//! Written straight into the buffer of a worker: a span is some 25 attributes, and a message made of types is two
//! allocations for each. `tests/it/tracing` has them read by the OpenTelemetry Collector.

/// Wire types.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;
const FIXED32: u32 = 5;

/// Fields of `opentelemetry.proto.trace.v1.Span`.
pub(super) mod span {
    pub(in crate::telemetry::traces) const TRACE_ID: u32 = 1;
    pub(in crate::telemetry::traces) const SPAN_ID: u32 = 2;
    pub(in crate::telemetry::traces) const TRACE_STATE: u32 = 3;
    pub(in crate::telemetry::traces) const PARENT_SPAN_ID: u32 = 4;
    pub(in crate::telemetry::traces) const NAME: u32 = 5;
    pub(in crate::telemetry::traces) const KIND: u32 = 6;
    pub(in crate::telemetry::traces) const START: u32 = 7;
    pub(in crate::telemetry::traces) const END: u32 = 8;
    pub(in crate::telemetry::traces) const ATTRIBUTES: u32 = 9;
    pub(in crate::telemetry::traces) const STATUS: u32 = 15;
    pub(in crate::telemetry::traces) const FLAGS: u32 = 16;
}

/// A message on its way.
pub(super) struct Message<'o>(pub(super) &'o mut Vec<u8>);

impl Message<'_> {
    /// Bytes, a text, or a message.
    pub(super) fn bytes(&mut self, field: u32, value: &[u8]) {
        self.open(field, value.len());
        self.0.extend_from_slice(value);
    }

    /// A number in as many bytes as it takes.
    pub(super) fn number(&mut self, field: u32, value: u64) {
        self.tag(field, VARINT);
        self.varint(value);
    }

    /// A number in eight bytes.
    pub(super) fn fixed64(&mut self, field: u32, value: u64) {
        self.tag(field, FIXED64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A number in four bytes.
    pub(super) fn fixed32(&mut self, field: u32, value: u32) {
        self.tag(field, FIXED32);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// An attribute whose value is a text, of which at most `most` bytes are written, and what is not UTF-8 replaced.
    pub(super) fn text(&mut self, field: u32, key: &str, value: &[u8], most: usize) {
        let text = valid(value, most);
        // AnyValue.string_value
        self.attribute(field, key, sized(text.len()));
        self.bytes(1, text.as_bytes());
    }

    /// The same with a whole number.
    pub(super) fn integer(&mut self, field: u32, key: &str, value: u64) {
        self.attribute(field, key, 1 + varint_length(value));
        self.number(3, value);
    }

    /// The same with a list of texts, of at most `most` bytes in total.
    pub(super) fn list<'v>(
        &mut self,
        field: u32,
        key: &str,
        values: impl Iterator<Item = &'v [u8]> + Clone,
        most: usize,
    ) {
        let mut left = most;
        let texts = values.map(|value| {
            let text = valid(value, left);
            left -= text.len().min(left);
            text
        });
        let texts: Vec<_> = texts.collect();
        // ArrayValue.values, each an AnyValue
        let value = |text: &str| sized(sized(text.len()));
        let array: usize = texts.iter().map(|text| value(text)).sum();
        self.attribute(field, key, sized(array));
        self.open(5, array);
        for text in &texts {
            self.open(1, sized(text.len()));
            self.bytes(1, text.as_bytes());
        }
    }

    /// KeyValue, up to its value of so many bytes.
    fn attribute(&mut self, field: u32, key: &str, value: usize) {
        self.open(field, sized(key.len()) + sized(value));
        self.bytes(1, key.as_bytes());
        self.open(2, value);
    }

    /// The head of a field of so many bytes, which follow.
    pub(super) fn open(&mut self, field: u32, length: usize) {
        self.tag(field, BYTES);
        self.varint(length as u64);
    }

    fn tag(&mut self, field: u32, kind: u32) {
        self.varint(u64::from(field << 3 | kind));
    }

    fn varint(&mut self, mut value: u64) {
        while let rest @ 1.. = value >> 7 {
            self.0.push(0x80 | u8::try_from(value & 0x7f).unwrap_or_default());
            value = rest;
        }
        self.0.push(u8::try_from(value).unwrap_or_default());
    }
}

/// How long a field of so many bytes is, with a number below 16.
pub(super) fn sized(length: usize) -> usize {
    1 + varint_length(length as u64) + length
}

fn varint_length(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// As much as fits, cut between characters.
fn valid(value: &[u8], most: usize) -> std::borrow::Cow<'_, str> {
    let mut end = value.len().min(most);
    while end > 0 && end < value.len() && value[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    String::from_utf8_lossy(&value[..end])
}

/// The fields of an `ExportTraceServiceResponse` that matter: how many spans were rejected, and why.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rejected {
    pub(super) spans: u64,
    pub(super) why: String,
}

/// Reads an `ExportTraceServiceResponse`; nothing is rejected by what cannot be read.
pub(super) fn rejected(mut message: &[u8]) -> Rejected {
    let mut found = Rejected::default();
    while let Some((field, value)) = next(&mut message) {
        let Value::Bytes(mut partial) = value else { continue };
        while let Some((inner, value)) = next(&mut partial).filter(|_| field == 1) {
            match (inner, value) {
                (1, Value::Number(spans)) => found.spans = spans,
                (2, Value::Bytes(text)) => found.why = valid(text, 256).into_owned(),
                _ => {}
            }
        }
    }
    found
}

enum Value<'m> {
    Number(u64),
    Bytes(&'m [u8]),
    Fixed,
}

/// The next field of a message; `None` at its end, or where it is damaged.
fn next<'m>(message: &mut &'m [u8]) -> Option<(u64, Value<'m>)> {
    let tag = read_varint(message)?;
    let skip = |message: &mut &'m [u8], length: usize| {
        let (value, rest) = message.split_at_checked(length)?;
        *message = rest;
        Some(value)
    };
    let value = match u32::try_from(tag & 7).ok()? {
        VARINT => Value::Number(read_varint(message)?),
        FIXED64 => skip(message, 8).map(|_| Value::Fixed)?,
        FIXED32 => skip(message, 4).map(|_| Value::Fixed)?,
        BYTES => {
            let length = usize::try_from(read_varint(message)?).ok()?;
            Value::Bytes(skip(message, length)?)
        }
        _ => return None,
    };
    Some((tag >> 3, value))
}

fn read_varint(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
