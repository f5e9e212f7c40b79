//! Configuration keys. That each is there is compared; type, default and bounds are tried out: the
//! configuration takes what the page allows, refuses what it does not, and the default changes nothing.

use super::page::{Row, hold, rows, text};
use ravelin::config::{Config, ConfigError};
use std::collections::{BTreeMap, BTreeSet};

const HEADER: [&str; 5] = ["key", "type", "default", "bounds", "what it does"];

/// The tables of a file in which every key can stand.
const BASE: [(&str, &str); 6] = [
    ("listener.name", "\"web\""),
    ("listener.address", "\"127.0.0.1:0\""),
    ("listener.protocol", "\"https\""),
    ("source.kind", "\"kubernetes\""),
    ("state.directory", "\"x\""),
    ("state.cluster", "true"),
];

/// Tables of which there may be several.
const ARRAYS: [&str; 6] =
    ["access", "zone", "listener", "certificate", "client_certificate", "entry_point"];

const CROWDSEC: &str = "\"http://crowdsec.example:8080\"";

/// What has to be set for a key to have a meaning. An empty value removes a key that is in the way.
const COMPANIONS: [(&str, &[(&str, &str)]); 26] = [
    ("certificate", &[("certificate.cert_file", "\"a\""), ("certificate.key_file", "\"b\"")]),
    (
        "client_certificate",
        &[
            ("client_certificate.policy", "\"request\""),
            ("client_certificate.ca", "\"cloudflare\""),
        ],
    ),
    ("client_certificate.ca_file", &[("client_certificate.ca", "")]),
    ("entry_point", &[("entry_point.name", "\"web\""), ("entry_point.listeners", "[\"web\"]")]),
    ("source.directory", &[("source.kind", "\"directory\""), ("state.cluster", "")]),
    ("source.kind", &[("source.directory", ""), ("state.cluster", "")]),
    ("cloudflare.secret_header", &[("cloudflare.secret_file", "\"a\"")]),
    ("cloudflare.secret_file", &[("cloudflare.secret_header", "\"x-a\"")]),
    ("crowdsec.url", &[("crowdsec.api_key_file", "\"a\"")]),
    ("crowdsec.api_key_file", &[("crowdsec.url", CROWDSEC)]),
    ("crowdsec.ca_file", &[("crowdsec.url", CROWDSEC), ("crowdsec.api_key_file", "\"a\"")]),
    ("crowdsec.interval", &[("crowdsec.url", CROWDSEC), ("crowdsec.api_key_file", "\"a\"")]),
    ("access", &[("access.team", "\"example\"")]),
    ("access.hosts", &[("access.audiences", "[\"0a\"]")]),
    ("access.groups", &[("access.audiences", "[\"0a\"]")]),
    ("access.team", &[("access.ca_file", "\"a\"")]),
    ("tracing", &[("tracing.endpoint", "\"http://collector.example:4318\"")]),
    ("zone.hosts", &[("zone.max_cdn_passes", "1")]),
    ("zone.secret_header", &[("zone.secret_file", "\"a\"")]),
    ("zone.secret_file", &[("zone.secret_header", "\"x-a\"")]),
    ("timeouts.drain_idle", &[("timeouts.drain", "\"24h\"")]),
    ("timeouts.drain", &[("timeouts.drain_idle", "\"1ms\"")]),
    ("timeouts.coalesce", &[("timeouts.coalesce_max", "\"24h\"")]),
    ("timeouts.coalesce_max", &[("timeouts.coalesce", "\"1ms\"")]),
    ("http2.stream_window", &[("http2.connection_window", "\"64MiB\"")]),
    ("http2.connection_window", &[("http2.stream_window", "\"64KiB\"")]),
];

/// Types that are tried out: a value that is taken where there is one for all, and values that are not.
const TYPES: [(&str, &str, &[&str]); 10] = [
    ("list", "", &["\"a\"", "1"]),
    ("duration", "\"1h\"", &["5", "\"0s\"", "\"25h\"", "\"soon\""]),
    ("size", "", &["true", "\"16\"", "\"16 parsecs\""]),
    ("integer", "", &["\"1\"", "1.5", "true"]),
    ("number", "0.5", &["\"0.5\"", "-1", "nan", "true"]),
    ("boolean", "true", &["\"true\"", "1"]),
    ("path", "\"./a/b\"", &["7", "\"\""]),
    ("text", "", &["7", "true"]),
    ("address and port", "\"[::1]:0\"", &["\"localhost:80\"", "80"]),
    (
        "URL",
        "\"https://mirror.example/ips\"",
        &["\"mirror.example\"", "\"http://mirror.example/\""],
    ),
];

#[test]
fn every_key_has_a_row() {
    let keys = Config::keys().map(|(table, key)| match table {
        "" => key.to_owned(),
        table => format!("{table}.{key}"),
    });
    let tables: Vec<&str> = Config::keys().map(|(table, _)| table).collect();
    let keys = keys.filter(|key| !tables.contains(&&**key) && key != "admit");
    // The keys of this table are the user's.
    let keys = keys.chain(["admit.NAME".to_owned()]);
    let rows: Vec<Row> = keys.map(|key| Row { key, cells: vec![None; 4] }).collect();
    assert!(rows.len() > 80, "only {} keys", rows.len());
    hold(&HEADER, &rows);
}

#[test]
fn every_key_is_as_its_row_says() {
    let page = text();
    let rows = rows(&page, &HEADER);
    assert!(rows.len() > 80, "only {} rows", rows.len());
    let complaints = rows.iter().flat_map(|(line, cells)| {
        let key = cells[0].trim_matches('`');
        let [kind, default, bounds] = [1, 2, 3].map(|cell| cells[cell]);
        let wrong = [as_type(key, kind), as_default(key, default), as_bounds(key, kind, bounds)];
        let wrong = wrong.into_iter().flatten();
        wrong.map(move |what| format!("config/README.md:{line}: `{key}`: {what}"))
    });
    let complaints: Vec<String> = complaints.collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// The configuration with this value of this key, and what is wrong with that key.
fn with(key: &str, value: &str) -> (Result<Config, Vec<ConfigError>>, Vec<ConfigError>) {
    let key = if key == "admit.NAME" { "admit.office" } else { key };
    let mut written: BTreeMap<&str, &str> = BASE.into_iter().collect();
    let table = key.split('.').next().unwrap_or_default();
    for (_, companions) in COMPANIONS.iter().filter(|(of, _)| *of == key || *of == table) {
        // Without a value, nothing is in the way.
        let has_value = !value.is_empty();
        written.extend(companions.iter().copied().filter(|(_, it)| has_value || !it.is_empty()));
    }
    written.insert(key, value);
    if key == "source.kind" && value == "\"directory\"" {
        written.insert("source.directory", "\"x\"");
    }
    let mut text = String::new();
    for (key, value) in written.iter().filter(|(key, _)| !key.contains('.')) {
        if !value.is_empty() {
            text += &format!("{key} = {value}\n");
        }
    }
    let mut table = "";
    for (path, value) in written.iter().filter(|(_, value)| !value.is_empty()) {
        let Some((of, key)) = path.split_once('.') else { continue };
        if of != table {
            let is_array = ARRAYS.contains(&of);
            text += &if is_array { format!("[[{of}]]\n") } else { format!("[{of}]\n") };
            table = of;
        }
        text += &format!("{key} = {value}\n");
    }
    let config = Config::parse(&text, "test.toml");
    let errors = config.as_ref().err().into_iter().flatten();
    let own = errors.filter(|error| error.key == key).cloned().collect();
    (config, own)
}

fn is_taken(key: &str, value: &str) -> bool {
    with(key, value).1.is_empty()
}

/// What is wrong with the type: words in backticks, and names out of [`TYPES`] before further words.
fn as_type(key: &str, kind: &str) -> Option<String> {
    let words = kind.split('`').skip(1).step_by(2);
    for word in words.filter(|word| word.starts_with('"')) {
        if !is_taken(key, word) {
            return Some(format!("{word} is not taken"));
        }
    }
    let plain: String = kind.split('`').step_by(2).collect();
    let known = TYPES.into_iter().find(|(name, ..)| plain.contains(name));
    let Some((name, good, bad)) = known else {
        return as_words(key, kind);
    };
    if !good.is_empty() && !is_taken(key, good) {
        return Some(format!("{good} is a {name}, and is not taken"));
    }
    let taken = bad.iter().find(|bad| is_taken(key, bad) && key != "source.kind");
    taken.map(|taken| format!("{taken} is taken, and is no {name}"))
}

/// What is wrong with a type of words alone: another word is refused, and the fix names them all.
fn as_words(key: &str, kind: &str) -> Option<String> {
    let words = |text: &str| -> BTreeSet<String> {
        text.split('"').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let (_, complaints) = with(key, "\"zzz\"");
    let Some(error) = complaints.first().filter(|_| !is_taken(key, "7")) else {
        return Some(format!("\"{kind}\" is no type, or other values are taken"));
    };
    let known = words(&error.fix);
    let is_whole = known == words(kind) || known.is_empty() || !error.fix.starts_with("write");
    (!is_whole).then(|| format!("it is one of {known:?}, not \"{kind}\""))
}

/// What is wrong with the default: a value in backticks, `required`, or words for what is derived.
fn as_default(key: &str, default: &str) -> Option<String> {
    let (absent, complaints) = with(key, "");
    let is_missing = complaints.iter().any(|error| error.problem.contains("missing"));
    if default == "required" {
        return (!is_missing).then(|| "it can be left out".to_owned());
    }
    if is_missing {
        return Some("it is required".to_owned());
    }
    let literal = default.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
    let Some(literal) = literal else {
        let file = std::fs::read_to_string(super::page::root().join("config/ravelin.toml"));
        let example = example(&file.expect("the commented file"), key)?;
        let (same, _) = with(key, &example);
        // The cores of this machine may be those of the example.
        let is_derived = key == "workers";
        let is_default =
            !is_derived && matches!((absent, same), (Ok(absent), Ok(same)) if absent == same);
        return is_default.then(|| format!("its default is {example}, not {default}"));
    };
    let (same, complaints) = with(key, literal);
    match (absent, same) {
        (Ok(absent), Ok(same)) if absent == same => None,
        (Ok(_), Ok(_)) => Some(format!("{literal} is not what is taken when the key is left out")),
        (_, Err(errors)) => Some(format!("{literal} is refused: {complaints:?} {errors:?}")),
        (Err(errors), _) => Some(format!("leaving it out is refused: {errors:?}")),
    }
}

/// The value that the commented file has for a key, as a comment or not.
fn example(file: &str, key: &str) -> Option<String> {
    let mut table = String::new();
    for line in file.lines() {
        let line = line.trim_start_matches("# ");
        if line.starts_with('[') && line.ends_with(']') {
            table = format!("{}.", line.trim_matches(['[', ']']));
        } else if let Some((name, value)) = line.split_once(" = ")
            && (format!("{table}{name}") == key || table.is_empty() && name == key)
        {
            return Some(value.to_owned());
        }
    }
    None
}

/// What is wrong with the bounds, `LEAST to MOST`. Numbers have some; durations have those of all.
fn as_bounds(key: &str, kind: &str, bounds: &str) -> Option<String> {
    let is_number = kind == "integer" || kind == "size";
    let Some((least, most)) = bounds.split_once(" to ").filter(|_| is_number) else {
        return is_number.then(|| "write its bounds, as LEAST to MOST".to_owned());
    };
    let [least, most] = [least, most].map(bytes);
    let taken = |number: u64| is_taken(key, &number.to_string());
    let below = least.checked_sub(1).is_some_and(taken);
    let wrong = [
        (!taken(least), format!("{least} is not taken")),
        (!taken(most), format!("{most} is not taken")),
        (below, format!("less than {least} is taken")),
        (taken(most + 1), format!("more than {most} is taken")),
    ];
    wrong.into_iter().find(|(is_wrong, _)| *is_wrong).map(|(_, what)| what)
}

/// `200`, `16KiB`, `1MiB`, `1TiB`.
fn bytes(text: &str) -> u64 {
    let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "TiB" => 1 << 40,
        unit => panic!("{text}: {unit} is no unit of bounds"),
    };
    digits.parse::<u64>().unwrap_or_else(|_| panic!("{text}: no number")) * factor
}
