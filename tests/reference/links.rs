//! The pages of the repository: every relative link leads to a file, and to a heading if it names one.

use super::page::root;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The longest that README.md may be, in lines.
const README_LINES: usize = 200;

/// Folders without pages of ours.
const PASSED_OVER: [&str; 4] = ["target", ".git", "node_modules", "corpus"];

#[test]
fn every_link_leads_somewhere() {
    let mut pages = Vec::new();
    collect(root(), &mut pages);
    assert!(pages.len() > 10, "only {} pages", pages.len());
    let mut seen = 0;
    for page in &pages {
        let text = fs::read_to_string(page).expect("a readable page");
        for (number, link) in links(&text) {
            let at = format!("{}:{number}", page.strip_prefix(root()).expect("below").display());
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().expect("a folder").join(file),
            };
            assert!(target.exists(), "{at}: there is no {link}");
            if !anchor.is_empty() {
                let text = fs::read_to_string(&target).expect("a readable page");
                assert!(anchors(&text).contains(anchor), "{at}: no heading is #{anchor}");
            }
            seen += 1;
        }
    }
    assert!(seen > 30, "only {seen} links");
}

#[test]
fn the_first_page_is_short() {
    let lines = fs::read_to_string(root().join("README.md")).expect("README.md").lines().count();
    assert!(lines <= README_LINES, "README.md has {lines} lines: move some to config/ or deploy/");
}

fn collect(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !PASSED_OVER.contains(&&*name) {
            collect(&path, pages);
        } else if name.ends_with(".md") {
            pages.push(path);
        }
    }
}

/// Relative targets of `[text](target)` outside of code, with their lines.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut is_code = false;
    for (number, line) in text.lines().enumerate() {
        is_code ^= line.trim_start().starts_with("```");
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        for (target, _) in targets.filter(|_| !is_code) {
            if !target.contains("://") && !target.starts_with("mailto:") {
                found.push((number + 1, target));
            }
        }
    }
    found
}

/// The anchors that GitHub gives to the headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut is_code = false;
    let headings = text.lines().filter_map(|line| {
        is_code ^= line.starts_with("```");
        line.strip_prefix('#').filter(|_| !is_code).map(|rest| rest.trim_start_matches('#').trim())
    });
    let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
    let anchor = |heading: &str| heading.to_lowercase().chars().filter(kept).collect::<String>();
    headings.map(|heading| anchor(heading).replace(' ', "-")).collect()
}
