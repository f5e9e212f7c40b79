//! Random YAML documents, in as many styles as there are.

use std::fmt::Write;

/// Scalars without quotes, among them all that YAML 1.1 and 1.2 read differently.
const PLAIN: [&str; 62] = [
    "a",
    "web",
    "yes",
    "No",
    "on",
    "OFF",
    "y",
    "N",
    "true",
    "False",
    "TRUE",
    "tRue",
    "~",
    "null",
    "Null",
    "NULL",
    "0",
    "-0",
    "+7",
    "007",
    "08",
    "0o17",
    "0x1F",
    "0b101",
    "-0b11",
    "1_000",
    "1__0",
    "9223372036854775808",
    "18446744073709551616",
    "-9223372036854775809",
    "1.5",
    "1.",
    ".5",
    "-.5",
    "80.0",
    "1e3",
    "1.5E-7",
    "1e400",
    "0x",
    "0b2",
    "-",
    "+",
    "--",
    "12:30:45",
    "1:2",
    "2001-12-14",
    "2001-12-14T21:59:43Z",
    "1.2.3.4",
    "10.0.0.0/8",
    "a b c",
    "a#b",
    "http://x/y?z=1&a",
    "-x",
    "?x",
    ":x",
    "a:b",
    "$x",
    "ä€\u{1f600}",
    "100Mi",
    "5m",
    "<",
    "<<x",
];
const KEYS: [&str; 16] = [
    "a",
    "b",
    "name",
    "host.example.com/x",
    "80",
    "yes",
    "no",
    "1.5",
    "12345678.5",
    "0x10",
    "010",
    "\"q k\"",
    "'it''s'",
    "true",
    "off",
    "k-1",
];
const DOUBLE: [&str; 10] =
    ["", "a", "a\\nb", "\\u00e9\\x41\\t", "\\\"", "\\\\ x", "yes", "a \\\n b", "a\n\n  b", " x "];
const TAGS: [&str; 6] =
    ["!!str ", "!local ", "! ", "!<tag:example.com,2000:x> ", "!!str ", "!x/y "];

/// Writes one document.
pub(crate) struct Writer {
    state: u64,
    out: String,
    anchors: Vec<&'static str>,
    next: usize,
}

/// Names of anchors; those of mappings are kept apart, for merges.
const ANCHORS: [&str; 8] = ["a1", "a-2", "a_3", "x", "y9", "z-z", "w", "v"];
const MAPS: [&str; 3] = ["m1", "m-2", "m_3"];

impl Writer {
    pub(crate) fn new(seed: u64) -> Self {
        let state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Self { state, out: String::new(), anchors: Vec::new(), next: 0 }
    }

    pub(crate) fn document(mut self) -> String {
        if self.one_in(8) {
            self.out.push_str("# first\n\n");
        }
        if self.one_in(12) {
            self.out.push_str("%YAML 1.1\n---\n");
        } else if self.one_in(4) {
            let head = self.choose(&["---\n", "--- # here\n", "---\n# c\n\n"]);
            self.out.push_str(head);
        }
        match self.below(8) {
            0 => {
                self.flow(3);
                self.out.push('\n');
            }
            1 => self.sequence(0, 4, false),
            _ => self.mapping(0, 4, false),
        }
        if self.one_in(10) {
            self.out.push_str("...\n");
        }
        let mut text = self.out.clone();
        if self.one_in(8) {
            text = text.replace('\n', "\r\n");
        }
        if self.one_in(12) {
            text.insert(0, '\u{feff}');
        }
        text
    }

    /// `inline`: the first line is begun, and its indentation is that of the others.
    fn mapping(&mut self, indent: usize, depth: usize, inline: bool) {
        let entries = 1 + self.below(4);
        let mut used = Vec::new();
        for number in 0..entries {
            if number > 0 || !inline {
                self.between(indent);
                self.pad(indent);
            }
            let maps: Vec<_> =
                self.anchors.iter().copied().filter(|name| MAPS.contains(name)).collect();
            if !maps.is_empty() && self.one_in(5) {
                let merge = match self.one_in(2) {
                    true => format!("<<: *{}\n", self.choose(&maps)),
                    false => format!("<<: [*{}, {{merged: 1}}]\n", self.choose(&maps)),
                };
                self.out.push_str(&merge);
                continue;
            }
            self.key(&mut used);
            self.value(indent, depth, false);
        }
    }

    fn key(&mut self, used: &mut Vec<&'static str>) {
        let scalars: Vec<_> =
            self.anchors.iter().copied().filter(|name| ANCHORS.contains(name)).collect();
        if !scalars.is_empty() && self.one_in(12) {
            let name = self.choose(&scalars);
            if !used.contains(&name) {
                used.push(name);
                let colon = self.choose(&[":", " :"]);
                let _ = write!(self.out, "*{name}{colon}");
                return;
            }
        }
        let mut key = self.choose(&KEYS);
        // Equal keys now and then, on purpose.
        for _ in 0..4 {
            if used.contains(&key) {
                key = self.choose(&KEYS);
            }
        }
        used.push(key);
        let colon = match self.below(10) {
            0 => " :",
            1 => ": ",
            _ => ":",
        };
        let _ = write!(self.out, "{key}{colon}");
    }

    /// Behind the colon of a key, or the dash of an item, up to and with the end of the line.
    fn value(&mut self, indent: usize, depth: usize, of_item: bool) {
        if depth == 0 || self.one_in(2) {
            self.out.push(' ');
            return self.scalar(indent);
        }
        match self.below(4) {
            0 => {
                self.out.push(' ');
                self.flow(depth.min(3));
                self.comment();
                self.out.push('\n');
            }
            1 => {
                let anchor = self.map_anchor();
                let deeper = indent + 1 + self.below(4);
                if of_item && anchor.is_none() {
                    self.out.push(' ');
                    return self.mapping(indent + 2, depth - 1, true);
                }
                if let Some(name) = anchor {
                    let _ = write!(self.out, " &{name}");
                }
                self.end_of_line();
                self.mapping(deeper, depth - 1, false);
                self.anchors.extend(anchor);
            }
            2 if of_item => {
                self.out.push(' ');
                self.sequence(indent + 2, depth - 1, true);
            }
            _ => {
                let same = usize::from(!of_item && self.one_in(2));
                let deeper = indent + (1 - same) * (1 + self.below(3));
                self.end_of_line();
                self.sequence(deeper + usize::from(of_item), depth - 1, false);
            }
        }
    }

    fn sequence(&mut self, indent: usize, depth: usize, inline: bool) {
        for number in 0..1 + self.below(3) {
            if number > 0 || !inline {
                self.between(indent);
                self.pad(indent);
            }
            self.out.push('-');
            self.value(indent, depth, true);
        }
    }

    fn scalar(&mut self, indent: usize) {
        if !self.anchors.is_empty() && self.one_in(10) {
            let anchors = self.anchors.clone();
            let name = self.choose(&anchors);
            let _ = writeln!(self.out, "*{name}");
            return;
        }
        let anchor = (self.one_in(8) && self.next < ANCHORS.len()).then(|| {
            self.next += 1;
            ANCHORS[self.next - 1]
        });
        if let Some(name) = anchor {
            let _ = write!(self.out, "&{name} ");
        } else if self.one_in(20) {
            let tag = self.choose(&TAGS);
            self.out.push_str(tag);
        }
        match self.below(10) {
            0 | 1 => self.block_scalar(indent),
            2 => {
                let text = self.choose(&["''", "'a'", "'it''s'", "'yes'", "'a\n    b'", "' # '"]);
                self.out.push_str(&text.replace("\n", &format!("\n{}", " ".repeat(indent + 1))));
                self.end_of_line();
            }
            3 => {
                let text =
                    self.choose(&DOUBLE).replace('\n', &format!("\n{}", " ".repeat(indent + 1)));
                let _ = write!(self.out, "\"{text}\"");
                self.end_of_line();
            }
            4 => {
                let _ = write!(self.out, "two\n{0}\n{0}lines and\n{0}more", " ".repeat(indent + 2));
                self.out.push('\n');
            }
            5 if anchor.is_none() => self.end_of_line(),
            // May become a key. Of 8 and 08, an integer and a float that are the same key in JSON, it is
            // left open which counts.
            _ if anchor.is_some() => {
                let text = self.choose(&["web", "a b c", "x1", "tRue"]);
                self.out.push_str(text);
                self.end_of_line();
            }
            _ => {
                let text = self.choose(&PLAIN);
                self.out.push_str(text);
                self.end_of_line();
            }
        }
        self.anchors.extend(anchor);
    }

    fn block_scalar(&mut self, indent: usize) {
        let deeper = 1 + self.below(4);
        let style = self.choose(&["|", ">"]);
        let chomp = self.choose(&["", "-", "+"]);
        let number = if self.one_in(3) { deeper.to_string() } else { String::new() };
        let first = if number.is_empty() { "" } else { self.choose(&["", "  "]) };
        let _ = writeln!(self.out, "{style}{number}{chomp}");
        let pad = " ".repeat(indent + deeper);
        let _ = writeln!(self.out, "{pad}{first}first # no comment");
        for _ in 0..self.below(5) {
            let line =
                self.choose(&["", "text: x", "  more", "- item", "*a: x", "{{ x }}", "\ttab"]);
            let pad = if line.is_empty() { "" } else { &pad };
            let _ = writeln!(self.out, "{pad}{line}");
        }
    }

    fn flow(&mut self, depth: usize) {
        match self.below(if depth == 0 { 1 } else { 3 }) {
            1 => {
                self.out.push('{');
                for number in 0..self.below(4) {
                    let separator = if number == 0 { "" } else { self.choose(&[",", ", ", " , "]) };
                    let key = self.choose(&["k", "l", "'q'", "\"d\"", "yes", "1"]);
                    let _ = write!(self.out, "{separator}{key}: ");
                    self.flow(depth - 1);
                }
                self.out.push('}');
            }
            2 => {
                self.out.push('[');
                for number in 0..self.below(4) {
                    let separator = if number == 0 { "" } else { self.choose(&[",", ", ", " , "]) };
                    self.out.push_str(separator);
                    self.flow(depth - 1);
                }
                let end = self.choose(&["]", " ]"]);
                self.out.push_str(end);
            }
            _ => {
                let text = self.choose(&[
                    "a", "'x y'", "\"z\\n\"", "1", "0x1F", "on", "null", "a b", "-1.5", "~",
                ]);
                self.out.push_str(text);
            }
        }
    }

    fn map_anchor(&mut self) -> Option<&'static str> {
        let name = self.choose(&MAPS);
        (self.one_in(3) && !self.anchors.contains(&name)).then_some(name)
    }

    /// What may stand between two entries.
    fn between(&mut self, indent: usize) {
        if self.one_in(8) {
            for _ in 0..1 + self.below(60) {
                self.pad(indent);
                self.out.push_str("# comment\n");
            }
        } else if self.one_in(8) {
            self.out.push('\n');
        }
    }

    fn comment(&mut self) {
        if self.one_in(8) {
            self.out.push_str(" # why");
        }
    }

    fn end_of_line(&mut self) {
        self.comment();
        self.out.push('\n');
    }

    fn pad(&mut self, indent: usize) {
        self.out.extend(std::iter::repeat_n(' ', indent));
    }

    fn choose<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())]
    }

    fn one_in(&mut self, number: usize) -> bool {
        self.below(number) == 0
    }

    fn below(&mut self, number: usize) -> usize {
        // xorshift64
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from((self.state >> 11) % number as u64).expect("it is below a usize")
    }
}
