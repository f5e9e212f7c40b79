//! The list at start, and what is kept on disk for it.

use super::{BEGIN, embedded_with, embedded_without, net, published, spec};
use crate::config::{CLOUDFLARE, ListOrigin};
use crate::control::cloudflare::check::Rules;
use crate::control::cloudflare::store::{
    FILE, FORMAT, LeavingNetwork, StoreError, StoredList, load, save,
};
use crate::control::cloudflare::{Initial, ListSpec, initial};
use crate::control::utc::Utc;
use crate::net::addr::AddrRanges;
use crate::telemetry::ListSource;
use ipnet::IpNet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

const SOURCE: &str = "https://list.example:443/ips";

fn file(path: &Path) -> ListSpec {
    spec(Rules::Override, ListOrigin::File(path.to_owned()))
}

fn config_map() -> ListSpec {
    let [namespace, name, key] = ["kube-system", "ips", "list"].map(str::to_owned);
    spec(Rules::Override, ListOrigin::ConfigMap { namespace, name, key })
}

/// A list of `source` of which a network is to leave.
fn kept(source: &str, listed: &[IpNet]) -> StoredList {
    // The last time that RFC 3339 can write.
    let leaving = LeavingNetwork { network: net("20.9.0.0/16"), until: Utc(253_402_207_200) };
    StoredList {
        format: FORMAT,
        source: source.to_owned(),
        confirmed: Utc(BEGIN),
        saved: Utc(BEGIN),
        networks: listed.to_vec(),
        leaving: vec![leaving],
    }
}

fn keep(state: &TempDir, list: &StoredList) {
    save(state.path(), FILE, list).expect("saved");
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn start(spec: &ListSpec, state: Option<&TempDir>, text: Option<&str>) -> Initial {
    initial(spec, state.map(TempDir::path), text).expect("a list")
}

/// Checks where the list is from and what is in it, and returns the warnings.
fn assert_list(found: Initial, source: ListSource, networks: &[IpNet]) -> Vec<String> {
    let Initial { list, warnings, .. } = found;
    assert_eq!(list.source, source, "{warnings:?}");
    assert_eq!(list.in_force(), AddrRanges::new(networks), "{warnings:?}");
    warnings
}

#[test]
fn without_anything_kept_it_is_what_is_compiled_in() {
    for state in [None, Some(directory())] {
        let found = start(&published(false), state.as_ref(), None);
        // 2021-04-08, the date of the list.
        assert_eq!(found.list.confirmed, Some(1_617_840_000));
        assert_eq!(assert_list(found, ListSource::Embedded, &CLOUDFLARE), [""; 0]);
    }
}

#[test]
fn what_was_kept_is_used_with_what_was_about_to_leave() {
    let state = directory();
    keep(&state, &kept(SOURCE, &embedded_with(&["20.1.0.0/16"])));
    let found = start(&published(false), Some(&state), None);
    assert_eq!(found.list.leaving(), AddrRanges::new(&[net("20.9.0.0/16")]));
    let all = embedded_with(&["20.1.0.0/16", "20.9.0.0/16"]);
    assert_eq!(assert_list(found, ListSource::Disk, &all), [""; 0]);
}

#[test]
fn a_kept_file_is_whole_readable_and_alone() {
    let state = directory();
    for listed in [&CLOUDFLARE[..], &CLOUDFLARE[1..]] {
        let kept = kept(SOURCE, listed);
        keep(&state, &kept);
        assert_eq!(load(state.path(), &published(false)).expect("readable"), Some(kept));
    }
    let text = fs::read_to_string(state.path().join(FILE)).expect("text");
    assert!(text.contains("\"confirmed\": \"2026-09-21T14:13:20Z\""), "{text}");
    assert!(!text.contains("secret"), "{text}");
    let mode = fs::metadata(state.path().join(FILE)).expect("there").permissions().mode();
    assert_eq!(mode & 0o777 & !0o044, 0o600, "{mode:o}");
    assert_eq!(fs::read_dir(state.path()).expect("readable").count(), 1);
    let none = state.path().join("none");
    assert!(matches!(load(&none, &published(false)), Ok(None)));
    save(&none, FILE, &kept(SOURCE, &CLOUDFLARE)).expect_err("no directory");
}

#[test]
fn a_kept_file_that_is_old_broken_foreign_or_hostile_is_ignored() {
    let state = directory();
    let path = state.path().join(FILE);
    let ignored = |says: &str| {
        let found = start(&published(false), Some(&state), None);
        let warnings = assert_list(found, ListSource::Embedded, &CLOUDFLARE);
        let [warning] = &warnings[..] else { panic!("{warnings:?}") };
        assert!(warning.contains(says) && warning.contains(FILE), "{says}: {warning}");
    };
    let good = kept(SOURCE, &CLOUDFLARE);
    for (list, says) in [
        (
            kept("https://other.example:443/ips", &CLOUDFLARE),
            "it is the list of \"https://other.example:443/ips\"",
        ),
        (
            StoredList { confirmed: Utc(1_617_839_999), ..good.clone() },
            "before the date of the embedded list",
        ),
        (kept(SOURCE, &embedded_with(&["0.0.0.0/0"])), "0.0.0.0/0 is broader"),
        (kept(SOURCE, &CLOUDFLARE[..3]), "more than half"),
        (StoredList { format: 2, ..good.clone() }, "its format is 2"),
    ] {
        keep(&state, &list);
        ignored(says);
    }
    keep(&state, &good);
    let whole = fs::read_to_string(&path).expect("text");
    for (text, says) in [
        (whole.as_bytes()[..whole.len() / 2].to_vec(), "not a list that ravelin stored: line "),
        (
            whole.replace("173.245.48.0/20", "173.245.48.0/2").into(),
            "not a list that ravelin stored",
        ),
        (vec![0xff; 9], "not a list that ravelin stored"),
        (vec![b' '; 1 << 20], "more than 524288 bytes"),
    ] {
        fs::write(&path, text).expect("written");
        ignored(says);
    }
    fs::remove_file(&path).expect("there");
    fs::create_dir(&path).expect("a directory in its place");
    ignored("not a file");
}

#[test]
fn a_list_with_the_china_network_is_not_one_without_it() {
    let state = directory();
    keep(&state, &kept("https://list.example:443/ips?networks=jdcloud", &CLOUDFLARE));
    let source = |jdcloud| start(&published(jdcloud), Some(&state), None).list.source;
    assert_eq!((source(true), source(false)), (ListSource::Disk, ListSource::Embedded));
    let error = load(state.path(), &published(false)).expect_err("of another source");
    assert!(matches!(error, StoreError::Foreign(..)), "{error}");
}

#[test]
fn the_operators_file_stands_alone() {
    let state = directory();
    let path = state.path().join("list.txt");
    fs::write(&path, "198.41.128.7\n104.28.1.0/24 # WARP\n").expect("written");
    let found = start(&file(&path), Some(&state), None);
    let warnings = assert_list(found, ListSource::File, &[net("198.41.128.7/32")]);
    assert!(warnings[0].contains("104.28.1.0/24 was reassigned to WARP users"));
}

#[test]
fn a_broken_file_is_an_error_with_its_line_unless_a_good_one_was_kept() {
    let state = directory();
    let path = state.path().join("list.txt");
    let name = path.display();
    for (text, says) in [
        (None, format!("cloudflare.file: {name}: it does not exist")),
        (Some("104.16.0.0/13\nfoo\n"), format!("{name}:2: \"foo\" is not a network")),
        (Some("# all gone"), "it has no network".to_owned()),
        (Some("10.0.0.0/24"), "10.0.0.0/24 overlaps 10.0.0.0/8 (private)".to_owned()),
    ] {
        text.into_iter().for_each(|text| fs::write(&path, text).expect("written"));
        let found = initial(&file(&path), Some(state.path()), None).expect_err(&says).to_string();
        assert!(found.contains(&says) && found.contains("fix the file"), "{found}");
    }
    keep(&state, &kept(&format!("file:{name}"), &CLOUDFLARE[..2]));
    let found = start(&file(&path), Some(&state), None);
    let warnings = assert_list(found, ListSource::Disk, &CLOUDFLARE[..2]);
    assert!(warnings[0].ends_with("its last good list is used"));
}

#[test]
fn before_a_config_map_is_read_nobody_counts_as_cloudflare() {
    let state = directory();
    let found = start(&config_map(), Some(&state), None);
    assert_eq!(assert_list(found, ListSource::Nothing, &[]).len(), 1);
    let found = start(&config_map(), None, Some("104.16.0.0/13"));
    let warnings = assert_list(found, ListSource::ConfigMap, &[net("104.16.0.0/13")]);
    assert_eq!(warnings, [""; 0]);
    // A process that waits.
    let warnings = assert_list(start(&config_map(), None, Some("foo")), ListSource::Nothing, &[]);
    assert!(warnings[0].starts_with("kube-system/ips/list:1: \"foo\" is not a network"));
    let own = kept("config_map:kube-system/ips/list", &embedded_without(&["131.0.72.0/22"]));
    keep(&state, &own);
    let found = start(&config_map(), Some(&state), None);
    assert_list(found, ListSource::Disk, &own.networks);
}
