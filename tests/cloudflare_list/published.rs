//! The published list.

use crate::process::{Process, api, config, pace, wait_until};
use crate::server::{Certificate, Play, Server, answer};
use ipnet::IpNet;
use ravelin::config::{CLOUDFLARE, Cloudflare, ListOrigin};
use ravelin::control::cloudflare::RefreshIntervals;
use ravelin::control::cloudflare::fetch::FetchDeadlines;
use ravelin::control::cloudflare::store;
use ravelin::net::addr::AddrRanges;
use ravelin::telemetry::ListSource;
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;
use std::time::Duration;

const HALF_DAY: Duration = Duration::from_secs(12 * 3600);
const SOON: Duration = Duration::from_millis(20);
const ADDED: &str = "20.1.0.0/16";

fn body(networks: &[IpNet], etag: &str) -> String {
    let family = |v4: bool| {
        let of = networks.iter().filter(|net| matches!(net, IpNet::V4(_)) == v4);
        of.map(ToString::to_string).collect::<Vec<_>>()
    };
    let result = serde_json::json!({
        "ipv4_cidrs": family(true), "ipv6_cidrs": family(false), "etag": etag,
    });
    let rest = serde_json::json!([]);
    serde_json::json!({ "result": result, "success": true, "errors": rest, "messages": rest })
        .to_string()
}

fn with(extra: &[&str]) -> Vec<IpNet> {
    let extra = extra.iter().map(|text| text.parse().expect("literal"));
    CLOUDFLARE.into_iter().chain(extra).collect()
}

fn good(networks: &[IpNet]) -> Play {
    answer("200 OK", "content-type: application/json\r\n", &body(networks, "good"))
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

/// Lets the server play, and checks that the list stays, that the attempt counts under `label` and
/// nothing else, and that a good answer is taken afterwards if the server can give one.
fn fails(certificate: Certificate, play: Play, label: &str) {
    let directory = directory();
    let what = format!("{certificate:?} {play:?}");
    let server = Server::start(directory.path(), certificate, play);
    let process = Process::start(&api(&server, HALF_DAY), Some(directory.path()), pace());
    process.wait_for(label, 2);
    let cells = process.cells();
    let others: u64 =
        cells.attempts().filter(|(other, _)| *other != label).map(|(_, count)| count).sum();
    assert_eq!((others, cells.succeeded), (0, None), "{what}: {cells:?}");
    assert_eq!(cells.failed.map(|(why, _)| why.as_str()), Some(label), "{what}");
    assert_eq!((cells.source, cells.v4_ranges), (ListSource::Embedded, 14), "{what}");
    assert!(!directory.path().join(store::FILE).exists(), "{what}");
    if certificate == Certificate::Good {
        server.plays(good(&with(&[ADDED])));
        assert_eq!(process.next(), AddrRanges::new(&with(&[ADDED])), "{what}");
        process.wait("a success", |cells| cells.source == ListSource::Api);
    }
    let (_, unseen) = process.stop();
    assert_eq!(unseen, [], "{what}");
}

fn each_fails(plays: Vec<(Play, &str)>) {
    for (play, label) in plays {
        fails(Certificate::Good, play, label);
    }
}

#[test]
fn a_good_list_is_taken_and_kept_for_the_next_process() {
    let directory = directory();
    let play = good(&with(&[ADDED]));
    let server = Server::start(directory.path(), Certificate::Good, play);
    let config = api(&server, HALF_DAY);
    let process = Process::start(&config, Some(directory.path()), pace());
    let expected = AddrRanges::new(&with(&[ADDED]));
    assert_eq!(process.next(), expected);
    wait_until("a kept list", || directory.path().join(store::FILE).exists());
    let cells = process.cells();
    assert_eq!((cells.source, cells.changed, cells.unchanged), (ListSource::Api, 1, 0));
    assert_eq!((cells.v4_ranges, cells.v6_ranges, cells.leaving), (15, 7, 0));
    assert!(cells.confirmed.is_some() && cells.confirmed == cells.succeeded);
    assert_eq!(process.stop().1, []);
    let head = server.heads().concat();
    assert!(head.starts_with("get /client/v4/ips http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nhost: {}\r\n", server.addr)), "{head}");
    server.plays(Play::Close);
    let process = Process::start(&config, Some(directory.path()), pace());
    process.wait_for("http", 1);
    let cells = process.cells();
    assert_eq!((cells.source, cells.v4_ranges), (ListSource::Disk, 15));
    assert_eq!(process.stop().1, []);
}

#[test]
fn a_list_is_asked_for_by_the_etag_of_the_last_good_one() {
    let directory = directory();
    let play = Play::ByEtag("\"one\"", body(&with(&[ADDED]), "one"));
    let server = Server::start(directory.path(), Certificate::Good, play);
    let process = Process::start(&api(&server, SOON), None, pace());
    assert_eq!(process.next(), AddrRanges::new(&with(&[ADDED])));
    process.wait_for("unchanged", 2);
    let heads = server.heads();
    assert!(!heads[0].contains("if-none-match"), "{}", heads[0]);
    assert!(heads[1].contains("\r\nif-none-match: \"one\"\r\n"), "{}", heads[1]);
    // The same list under another ETag of the server's, and another list under the same digest.
    server.plays(Play::ByEtag("\"two\"", body(&with(&[]), "one")));
    wait_until("the new etag", || server.heads().concat().contains("if-none-match: \"two\""));
    server.plays(Play::ByEtag("\"three\"", body(&with(&[ADDED, "20.2.0.0/16"]), "three")));
    assert_eq!(process.next(), AddrRanges::new(&with(&[ADDED, "20.2.0.0/16"])));
    // An answer that is refused does not leave its ETag behind.
    server.plays(Play::ByEtag("\"four\"", body(&with(&["0.0.0.0/0"]), "four")));
    process.wait_for("broad", 2);
    assert!(!server.heads().concat().contains("if-none-match: \"four\""));
    assert_eq!(process.attempts("changed"), 2);
    assert_eq!(process.stop().1, []);
}

#[test]
fn what_is_no_longer_listed_is_removed_after_the_delay() {
    let directory = directory();
    let gone: IpNet = "131.0.72.0/22".parse().expect("literal");
    let rest: Vec<IpNet> = CLOUDFLARE.into_iter().filter(|net| *net != gone).collect();
    let server = Server::start(directory.path(), Certificate::Good, good(&rest));
    let removal_delay = Duration::from_secs(1);
    let config = Cloudflare { removal_delay, ..api(&server, HALF_DAY) };
    let process = Process::start(&config, Some(directory.path()), pace());
    process.wait("a pending removal", |cells| cells.leaving == 1);
    assert_eq!(process.cells().v4_ranges, 14);
    assert_eq!(process.next(), AddrRanges::new(&rest));
    process.wait("the removal", |cells| (cells.leaving, cells.v4_ranges) == (0, 13));
    assert_eq!(process.stop().1, []);
}

#[test]
fn an_old_list_does_not_bring_back_what_was_given_to_warp_users() {
    let directory = directory();
    let stale = with(&["104.16.0.0/12", ADDED]);
    let server = Server::start(directory.path(), Certificate::Good, good(&stale));
    let process = Process::start(&api(&server, HALF_DAY), None, pace());
    assert_eq!(process.next(), AddrRanges::new(&with(&[ADDED])));
    assert_eq!(process.stop().1, []);
}

#[test]
fn the_china_network_is_asked_for_only_if_configured() {
    let directory = directory();
    let whole =
        body(&CLOUDFLARE, "a").replace("\"etag\"", "\"jdcloud_cidrs\":[\"20.1.0.0/16\"],\"etag\"");
    let play = answer("200 OK", "", &whole);
    let server = Server::start(directory.path(), Certificate::Good, play);
    let ListOrigin::Published { ca_file, refresh, .. } = api(&server, HALF_DAY).origin else {
        panic!("the API");
    };
    // A name, of which perhaps not every address has a server.
    let url = format!("https://localhost:{}/ips?a=b", server.addr.port()).parse().expect("a URL");
    let origin = ListOrigin::Published { url, ca_file, refresh, jdcloud: true };
    let process = Process::start(&config(origin), None, pace());
    assert_eq!(process.next(), AddrRanges::new(&with(&[ADDED])));
    assert!(server.heads()[0].starts_with("get /ips?a=b&networks=jdcloud http"));
    process.stop();
    let process = Process::start(&api(&server, HALF_DAY), None, pace());
    process.wait_for("unchanged", 1);
    assert_eq!(process.stop().1, []);
}

#[test]
fn an_answer_that_is_not_200_leaves_the_list_as_it_is() {
    let moved = "location: https://127.0.0.1/\r\n";
    let list = body(&with(&[ADDED]), "a");
    each_fails(vec![
        (answer("500 Internal Server Error", "", &list), "status"),
        (answer("429 Too Many Requests", "retry-after: 1\r\n", &list), "status"),
        (answer("301 Moved Permanently", moved, &list), "status"),
        (Play::Answer(b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec()), "status"),
        (answer("200 OK", "content-type: text/html\r\n", "<html>Hello</html>"), "syntax"),
        (answer("200 OK", "content-encoding: gzip\r\n", &list), "encoded"),
        (answer("200 OK", "", &list.replace("true", "false")), "unsuccessful"),
        (Play::Answer(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()), "http"),
    ]);
}

#[test]
fn an_answer_that_breaks_off_leaves_the_list_as_it_is() {
    let list = body(&with(&[ADDED]), "a");
    let (length, half) = (list.len(), &list[..list.len() / 2]);
    let head = |length: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    each_fails(vec![
        (answer("200 OK", "", half), "syntax"),
        (Play::Answer((head(length + 1) + &list).into()), "http"),
        (Play::Answer((head(length - 9) + &list).into()), "syntax"),
        (
            Play::Answer(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\n{".to_vec()),
            "http",
        ),
        (Play::Close, "http"),
        (Play::Refuse, "tls"),
        (Play::Endless("HTTP/1.1 200 OK\r\n\r\n"), "too_large"),
        (Play::Endless("HTTP/1.1 200 OK\r\na: "), "http"),
    ]);
}

#[test]
fn a_list_that_cannot_be_theirs_leaves_the_list_as_it_is() {
    let shrunk: Vec<IpNet> =
        CLOUDFLARE.into_iter().filter(|net| !net.to_string().starts_with("103.")).collect();
    let shrunk: Vec<IpNet> =
        shrunk.into_iter().filter(|net| !net.to_string().starts_with("131.")).collect();
    let wide: Vec<String> = (0..8).map(|n| format!("{}.64.0.0/10", 40 + n)).collect();
    let wide: Vec<&str> = wide.iter().map(String::as_str).collect();
    each_fails(vec![
        (good(&CLOUDFLARE[..6]), "short"),
        (good(&shrunk), "shrunk"),
        (good(&[]), "empty"),
        (good(&with(&["0.0.0.0/0"])), "broad"),
        (good(&with(&["::/0"])), "broad"),
        (good(&with(&["0.0.0.0/1", "128.0.0.0/1"])), "broad"),
        (good(&with(&["192.168.0.0/16"])), "reserved"),
        (good(&with(&["fd00::/32"])), "reserved"),
        (good(&with(&wide)), "grown"),
        (answer("200 OK", "", "{\"success\":true,\"result\":{}}"), "missing"),
    ]);
}

#[test]
fn a_server_that_cannot_prove_who_it_is_is_not_asked() {
    let play = good(&with(&[ADDED]));
    for certificate in [Certificate::OtherName, Certificate::Expired, Certificate::OtherAuthority] {
        fails(certificate, play.clone(), "tls");
    }
    let directory = directory();
    let server = Server::start(directory.path(), Certificate::Good, play);
    for broken in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        std::fs::write(&server.ca_file, broken).expect("written");
        let process = Process::start(&api(&server, HALF_DAY), None, pace());
        process.wait_for("authorities", 1);
        assert_eq!(process.stop().1, []);
    }
    assert_eq!(server.heads(), Vec::<String>::new());
}

#[test]
fn a_port_without_a_server_leaves_the_list_as_it_is() {
    let directory = directory();
    let mut server = Server::start(directory.path(), Certificate::Good, Play::Close);
    // Bound and not listening, so that nobody else gets the port.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    let bound = socket.local_addr().expect("an address");
    server.addr = bound.as_socket().expect("IPv4");
    let process = Process::start(&api(&server, HALF_DAY), None, pace());
    process.wait_for("connect", 2);
    assert_eq!(process.stop().1, []);
}

#[test]
fn a_slow_server_leaves_the_list_as_it_is() {
    for (play, connect, whole) in [(Play::Silent, 50, 60_000), (Play::Trickle, 60_000, 400)] {
        let directory = directory();
        let server = Server::start(directory.path(), Certificate::Good, play);
        let [connect, whole] = [connect, whole].map(Duration::from_millis);
        let pace = RefreshIntervals { deadlines: FetchDeadlines { connect, whole }, ..pace() };
        let process = Process::start(&api(&server, HALF_DAY), None, pace);
        process.wait_for("timeout", 2);
        assert_eq!(process.stop().1, []);
    }
}

#[test]
fn the_process_leaves_in_the_middle_of_an_attempt() {
    for play in [Play::Silent, Play::Trickle] {
        let directory = directory();
        let server = Server::start(directory.path(), Certificate::Good, play);
        let process = Process::start(&api(&server, HALF_DAY), None, pace());
        wait_until("an attempt", || !server.heads().is_empty());
        let (took, _) = process.stop();
        assert!(took < Duration::from_secs(5), "{took:?}");
        assert_eq!(server.heads().len(), 1);
    }
}

#[test]
fn without_refresh_nobody_is_asked() {
    let directory = directory();
    let server = Server::start(directory.path(), Certificate::Good, good(&with(&[ADDED])));
    let ListOrigin::Published { url, ca_file, .. } = api(&server, SOON).origin else {
        panic!("the API");
    };
    let origin = ListOrigin::Published { url, ca_file, refresh: None, jdcloud: false };
    let process = Process::start(&config(origin), None, pace());
    process.wait("the initial state", |cells| cells.source == ListSource::Embedded);
    assert_eq!(process.cells().attempts().map(|(_, count)| count).sum::<u64>(), 0);
    assert_eq!(process.stop().1, []);
    assert_eq!(server.heads(), Vec::<String>::new());
}
