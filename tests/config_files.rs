//! The files under `config/`: the commented one says what the code does, and every wrong one is
//! refused with the message in its first line.

mod reference;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ravelin::config::{Config, ConfigError, Members};

/// The least that a configuration has to say.
const LEAST: &str = r#"
[[listener]]
name = "web"
address = "[::]:80"
[source]
kind = "directory"
directory = "config/demo"
"#;

fn config_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

fn parse(text: &str) -> Config {
    Config::parse(text, "test.toml").unwrap_or_else(|errors| panic!("{}", lines(&errors)))
}

fn refuse(text: &str) -> Vec<String> {
    let errors = Config::parse(text, "test.toml").expect_err("the text is wrong");
    errors.iter().map(ToString::to_string).collect()
}

fn lines(errors: &[ConfigError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_commented_file_says_what_the_defaults_are() {
    let file = Config::load(&config_dir().join("ravelin.toml"))
        .unwrap_or_else(|errors| panic!("{}", lines(&errors)));
    assert_eq!(file, parse(LEAST));
}

#[test]
fn the_commented_file_names_every_key() {
    let text = fs::read_to_string(config_dir().join("ravelin.toml")).expect("the file is there");
    let mut table = String::new();
    let mut written = BTreeSet::new();
    for line in text.lines() {
        let uncommented = line.trim_start_matches("# ");
        if let Some(header) = uncommented.strip_prefix('[').filter(|_| line.ends_with(']')) {
            table = header.trim_matches(['[', ']']).to_owned();
            written.insert((String::new(), table.clone()));
        } else if let Some((key, _)) = uncommented.split_once(" = ") {
            written.insert((table.clone(), key.to_owned()));
        }
    }
    let known: BTreeSet<(String, String)> =
        Config::keys().map(|(table, key)| (table.to_owned(), key.to_owned())).collect();
    assert!(known.len() > 30, "the list of keys is not whole: {}", known.len());
    let missing: Vec<_> = known.difference(&written).collect();
    assert!(missing.is_empty(), "config/ravelin.toml lacks {missing:?}");
}

#[test]
fn every_invalid_file_is_refused_with_the_message_that_it_names() {
    let mut seen = 0;
    for entry in fs::read_dir(config_dir().join("invalid")).expect("the directory is there") {
        let path = entry.expect("a readable entry").path();
        let text = fs::read_to_string(&path).expect("a readable file");
        let expected =
            text.lines().next().and_then(|line| line.strip_prefix("# error: ")).unwrap_or_else(
                || panic!("{}: the first line is not `# error: ...`", path.display()),
            );
        let Err(errors) = Config::load(&path) else {
            panic!("{}: accepted", path.display());
        };
        let said = lines(&errors);
        assert!(said.contains(expected), "{}: expected {expected}\nbut got {said}", path.display());
        // One mistake a file: further lines would be noise that a user has to see through.
        assert_eq!(errors.len(), 1, "{}: {said}", path.display());
        assert!(said.starts_with(&format!("{}:", path.display())), "no file name: {said}");
        seen += 1;
    }
    assert!(seen >= 12, "only {seen} files seen");
}

#[test]
fn all_mistakes_are_told_at_once_by_line() {
    let said = refuse(
        r#"wrokers = 2
[[listener]]
name = "web"
address = "localhost:80"
protocol = "https"
admit = ["cloudflare", "ofice"]
[admit]
office = ["192.0.2.7/24", "x"]
[source]
kind = "directory"
directory = ""
[timeouts]
connect = "2"
drain = 30
[limits]
request_target = "1B"
"#,
    );
    let keys: Vec<&str> = said
        .iter()
        .map(|line| line.strip_prefix("test.toml:").expect("origin"))
        .map(|line| line.split(": ").take(2).last().expect("key"))
        .collect();
    let expected = [
        "wrokers",
        "listener.address",
        "listener.admit",
        "admit.office",
        "admit.office",
        "source.directory",
        "timeouts.connect",
        "timeouts.drain",
        "limits.request_target",
    ];
    assert_eq!(keys, expected, "{said:#?}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let errors = Config::load(Path::new("config/absent.toml")).expect_err("there is no such file");
    assert!(lines(&errors).starts_with("config/absent.toml: the file cannot be read: "));
}

#[test]
fn port_zero_may_repeat() {
    let config = parse(
        r#"
        [[listener]]
        name = "a"
        address = "127.0.0.1:0"
        [[listener]]
        name = "b"
        address = "127.0.0.1:0"
        [source]
        kind = "directory"
        directory = "x"
        [admin]
        address = "127.0.0.1:0"
        "#,
    );
    assert_eq!(config.listeners.len(), 2);
}

#[test]
fn an_address_in_two_spellings_is_one_address() {
    let said = refuse(
        r#"
        [[listener]]
        name = "a"
        address = "[::ffff:192.0.2.1]:80"
        [[listener]]
        name = "b"
        address = "192.0.2.1:80"
        [source]
        kind = "directory"
        directory = "x"
        "#,
    );
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("is already the address of listener \"a\""), "{said:?}");
}

#[test]
fn own_sets_and_files_for_the_access_log_are_taken() {
    let config = parse(
        r#"
        workers = 3
        [[listener]]
        name = "web"
        address = "[::]:80"
        admit = ["loopback", "office"]
        [admit]
        office = ["192.0.2.1", "192.0.2.0/31", "2001:db8::/32"]
        [source]
        kind = "directory"
        directory = "x"
        [log]
        access = "/var/log/ravelin.log"
        "#,
    );
    assert_eq!(config.workers.get(), 3);
    let admit = &config.listeners[0].admit;
    let names: Vec<&str> = admit.sets.iter().map(|set| &*set.name).collect();
    assert_eq!(names, ["loopback", "office"]);
    let Members::Fixed(office) = &admit.sets[1].members else {
        panic!("{admit:?}");
    };
    let office: Vec<String> = office.iter().map(ToString::to_string).collect();
    assert_eq!(office, ["192.0.2.1/32", "192.0.2.0/31", "2001:db8::/32"]);
    assert_eq!(
        config.log.access,
        ravelin::config::AccessLogConfig::File("/var/log/ravelin.log".into())
    );
}

#[test]
fn one_mistake_gives_one_message() {
    let listener = "[[listener]]\nname = \"web\"\naddress = \"[::]:80\"\n";
    let source = "[source]\nkind = \"directory\"\ndirectory = \"x\"\n";
    for text in [
        format!("{listener}admit = [1]\n{source}"),
        format!("{listener}admit = \"cloudflare\"\n{source}"),
        format!("{listener}admit = [\"office\"]\n{source}[admit]\noffice = \"192.0.2.1\"\n"),
        format!("{listener}admit = [\"office\"]\n{source}[admit]\noffice = []\n"),
        format!("admit = 1\n{listener}{source}"),
        format!("source = \"directory\"\n{listener}"),
        format!("listener = 1\n{source}"),
        format!("listener = [1]\n{source}"),
        format!("{listener}[sorce]\nkind = \"directory\"\ndirectory = \"x\"\n"),
        format!("{listener}{source}[timeouts]\ndrain = \"1\"\n"),
        format!("{listener}{source}ingress_class = \"Nginx\"\n"),
        format!("{listener}{source}ingress_without_class = \"no\"\n"),
    ] {
        let said = refuse(&text);
        assert_eq!(said.len(), 1, "{text}\n{said:#?}");
    }
}

#[test]
fn arbitrary_text_gives_errors_and_no_panic() {
    // Every prefix of the whole file is a text that somebody could have saved half-way, and each
    // with one byte changed a slip of the finger.
    let text = fs::read_to_string(config_dir().join("ravelin.toml")).expect("the file is there");
    let text: String =
        text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    for end in 0..text.len() {
        let _ = Config::parse(&text[..end], "test.toml");
        for replacement in ["\"", "[", "0", "\u{e9}", "\n"] {
            let changed = format!("{}{replacement}{}", &text[..end], &text[end + 1..]);
            if let Err(errors) = Config::parse(&changed, "test.toml") {
                assert!(!errors.is_empty());
            }
        }
    }
}
