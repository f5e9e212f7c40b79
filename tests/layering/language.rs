//! Words that the project does not use, with the plain English that it uses instead.
//!
//! Read in comments and string literals of `src/`, and in every text of `config/`, `deploy/` and
//! README.md, in any case and across line breaks.

use crate::code::prose;
use crate::texts;

/// A phrase and what to write instead. A phrase gets here when it is nowhere left.
const BANNED: [(&str, &str); 56] = [
    ("whoever", "the actor, as the subject"),
    ("whosoever", "the actor, as the subject"),
    ("anew", "again, or re-"),
    ("for want of", "for lack of"),
    ("may be had", "is available"),
    ("stands still", "stalls"),
    ("stand still", "stall"),
    ("stood still", "stalled"),
    ("is to go", "goes, or continues"),
    ("are to go", "go, or continue"),
    ("who asks", "the client, or the caller"),
    ("the last look", "the last poll"),
    ("another look", "another poll"),
    ("at the most", "at most"),
    ("had better", "should"),
    ("believe", "trust"),
    ("believes", "trusts"),
    ("is shown", "is presented"),
    ("are shown", "are presented"),
    ("altogether", "in total"),
    ("says itself", "reports"),
    ("others than", "users other than"),
    ("mends", "fixes"),
    ("flaw", "problem"),
    ("flaws", "problems"),
    ("perhaps", "possibly"),
    ("has better things", "is busy"),
    ("again and again", "repeatedly"),
    ("time-out", "timeout"),
    ("time-outs", "timeouts"),
    ("look-up", "lookup"),
    ("look-ups", "lookups"),
    ("strangers", "sources that are not admitted"),
    ("all the same", "anyway"),
    ("by the clock", "at intervals"),
    ("for ever", "forever"),
    ("as it stands", "as it is"),
    ("serves on", "keeps serving"),
    ("waits on", "keeps waiting"),
    ("is left to itself", "is abandoned"),
    ("the word of", "the claim of"),
    ("whose word", "whose claim"),
    ("its word", "its claim"),
    ("the one who", "the actor, as the subject"),
    ("public authorities", "public CAs"),
    ("the authorities", "the CAs"),
    ("is broken pem", "is not valid PEM"),
    ("no certificate is good", "no certificate is accepted"),
    ("such a one", "one"),
    ("comes to nothing", "fails"),
    ("is no mistake", "is not a mistake"),
    ("the way of", "life of, or like"),
    ("requests go by load", "requests are balanced by load"),
    ("the answer is 503", "requests get 503"),
    ("is no time at all", "is zero"),
    ("counts as absent", "is ignored"),
];

/// Files that are not prose, by the end of their names.
const READ: [&str; 7] = [".rs", ".md", ".toml", ".yaml", ".yml", ".service", "Dockerfile"];

/// Uses of banned phrases in one text, each as `path:line: phrase: write replacement`.
fn dialect(path: &str, text: &str) -> Vec<String> {
    let text = if path.ends_with(".rs") { prose(text) } else { text.to_owned() };
    let (words, lines) = flattened(&text);
    let mut found = Vec::new();
    for (phrase, instead) in BANNED {
        let wanted = format!(" {phrase} ");
        // A word may end one phrase and begin the next one.
        let mut from = 0;
        while let Some(at) = words[from..].find(&wanted).map(|at| from + at) {
            let line = lines[words[..at].matches(' ').count()];
            found.push(format!("{path}:{line}: \"{phrase}\": write \"{instead}\""));
            from = at + 1;
        }
    }
    found
}

/// The words of a text in lower case, each between single spaces, and the line of each.
fn flattened(text: &str) -> (String, Vec<usize>) {
    let (mut words, mut lines) = (" ".to_owned(), Vec::new());
    for (number, line) in text.lines().enumerate() {
        let apart = |c: char| !(c.is_alphanumeric() || c == '_' || c == '-' || c == '\'');
        for word in line.split(apart).filter(|word| !word.is_empty()) {
            words.push_str(&word.to_lowercase());
            words.push(' ');
            lines.push(number + 1);
        }
    }
    (words, lines)
}

#[test]
fn comments_messages_and_documents_are_in_plain_english() {
    for (below, least) in [("src", 300), ("config", 10), ("deploy", 5), ("README.md", 1)] {
        let files = texts(below, &READ);
        assert!(files.len() >= least, "{below}: only {} files seen", files.len());
        let found: Vec<String> =
            files.iter().flat_map(|(path, text)| dialect(path, text)).collect();
        assert!(found.is_empty(), "\n{}", found.join("\n"));
    }
}

#[test]
fn a_banned_phrase_is_found_with_its_line_and_replacement_in_prose_alone() {
    let text = "fn whoever() {}\n/// Ends, and whoever\n/// waits: \"a\".\nconst A: &str = \"For Want\\\n  of\";";
    assert_eq!(
        dialect("src/a.rs", text),
        [
            "src/a.rs:2: \"whoever\": write \"the actor, as the subject\"",
            "src/a.rs:4: \"for want of\": write \"for lack of\"",
        ]
    );
    let found = dialect("README.md", "It is read\nanew.");
    assert_eq!(found, ["README.md:2: \"anew\": write \"again, or re-\""]);
    assert_eq!(dialect("src/a.rs", "// whoevers, a-new\nfn anew() {}"), Vec::<String>::new());
}

#[test]
fn a_banned_phrase_is_listed_once_and_as_it_is_compared() {
    for (position, (phrase, instead)) in BANNED.iter().enumerate() {
        assert_eq!(flattened(phrase).0, format!(" {phrase} "), "it could never be found");
        assert!(!instead.is_empty(), "{phrase} has no replacement");
        let twice = BANNED[..position].iter().any(|(other, _)| other == phrase);
        assert!(!twice, "{phrase} is listed twice");
    }
}
