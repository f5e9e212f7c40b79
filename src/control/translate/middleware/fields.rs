//! The fields of one kind of Middleware, read by their names. A mistake is told with its field, and makes the whole
//! Middleware unusable: what was meant to protect is not served with half of its meaning.

use super::go_duration;
use crate::control::quote::quote;
use crate::control::suggest::nearest;
use crate::control::translate::report::{Problem, Report};
use crate::model::{Severity, Why};
use serde_json::{Map, Value};
use std::time::Duration;

/// The end of the fix of each mistake.
pub(super) const UNTIL: &str = "; until then routes that name this Middleware answer 503";

/// The fields below one key of a `spec`.
pub(super) struct Fields<'v, 'r, 'f> {
    map: Option<&'v Map<String, Value>>,
    path: String,
    report: &'r mut Report<'f>,
    is_broken: bool,
}

impl<'v, 'r, 'f> Fields<'v, 'r, 'f> {
    /// Those of a value under this path. Null has none, as `headers:` without anything behind it.
    pub(super) fn new(path: &str, value: &'v Value, report: &'r mut Report<'f>) -> Self {
        let path = path.to_owned();
        let mut fields = Self { map: value.as_object(), path, report, is_broken: false };
        if fields.map.is_none() && !value.is_null() {
            fields.refuse("", "is not a mapping", "write its fields below it");
        }
        fields
    }

    /// Whether a mistake was found.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// The names of all fields.
    pub(super) fn keys(&self) -> Vec<&'v str> {
        self.map.into_iter().flatten().map(|(key, _)| key.as_str()).collect()
    }

    /// Warns of fields that the kind does not have.
    pub(super) fn know(&mut self, known: &[&str]) {
        let Some(map) = self.map else { return };
        for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
            let fix = match nearest(key, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its fields are {}", known.join(", ")),
            };
            let reason = "is not a field of this kind, and is ignored";
            self.say(key, Severity::Warning, Why::UnknownField, reason, fix);
        }
    }

    /// The value of a field. Null is as good as none.
    pub(super) fn get(&self, key: &str) -> Option<&'v Value> {
        self.map?.get(key).filter(|value| !value.is_null())
    }

    /// A mistake: the Middleware cannot be used.
    pub(super) fn refuse(&mut self, key: &str, reason: impl Into<String>, fix: impl Into<String>) {
        self.refuse_for(Why::Invalid, key, reason, fix);
    }

    /// The same for another cause.
    pub(super) fn refuse_for(
        &mut self,
        why: Why,
        key: &str,
        reason: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.is_broken = true;
        let fix = format!("{}{UNTIL}", fix.into());
        self.say(key, Severity::Error, why, reason, fix);
    }

    /// Something that is not done as written, and that protects nothing.
    pub(super) fn warn(&mut self, key: &str, reason: impl Into<String>, fix: impl Into<String>) {
        self.say(key, Severity::Warning, Why::Unsupported, reason, fix);
    }

    /// What is done instead, if the field is there.
    pub(super) fn tell(&mut self, key: &str, instead: &str) {
        if self.get(key).is_some() {
            let reason = format!("is accepted: {instead}");
            self.say(key, Severity::Info, Why::Unsupported, reason, "");
        }
    }

    fn say(
        &mut self,
        key: &str,
        severity: Severity,
        why: Why,
        reason: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let path = match key {
            "" => self.path.clone(),
            key => format!("{}.{key}", self.path),
        };
        self.report.add(&path, Problem::error(why, "", reason, fix).with(severity));
    }

    fn mistyped(&mut self, key: &str, what: &str, fix: &str) {
        self.refuse(key, format!("is not {what}"), fix);
    }

    /// A text.
    pub(super) fn text(&mut self, key: &str) -> Option<&'v str> {
        match self.get(key)? {
            Value::String(text) => Some(text),
            _ => {
                self.mistyped(key, "a text", "put the value in quotes");
                None
            }
        }
    }

    /// A text that has to be there.
    pub(super) fn required(&mut self, key: &str, fix: &str) -> Option<&'v str> {
        let text = self.text(key).filter(|text| !text.is_empty());
        if text.is_none() && !self.is_broken {
            self.refuse(key, "is missing", fix);
        }
        text
    }

    /// `true` or `false`; nothing if it is not there.
    pub(super) fn flag_if_any(&mut self, key: &str) -> Option<bool> {
        match self.get(key)? {
            Value::Bool(flag) => Some(*flag),
            _ => {
                self.mistyped(key, "true or false", "write one of the two, without quotes");
                None
            }
        }
    }

    /// `true` or `false`; false if it is not there.
    pub(super) fn flag(&mut self, key: &str) -> bool {
        self.flag_if_any(key).unwrap_or(false)
    }

    /// A whole number.
    pub(super) fn number(&mut self, key: &str) -> Option<i64> {
        let number = self.get(key)?.as_i64();
        if number.is_none() {
            self.mistyped(key, "a whole number", "write digits without quotes");
        }
        number
    }

    /// A whole number that is not negative; 0 if it is not there.
    pub(super) fn count(&mut self, key: &str) -> u64 {
        let number = self.number(key).unwrap_or(0);
        u64::try_from(number).unwrap_or_else(|_| {
            self.refuse(key, format!("{number} is negative"), "write 0 or more");
            0
        })
    }

    /// A time: seconds as a number, or as Go writes it.
    pub(super) fn duration(&mut self, key: &str) -> Option<Duration> {
        let read = match self.get(key)? {
            Value::Number(number) => number.as_u64().map(Duration::from_secs),
            Value::String(text) => go_duration::parse(text),
            _ => None,
        };
        if read.is_none() {
            self.mistyped(key, "a duration", "write seconds, or one such as \"10s\" or \"1m30s\"");
        }
        read
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, key: &str) -> Vec<&'v str> {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        let texts: Option<Vec<&str>> =
            value.as_array().and_then(|items| items.iter().map(Value::as_str).collect());
        texts.unwrap_or_else(|| {
            self.mistyped(key, "a list of texts", "write a list, with each value in quotes");
            Vec::new()
        })
    }

    /// A map of texts, in the order of its keys.
    pub(super) fn pairs(&mut self, key: &str) -> Vec<(&'v str, &'v str)> {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        let pair = |(name, value): (&'v String, &'v Value)| Some((&**name, value.as_str()?));
        let pairs: Option<Vec<_>> =
            value.as_object().and_then(|map| map.iter().map(pair).collect());
        let mut pairs = pairs.unwrap_or_else(|| {
            self.mistyped(key, "a map of texts", "put each value in quotes");
            Vec::new()
        });
        pairs.sort_unstable();
        pairs
    }

    /// Reads the fields below one of them, if it is there.
    pub(super) fn below<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&mut Fields<'v, '_, 'f>) -> T,
    ) -> Option<T> {
        let value = self.get(key)?;
        let path = format!("{}.{key}", self.path);
        let mut fields = Fields::new(&path, value, self.report);
        let result = read(&mut fields);
        let is_broken = fields.is_broken;
        self.is_broken |= is_broken;
        Some(result)
    }

    /// Reads what one of several texts means. `None`, and told, if it means nothing.
    pub(super) fn parse<T>(
        &mut self,
        key: &str,
        text: &str,
        parsed: Result<T, String>,
        fix: &str,
    ) -> Option<T> {
        parsed.map_err(|problem| self.refuse(key, format!("{} {problem}", quote(text)), fix)).ok()
    }
}
