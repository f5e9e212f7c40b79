//! The list at start, and what is kept on disk for it.

use super::{embedded_with, embedded_without, net};
use crate::config::{CLOUDFLARE, Cloudflare, ListOrigin, WorkerZones};
use crate::control::cloudflare::life::StoredList;
use crate::control::cloudflare::store::{FILE, StoreError, load, save};
use crate::control::cloudflare::{Initial, ListSpec, initial};
use crate::net::addr::AddrRanges;
use crate::telemetry::ListSource;
use ipnet::IpNet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const SOURCE: &str = "https://list.example:443/ips";
/// 2026-09-21.
const SAVED: u64 = 1_790_000_000;

fn config(origin: ListOrigin) -> Cloudflare {
    let removal_delay = Duration::from_secs(24 * 3600);
    Cloudflare {
        origin,
        removal_delay,
        extra: None,
        worker_zones: WorkerZones::Any,
        secret: None,
        trust_store: None,
    }
}

fn published(jdcloud: bool) -> Cloudflare {
    let url = "https://user:secret@list.example/ips".parse().expect("literal");
    config(ListOrigin::Published { url, ca_file: None, refresh: None, jdcloud })
}

fn file(path: &Path) -> Cloudflare {
    config(ListOrigin::File(path.to_owned()))
}

fn config_map() -> Cloudflare {
    let [namespace, name, key] = ["kube-system", "ips", "list"].map(str::to_owned);
    config(ListOrigin::ConfigMap { namespace, name, key })
}

fn kept(listed: &[IpNet]) -> StoredList {
    let leaving = vec![(net("20.9.0.0/16"), u64::MAX / 2)];
    StoredList { confirmed: SAVED, saved: SAVED, listed: listed.to_vec(), leaving }
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn start(config: &Cloudflare, state: &TempDir) -> Initial {
    initial(&ListSpec::of(config), Some(state.path()), None).expect("a list")
}

#[test]
fn without_anything_kept_it_is_what_is_compiled_in() {
    for state in [None, Some(directory())] {
        let found =
            initial(&ListSpec::of(&published(false)), state.as_ref().map(TempDir::path), None);
        let found = found.expect("a list");
        assert_eq!((found.source, found.warnings), (ListSource::Embedded, vec![]));
        assert_eq!(found.ranges, AddrRanges::new(&CLOUDFLARE));
        assert_eq!(found.confirmed, Some(1_617_840_000), "the date of the list");
    }
}

#[test]
fn what_was_kept_is_used_with_what_was_about_to_leave() {
    let state = directory();
    save(state.path(), FILE, SOURCE, &kept(&embedded_with(&["20.1.0.0/16"]))).expect("saved");
    let found = start(&published(false), &state);
    assert_eq!((found.source, found.warnings), (ListSource::Disk, vec![]));
    assert_eq!(found.ranges, AddrRanges::new(&embedded_with(&["20.1.0.0/16", "20.9.0.0/16"])));
    assert_eq!(found.life.leaving(), AddrRanges::new(&[net("20.9.0.0/16")]));
}

#[test]
fn a_kept_file_is_whole_readable_and_alone() {
    let state = directory();
    for listed in [&CLOUDFLARE[..], &CLOUDFLARE[1..]] {
        let kept = StoredList { leaving: vec![(net("20.9.0.0/16"), SAVED + 60)], ..kept(listed) };
        save(state.path(), FILE, SOURCE, &kept).expect("saved");
        assert_eq!(load(state.path(), FILE, SOURCE).expect("readable"), Some(kept));
    }
    let text = fs::read_to_string(state.path().join(FILE)).expect("text");
    assert!(text.contains("\"confirmed\": \"2026-09-21T14:13:20Z\""), "{text}");
    assert!(!text.contains("secret"), "{text}");
    let mode = fs::metadata(state.path().join(FILE)).expect("there").permissions().mode();
    assert_eq!(mode & 0o777 & !0o044, 0o600, "{mode:o}");
    assert_eq!(fs::read_dir(state.path()).expect("readable").count(), 1);
    assert!(matches!(load(&state.path().join("none"), FILE, SOURCE), Ok(None)));
    save(&state.path().join("none"), FILE, SOURCE, &kept(&CLOUDFLARE)).expect_err("no directory");
}

#[test]
fn a_kept_file_that_is_old_broken_foreign_or_hostile_is_ignored() {
    let state = directory();
    let path = state.path().join(FILE);
    let ignored = |says: &str| {
        let found = start(&published(false), &state);
        assert_eq!(found.source, ListSource::Embedded, "{says}");
        assert_eq!(found.ranges, AddrRanges::new(&CLOUDFLARE), "{says}");
        let [warning] = &found.warnings[..] else { panic!("{:?}", found.warnings) };
        assert!(warning.contains(says) && warning.contains(FILE), "{says}: {warning}");
    };
    let keep =
        |source: &str, kept: &StoredList| save(state.path(), FILE, source, kept).expect("saved");
    keep("https://other.example:443/ips", &kept(&CLOUDFLARE));
    ignored("it is the list of \"https://other.example:443/ips\"");
    keep(SOURCE, &StoredList { confirmed: 1_617_839_999, ..kept(&CLOUDFLARE) });
    ignored("before the date of the embedded list");
    keep(SOURCE, &kept(&embedded_with(&["0.0.0.0/0"])));
    ignored("0.0.0.0/0 is broader");
    keep(SOURCE, &kept(&CLOUDFLARE[..3]));
    ignored("more than half");
    keep(SOURCE, &kept(&CLOUDFLARE));
    let whole = fs::read_to_string(&path).expect("text");
    fs::write(&path, &whole[..whole.len() / 2]).expect("written");
    ignored("not a list that ravelin stored: line ");
    fs::write(&path, whole.replace("\"format\": 1", "\"format\": 2")).expect("written");
    ignored("its format is 2");
    fs::write(&path, whole.replace("173.245.48.0/20", "173.245.48.0/2")).expect("written");
    ignored("not a list that ravelin stored");
    fs::write(&path, [0xff; 9]).expect("written");
    ignored("not a list that ravelin stored");
    fs::write(&path, " ".repeat(1 << 20)).expect("written");
    ignored("more than 524288 bytes");
    fs::remove_file(&path).expect("there");
    fs::create_dir(&path).expect("a directory in its place");
    ignored("not a file");
}

#[test]
fn a_list_with_the_china_network_is_not_one_without_it() {
    let state = directory();
    save(state.path(), FILE, "https://list.example:443/ips?networks=jdcloud", &kept(&CLOUDFLARE))
        .expect("saved");
    assert_eq!(start(&published(true), &state).source, ListSource::Disk);
    assert_eq!(start(&published(false), &state).source, ListSource::Embedded);
    let error = load(state.path(), FILE, SOURCE).expect_err("of another source");
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
}

#[test]
fn the_operators_file_stands_alone() {
    let state = directory();
    let path = state.path().join("list.txt");
    fs::write(&path, "198.41.128.7\n104.28.1.0/24 # WARP\n").expect("written");
    let found = start(&file(&path), &state);
    assert_eq!(found.source, ListSource::File);
    assert_eq!(found.ranges, AddrRanges::new(&[net("198.41.128.7/32")]));
    assert!(found.warnings[0].contains("104.28.1.0/24 was reassigned to WARP users"));
}

#[test]
fn a_broken_file_is_an_error_with_its_line_unless_a_good_one_was_kept() {
    let state = directory();
    let path = state.path().join("list.txt");
    let name = path.display();
    let error = |says: &str| {
        let found = initial(&ListSpec::of(&file(&path)), Some(state.path()), None)
            .expect_err(says)
            .to_string();
        assert!(found.contains(says) && found.contains("fix the file"), "{found}");
    };
    error(&format!("cloudflare.file: {name}: it does not exist"));
    fs::write(&path, "104.16.0.0/13\nfoo\n").expect("written");
    error(&format!("{name}:2: \"foo\" is not a network"));
    fs::write(&path, "# all gone").expect("written");
    error("it has no network");
    fs::write(&path, "10.0.0.0/24").expect("written");
    error("10.0.0.0/24 overlaps 10.0.0.0/8 (private)");
    let own = StoredList { leaving: vec![], ..kept(&CLOUDFLARE[..2]) };
    save(state.path(), FILE, &format!("file:{name}"), &own).expect("saved");
    let found = start(&file(&path), &state);
    assert_eq!(found.source, ListSource::Disk);
    assert_eq!(found.ranges, AddrRanges::new(&CLOUDFLARE[..2]));
    assert!(found.warnings[0].ends_with("its last good list is used"));
}

#[test]
fn before_a_config_map_is_read_nobody_counts_as_cloudflare() {
    let state = directory();
    let found = start(&config_map(), &state);
    assert_eq!((found.source, found.ranges.is_empty()), (ListSource::Nothing, true));
    assert_eq!(found.warnings.len(), 1);
    let text = "104.16.0.0/13";
    let found = initial(&ListSpec::of(&config_map()), None, Some(text)).expect("a list");
    assert_eq!((found.source, found.warnings), (ListSource::ConfigMap, vec![]));
    assert_eq!(found.ranges, AddrRanges::new(&[net(text)]));
    let found =
        initial(&ListSpec::of(&config_map()), None, Some("foo")).expect("a process that waits");
    assert_eq!((found.source, found.ranges.is_empty()), (ListSource::Nothing, true));
    assert!(found.warnings[0].starts_with("kube-system/ips/list:1: \"foo\" is not a network"));
    let own = kept(&embedded_without(&["131.0.72.0/22"]));
    save(state.path(), FILE, "config_map:kube-system/ips/list", &own).expect("saved");
    let found = start(&config_map(), &state);
    assert_eq!(found.source, ListSource::Disk);
    assert_eq!(found.ranges, AddrRanges::new(&own.listed));
}
