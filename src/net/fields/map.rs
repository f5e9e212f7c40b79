//! The fields of a head, in the order in which they came.

use super::{FieldName, Fields, IntoFieldName};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;

/// Fields by name, of which a name may have several. A head has ten or twenty: to look through them costs less than
/// to hash each, and their order is kept as it came.
#[derive(Clone, Default)]
pub struct FieldMap {
    fields: Vec<(HeaderName, HeaderValue)>,
}

impl FieldMap {
    /// None.
    pub const fn new() -> Self {
        Self { fields: Vec::new() }
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// For how many there is room.
    pub fn capacity(&self) -> usize {
        self.fields.capacity()
    }

    /// Makes room for so many more.
    pub fn reserve(&mut self, more: usize) {
        self.fields.reserve(more);
    }

    /// Removes all, and keeps the room for them.
    pub fn clear(&mut self) {
        self.fields.clear();
    }

    /// The names, of each field its own: one with several fields is there several times.
    pub fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.fields.iter().map(|(name, _)| name)
    }

    /// The values.
    pub fn values(&self) -> impl Iterator<Item = &HeaderValue> {
        self.fields.iter().map(|(_, value)| value)
    }

    /// Keeps the fields that `keep` says so of, and may change their values on the way.
    pub fn retain(&mut self, mut keep: impl FnMut(&HeaderName, &mut HeaderValue) -> bool) {
        self.fields.retain_mut(|(name, value)| keep(name, value));
    }

    /// Adds a field behind all others.
    pub fn push(&mut self, name: HeaderName, value: HeaderValue) {
        self.fields.push((name, value));
    }

    fn position(&self, name: &HeaderName) -> Option<usize> {
        self.fields.iter().position(|(own, _)| own == name)
    }
}

impl Fields for FieldMap {
    #[inline]
    fn get(&self, name: impl FieldName) -> Option<&HeaderValue> {
        let at = name.with(|name| self.position(name))?;
        self.fields.get(at?).map(|(_, value)| value)
    }

    fn get_all(&self, name: impl FieldName) -> impl DoubleEndedIterator<Item = &HeaderValue> {
        let name = name.with(HeaderName::clone);
        let all = self.fields.iter().filter(move |(own, _)| Some(own) == name.as_ref());
        all.map(|(_, value)| value)
    }

    #[inline]
    fn contains(&self, name: impl FieldName) -> bool {
        name.with(|name| self.position(name).is_some()).unwrap_or(false)
    }

    fn set(&mut self, name: impl IntoFieldName, value: HeaderValue) {
        let name = name.into_name();
        let Some(first) = self.position(&name) else {
            self.fields.push((name, value));
            return;
        };
        let mut at = 0;
        self.fields.retain(|(own, _)| {
            at += 1;
            at <= first + 1 || *own != name
        });
        if let Some(field) = self.fields.get_mut(first) {
            field.1 = value;
        }
    }

    #[inline]
    fn append(&mut self, name: impl IntoFieldName, value: HeaderValue) {
        self.fields.push((name.into_name(), value));
    }

    fn remove(&mut self, name: impl FieldName) -> Option<HeaderValue> {
        name.with(|name| {
            let first = self.position(name)?;
            let (_, value) = self.fields.remove(first);
            self.fields.retain(|(own, _)| own != name);
            Some(value)
        })?
    }

    #[inline]
    fn iter(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.fields.iter().map(|(name, value)| (name, value))
    }

    #[inline]
    fn iter_mut(&mut self) -> impl Iterator<Item = (&HeaderName, &mut HeaderValue)> {
        self.fields.iter_mut().map(|(name, value)| (&*name, value))
    }
}

impl fmt::Debug for FieldMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Whether each name has the same values in the same order, as RFC 9110 section 5.3 has it.
impl PartialEq for FieldMap {
    fn eq(&self, other: &Self) -> bool {
        let is_same = |name| self.get_all(name).eq(other.get_all(name));
        self.len() == other.len() && self.names().all(is_same)
    }
}

impl Eq for FieldMap {}

impl IntoIterator for FieldMap {
    type Item = (HeaderName, HeaderValue);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.fields.into_iter()
    }
}

impl Extend<(HeaderName, HeaderValue)> for FieldMap {
    fn extend<I: IntoIterator<Item = (HeaderName, HeaderValue)>>(&mut self, fields: I) {
        self.fields.extend(fields);
    }
}

impl FromIterator<(HeaderName, HeaderValue)> for FieldMap {
    fn from_iter<I: IntoIterator<Item = (HeaderName, HeaderValue)>>(fields: I) -> Self {
        Self { fields: fields.into_iter().collect() }
    }
}

impl From<HeaderMap> for FieldMap {
    fn from(map: HeaderMap) -> Self {
        let mut fields: Vec<(HeaderName, HeaderValue)> = Vec::with_capacity(map.len());
        // A further value of the name before it comes without a name.
        for (name, value) in map {
            if let Some(name) = name.or_else(|| fields.last().map(|(name, _)| name.clone())) {
                fields.push((name, value));
            }
        }
        Self { fields }
    }
}

impl From<FieldMap> for HeaderMap {
    fn from(fields: FieldMap) -> Self {
        let mut map = Self::with_capacity(fields.len());
        for (name, value) in fields {
            map.append(name, value);
        }
        map
    }
}

/// For tests: the first field with a name, which is there.
#[cfg(test)]
impl<N: FieldName> std::ops::Index<N> for FieldMap {
    type Output = HeaderValue;

    fn index(&self, name: N) -> &HeaderValue {
        self.get(name).expect("a field")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> FieldMap {
        let field = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        fields.iter().map(field).collect()
    }

    fn text(fields: &FieldMap) -> Vec<String> {
        let text = |value: &HeaderValue| value.to_str().expect("text").to_owned();
        fields.iter().map(|(name, value)| format!("{name}={}", text(value))).collect()
    }

    #[test]
    fn fields_keep_their_order_whatever_is_done_to_others() {
        let mut fields = map(&[("a", "1"), ("b", "2"), ("a", "3"), ("c", "4"), ("a", "5")]);
        assert_eq!(fields.get("A").map(HeaderValue::as_bytes), Some(&b"1"[..]));
        assert_eq!(fields.get_all("a").collect::<Vec<_>>(), ["1", "3", "5"]);
        assert_eq!(fields.get_all("a").next_back().map(HeaderValue::as_bytes), Some(&b"5"[..]));
        fields.set("a", HeaderValue::from_static("6"));
        assert_eq!(text(&fields), ["a=6", "b=2", "c=4"]);
        fields.append("a", HeaderValue::from_static("7"));
        fields.set("d", HeaderValue::from_static("8"));
        assert_eq!(fields.remove("a").as_ref().map(HeaderValue::as_bytes), Some(&b"6"[..]));
        assert_eq!(text(&fields), ["b=2", "c=4", "d=8"]);
        assert_eq!(fields.remove("no name"), None);
        assert!(!fields.contains("a") && fields.contains("d") && !fields.contains("no name"));
        fields.retain(|name, value| {
            *value = HeaderValue::from_static("9");
            name != "c"
        });
        assert_eq!(text(&fields), ["b=9", "d=9"]);
    }

    #[test]
    fn what_has_the_same_values_by_name_is_equal() {
        let fields = map(&[("a", "1"), ("b", "2"), ("a", "3")]);
        assert_eq!(fields, map(&[("b", "2"), ("a", "1"), ("a", "3")]));
        assert_ne!(fields, map(&[("b", "2"), ("a", "3"), ("a", "1")]));
        assert_ne!(fields, map(&[("b", "2"), ("a", "1")]));
        assert_ne!(fields, map(&[("b", "2"), ("a", "1"), ("c", "3")]));
        assert_eq!(FieldMap::from(HeaderMap::from(fields.clone())), fields);
    }
}
