//! Events to values.

use super::{MAX_DEPTH, MAX_NODES, Unreadable, scalar};
use granit_parser::{Event, Span};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// Most nodes, and most bytes in them, of which one stream makes copies by anchors and aliases. They save
/// a few lines in a manifest; only a "billion laughs" bomb copies more.
const MAX_COPIED_NODES: usize = 100_000;
const MAX_COPIED_BYTES: usize = 16 << 20;

/// Repeated keys of one document that are told.
const MAX_REPEATED: usize = 16;

/// A key that a mapping has twice.
#[derive(Debug, PartialEq, Eq)]
pub struct Repeated {
    /// Line of the later one, counted from one.
    pub line: usize,
    /// The key.
    pub key: String,
}

/// Bytes copied of one stream.
#[derive(Debug, Default)]
pub(super) struct Copied {
    nodes: usize,
    bytes: usize,
}

impl Copied {
    /// Notes one more copy. Says whether there was room for it.
    fn add(&mut self, size: &Size) -> bool {
        self.nodes += size.nodes;
        self.bytes += size.bytes;
        self.nodes <= MAX_COPIED_NODES && self.bytes <= MAX_COPIED_BYTES
    }
}

/// How large a value is.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
    depth: usize,
}

impl Size {
    fn of(value: &Value) -> Self {
        let mut size = Self { nodes: 1, ..Self::default() };
        let mut below = |value: &Value| {
            let inner = Self::of(value);
            size.nodes += inner.nodes;
            size.bytes += inner.bytes;
            size.depth = size.depth.max(inner.depth + 1);
        };
        match value {
            Value::Array(items) => items.iter().for_each(below),
            Value::Object(map) => {
                map.values().for_each(&mut below);
                size.bytes += map.keys().map(String::len).sum::<usize>();
            }
            Value::String(text) => size.bytes = text.len(),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        size
    }
}

/// Makes the value of one document.
pub(super) struct Composer<'c> {
    open: Vec<Open>,
    /// What anchors stand for; `None` while the collection is open.
    anchors: HashMap<usize, Option<(Value, Size)>>,
    root: Value,
    nodes: usize,
    copied: &'c mut Copied,
    repeated: Vec<Repeated>,
}

/// A collection that has not ended.
struct Open {
    anchor: usize,
    node: OpenNode,
}

enum OpenNode {
    Sequence(Vec<Value>),
    Mapping(OpenMapping),
}

#[derive(Default)]
struct OpenMapping {
    map: Map<String, Value>,
    key: Option<Key>,
    /// Keys whose value was merged, to be overwritten without a word.
    merged: HashSet<String>,
}

/// A key whose value is still to come.
enum Key {
    Name(String),
    /// `<<`
    Merge,
}

impl<'c> Composer<'c> {
    pub(super) fn new(copied: &'c mut Copied) -> Self {
        let (open, anchors, repeated) = (Vec::new(), HashMap::new(), Vec::new());
        Self { open, anchors, root: Value::Null, nodes: 0, copied, repeated }
    }

    /// The value of a document whose events were all taken.
    pub(super) fn finish(self) -> (Value, Vec<Repeated>) {
        (self.root, self.repeated)
    }

    /// Takes an event between the start and the end of a document.
    pub(super) fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Unreadable> {
        let tag = event.tag().map(|tag| format!("{}{}", tag.handle(), tag.suffix()));
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let is_key = self.expects_key();
                if is_key && scalar::is_merge(&text, style, tag.as_deref()) {
                    return self.key(Key::Merge, span);
                }
                let value = scalar::resolve(text, style, tag.as_deref())
                    .map_err(|reason| Unreadable::new(span, reason))?;
                self.node(value, anchor, span)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open(anchor, OpenNode::Sequence(Vec::new()), span)
            }
            Event::MappingStart(_, anchor, _) => {
                self.open(anchor, OpenNode::Mapping(OpenMapping::default()), span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(anchor) => {
                let size = match self.anchors.get(&anchor) {
                    Some(Some((_, size))) => *size,
                    // An anchor without a node, or of a collection that is still open.
                    Some(None) | None => {
                        return Err(Unreadable::new(span, "an alias refers to its own anchor"));
                    }
                };
                self.nodes += size.nodes;
                if !self.copied.add(&size) || self.open.len() + size.depth > MAX_DEPTH {
                    return Err(Unreadable::too_large(span));
                }
                let value = self.anchors.get(&anchor).and_then(Option::as_ref);
                let value = value.map(|(value, _)| value.clone()).unwrap_or_default();
                self.node(value, 0, span)
            }
            Event::UnresolvedAlias(_) => Err(Unreadable::new(
                span,
                "an alias refers to an anchor that is not defined before it",
            )),
            _ => Ok(()),
        }
    }

    /// Whether the next node is the key of a mapping.
    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { node: OpenNode::Mapping(open), .. }) if open.key.is_none())
    }

    fn open(&mut self, anchor: usize, node: OpenNode, span: &Span) -> Result<(), Unreadable> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Unreadable::too_large(span));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, None);
        }
        self.open.push(Open { anchor, node });
        Ok(())
    }

    fn close(&mut self, span: &Span) -> Result<(), Unreadable> {
        let Some(Open { anchor, node }) = self.open.pop() else {
            return Err(Unreadable::new(span, "a collection ends without a start"));
        };
        let value = match node {
            OpenNode::Sequence(items) => Value::Array(items),
            OpenNode::Mapping(open) => Value::Object(open.map),
        };
        self.node(value, anchor, span)
    }

    /// Puts a whole node where it belongs.
    fn node(&mut self, value: Value, anchor: usize, span: &Span) -> Result<(), Unreadable> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Unreadable::too_large(span));
        }
        if anchor != 0 {
            let size = Size::of(&value);
            if !self.copied.add(&size) {
                return Err(Unreadable::too_large(span));
            }
            self.anchors.insert(anchor, Some((value.clone(), size)));
        }
        match self.open.last_mut().map(|open| &mut open.node) {
            None => self.root = scalar::in_json(value),
            Some(OpenNode::Sequence(items)) => items.push(scalar::in_json(value)),
            Some(OpenNode::Mapping(open)) => match open.key.take() {
                Some(Key::Name(name)) => {
                    open.map.insert(name, scalar::in_json(value));
                }
                Some(Key::Merge) => return merge(open, value, span),
                None => {
                    let name = scalar::key(value).ok_or_else(|| {
                        Unreadable::new(span, "a key is a list, a mapping or empty")
                    })?;
                    return self.key(Key::Name(name), span);
                }
            },
        }
        Ok(())
    }

    fn key(&mut self, now: Key, span: &Span) -> Result<(), Unreadable> {
        if let Some(Open { node: OpenNode::Mapping(open), .. }) = self.open.last_mut() {
            if let Key::Name(name) = &now
                && !open.merged.remove(name)
                && open.map.contains_key(name)
                && self.repeated.len() < MAX_REPEATED
            {
                self.repeated.push(Repeated { line: span.start.line(), key: name.clone() });
            }
            open.key = Some(now);
        }
        Ok(())
    }
}

/// `<<`: the entries of a mapping, or of several, of which earlier ones win. Like that of kubectl it
/// overwrites what stands before it, and is overwritten by what stands behind it.
fn merge(open: &mut OpenMapping, value: Value, span: &Span) -> Result<(), Unreadable> {
    let mut take = |value| match value {
        Value::Object(other) => {
            open.merged.extend(other.keys().cloned());
            open.map.extend(other);
            Ok(())
        }
        _ => Err(Unreadable::new(span, "a merge key requires a mapping, or a list of mappings")),
    };
    match value {
        Value::Array(others) => others.into_iter().rev().try_for_each(take),
        other => take(other),
    }
}
