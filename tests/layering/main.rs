//! The table of rows in the crate doc, enforced over the sources, with file and line.
//!
//! Who may import whom, where Kubernetes may be known, and how long files and functions may be. The
//! rules are pure functions over a path and a text, and the last tests plant a breach of each.

mod code;
mod lengths;

use std::fs;
use std::path::{Path, PathBuf};

use code::{code_only, imports, indent, line_of, words};
use lengths::outgrown;

/// A row of the table; each imports from the rows above it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Row {
    /// What everything is said in.
    Words,
    /// What every stage uses.
    Base,
    /// One step of a connection or request; a stage never knows another one.
    Stages,
    /// The order of the stages.
    Paths,
    /// The way of a change: the only place that knows Kubernetes.
    Control,
    /// The process around it.
    Process,
}

/// Every module of the crate. A new one fails the test until it has its place here.
const ROWS: [(&str, Row); 36] = [
    ("addr", Row::Words),
    ("trust", Row::Words),
    ("error", Row::Words),
    ("model", Row::Words),
    ("config", Row::Words),
    ("certificate", Row::Words),
    ("client_certificate", Row::Words),
    ("endpoint_tls", Row::Words),
    ("body", Row::Base),
    ("client_ip", Row::Base),
    ("balance", Row::Base),
    ("routing", Row::Base),
    ("telemetry", Row::Base),
    ("shutdown", Row::Base),
    ("deadline", Row::Base),
    ("gather", Row::Base),
    ("memory", Row::Base),
    ("random", Row::Base),
    ("stream", Row::Base),
    ("admission", Row::Stages),
    ("listen", Row::Stages),
    ("proxy_protocol", Row::Stages),
    ("tls", Row::Stages),
    ("http", Row::Stages),
    ("middleware", Row::Stages),
    ("upstream", Row::Stages),
    ("edge", Row::Paths),
    ("forward", Row::Paths),
    ("health_check", Row::Paths),
    ("dns", Row::Paths),
    ("control", Row::Control),
    ("app", Row::Process),
    ("admin", Row::Process),
    ("cli", Row::Process),
    ("main", Row::Process),
    ("lib", Row::Process),
];

/// What control may know beside the words.
const CONTROL_IMPORTS: [&str; 3] = ["routing", "telemetry", "shutdown"];
/// The crates of Kubernetes.
const KUBERNETES: [&str; 5] = ["kube", "kube_client", "kube_core", "kube_runtime", "k8s_openapi"];
/// The only files with `unsafe` in them: four calls into libc.
const UNSAFE: [&str; 2] = ["src/admission/sys.rs", "src/upstream/sys.rs"];

fn row(module: &str) -> Option<Row> {
    ROWS.iter().find(|(name, _)| *name == module).map(|(_, row)| *row)
}

fn may_import(from: &str, to: &str) -> bool {
    let (Some(from_row), Some(to_row)) = (row(from), row(to)) else {
        return false;
    };
    if from == to {
        return true;
    }
    match from_row {
        Row::Words => to_row == Row::Words,
        Row::Base | Row::Stages => matches!(to_row, Row::Words | Row::Base),
        Row::Paths => {
            matches!(to_row, Row::Words | Row::Base | Row::Stages)
                || (from, to) == ("edge", "forward")
        }
        Row::Control => to_row == Row::Words || CONTROL_IMPORTS.contains(&to),
        Row::Process => true,
    }
}

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
    if row(module).is_none() {
        report(1, format!("module `{module}` has no row: give it one in tests/layering"));
    }
    for (at, imported) in imports(&code) {
        let line = line_of(&code, at);
        match (row(module), row(imported)) {
            (_, None) => report(line, format!("`{imported}` has no row in tests/layering")),
            (Some(from), Some(to)) if !may_import(module, imported) => {
                let why = format!("{from:?} may not import {to:?}");
                report(line, format!("`{module}` imports `{imported}`: {why}"));
            }
            _ => {}
        }
    }
    for (at, word) in words(&code) {
        if KUBERNETES.contains(&word) && module != "control" {
            report(line_of(&code, at), format!("only `control` knows `{word}`"));
        }
    }
    for line in lines_above_the_module(path, &code) {
        report(line, "leaves its module by `super`: write `crate::`".to_owned());
    }
    found
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
        let compact: String = line.split_whitespace().collect();
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

/// Every Rust file below a top-level directory, with its path from the root of the repository.
fn sources(directory: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pending: Vec<PathBuf> = vec![root.join(directory)];
    let mut files = Vec::new();
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).expect("a readable directory") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a readable file");
                let relative = path.strip_prefix(root).expect("below the root");
                files.push((relative.to_string_lossy().into_owned(), text));
            }
        }
    }
    files.sort();
    files
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
const PLANTED: [(&str, &str, &str); 14] = [
    (
        "src/http/mod.rs",
        "use crate::addr;\nuse crate::upstream::Pool;",
        ":2: `http` imports `upstream`",
    ),
    ("src/addr.rs", "fn f() { crate::routing::g() }", ":1: `addr` imports `routing`"),
    (
        "src/edge/mod.rs",
        "use crate::{\n    addr::{self, A},\n    app::B,\n};",
        ":3: `edge` imports `app`",
    ),
    ("src/forward.rs", "use crate::edge;", ":1: `forward` imports `edge`"),
    ("src/control/watch.rs", "use crate::balance::P2c;", ":1: `control` imports `balance`"),
    ("src/routing/mod.rs", "\npub(in crate::cli) fn f() {}", ":2: `routing` imports `cli`"),
    ("src/app.rs", "use crate::helpers;", ":1: `helpers` has no row"),
    ("src/app.rs", "use crate::*;", ":1: `*` has no row"),
    ("src/newcomer.rs", "", ":1: module `newcomer` has no row"),
    ("src/tls/mod.rs", "use super::http::A;", ":1: leaves its module"),
    ("src/tls/mod.rs", "mod tests {\n    use super::super::http::A;\n}", ":2: leaves its module"),
    ("src/tls/sni.rs", "use super::super::http::A;", ":1: leaves its module"),
    ("src/routing/mod.rs", "use kube::Api;", ":1: only `control` knows `kube`"),
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
        ("src/http/mod.rs", "use crate::{addr, body::B, http::respond};"),
        ("src/edge/mod.rs", "use crate::forward;\nuse crate::tls::T;"),
        ("src/control/watch.rs", "use kube::Api;\nuse crate::routing::Publisher;"),
        ("src/main.rs", "use ravelin::cli;"),
        ("src/addr.rs", "// crate::app\n/* unsafe */ const A: &str = \"crate::app kube\";"),
        ("src/addr.rs", "const A: &str = r#\"\" crate::app \"#; const B: char = '\"'; // unsafe"),
        ("src/tls/sni.rs", "use super::T;\nmod tests {\n    use super::super::T;\n}"),
        ("src/tls/mod.rs", "mod tests {\n    use super::*;\n}"),
        ("src/app.rs", "fn unsafe_code(kubeconfig: u8) {}"),
    ] {
        assert_eq!(breaches(path, text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn unsafe_code_is_in_two_files() {
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
    for path in ["src/listen/mod.rs", "src/admission/mod.rs", "src/listen/sys.rs", "tests/a.rs"] {
        assert_eq!(unsafe_code(path, text), [format!("{path}:2: `unsafe` is forbidden")]);
    }
    for named in UNSAFE {
        assert_eq!(unsafe_code(named, text), Vec::<String>::new());
    }
    let words_only = "// unsafe\nconst A: &str = \"unsafe\"; fn unsafe_code() {}";
    assert_eq!(unsafe_code("src/addr.rs", words_only), Vec::<String>::new());
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
