//! A configuration file in the making. Each line says where it comes from, and is there only if the reader of
//! configurations takes the file with it.

use crate::config::{Config, ConfigError};
use std::fmt::Write as _;

/// What readers look for first.
const ORDER: [&str; 3] = ["[[listener]]", "[[entry_point]]", "[admit]"];

/// A table of the file, under construction.
#[derive(Clone, Debug)]
pub(super) struct Section {
    /// `[source]`, `[[listener]]`; empty for lines before all tables.
    head: String,
    /// Lines of comment above it.
    about: String,
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    key: String,
    /// As TOML.
    value: String,
    from: String,
}

/// Why a line or table cannot be in the file.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) problem: String,
    pub(super) fix: String,
}

impl Section {
    pub(super) fn new(head: &str, about: &str) -> Self {
        Self { head: head.to_owned(), about: about.to_owned(), lines: Vec::new() }
    }

    /// Adds a line, which is tried with the table.
    pub(super) fn line(&mut self, key: &str, value: String, from: &str) {
        let (key, from) = (key.to_owned(), from.to_owned());
        self.lines.push(Line { key, value, from });
    }

    fn write(&self, out: &mut String) {
        for line in self.about.lines().filter(|line| !line.is_empty()) {
            let _ = writeln!(out, "# {}", in_comment(line));
        }
        let _ = writeln!(out, "{}", self.head);
        for Line { key, value, from } in &self.lines {
            let _ = writeln!(out, "{key} = {value}  # {}", in_comment(from));
        }
        out.push('\n');
    }
}

/// The file.
#[derive(Debug, Default)]
pub(super) struct File {
    about: String,
    sections: Vec<Section>,
}

impl File {
    pub(super) fn new(about: String) -> Self {
        Self { about, sections: Vec::new() }
    }

    /// Adds a table that the reader is known to take, or that others complete.
    pub(super) fn put(&mut self, section: Section) {
        self.sections.push(section);
    }

    /// Adds a table, unless the reader refuses it.
    pub(super) fn offer(&mut self, section: Section) -> Result<(), Refused> {
        self.sections.push(section);
        self.check().inspect_err(|_| drop(self.sections.pop()))
    }

    /// Adds a line to the table with this head that was added last, or to a new one, unless the reader refuses it.
    pub(super) fn offer_line(
        &mut self,
        head: &str,
        key: &str,
        value: String,
        from: &str,
    ) -> Result<(), Refused> {
        let known = self.sections.iter().rposition(|section| section.head == head);
        let Some(at) = known else {
            let mut section = Section::new(head, "");
            section.line(key, value, from);
            return self.offer(section);
        };
        let before = self.sections[at].clone();
        self.sections[at].lines.retain(|line| line.key != key);
        self.sections[at].line(key, value, from);
        self.check().inspect_err(|_| self.sections[at] = before)
    }

    fn check(&self) -> Result<(), Refused> {
        let Err(errors) = Config::parse(&self.text(), "ravelin.toml") else { return Ok(()) };
        let refused = errors
            .into_iter()
            .next()
            .map(|ConfigError { problem, fix, .. }| Refused { problem, fix });
        Err(refused.unwrap_or_else(|| Refused { problem: String::new(), fix: String::new() }))
    }

    /// The file as it is now.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        for line in self.about.lines() {
            let _ = writeln!(out, "{}", format!("# {}", in_comment(line)).trim_end());
        }
        out.push('\n');
        let mut sections: Vec<&Section> = self.sections.iter().collect();
        let rank = |section: &Section| ORDER.iter().position(|head| *head == section.head);
        sections.sort_by_key(|section| rank(section).unwrap_or(ORDER.len()));
        sections.into_iter().for_each(|section| section.write(&mut out));
        while out.ends_with("\n\n") {
            out.pop();
        }
        out
    }
}

/// A text in quotation marks.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if letter.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// A list of texts.
pub(super) fn list(texts: &[String]) -> String {
    let all: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", all.join(", "))
}

/// A text that stays within its comment: it ends with its line, and TOML has no control characters in it.
pub(in crate::cli::migrate) fn in_comment(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
