//! The TOML tree as it was written: keys, types and line numbers, before any meaning.
//!
//! Not serde structs, because serde stops at the first mistake and forgets lines. A [`Table`] knows
//! which keys it may have, reports the others with the nearest valid one, and hands out values;
//! every fault goes to the [`Document`], so that one run names all of them.

use std::cell::RefCell;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::ConfigError;
use super::keys::{Keys, ROOT, unknown_key};
use super::units::Fault;

/// A text, its tree, and the faults met so far.
pub(super) struct Document<'t> {
    origin: &'t str,
    text: &'t str,
    root: DeTable<'t>,
    errors: RefCell<Vec<ConfigError>>,
}

impl<'t> Document<'t> {
    /// Parses the text. Syntax errors are final: what a broken text lacks cannot be told.
    pub(super) fn parse(text: &'t str, origin: &'t str) -> Result<Self, Vec<ConfigError>> {
        let (root, errors) = DeTable::parse_recoverable(text);
        let document = Self { origin, text, root: root.into_inner(), errors: RefCell::default() };
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            // Some messages of the parser take several lines.
            let problem = error.message().replace('\n', ", ");
            document.report(at, "", Fault::new(problem, "correct the TOML"));
        }
        if document.errors.borrow().is_empty() { Ok(document) } else { Err(document.into_errors()) }
    }

    /// The top level.
    pub(super) fn root(&self) -> Table<'_> {
        Table::new(self, &ROOT, Some(&self.root), 0)
    }

    /// The lists of a table whose keys are free; `None` for a value that is no list and reported.
    pub(super) fn named_lists(&self, table: &str) -> Vec<(&str, Option<List<'_>>)> {
        let Some(value) = self.root.get(table) else {
            return Vec::new();
        };
        let DeValue::Table(entries) = value.get_ref() else {
            let fault = wrong_type(value, "a table", &format!("[{table}]"));
            self.report(value.span().start, table, fault);
            return Vec::new();
        };
        let lists = entries.iter().map(|(name, value)| {
            let name = name.get_ref().as_ref();
            (name, List::new(self, value, &format!("{table}.{name}")))
        });
        lists.collect()
    }

    /// Notes a fault. `at` is a byte offset into the text.
    pub(super) fn report(&self, at: usize, key: &str, fault: Fault) {
        let before = self.text.as_bytes().get(..at).unwrap_or(self.text.as_bytes());
        let newlines = before.iter().filter(|&&byte| byte == b'\n').count();
        self.errors.borrow_mut().push(ConfigError {
            origin: self.origin.to_owned(),
            line: Some(newlines + 1),
            key: key.to_owned(),
            problem: fault.problem,
            fix: fault.fix,
        });
    }

    /// How many faults were met.
    pub(super) fn faults(&self) -> usize {
        self.errors.borrow().len()
    }

    /// All faults, in the order of the lines.
    pub(super) fn into_errors(self) -> Vec<ConfigError> {
        let mut errors = self.errors.into_inner();
        errors.sort_by_key(|error| error.line);
        errors
    }
}

/// A table of the document, which may be absent.
pub(super) struct Table<'d> {
    document: &'d Document<'d>,
    keys: &'static Keys,
    entries: Option<&'d DeTable<'d>>,
    at: usize,
    /// Valid keys that were offered in place of unknown ones: not reported again as missing.
    offered: Vec<&'static str>,
    /// The table was reported already: nothing is missing from it.
    faulty: bool,
}

impl<'d> Table<'d> {
    fn new(
        document: &'d Document<'d>,
        keys: &'static Keys,
        entries: Option<&'d DeTable<'d>>,
        at: usize,
    ) -> Self {
        let mut table = Self { document, keys, entries, at, offered: Vec::new(), faulty: false };
        for key in entries.into_iter().flat_map(|entries| entries.keys()) {
            if !keys.keys.contains(&key.get_ref().as_ref()) {
                let (fault, offered) = unknown_key(keys, key.get_ref());
                document.report(key.span().start, &table.path(key.get_ref()), fault);
                table.offered.extend(offered);
            }
        }
        table
    }

    /// A table in this one; an empty one where it is absent.
    pub(super) fn table(&self, keys: &'static Keys) -> Table<'d> {
        let mut faulty = self.offered.contains(&keys.table);
        let (entries, at) = match self.value(keys.table) {
            None => (None, self.at),
            Some(value) => match value.get_ref() {
                DeValue::Table(entries) => (Some(entries), value.span().start),
                _ => {
                    let example = format!("[{}]", keys.table);
                    self.complain(keys.table, wrong_type(value, "a table", &example));
                    faulty = true;
                    (None, value.span().start)
                }
            },
        };
        let table = Table::new(self.document, keys, entries, at);
        Table { faulty, ..table }
    }

    /// The tables of an array of tables. `None` where it is faulty and reported.
    pub(super) fn tables(&self, keys: &'static Keys) -> Option<Vec<Table<'d>>> {
        let Some(value) = self.value(keys.table) else {
            return if self.offered.contains(&keys.table) { None } else { Some(Vec::new()) };
        };
        let DeValue::Array(items) = value.get_ref() else {
            let example = format!("[[{}]] with two brackets", keys.table);
            let fault = wrong_type(value, "an array of tables", &example);
            self.complain(keys.table, fault);
            return None;
        };
        let mut tables = Vec::new();
        for item in items.iter() {
            let at = item.span().start;
            if let DeValue::Table(entries) = item.get_ref() {
                tables.push(Table::new(self.document, keys, Some(entries), at));
            } else {
                let example = format!("[[{}]]", keys.table);
                self.document.report(at, keys.table, wrong_type(item, "a table", &example));
            }
        }
        // An array of other things only is not an empty one: each was reported.
        (!tables.is_empty() || items.is_empty()).then_some(tables)
    }

    /// The value of a key. `None` where it is absent, or wrong and reported.
    pub(super) fn read<T>(
        &self,
        key: &str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, Fault>,
    ) -> Option<T> {
        debug_assert!(self.keys.keys.contains(&key), "{} is not a known key", self.path(key));
        let value = self.value(key)?;
        parse(value.get_ref()).map_err(|fault| self.complain(key, fault)).ok()
    }

    /// Whether a key is written, however wrongly.
    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// As [`Table::read`], and an absent key is a fault. `fix` says what to write.
    pub(super) fn require<T>(
        &self,
        key: &str,
        fix: &str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, Fault>,
    ) -> Option<T> {
        if self.value(key).is_none() && !self.faulty && !self.offered.contains(&key) {
            self.complain(key, Fault::new("the key is missing", fix));
        }
        self.read(key, parse)
    }

    /// The list under a key. `None` where it is absent, or no list and reported.
    pub(super) fn list(&self, key: &str) -> Option<List<'d>> {
        List::new(self.document, self.value(key)?, &self.path(key))
    }

    /// The same for a list of something else; `wanted` and `example` say what.
    pub(super) fn list_of(&self, key: &str, wanted: &str, example: &str) -> Option<List<'d>> {
        List::of(self.document, self.value(key)?, &self.path(key), wanted, example)
    }

    /// Notes a fault of a key; where the key is absent, at the head of the table.
    pub(super) fn complain(&self, key: &str, fault: Fault) {
        let at = self.value(key).map_or(self.at, |value| value.span().start);
        self.document.report(at, &self.path(key), fault);
    }

    /// The key with the name of its table.
    pub(super) fn path(&self, key: &str) -> String {
        if self.keys.table.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.keys.table)
        }
    }

    fn value(&self, key: &str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.entries?.get(key)
    }
}

/// A list, of strings unless it is said.
pub(super) struct List<'d> {
    document: &'d Document<'d>,
    items: &'d [Spanned<DeValue<'d>>],
    /// Where it begins: a byte offset.
    pub(super) at: usize,
}

impl<'d> List<'d> {
    fn new(document: &'d Document<'d>, value: &'d Spanned<DeValue<'d>>, key: &str) -> Option<Self> {
        Self::of(document, value, key, "a list of strings", "[\"...\"]")
    }

    fn of(
        document: &'d Document<'d>,
        value: &'d Spanned<DeValue<'d>>,
        key: &str,
        wanted: &str,
        example: &str,
    ) -> Option<Self> {
        let at = value.span().start;
        if let DeValue::Array(items) = value.get_ref() {
            return Some(Self { document, items, at });
        }
        document.report(at, key, wrong_type(value, wanted, example));
        None
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Parses every item, reporting the wrong ones on their own lines and leaving them out.
    pub(super) fn strings<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, Fault>) -> Vec<T> {
        self.each(key, |item| string(item).and_then(&parse))
    }

    /// The same for items of any type.
    pub(super) fn each<T>(
        &self,
        key: &str,
        parse: impl Fn(&DeValue<'_>) -> Result<T, Fault>,
    ) -> Vec<T> {
        let parsed = self.items.iter().filter_map(|item| {
            parse(item.get_ref())
                .map_err(|fault| self.document.report(item.span().start, key, fault))
                .ok()
        });
        parsed.collect()
    }
}

/// Takes a string.
pub(super) fn string<'v>(value: &'v DeValue<'_>) -> Result<&'v str, Fault> {
    value.as_str().ok_or_else(|| not(value, "a string", "write it in double quotes"))
}

/// Takes `true` or `false`.
pub(super) fn boolean(value: &DeValue<'_>) -> Result<bool, Fault> {
    value.as_bool().ok_or_else(|| not(value, "true or false", "write true or false without quotes"))
}

/// Takes a whole number. `None` in `Ok` where it does not fit: out of every range.
pub(super) fn integer(value: &DeValue<'_>) -> Result<Option<usize>, Fault> {
    let number = value
        .as_integer()
        .ok_or_else(|| not(value, "a whole number", "write it without quotes"))?;
    Ok(usize::from_str_radix(number.as_str(), number.radix()).ok())
}

fn not(value: &DeValue<'_>, wanted: &str, fix: &str) -> Fault {
    Fault::new(format!("the value is of type {}, not {wanted}", value.type_str()), fix)
}

fn wrong_type(value: &Spanned<DeValue<'_>>, wanted: &str, example: &str) -> Fault {
    not(value.get_ref(), wanted, &format!("write it as {example}"))
}
