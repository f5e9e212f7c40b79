//! The fields of one kind of Middleware, read by their names. A mistake is told with its field, and makes the whole
//! Middleware unusable: what was meant to protect is not served with half of its meaning.

use super::go_duration;
use crate::control::quote::quote;
use crate::control::suggest::nearest;
use crate::control::translate::report::{Problem, Report};
use crate::model::{Severity, Why};
use serde_json::{Map, Value};
use std::time::Duration;

/// The end of the fix of each mistake in a Middleware.
pub(super) const UNTIL: &str = "; until then routes that name this Middleware answer 503";

/// The end of the fix of each mistake in what is asked of clients.
const UNTIL_CLIENTS: &str = "; until then no client is served";

/// The end of the fix of each mistake in a route.
const UNTIL_ROUTE: &str = "; until then its requests get 503";

/// The end of the fix of each mistake in a route of connections.
const UNTIL_CONNECTION: &str = "; until then its connections are refused";

/// The end of the fix of each mistake in a MiddlewareTCP.
const UNTIL_TCP_MIDDLEWARE: &str = "; until then routes that name it refuse connections";

/// The fields below one key of a `spec`.
pub(in crate::control::translate) struct Fields<'v, 'r, 'f> {
    map: Option<&'v Map<String, Value>>,
    path: String,
    report: &'r mut Report<'f>,
    is_broken: bool,
    until: &'static str,
}

impl<'v, 'r, 'f> Fields<'v, 'r, 'f> {
    /// Those of a value under this path. Null has none, as `headers:` without anything behind it.
    pub(super) fn new(path: &str, value: &'v Value, report: &'r mut Report<'f>) -> Self {
        Self::with(path, value, report, UNTIL)
    }

    /// Those of an IngressRoute or of what it refers to.
    pub(in crate::control::translate) fn of_routes(
        path: &str,
        value: &'v Value,
        report: &'r mut Report<'f>,
    ) -> Self {
        Self::with(path, value, report, UNTIL_ROUTE)
    }

    /// Those of an IngressRouteTCP or of what it refers to.
    pub(in crate::control::translate) fn of_connections(
        path: &str,
        value: &'v Value,
        report: &'r mut Report<'f>,
    ) -> Self {
        Self::with(path, value, report, UNTIL_CONNECTION)
    }

    /// Those of a MiddlewareTCP.
    pub(in crate::control::translate) fn of_tcp_middlewares(
        path: &str,
        value: &'v Value,
        report: &'r mut Report<'f>,
    ) -> Self {
        Self::with(path, value, report, UNTIL_TCP_MIDDLEWARE)
    }

    /// Those of what is asked of clients.
    pub(in crate::control::translate) fn of_clients(
        path: &str,
        value: &'v Value,
        report: &'r mut Report<'f>,
    ) -> Self {
        Self::with(path, value, report, UNTIL_CLIENTS)
    }

    fn with(path: &str, value: &'v Value, report: &'r mut Report<'f>, until: &'static str) -> Self {
        let path = path.to_owned();
        let mut fields = Self { map: value.as_object(), path, report, is_broken: false, until };
        if fields.map.is_none() && !value.is_null() {
            fields.refuse("", "is not a mapping", "write its fields below it");
        }
        fields
    }

    /// Whether a mistake was found.
    pub(in crate::control::translate) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// The names of all fields.
    pub(in crate::control::translate) fn keys(&self) -> Vec<&'v str> {
        self.map.into_iter().flatten().map(|(key, _)| key.as_str()).collect()
    }

    /// Warns of fields that the kind does not have.
    pub(in crate::control::translate) fn know(&mut self, known: &[&str]) {
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

    /// Refuses a field that there is not, where one that protects may have been meant.
    pub(in crate::control::translate) fn refuse_misspelt(&mut self, meant: &str) {
        let is_misspelt = |key: &&str| *key != meant && nearest(key, [meant]).is_some();
        if let Some(key) = self.keys().into_iter().find(is_misspelt) {
            let reason = format!("is not a field, and may be meant as `{meant}`");
            self.refuse_for(
                Why::UnknownField,
                key,
                reason,
                format!("write `{meant}`, or remove it"),
            );
        }
    }

    /// The value of a field. Null is as good as none.
    pub(in crate::control::translate) fn get(&self, key: &str) -> Option<&'v Value> {
        self.map?.get(key).filter(|value| !value.is_null())
    }

    /// Notes a mistake that was told with a field below.
    pub(in crate::control::translate) fn break_off(&mut self) {
        self.is_broken = true;
    }

    /// A mistake: the Middleware or route cannot be used.
    pub(in crate::control::translate) fn refuse(
        &mut self,
        key: &str,
        reason: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.refuse_for(Why::Invalid, key, reason, fix);
    }

    /// The same for another cause.
    pub(in crate::control::translate) fn refuse_for(
        &mut self,
        why: Why,
        key: &str,
        reason: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.is_broken = true;
        let fix = format!("{}{}", fix.into(), self.until);
        self.say(key, Severity::Error, why, reason, fix);
    }

    /// Something that is not done as written, and that protects nothing.
    pub(in crate::control::translate) fn warn(
        &mut self,
        key: &str,
        reason: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.say(key, Severity::Warning, Why::Unsupported, reason, fix);
    }

    /// What is done instead, if the field is there.
    pub(in crate::control::translate) fn tell(&mut self, key: &str, instead: &str) {
        if self.get(key).is_some() {
            let reason = format!("is accepted: {instead}");
            self.say(key, Severity::Info, Why::Unsupported, reason, "");
        }
    }

    /// Says something of a field.
    pub(in crate::control::translate) fn say(
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
    pub(in crate::control::translate) fn text(&mut self, key: &str) -> Option<&'v str> {
        match self.get(key)? {
            Value::String(text) => Some(text),
            _ => {
                self.mistyped(key, "a text", "put the value in quotes");
                None
            }
        }
    }

    /// A text that has to be there.
    pub(in crate::control::translate) fn required(
        &mut self,
        key: &str,
        fix: &str,
    ) -> Option<&'v str> {
        let text = self.text(key).filter(|text| !text.is_empty());
        if text.is_none() && !self.is_broken {
            self.refuse(key, "is missing", fix);
        }
        text
    }

    /// `true` or `false`; nothing if it is not there.
    pub(in crate::control::translate) fn flag_if_any(&mut self, key: &str) -> Option<bool> {
        match self.get(key)? {
            Value::Bool(flag) => Some(*flag),
            _ => {
                self.mistyped(key, "true or false", "write one of the two, without quotes");
                None
            }
        }
    }

    /// `true` or `false`; false if it is not there.
    pub(in crate::control::translate) fn flag(&mut self, key: &str) -> bool {
        self.flag_if_any(key).unwrap_or(false)
    }

    /// A whole number.
    pub(in crate::control::translate) fn number(&mut self, key: &str) -> Option<i64> {
        let number = self.get(key)?.as_i64();
        if number.is_none() {
            self.mistyped(key, "a whole number", "write digits without quotes");
        }
        number
    }

    /// A whole number that is not negative; 0 if it is not there.
    pub(in crate::control::translate) fn count(&mut self, key: &str) -> u64 {
        let number = self.number(key).unwrap_or(0);
        u64::try_from(number).unwrap_or_else(|_| {
            self.refuse(key, format!("{number} is negative"), "write 0 or more");
            0
        })
    }

    /// A time: seconds as a number, or as Go writes it.
    pub(in crate::control::translate) fn duration(&mut self, key: &str) -> Option<Duration> {
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
    pub(in crate::control::translate) fn texts(&mut self, key: &str) -> Vec<&'v str> {
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
    pub(in crate::control::translate) fn pairs(&mut self, key: &str) -> Vec<(&'v str, &'v str)> {
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
    pub(in crate::control::translate) fn below<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&mut Fields<'v, '_, 'f>) -> T,
    ) -> Option<T> {
        let value = self.get(key)?;
        let path = format!("{}.{key}", self.path);
        let mut fields = Fields::with(&path, value, self.report, self.until);
        let result = read(&mut fields);
        let is_broken = fields.is_broken;
        self.is_broken |= is_broken;
        Some(result)
    }

    /// Reads the fields of one value of a list. A mistake in them is not one of the list.
    pub(in crate::control::translate) fn item<T>(
        &mut self,
        key: &str,
        position: usize,
        read: impl FnOnce(&mut Fields<'v, '_, 'f>) -> T,
    ) -> Option<T> {
        let value = self.get(key)?.get(position)?;
        let path = format!("{}.{key}[{position}]", self.path);
        Some(read(&mut Fields::with(&path, value, self.report, self.until)))
    }

    /// Reads what one of several texts means. `None`, and told, if it means nothing.
    pub(in crate::control::translate) fn parse<T>(
        &mut self,
        key: &str,
        text: &str,
        parsed: Result<T, String>,
        fix: &str,
    ) -> Option<T> {
        parsed.map_err(|problem| self.refuse(key, format!("{} {problem}", quote(text)), fix)).ok()
    }
}
