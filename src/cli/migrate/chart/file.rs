//! A configuration file in the making. Each line says where it comes from, and is there only if the reader of
//! configurations takes the file with it.

use crate::config::{Config, ConfigError};
use std::fmt::Write as _;

/// What readers look for first.
const ORDER: [&str; 3] = [LISTENER, ENTRY_POINT, "[admit]"];

pub(super) const LISTENER: &str = "[[listener]]";
pub(super) const ENTRY_POINT: &str = "[[entry_point]]";

/// Ports that Cloudflare connects to, each with the one that ravelin has beside it while Traefik has the first:
/// nobody else in k3s has them, nor Traefik's chart.
pub(super) const BESIDE: [(u16, u16); 2] = [(80, 7080), (443, 7443)];

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

    /// Replaces the value of a line, or adds the line.
    fn set(&mut self, key: &str, value: String, from: &str) {
        match self.lines.iter_mut().find(|line| line.key == key) {
            Some(line) => (line.value, line.from) = (value, from.to_owned()),
            None => self.line(key, value, from),
        }
    }

    /// The value of `name`, in its quotation marks.
    fn name(&self) -> Option<&str> {
        self.lines.iter().find(|line| line.key == "name").map(|line| &*line.value)
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
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    about: String,
    sections: Vec<Section>,
    /// Second listeners, by entry points.
    twins: Vec<Twin>,
    /// Listeners for `compare`.
    trials: Vec<Twin>,
}

/// A listener beside another one.
#[derive(Clone, Debug)]
struct Twin {
    of: String,
    name: String,
}

impl File {
    pub(super) fn new(about: String) -> Self {
        Self { about, ..Self::default() }
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

    /// Adds a second listener like that of this name, which was added last, at the port beside its own. `None`: it has
    /// none, or the reader refuses it.
    pub(super) fn twin(&mut self, of: &str, port: u16) -> Option<String> {
        let (_, beside) = BESIDE.into_iter().find(|(own, _)| *own == port)?;
        let last = self.sections.iter().rfind(|section| section.head == LISTENER)?;
        let mut section = last.clone();
        let name = format!("{of}-beside");
        let why = format!(
            "for the time of the swap: Traefik has port {port} (COMMANDS.md); delete this listener afterwards"
        );
        section.about = "The same beside Traefik.".to_owned();
        section.set("name", quoted(&name), "its name");
        section.set("address", quoted(&format!("[::]:{beside}")), &why);
        self.offer(section).ok()?;
        self.twins.push(Twin { of: of.to_owned(), name: name.clone() });
        Some(name)
    }

    /// Notes the listener for `compare` that an entry point has.
    pub(super) fn tries(&mut self, of: &str, name: &str) {
        self.trials.push(Twin { of: of.to_owned(), name: name.to_owned() });
    }

    /// The file with the second listeners alone, for nodes whose ports Traefik has. `None`: there are none.
    pub(super) fn beside(&self) -> Option<Self> {
        if self.twins.is_empty() {
            return None;
        }
        let mut file = self.clone();
        let is_named = |section: &Section, name: &str| section.name() == Some(&*quoted(name));
        // Those for `compare` are on loopback, and stay with their entry points.
        let has_twin = |of: &str| self.twins.iter().any(|twin| twin.of == of);
        let trials = self.trials.iter().filter(|trial| has_twin(&trial.of));
        let kept: Vec<&Twin> = self.twins.iter().chain(trials).collect();
        file.sections.retain(|section| match &*section.head {
            LISTENER => kept.iter().any(|one| is_named(section, &one.name)),
            ENTRY_POINT => kept.iter().any(|one| is_named(section, &one.of)),
            _ => true,
        });
        for section in file.sections.iter_mut().filter(|section| section.head == ENTRY_POINT) {
            let own = kept.iter().filter(|one| is_named(section, &one.of));
            let names: Vec<String> = own.map(|one| one.name.clone()).collect();
            section.set("listeners", list(&names), "above");
        }
        file.check().is_ok().then_some(file)
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
