//! The command line as its user meets it: exit codes, words, and what the demo promises.

mod admin;
mod break_glass;
mod bundle;
mod cases;
mod certificates;
mod check;
mod compare;
mod crowdsec;
mod demo;
mod documented;
#[path = "../support/eventually.rs"]
mod eventually;
mod explain;
mod first_evening;
mod foreign;
mod logs;
mod migrate;
mod mistakes;
mod origin;
mod picture;
mod preflight;
mod probe;
mod program;
mod proofs;
mod reference;
mod run;
mod running;
#[path = "../support/server_config.rs"]
mod server_config;
mod sinks;
#[path = "../support/skipped.rs"]
mod skipped;
mod strict;
mod tcp;
mod terminal;
mod top;
mod traefiks;
mod zones;

use program::{PATIENCE, Ran, ravelin};

const VERBS: [&str; 13] = [
    "run",
    "demo",
    "check",
    "explain",
    "migrate",
    "compare",
    "probe",
    "top",
    "logs",
    "bundle",
    "completions",
    "man",
    "version",
];

#[test]
fn version_is_that_of_the_package() {
    let expected = format!("ravelin {}\n", env!("CARGO_PKG_VERSION"));
    for line in [["version"], ["--version"], ["-V"]] {
        assert_eq!(ravelin(&line), Ran { code: 0, out: expected.clone(), err: String::new() });
    }
}

#[test]
fn the_help_of_every_verb_has_an_example_of_it() {
    let all = ravelin(&["--help"]);
    assert_eq!(all.code, 0);
    for verb in VERBS {
        assert!(all.out.contains(&format!("\n  {verb} ")), "{}", all.out);
        let help = ravelin(&[verb, "--help"]);
        assert_eq!((help.code, help.err.as_str()), (0, ""), "{verb}");
        let (_, examples) = help.out.split_once("\nExample").expect("examples at the end");
        assert!(examples.contains(&format!("\n  ravelin {verb}")), "{examples}");
    }
}

#[test]
fn a_wrong_command_line_is_64_and_says_what_is_wrong() {
    let cases: [(&[&str], &str); 13] = [
        (&[], "Usage: ravelin"),
        (&["serve"], "serve"),
        (&["check", "--outptu", "json", "config/demo"], "--outptu"),
        (&["check", "--output", "xml", "config/demo"], "xml"),
        (&["check"], "no manifests: name files or directories, --config FILE or --kubeconfig FILE"),
        (
            &["check", "--kubeconfig", "kubeconfig", "config/demo"],
            "name manifests or a cluster (--kubeconfig), not both",
        ),
        (&["explain", "http://a.example/"], "no manifests"),
        (&["explain", "--manifests", "config/demo"], "<URL>"),
        (&["run"], "--config"),
        (&["demo", "--port", "70000"], "70000"),
        (&["probe"], "<QUESTION>"),
        (&["probe", "healthy"], "healthy"),
        (&["probe", "ready"], "no socket; name it with --socket PATH or --config FILE"),
    ];
    for (line, expected) in cases {
        let ran = ravelin(line);
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{line:?}");
        assert!(ran.err.contains(expected), "{line:?}: {}", ran.err);
    }
}

#[test]
fn a_path_that_is_not_there_is_64_and_named() {
    for line in [
        &["check", "/nonexistent/manifests"][..],
        &["explain", "--manifests", "/nonexistent/manifests", "http://a.example/"],
        &["check", "--config", "/nonexistent/ravelin.toml"],
        &["run", "--config", "/nonexistent/ravelin.toml"],
    ] {
        let ran = ravelin(line);
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{line:?}");
        assert!(ran.err.contains("/nonexistent/"), "{line:?}: {}", ran.err);
        assert!(ran.err.contains("No such file or directory"), "{line:?}: {}", ran.err);
    }
}

#[test]
fn a_wrong_configuration_is_64_with_file_and_line() {
    let file = "config/invalid/unknown_key.toml";
    let expected = format!("{file}:4: listener.adress: unknown key; did you mean \"address\"?\n");
    for line in [
        &["check", "--config", file][..],
        &["run", "--config", file],
        &["explain", "--config", file, "http://a.example/"],
    ] {
        let expected = Ran { code: 64, out: String::new(), err: expected.clone() };
        assert_eq!(ravelin(line), expected, "{line:?}");
    }
}
