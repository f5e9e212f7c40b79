//! A list of the operator's: a file or a ConfigMap.

use crate::process::{Process, config, pace};
use ipnet::IpNet;
use ravelin::config::{CLOUDFLARE, Cloudflare, ListOrigin};
use ravelin::control::cloudflare::RefreshIntervals;
use ravelin::net::addr::AddrRanges;
use ravelin::telemetry::{ListFailure, ListSource};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn ranges(networks: &[&str]) -> AddrRanges {
    let networks: Vec<IpNet> = networks.iter().map(|text| text.parse().expect("literal")).collect();
    AddrRanges::new(&networks)
}

fn file(path: &Path) -> Cloudflare {
    config(ListOrigin::File(path.to_owned()))
}

fn config_map() -> Cloudflare {
    let [namespace, name, key] = ["kube-system", "ips", "list"].map(str::to_owned);
    config(ListOrigin::ConfigMap { namespace, name, key })
}

/// As editors do.
fn replace(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    fs::write(&draft, text).expect("written");
    fs::rename(&draft, path).expect("renamed");
}

#[test]
fn a_file_takes_effect_when_it_is_saved() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("list.txt");
    fs::write(&path, "104.16.0.0/13\n104.24.0.0/14\n2606:4700::/32\n").expect("written");
    // Once by the events alone, once by looking at intervals.
    for look in [Duration::from_secs(3600), Duration::from_millis(10)] {
        let process = Process::start(&file(&path), None, RefreshIntervals { look, ..pace() });
        process.wait("the file", |cells| cells.source == ListSource::File);
        assert_eq!(process.cells().v4_ranges, 1);
        replace(&path, "104.16.0.0/13 198.41.128.0/17 2606:4700::/32 # one goes, one comes");
        let changed = ["104.16.0.0/13", "198.41.128.0/17", "2606:4700::/32"];
        assert_eq!(process.next(), ranges(&changed));
        fs::write(&path, "104.16.0.0/13\n104.24.0.0/14\n2606:4700::/32\n").expect("in place");
        let back = ["104.16.0.0/13", "104.24.0.0/14", "2606:4700::/32"];
        assert_eq!(process.next(), ranges(&back));
        process.wait("no removal that waits", |cells| cells.leaving == 0);
        assert_eq!(process.stop().1, []);
    }
}

#[test]
fn a_file_that_breaks_leaves_the_list_as_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("list.txt");
    let all: Vec<String> = CLOUDFLARE.iter().map(ToString::to_string).collect();
    fs::write(&path, all.join("\n")).expect("written");
    let process = Process::start(&file(&path), Some(directory.path()), pace());
    process.wait("the file", |cells| cells.source == ListSource::File);
    let broken = [
        (all[..9].join("\n"), ListFailure::Shrunk),
        (all.join("\n") + "\nfoo", ListFailure::Syntax),
        (all.concat(), ListFailure::Syntax),
        (String::new(), ListFailure::Empty),
        (all.join("\n") + "\n0.0.0.0/0", ListFailure::Broad),
        (all.join("\n") + "\n10.0.0.0/16", ListFailure::Reserved),
    ];
    for (position, (text, why)) in broken.iter().enumerate() {
        replace(&path, text);
        let times = broken[..=position].iter().filter(|(_, other)| other == why).count();
        process.wait_for(why.as_str(), times as u64);
        assert_eq!(process.cells().failed.map(|(why, _)| why), Some(*why));
    }
    fs::remove_file(&path).expect("there");
    process.wait_for(ListFailure::Missing.as_str(), 1);
    let cells = process.cells();
    assert_eq!((cells.source, cells.v4_ranges, cells.v6_ranges), (ListSource::File, 14, 7));
    assert_eq!(cells.succeeded, None);
    // Each was said once, however often it was looked at.
    assert_eq!(cells.attempts().map(|(_, count)| count).sum::<u64>(), 7);
    replace(&path, &(all.join("\n") + "\n20.1.0.0/16"));
    let all: Vec<&str> = all.iter().map(String::as_str).chain(["20.1.0.0/16"]).collect();
    assert_eq!(process.next(), ranges(&all));
    assert_eq!(process.stop().1, []);
    // While the file is broken, the next process has the last good list.
    replace(&path, "foo");
    let process = Process::start(&file(&path), Some(directory.path()), pace());
    process.wait("the kept list", |cells| cells.source == ListSource::Disk);
    assert_eq!((process.cells().v4_ranges, process.attempts("syntax")), (15, 1));
    assert_eq!(process.stop().1, []);
}

#[test]
fn a_mounted_config_map_is_followed_through_its_links() {
    use std::os::unix::fs::symlink;
    let directory = tempfile::tempdir().expect("a directory");
    let version = |name: &str, text: &str| {
        let data = directory.path().join(name);
        fs::create_dir(&data).expect("new");
        fs::write(data.join("list"), text).expect("written");
        let link = directory.path().join("..draft");
        symlink(name, &link).expect("a link");
        fs::rename(&link, directory.path().join("..data")).expect("renamed");
    };
    version("..1", "104.16.0.0/13");
    let path = directory.path().join("list");
    symlink("..data/list", &path).expect("a link");
    let process = Process::start(
        &file(&path),
        None,
        RefreshIntervals { look: Duration::from_secs(3600), ..pace() },
    );
    process.wait("the file", |cells| cells.source == ListSource::File);
    version("..2", "104.24.0.0/14");
    assert_eq!(process.next(), ranges(&["104.24.0.0/14"]));
    process.stop();
}

#[test]
fn a_config_map_is_the_list_as_soon_as_it_is_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let process = Process::start(&config_map(), Some(directory.path()), pace());
    let send = |text: Option<&str>| {
        process.texts.send(text.map(Arc::from)).expect("a keeper");
    };
    send(Some("104.16.0.0/13\n104.24.0.0/14"));
    assert_eq!(process.next(), ranges(&["104.16.0.0/13", "104.24.0.0/14"]));
    send(Some("104.16.0.0/13\nfoo"));
    process.wait_for("syntax", 1);
    send(None);
    process.wait_for("missing", 1);
    send(Some(
        "{\"success\":true,\"result\":{\"ipv4_cidrs\":[\"104.16.0.0/13\"],\"ipv6_cidrs\":[]}}",
    ));
    assert_eq!(process.next(), ranges(&["104.16.0.0/13"]));
    process.wait_for("changed", 2);
    assert_eq!(process.cells().source, ListSource::ConfigMap);
    assert_eq!(process.stop().1, []);
    let process = Process::start(&config_map(), Some(directory.path()), pace());
    process.wait("the kept list", |cells| cells.source == ListSource::Disk);
    assert_eq!(process.cells().v4_ranges, 1);
    process.stop();
}
