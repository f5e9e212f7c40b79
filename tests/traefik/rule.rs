//! Rules at random, and requests that are made for them.

use crate::random::Random;
use crate::request::Request;

/// The deepest nesting.
const DEPTH: usize = 3;

/// A rule of `match`.
pub(crate) enum Rule {
    Matcher(Matcher),
    Not(Box<Rule>),
    All(Vec<Rule>),
    Any(Vec<Rule>),
}

/// A matcher with its arguments, and what a request is to have that it takes.
pub(crate) struct Matcher {
    name: &'static str,
    arguments: Vec<String>,
    wish: Wish,
}

/// What a request is to have.
enum Wish {
    Nothing,
    Host(String),
    /// This path, or what may stand behind it.
    Path(String, bool),
    Field(String),
    Query(String),
    Method(&'static str),
    From([u8; 4]),
}

impl Rule {
    /// One for the hosts of a case.
    pub(crate) fn draw(random: &mut Random, host: &str) -> Self {
        let rule = Self::nested(random, host, DEPTH);
        // Most rules begin with a host.
        match random.below(3) {
            0 => rule,
            _ => Self::All(vec![Self::Matcher(of_host(random, host)), rule]),
        }
    }

    /// A host alone, or with a path: what stands in the maps of hosts and paths.
    pub(crate) fn draw_plain(random: &mut Random, host: &str) -> Self {
        let own = Self::Matcher(Matcher::host(&(random.of(&["", "a.", "b."]).to_owned() + host)));
        match random.below(3) {
            0 => own,
            1 => Self::All(vec![own, Self::Matcher(Matcher::path("PathPrefix", "/"))]),
            _ => Self::All(vec![own, Self::Matcher(Matcher::path("Path", random.of(&PATHS)))]),
        }
    }

    fn nested(random: &mut Random, host: &str, depth: usize) -> Self {
        let some = |random: &mut Random| -> Vec<Self> {
            (0..2 + random.below(2)).map(|_| Self::nested(random, host, depth - 1)).collect()
        };
        match if depth == 0 { 5 } else { random.below(8) } {
            0 => Self::Any(some(random)),
            1 | 2 => Self::All(some(random)),
            3 => Self::Not(Box::new(Self::nested(random, host, depth - 1))),
            _ => Self::Matcher(matcher(random, host)),
        }
    }

    /// Whether it is for hosts of its case alone.
    pub(crate) fn is_confined(&self) -> bool {
        match self {
            Self::Matcher(Matcher { name, arguments, .. }) => {
                name.starts_with("Host") && arguments[0] != "*"
            }
            Self::Not(_) => false,
            Self::All(all) => all.iter().any(Self::is_confined),
            Self::Any(any) => any.iter().all(Self::is_confined),
        }
    }

    /// As one of the ways to write it.
    pub(crate) fn written(&self, random: &mut Random) -> String {
        match self {
            Self::Matcher(Matcher { name, arguments, .. }) => {
                let arguments: Vec<String> =
                    arguments.iter().map(|text| quoted(text, random)).collect();
                let name = match random.below(8) {
                    0 => name.to_ascii_lowercase(),
                    1 => name.to_ascii_uppercase(),
                    _ => (*name).to_owned(),
                };
                format!("{name}({})", arguments.join(random.of(&[", ", ","])))
            }
            Self::Not(rule) => {
                let inner = rule.written(random);
                match **rule {
                    Self::Matcher(_) if !random.one_in(3) => format!("!{inner}"),
                    _ => format!("!({inner})"),
                }
            }
            Self::All(all) => self.joined(all, " && ", "&&", random),
            Self::Any(any) => self.joined(any, " || ", "||", random),
        }
    }

    fn joined(&self, parts: &[Self], wide: &str, narrow: &str, random: &mut Random) -> String {
        let part = |(part, random): (&Self, &mut Random)| {
            let written = part.written(random);
            // Within `||` no `&&` needs parentheses.
            let needs = matches!((self, part), (Self::All(_), Self::Any(_)));
            if needs || random.one_in(5) { format!("({written})") } else { written }
        };
        let parts: Vec<String> = parts.iter().map(|one| part((one, &mut *random))).collect();
        parts.join(if random.one_in(4) { narrow } else { wide })
    }

    /// Has a request match, as far as its parts do not contradict each other.
    pub(crate) fn aim(&self, request: &mut Request, random: &mut Random) {
        match self {
            Self::Matcher(matcher) => matcher.aim(request, random),
            Self::Not(rule) if random.one_in(5) => rule.aim(request, random),
            Self::Not(_) => {}
            Self::All(all) => all.iter().for_each(|one| one.aim(request, random)),
            Self::Any(any) => any[random.below(any.len())].aim(request, random),
        }
    }
}

impl Matcher {
    fn new(name: &'static str, arguments: &[&str], wish: Wish) -> Self {
        Self { name, arguments: arguments.iter().map(|text| (*text).to_owned()).collect(), wish }
    }

    fn host(host: &str) -> Self {
        Self::new("Host", &[host], Wish::Host(host.to_owned()))
    }

    fn path(name: &'static str, path: &str) -> Self {
        Self::new(name, &[path], Wish::Path(path.to_owned(), name == "PathPrefix"))
    }

    fn aim(&self, request: &mut Request, random: &mut Random) {
        let target = request.target.clone();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        match &self.wish {
            Wish::Nothing => {}
            Wish::Host(host) => {
                request.fields.retain(|field| !field.starts_with("Host:"));
                request.fields.push(format!("Host: {host}"));
            }
            Wish::Path(wanted, goes_on) => {
                let behind = random.of(&["", "", "x", "/", "/x", "/%61"]);
                let path = if *goes_on { wanted.clone() + behind } else { wanted.clone() };
                request.target = sent(&path, random);
                if !query.is_empty() {
                    request.target += &format!("?{query}");
                }
            }
            Wish::Field(field) => request.fields.push(field.clone()),
            Wish::Query(pair) => {
                let more = if query.is_empty() { pair.clone() } else { format!("{query}&{pair}") };
                request.target = format!("{path}?{more}");
            }
            Wish::Method(method) => request.method = (*method).to_owned(),
            Wish::From(address) => request.from = Some((*address).into()),
        }
    }
}

/// A path as a client may send it.
fn sent(path: &str, random: &mut Random) -> String {
    let mut sent = String::new();
    for byte in path.bytes() {
        match byte {
            b' ' | 0x80.. => sent += &format!("%{byte:02X}"),
            b'a'..=b'z' if random.one_in(12) => sent += &format!("%{byte:02x}"),
            b'/' if random.one_in(20) => sent += "//",
            _ => sent.push(char::from(byte)),
        }
    }
    sent
}

const PATHS: [&str; 14] = [
    "/",
    "/a",
    "/ab",
    "/a/",
    "/a/b",
    "/a/bc",
    "/a/b/c",
    "/foo bar",
    "/x;y",
    "/k\u{e4}se",
    "/a,b",
    "/seven77",
    "/.a",
    "/a/rather/long/path",
];

fn of_host(random: &mut Random, host: &str) -> Matcher {
    let label = random.of(&["a.", "b."]).to_owned();
    let wish = Wish::Host(label.clone() + host);
    match random.below(10) {
        0 => Matcher::new("Host", &[&format!("*.{host}")], wish),
        1 => {
            let pattern = format!("^[ab]\\.{}$", host.replace('.', "\\."));
            Matcher::new("HostRegexp", &[&pattern], wish)
        }
        2 => Matcher::new("HostRegexp", &[host], wish),
        3 => Matcher::host(&(label + host)),
        4 => Matcher::host(&format!("{host}.")),
        5 => Matcher::host(&host.to_ascii_uppercase()),
        _ => Matcher::host(host),
    }
}

fn matcher(random: &mut Random, host: &str) -> Matcher {
    const FIELDS: [(&str, &str); 5] =
        [("X-A", "one"), ("X-A", "two"), ("X-A", "One"), ("x-b", "a, b"), ("Cookie", "c=1")];
    const PARAMETERS: [(&str, &str); 5] =
        [("a", "1"), ("a", "2"), ("b", "x y"), ("c", "a/b?c"), ("\u{e4}", "1")];
    match random.below(17) {
        0..=2 => of_host(random, host),
        3 | 4 => Matcher::path("Path", random.of(&PATHS)),
        5..=7 => Matcher::path("PathPrefix", random.of(&PATHS)),
        8 => {
            let of = [("^/a", "/a/x"), ("b$", "/ab"), ("^/[a-z]+/b", "/a/b"), (" ", "/foo bar")];
            let (pattern, path) = of[random.below(of.len())];
            Matcher::new("PathRegexp", &[pattern], Wish::Path(path.to_owned(), false))
        }
        9 | 10 => {
            let (name, value) = FIELDS[random.below(FIELDS.len())];
            Matcher::new("Header", &[name, value], Wish::Field(format!("{name}: {value}")))
        }
        11 => {
            let (name, value) = FIELDS[random.below(FIELDS.len())];
            let pattern = random.of(&["^o", "[a-z]$", "(?i)ONE", "", "a|two", "1"]);
            let pattern = if pattern.is_empty() { ".*" } else { pattern };
            Matcher::new("HeaderRegexp", &[name, pattern], Wish::Field(format!("{name}: {value}")))
        }
        12 => {
            let (key, value) = PARAMETERS[random.below(PARAMETERS.len())];
            let pair = format!("{}={}", sent(key, random), sent(value, random));
            Matcher::new("Query", &[key, value], Wish::Query(pair))
        }
        13 => {
            let (key, value) = PARAMETERS[random.below(PARAMETERS.len())];
            let pair = format!("{}={}", sent(key, random), sent(value, random));
            Matcher::new(
                "QueryRegexp",
                &[key, random.of(&["^[0-9]$", ".", "x y"])],
                Wish::Query(pair),
            )
        }
        14 => Matcher::new("Query", &[random.of(&["a", "c"])], Wish::Query("a".to_owned())),
        15 => {
            let method = random.of(&["GET", "POST", "PUT", "DELETE"]);
            Matcher::new("Method", &[method], Wish::Method(method))
        }
        _ if random.one_in(4) => Matcher::new("Host", &["*"], Wish::Nothing),
        _ => {
            let of = [("10.77.2.0/24", [10, 77, 2, 7]), ("127.0.0.1", [127, 0, 0, 1])];
            let (network, address) = of[random.below(of.len())];
            Matcher::new("ClientIP", &[network], Wish::From(address))
        }
    }
}

fn quoted(text: &str, random: &mut Random) -> String {
    match random.below(3) {
        0 => format!("\"{}\"", text.replace('\\', "\\\\")),
        _ => format!("`{text}`"),
    }
}
