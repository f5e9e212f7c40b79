//! YAML to JSON values, with the semantics of kubectl.
//!
//! Pure. A YAML 1.2 parser produces the events; they are interpreted as `sigs.k8s.io/yaml` does, which
//! every manifest passes on its way to an API server. So plain scalars follow YAML 1.1: `yes` and `off`
//! are booleans, `010` is 8, `<<` merges. Of duplicate keys the last one is used, and reported.
//! `tests/agreement` compares random documents with that library.
//!
//! Limits apply to the size of a document and to the size of expanded aliases, not to comments or blank
//! lines.

mod alias_keys;
mod compose;
mod scalar;
#[cfg(test)]
mod tests;

use compose::Composer;
use granit_parser::{Event, Parser, ScanError, Span, StrInput};
use serde_json::Value;
use std::ops::ControlFlow;

pub use compose::Repeated;

/// The value of a scalar without quotes; `None` for text.
pub(super) fn plain(text: &str) -> Option<Value> {
    scalar::plain(text).map(scalar::in_json)
}

/// Deepest nesting, of which the reading and dropping of a value has its stack. Dashboards, the deepest
/// that repositories have, reach thirty.
const MAX_DEPTH: usize = 100;

/// Most nodes of one document. `kubectl get ingress -A -o yaml` writes one document of about 100 nodes an
/// Ingress, so this is 10 000 of them; it holds a document to about 100 MB of memory.
const MAX_NODES: usize = 1_000_000;

/// One document of a stream.
#[derive(Debug)]
pub struct Document {
    /// The value; `Null` for an empty document.
    pub value: Result<Value, Unreadable>,
    /// Keys that it has more than once, the first few.
    pub repeated: Vec<Repeated>,
}

/// Why a document cannot be read. Quotes nothing of it, which may be a Secret.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Counted from one.
    pub line: usize,
    /// Counted from one.
    pub column: usize,
    /// The problem at that place.
    pub reason: String,
    /// Whether the document exceeds a limit, and is not malformed.
    pub too_large: bool,
}

impl Unreadable {
    fn new(span: &Span, reason: impl Into<String>) -> Self {
        let (line, column) = (span.start.line(), span.start.col() + 1);
        Self { line, column, reason: reason.into(), too_large: false }
    }

    fn too_large(span: &Span) -> Self {
        Self { too_large: true, ..Self::new(span, "is too large or too deep") }
    }
}

impl From<ScanError> for Unreadable {
    fn from(error: ScanError) -> Self {
        let at = error.marker();
        let too_large = *error.kind() == granit_parser::ErrorKind::RecursionLimitExceeded;
        Self { line: at.line(), column: at.col() + 1, reason: error.info(), too_large }
    }
}

/// Reads a stream, document by document, until the reader of them has enough. A document with an error
/// ends at the next line `---`, and those behind it are read.
pub fn read(text: &str, mut each: impl FnMut(Document) -> ControlFlow<()>) {
    let text = alias_keys::mended(text);
    let mut parser = Parser::new_from_str_with_options(&text, options());
    let mut copied = compose::Copied::default();
    while let Some(document) = next(&mut parser, &mut copied) {
        if each(document).is_break() {
            return;
        }
    }
}

fn options() -> granit_parser::Options {
    granit_parser::options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
        // Only YAML 1.2 bounds the length of a key, and JSON on one line is YAML.
        simple_key_max_lookahead: 1 << 16,
    }
}

fn next<'t>(
    parser: &mut Parser<'t, StrInput<'t>>,
    copied: &mut compose::Copied,
) -> Option<Document> {
    let mut composer = Composer::new(copied);
    let mut inside = false;
    let error = loop {
        let (event, span) = match parser.next_event()? {
            Ok(next) => next,
            Err(error) => break Unreadable::from(error),
        };
        match event {
            Event::DocumentStart(..) => inside = true,
            Event::DocumentEnd => {
                let (value, repeated) = composer.finish();
                return Some(Document { value: Ok(value), repeated });
            }
            event if inside => {
                if let Err(error) = composer.take(event, &span) {
                    break error;
                }
            }
            _ => {}
        }
    };
    // What is behind it is looked for at the next call. Where nothing is, the stream has ended.
    let _ = parser.proceed_next_document();
    Some(Document { value: Err(error), repeated: Vec::new() })
}
