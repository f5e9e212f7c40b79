//! `[[entry_point]]`: listeners under the name that routes have for them, as Traefik's `entryPoints`.

use super::keys;
use super::raw::{self, Table};
use super::units::Fault;
use super::values::label;
use super::{Listener, ListenerProtocol};
use std::sync::Arc;
use toml::de::DeValue;

/// The names of Traefik's chart, and which listeners they stand for without a table.
const PRESETS: [(&str, ListenerProtocol); 2] =
    [("web", ListenerProtocol::Http), ("websecure", ListenerProtocol::Https)];

/// The most entry points: a route has a bit for each.
const MOST: usize = 32;

/// Listeners that routes name together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPoint {
    /// 1 to 63 of `a-z`, `0-9` and `-`: what `router.entrypoints` names.
    pub name: Arc<str>,
    /// Their positions among the listeners. Default: for `web` those with HTTP, for `websecure` those with HTTPS.
    pub listeners: Vec<usize>,
    /// Middlewares that requests pass before those of their route, as `router.middlewares` names them.
    pub middlewares: Vec<Arc<str>>,
    /// Whether visitors without TLS are sent to the same address with it, whatever their route says; but for
    /// challenges of ACME.
    pub redirects: bool,
    /// Whether routes that name no entry point are served here. Default: yes.
    pub is_default: bool,
}

/// Reads the tables. Faulty ones are reported and left out.
pub(super) fn section(root: &Table<'_>, listeners: &[Listener]) -> Vec<EntryPoint> {
    let mut all: Vec<EntryPoint> = Vec::new();
    let tables = root.tables(&keys::ENTRY_POINT).unwrap_or_default();
    for table in &tables {
        let fix = "write the name that routes use, such as name = \"web\"";
        let name = table.require("name", fix, |value| label(raw::string(value)?));
        let Some(name) = name else { continue };
        if all.iter().any(|other| other.name == name) {
            let problem = format!("\"{name}\" is already the name of another entry point");
            table.complain("name", Fault::new(problem, "remove one of the two"));
            continue;
        }
        let middlewares = table.list("middlewares").map(|list| {
            list.strings(&table.path("middlewares"), |name| match name.trim() {
                "" => Err(Fault::new("the name is empty", "remove it")),
                name => Ok(name.into()),
            })
        });
        all.push(EntryPoint {
            listeners: named(table, &name, listeners),
            middlewares: middlewares.unwrap_or_default(),
            redirects: table.read("redirect", scheme).unwrap_or(false),
            is_default: table.read("default", raw::boolean).unwrap_or(true),
            name,
        });
    }
    for (name, protocol) in PRESETS {
        if !all.iter().any(|entry| *entry.name == *name) {
            all.push(EntryPoint {
                name: name.into(),
                listeners: speaking(protocol, listeners),
                middlewares: Vec::new(),
                redirects: false,
                is_default: true,
            });
        }
    }
    if all.len() > MOST {
        let problem = format!("there are {} entry points, and {MOST} at most", all.len());
        root.complain("entry_point", Fault::new(problem, "remove some"));
        all.truncate(MOST);
    }
    all
}

/// The listeners of one table.
fn named(table: &Table<'_>, name: &str, listeners: &[Listener]) -> Vec<usize> {
    let Some(list) = table.list("listeners") else {
        return match PRESETS.iter().find(|(preset, _)| *preset == name) {
            Some((_, protocol)) => speaking(*protocol, listeners),
            None => {
                let fix = "write the names of its listeners";
                table.complain("listeners", Fault::new("the key is missing", fix));
                Vec::new()
            }
        };
    };
    let position = |name: &str| {
        let found = listeners.iter().position(|listener| *listener.name == *name);
        let known: Vec<&str> = listeners.iter().map(|listener| &*listener.name).collect();
        found.ok_or_else(|| {
            let fix = format!("listeners are: {}", known.join(", "));
            Fault::new(format!("there is no listener \"{name}\""), fix)
        })
    };
    list.strings(&table.path("listeners"), position)
}

fn speaking(protocol: ListenerProtocol, listeners: &[Listener]) -> Vec<usize> {
    let all = listeners.iter().zip(0..);
    all.filter(|(listener, _)| listener.protocol == protocol).map(|(_, at)| at).collect()
}

fn scheme(value: &DeValue<'_>) -> Result<bool, Fault> {
    match raw::string(value)? {
        "https" => Ok(true),
        "off" => Ok(false),
        other => Err(super::values::unknown_word(other, &["https", "off"])),
    }
}
