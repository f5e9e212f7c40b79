//! The table of rooms in the crate doc, enforced over the sources, with file and line.
//!
//! Who may import whom, where Kubernetes may be known, how long files and functions may be, and which
//! phrases are banned. The rules are pure functions over a path and a text, and the last tests plant a breach of each.

mod code;
mod cycles;
mod language;
mod lengths;
mod names;
mod parameters;
mod rooms;

use std::fs;
use std::path::{Path, PathBuf};

use code::{code_only, imports, indent, line_of, words};
use cycles::{circles, graph};
use lengths::outgrown;
use names::{carriers, homonyms};
use parameters::tuple_parameters;
use rooms::{kind, may_import, may_name};

/// The crates of Kubernetes.
const KUBERNETES: [&str; 5] = ["kube", "kube_client", "kube_core", "kube_runtime", "k8s_openapi"];
/// The only files with `unsafe` in them: five calls into libc, and the allocator.
const UNSAFE: [&str; 4] = [
    "src/transport/admission/sys.rs",
    "src/net/stream/sys.rs",
    "src/proxy/middleware/hash_pool/sys.rs",
    "src/app/allocator.rs",
];

/// `src/a/b.rs` is of module `a`, `src/a.rs` too.
fn module_of(path: &str) -> &str {
    let inner = path.strip_prefix("src/").unwrap_or(path);
    inner.split('/').next().unwrap_or(inner).trim_end_matches(".rs")
}

/// How many modules a file lies below its top-level one: `super` may be said so often.
fn depth_of(path: &str) -> usize {
    path.trim_end_matches("/mod.rs").split('/').count().saturating_sub(2)
}

/// Breaches of the table in one file.
fn breaches(path: &str, text: &str) -> Vec<String> {
    let code = code_only(text);
    let module = module_of(path);
    let mut found = Vec::new();
    let mut report = |line: usize, what: String| found.push(format!("{path}:{line}: {what}"));
    if kind(module).is_none() {
        report(1, format!("`{module}` is no room: give it a place in tests/layering/rooms.rs"));
    }
    for (at, imported) in imports(&code) {
        let line = line_of(&code, at);
        match (kind(module), kind(imported)) {
            (_, None) => {
                report(line, format!("`{imported}` is no room: see tests/layering/rooms.rs"));
            }
            (Some(from), Some(to)) if !may_import(module, imported) => {
                let why = format!("{from:?} may not import {to:?}");
                report(line, format!("`{module}` imports `{imported}`: {why}"));
            }
            _ => {}
        }
    }
    if path.starts_with("src/proxy/request/") && compact(&code).contains("proxy::connection") {
        report(1, "`proxy::request` imports `proxy::connection`".to_owned());
    }
    for (at, word) in words(&code) {
        if KUBERNETES.contains(&word) && module != "control" {
            report(line_of(&code, at), format!("only `control` knows `{word}`"));
        }
        if !may_name(module, word) {
            report(line_of(&code, at), format!("`{module}` is plain data, without `{word}`"));
        }
    }
    for line in lines_above_the_module(path, &code) {
        report(line, "leaves its module by `super`: write `crate::`".to_owned());
    }
    found
}

fn compact(code: &str) -> String {
    code.split_whitespace().collect()
}

/// Where a file says `unsafe`, without being the one that may.
fn unsafe_code(path: &str, text: &str) -> Vec<String> {
    let code = code_only(text);
    let found = words(&code).filter(|&(_, word)| word == "unsafe" && !UNSAFE.contains(&path));
    found.map(|(at, _)| format!("{path}:{}: `unsafe` is forbidden", line_of(&code, at))).collect()
}

/// Lines where a chain of `super` reaches the crate, around the rules above.
fn lines_above_the_module(path: &str, code: &str) -> Vec<usize> {
    let mut inline: Vec<usize> = Vec::new();
    let mut found = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let indent = indent(line);
        if line.trim_end() == format!("{}}}", " ".repeat(indent)) {
            inline.retain(|&opened| opened != indent);
        }
        let compact = compact(line);
        let longest = (1..8).take_while(|&times| compact.contains(&"super::".repeat(times))).last();
        if longest.unwrap_or(0) > depth_of(path) + inline.len() {
            found.push(number + 1);
        }
        if words(line).any(|(_, word)| word == "mod") && line.trim_end().ends_with('{') {
            inline.push(indent);
        }
    }
    found
}

/// Every text below a path of the repository whose name ends so, with its path from the root.
fn texts(below: &str, ends: &[&str]) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pending: Vec<PathBuf> = vec![root.join(below)];
    let mut files = Vec::new();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("a readable directory");
            pending.extend(entries.map(|entry| entry.expect("a readable entry").path()));
        } else if ends.iter().any(|end| path.to_string_lossy().ends_with(end)) {
            let text = fs::read_to_string(&path).expect("a readable file");
            let relative = path.strip_prefix(root).expect("below the root");
            files.push((relative.to_string_lossy().into_owned(), text));
        }
    }
    files.sort();
    files
}

/// Every Rust file below a top-level directory.
fn sources(directory: &str) -> Vec<(String, String)> {
    texts(directory, &[".rs"])
}

#[test]
fn files_that_comments_name_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let begins = ["src/", "tests/", "benches/", "config/", "deploy/"];
    let mut named = 0;
    for (path, text) in sources("src") {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| line.contains("//")) {
            let quoted = line.split('`').skip(1).step_by(2);
            for file in quoted.filter(|word| begins.iter().any(|begin| word.starts_with(begin))) {
                let file = file.split_whitespace().next().unwrap_or_default();
                assert!(root.join(file).exists(), "{path}:{}: there is no {file}", number + 1);
                named += 1;
            }
        }
    }
    assert!(named > 1, "no file is named");
}

#[test]
fn modules_import_only_what_their_row_allows() {
    let files = sources("src");
    assert!(files.len() >= 10, "only {} files seen", files.len());
    let found: Vec<String> = files.iter().flat_map(|(path, text)| breaches(path, text)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn files_and_functions_stay_short_and_have_telling_names() {
    let files: Vec<_> = ["src", "tests"].into_iter().flat_map(sources).collect();
    assert!(files.len() >= 12, "only {} files seen", files.len());
    let found: Vec<String> = files.iter().flat_map(|(path, text)| outgrown(path, text)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// A path, a text with one breach, and how its report goes on after the path.
const PLANTED: [(&str, &str, &str); 17] = [
    (
        "src/http/mod.rs",
        "use crate::net::addr;\nuse crate::upstream::Pool;",
        ":2: `http` imports `upstream`",
    ),
    ("src/net/addr.rs", "fn f() { crate::routing::g() }", ":1: `net` imports `routing`"),
    ("src/pki/a.rs", "use crate::config::A;", ":1: `pki` imports `config`"),
    ("src/routing/a.rs", "use crate::telemetry::A;", ":1: `routing` imports `telemetry`"),
    (
        "src/proxy/mod.rs",
        "use crate::{\n    net::{self, A},\n    app::B,\n};",
        ":3: `proxy` imports `app`",
    ),
    (
        "src/proxy/request/mod.rs",
        "use crate::proxy::connection;",
        ":1: `proxy::request` imports `proxy::connection`",
    ),
    ("src/control/watch.rs", "use crate::balance::P2c;", ":1: `control` imports `balance`"),
    ("src/routing/mod.rs", "\npub(in crate::cli) fn f() {}", ":2: `routing` imports `cli`"),
    ("src/app.rs", "use crate::helpers;", ":1: `helpers` is no room"),
    ("src/app.rs", "use crate::*;", ":1: `*` is no room"),
    ("src/newcomer.rs", "", ":1: `newcomer` is no room"),
    ("src/tls/mod.rs", "use super::http::A;", ":1: leaves its module"),
    ("src/tls/mod.rs", "mod tests {\n    use super::super::http::A;\n}", ":2: leaves its module"),
    ("src/tls/sni.rs", "use super::super::http::A;", ":1: leaves its module"),
    ("src/routing/mod.rs", "use kube::Api;", ":1: only `control` knows `kube`"),
    ("src/model/tls.rs", "\nuse rustls::ClientConfig;", ":2: `model` is plain data"),
    ("src/app.rs", "use k8s_openapi as k;", ":1: only `control` knows `k8s_openapi`"),
];

#[test]
fn a_planted_import_is_found_with_its_line() {
    for (path, text, expected) in PLANTED {
        let found = breaches(path, text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].starts_with(&format!("{path}{expected}")), "{text}: {found:?}");
    }
}

#[test]
fn what_the_table_allows_is_let_through() {
    for (path, text) in [
        ("src/http/mod.rs", "use crate::{net, routing::B, http::respond};"),
        ("src/proxy/connection/mod.rs", "use crate::proxy::request;\nuse crate::tls::T;"),
        ("src/control/watch.rs", "use kube::Api;\nuse crate::routing::Publisher;"),
        ("src/main.rs", "use ravelin::cli;"),
        ("src/net/addr.rs", "// crate::app\n/* unsafe */ const A: &str = \"crate::app kube\";"),
        (
            "src/net/addr.rs",
            "const A: &str = r#\"\" crate::app \"#; const B: char = '\"'; // unsafe",
        ),
        ("src/tls/sni.rs", "use super::T;\nmod tests {\n    use super::super::T;\n}"),
        ("src/tls/mod.rs", "mod tests {\n    use super::*;\n}"),
        ("src/app.rs", "fn unsafe_code(kubeconfig: u8) {}"),
    ] {
        assert_eq!(breaches(path, text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn unsafe_code_is_in_four_files() {
    let files: Vec<_> = ["src", "tests", "benches"].into_iter().flat_map(sources).collect();
    for named in UNSAFE {
        assert!(files.iter().any(|(path, _)| path == named), "{named} is not among the sources");
    }
    let found: Vec<String> =
        files.iter().flat_map(|(path, text)| unsafe_code(path, text)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn planted_unsafe_code_is_found_but_where_it_may_be() {
    let text = "fn f() {\n    unsafe { g() }\n}";
    for path in [
        "src/transport/listen/mod.rs",
        "src/transport/admission/mod.rs",
        "src/transport/listen/sys.rs",
        "tests/a.rs",
    ] {
        assert_eq!(unsafe_code(path, text), [format!("{path}:2: `unsafe` is forbidden")]);
    }
    for named in UNSAFE {
        assert_eq!(unsafe_code(named, text), Vec::<String>::new());
    }
    let words_only = "// unsafe\nconst A: &str = \"unsafe\"; fn unsafe_code() {}";
    assert_eq!(unsafe_code("src/net/addr.rs", words_only), Vec::<String>::new());
}

#[test]
fn a_planted_long_function_is_found() {
    let body = |lines: usize| "    let x = 1;\n".repeat(lines);
    let text =
        format!("trait T {{\n    fn a();\n}}\n\nfn b(\n    c: fn(u8),\n) {{\n{}}}\n", body(58));
    assert_eq!(outgrown("src/a.rs", &text), ["src/a.rs:5: `b` has 62 lines"]);
    let text = format!("fn b() {{\n{}}}\n\nfn c() {{}}\n", body(58));
    assert_eq!(outgrown("src/a.rs", &text), Vec::<String>::new());
}

#[test]
fn a_planted_long_file_and_an_empty_name_are_found() {
    assert_eq!(outgrown("src/a.rs", &"\n".repeat(400)), Vec::<String>::new());
    let found = outgrown("src/http/utils.rs", &"\n".repeat(401));
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn public_types_have_names_of_their_own() {
    let files = sources("src");
    assert!(files.len() >= 10, "only {} files seen", files.len());
    let found = homonyms(&files);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    let planted = [
        ("src/a.rs", "pub struct A;\nmod b {\n    pub enum B {}\n}\npub(crate) enum B {}"),
        ("src/b.rs", "// pub struct A;\n\npub trait A {}\npub type B = u8;"),
    ];
    let planted = planted.map(|(path, text)| (path.to_owned(), text.to_owned()));
    assert_eq!(homonyms(&planted), ["`A`: src/a.rs:1, src/b.rs:3"]);
}

#[test]
fn stages_do_not_know_what_carries_a_head() {
    let files = sources("src");
    assert!(files.len() >= 10, "only {} files seen", files.len());
    let found: Vec<String> = files.iter().flat_map(|(path, text)| carriers(path, text)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    let text = "use http::Request;\nfn f(a: &HeaderMap) {}\n#[cfg(test)]\nuse http::HeaderMap;";
    let found = carriers("src/http/a.rs", text);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("src/http/a.rs:2: "), "{found:?}");
    assert_eq!(carriers("src/control/a.rs", text), Vec::<String>::new());
}

#[test]
fn functions_take_no_tuple_apart() {
    let files = sources("src");
    assert!(files.len() >= 10, "only {} files seen", files.len());
    let found: Vec<String> =
        files.iter().flat_map(|(path, text)| tuple_parameters(path, text)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn a_planted_tuple_parameter_is_found_with_its_line() {
    for text in [
        "fn a() {}\nfn b((x, y): (u8, u8)) {}",
        "trait T {\n    async fn b<F: Fn(u8) -> u8>(\n        self,\n        (x, y): Pair,\n    );\n}",
        "\nfn b(a: &[(u8, u8)], f: impl Fn((u8, u8)) -> u8, &(x, y): &(u8, u8)) {}",
    ] {
        let found = tuple_parameters("src/a.rs", text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].starts_with("src/a.rs:2: `b` takes a tuple"), "{text}: {found:?}");
        assert_eq!(tuple_parameters("src/a/tests.rs", text), Vec::<String>::new());
    }
    for text in [
        "fn a(x: (u8, u8), f: fn((u8, u8)) -> (u8, u8)) -> (u8, u8) { b(|(x, y)| x) }",
        "#[cfg(test)]\nmod tests {\n    fn a((x, y): (u8, u8)) {}\n}",
    ] {
        assert_eq!(tuple_parameters("src/a.rs", text), Vec::<String>::new(), "{text}");
    }
}

/// Parents whose modules name each other in no circle.
const WITHOUT_CIRCLES: [&str; 2] = ["control", "control/translate"];

#[test]
fn modules_of_control_name_each_other_in_no_circle() {
    let files = sources("src/control");
    for parent in WITHOUT_CIRCLES {
        let graph = graph(parent, &files);
        assert!(graph.len() >= 10, "only {} modules seen in {parent}", graph.len());
        assert!(graph.values().any(|others| !others.is_empty()), "{parent}: nobody names anybody");
        let found = circles(graph);
        assert!(found.is_empty(), "{parent}:\n{}", found.join("\n"));
    }
}

#[test]
fn a_planted_circle_is_found_with_who_is_in_it() {
    let files = |texts: &[(&str, &str)]| -> Vec<(String, String)> {
        texts.iter().map(|(path, text)| (format!("src/{path}"), (*text).to_owned())).collect()
    };
    let planted = files(&[
        ("p/mod.rs", "mod a;\nmod b;\npub use c::C;"),
        ("p/a.rs", "use super::b::B;"),
        ("p/b/mod.rs", "use super::{\n    C,\n    c::{self, D},\n};"),
        ("p/b/e.rs", "use super::B;"),
        ("p/c.rs", "fn f() { crate::p::d::g() }"),
        ("p/d/inner.rs", "use super::super::b::{B};\nuse super::super::e::E;"),
        ("p/e.rs", "// use super::a::A;\nconst A: &str = \"super::a\";"),
        ("p/e/tests.rs", "use crate::p::d::D;"),
    ]);
    let found = circles(graph("p", &planted));
    assert_eq!(found, ["b -> c", "c -> d", "d -> b"]);
    let mended = files(&[
        ("p/a.rs", "use super::b::B;"),
        ("p/b.rs", "use crate::q::a;\n#[cfg(test)]\nmod tests {\n    use crate::p::a::A;\n}"),
    ]);
    assert_eq!(circles(graph("p", &mended)), Vec::<String>::new());
}
