//! Authenticated Origin Pulls: what is asked of the clients of a host, and what becomes of those that
//! have not got it.

use crate::authorities::{Authority, Identity, identified};
use crate::certificates::Issued;
use crate::client::Client;
use crate::proxy::{Builder, Proxy, proxy};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, SupportedProtocolVersion};
use std::io;
use std::sync::Arc;

/// The name of the good certificates.
const SUBJECT: &str = "pull.example";

/// The two versions, with their labels.
const VERSIONS: [(&SupportedProtocolVersion, &str); 2] = [(&TLS12, "1.2"), (&TLS13, "1.3")];

/// Clients, each with the verdict on it.
fn clients(authority: &Authority) -> Vec<(Option<Identity>, &'static str)> {
    let other = Authority::new("Another");
    // With the name of the right one, and another key.
    let namesake = Authority::new("Right");
    vec![
        (None, "none"),
        (Some(authority.issue(SUBJECT, 4096)), "valid"),
        (Some(other.issue(SUBJECT, 4096)), "untrusted"),
        (Some(namesake.issue(SUBJECT, 4096)), "untrusted"),
        (Some(authority.issue(SUBJECT, 2020)), "expired"),
        (Some(authority.issue("thief.example", 4096)), "wrong_subject"),
        (Some(authority.issue_for_servers(SUBJECT)), "wrong_purpose"),
    ]
}

/// A proxy whose certificate covers every host of the tests.
fn covering() -> Builder {
    proxy().certificate(&Issued::new(&["a.example", "b.example", "c.example", "d.example"]))
}

/// A table for hosts; the authority is in a file of the folder.
fn table(builder: &Builder, hosts: &str, policy: &str, authority: &Authority) -> String {
    let file = builder.folder().join(format!("{policy}-{}.pem", hosts.len()));
    std::fs::write(&file, authority.pem()).expect("a folder of ours");
    format!(
        "[[client_certificate]]\nhosts = [{hosts}]\npolicy = {policy:?}\nca_file = {file:?}\n\
         subjects = [\"other.example\", {SUBJECT:?}]\n"
    )
}

/// One that asks with this policy for a.example and b.example, and nobody else.
fn asking(policy: &str, authority: &Authority) -> Proxy {
    let builder = covering();
    let table = match policy {
        "off" => String::new(),
        policy => table(&builder, "\"a.example\", \"b.example\"", policy, authority),
    };
    builder.sections(&table).start()
}

/// What becomes of a connection: the status of an answer to each request, or that there is none.
fn visit(
    proxy: &Proxy,
    name: &str,
    hosts: &[&str],
    config: &Arc<ClientConfig>,
) -> io::Result<(HandshakeKind, Vec<String>)> {
    let mut client = Client::offer(proxy.addr(), name, config)?;
    let mut statuses = Vec::new();
    for host in hosts {
        statuses.push(client.try_get(host)?);
    }
    Ok((client.stream.conn.handshake_kind().expect("it is through"), statuses))
}

#[test]
fn the_policy_of_the_name_decides_and_follows_the_host() {
    let authority = Authority::new("Right");
    for policy in ["off", "request", "require"] {
        let proxy = asking(policy, &authority);
        for (version, label) in VERSIONS {
            for (identity, verdict) in clients(&authority) {
                let what = format!("{policy}, TLS {label}, {verdict}");
                let config = identified(version, identity.as_ref());
                // Fresh, then with what tickets there are.
                for round in ["fresh", "again"] {
                    let hosts = ["a.example", "b.example", "c.example", "a.example"];
                    let visited = visit(&proxy, "a.example", &hosts, &config);
                    if policy == "require" && verdict != "valid" {
                        assert!(visited.is_err(), "{what}, {round}: {visited:?}");
                        continue;
                    }
                    let (kind, statuses) = visited.unwrap_or_else(|e| panic!("{what}: {e}"));
                    let outside = if policy == "off" { "200" } else { "421" };
                    assert_eq!(statuses, ["200", "200", outside, "200"], "{what}, {round}");
                    // Only a session that stands for a good certificate is resumed.
                    let resumes = round == "again" && (policy == "off" || verdict == "valid");
                    let expected =
                        if resumes { HandshakeKind::Resumed } else { HandshakeKind::Full };
                    assert_eq!(kind, expected, "{what}, {round}");
                }
                // The other way round: a connection of nobody asked is not for those that ask.
                let hosts = ["c.example", "d.example", "a.example"];
                let (_, statuses) =
                    visit(&proxy, "c.example", &hosts, &config).expect("nobody is asked");
                let inside = if policy == "off" { "200" } else { "421" };
                assert_eq!(statuses, ["200", "200", inside], "{what}");
            }
        }
        if policy == "off" {
            continue;
        }
        // Two versions, two rounds; two clients of an untrusted authority.
        for (result, count) in [
            ("none", 4.0),
            ("valid", 4.0),
            ("untrusted", 8.0),
            ("expired", 4.0),
            ("wrong_subject", 4.0),
            ("wrong_purpose", 4.0),
        ] {
            proxy.await_verdict(policy, result, count);
        }
        if policy == "require" {
            proxy.await_failures("client_certificate", 24.0);
        } else {
            let lines = proxy.await_log(2 * 7 * (8 + 3));
            for verdict in ["none", "valid", "expired", "wrong_subject"] {
                let is_it = |line: &&serde_json::Value| line["client_certificate"] == verdict;
                assert!(lines.iter().any(|line| is_it(&line)), "{verdict} is not in the log");
            }
        }
    }
}

#[test]
fn sessions_are_not_resumed_across_groups() {
    let authority = Authority::new("Right");
    let builder = covering();
    let lines = [
        table(&builder, "\"a.example\"", "require", &authority),
        table(&builder, "\"b.example\", \"d.example\"", "request", &authority),
    ];
    let proxy = builder.sections(&lines.concat()).start();
    for (version, label) in VERSIONS {
        let good = authority.issue(SUBJECT, 4096);
        // One store of tickets, whatever the name: what a client that ignores names would do.
        let config = crate::authorities::with_one_store(identified(version, Some(&good)));
        for name in ["a.example", "b.example", "c.example", "a.example"] {
            let (kind, statuses) =
                visit(&proxy, name, &[name], &config).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(statuses, ["200"], "{name}");
            assert_eq!(kind, HandshakeKind::Full, "{name}, TLS {label}");
        }
    }
}

#[test]
fn a_session_does_not_outlive_the_policy_that_began_it() {
    let [first, second] = ["First", "Second"].map(Authority::new);
    let proxy = asking("require", &first);
    let file = proxy.folder().join("require-24.pem");
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), first.pem());
    let good = first.issue(SUBJECT, 4096);
    let configs = VERSIONS.map(|(version, _)| identified(version, Some(&good)));
    let kind = |config: &Arc<ClientConfig>| {
        visit(&proxy, "a.example", &["a.example"], config).expect("it is good").0
    };
    for config in &configs {
        assert_eq!([kind(config), kind(config)], [HandshakeKind::Full, HandshakeKind::Resumed]);
    }
    // The same certificate is good for the new policy, and has to be shown to it.
    let both = [first.pem(), second.pem()].concat();
    std::fs::write(&file, both).expect("a folder of ours");
    let other = identified(&TLS13, Some(&second.issue(SUBJECT, 4096)));
    crate::eventually("both authorities count", || {
        visit(&proxy, "a.example", &["a.example"], &other).ok()
    });
    for config in &configs {
        assert_eq!([kind(config), kind(config)], [HandshakeKind::Full, HandshakeKind::Resumed]);
    }
}

#[test]
fn a_session_ends_with_the_certificate_behind_it() {
    let authority = Authority::new("Right");
    let proxy = asking("require", &authority);
    for (version, label) in VERSIONS {
        let brief = authority.issue_for(SUBJECT, 6);
        let config = identified(version, Some(&brief));
        let kinds = [(); 2].map(|()| visit(&proxy, "a.example", &["a.example"], &config));
        let [Ok((HandshakeKind::Full, _)), Ok((HandshakeKind::Resumed, _))] = kinds else {
            panic!("TLS {label}: {kinds:?}");
        };
        crate::eventually("the session is over", || {
            visit(&proxy, "a.example", &["a.example"], &config).is_err().then_some(())
        });
        // Who has a new certificate, and the old tickets, shows it.
        let renewed = authority.issue(SUBJECT, 4096);
        let mut config = Arc::unwrap_or_clone(config);
        let fresh = identified(version, Some(&renewed));
        config.client_auth_cert_resolver = Arc::clone(&fresh.client_auth_cert_resolver);
        let (kind, statuses) =
            visit(&proxy, "a.example", &["a.example"], &Arc::new(config)).expect("it is good");
        assert_eq!((kind, &statuses[..]), (HandshakeKind::Full, &["200".to_owned()][..]));
    }
}

#[test]
fn a_hello_in_any_pieces_meets_the_same_policy() {
    let authority = Authority::new("Right");
    let proxy = asking("require", &authority);
    let good = authority.issue(SUBJECT, 4096);
    for (version, label) in VERSIONS {
        for pieces in [1, 7, 200] {
            for (identity, is_served) in [(None, false), (Some(&good), true)] {
                let config = identified(version, identity);
                let client = Client::in_pieces(proxy.addr(), "a.example", &config, pieces);
                let status = client.and_then(|mut client| client.try_get("a.example"));
                let what = format!("TLS {label}, {pieces} bytes at a time: {status:?}");
                assert_eq!(status.is_ok_and(|status| status == "200"), is_served, "{what}");
            }
        }
    }
}

#[test]
fn who_asks_for_no_name_that_is_known_learns_of_no_policy() {
    let authority = Authority::new("Right");
    let builder = covering();
    let everywhere = table(&builder, "", "require", &authority);
    let proxy = builder.sections(&everywhere).start();
    for name in ["unknown.example", "127.0.0.1"] {
        let config = identified(&TLS13, None);
        let refused = Client::offer(proxy.addr(), name, &config).err().expect("no certificate");
        assert!(refused.to_string().contains("UnrecognisedName"), "{refused}");
    }
    assert!(visit(&proxy, "c.example", &["c.example"], &identified(&TLS13, None)).is_err());
}

#[test]
fn a_listener_without_tls_is_no_way_around() {
    let authority = Authority::new("Right");
    let builder = covering();
    let lines = [
        table(&builder, "\"a.example\"", "require", &authority),
        table(&builder, "\"b.example\", \"d.example\"", "request", &authority),
    ];
    let plain =
        "[[listener]]\nname = \"plain\"\naddress = \"127.0.0.1:0\"\nadmit = [\"loopback\"]\n";
    let proxy = builder.sections(&format!("{plain}{}", lines.concat())).start();
    for (host, status) in [("a.example", "403"), ("b.example", "200"), ("c.example", "200")] {
        assert_eq!(proxy.plain(host), status, "{host}");
    }
    proxy.await_metric(&verdict("plain", "require", "plaintext"), 1.0);
    proxy.await_metric(&verdict("plain", "request", "plaintext"), 1.0);
    let lines = proxy.await_log(3);
    assert_eq!(lines[0]["reason"], "client_certificate_required", "{}", lines[0]);
}

/// The series of a verdict.
pub(crate) fn verdict(listener: &str, policy: &str, result: &str) -> String {
    let labels = format!("listener=\"{listener}\",policy=\"{policy}\",result=\"{result}\"");
    format!("ravelin_tls_client_certificates_total{{{labels}}}")
}
