//! Tickets.

use crate::authorities::{Authority, identified};
use crate::certificates::Issued;
use crate::client::{Client, Offer};
use crate::proxy::{Builder, Proxy, proxy, write_pair};
use crate::{eventually, program};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const ANOTHER: &str = "another secret that is long enough";

#[test]
fn a_second_connection_resumes_the_session_and_is_counted() {
    let proxy = proxy().certificate(&Issued::new(&["a.example"])).start();
    for (version, label) in [(&TLS12, "1.2"), (&TLS13, "1.3")] {
        let config = Offer::version(version).config();
        let kinds = [(); 3].map(|()| {
            let mut client =
                Client::offer(proxy.addr(), "a.example", &config).expect("a handshake");
            // The tickets of TLS 1.3 come with the first bytes.
            assert_eq!(client.get("a.example").status(), "200");
            client.stream.conn.handshake_kind().expect("it is through")
        });
        let (full, resumed) = (HandshakeKind::Full, HandshakeKind::Resumed);
        assert_eq!(kinds, [full, resumed, resumed], "{label}");
        let labels = format!("listener=\"tls\",version=\"{label}\",resumed=\"true\"");
        proxy.await_metric(&format!("ravelin_tls_handshakes_total{{{labels}}}"), 2.0);
    }
    assert_eq!(proxy.await_log(6)[1]["tls_resumed"], true);
}

#[test]
fn a_session_does_not_outlive_the_certificate_of_its_name() {
    let proxy = proxy().certificate(&Issued::new(&["a.example"])).start();
    let config = Offer::default().config();
    let mut client = Client::offer(proxy.addr(), "a.example", &config).expect("a handshake");
    client.get("a.example");
    write_pair(proxy.folder(), "cert-0", &Issued::new(&["b.example"]));
    let series = "ravelin_tls_certificate_not_after_timestamp_seconds{host=\"b.example\"}";
    proxy.await_metric(series, 67_090_118_400.0);
    let refused = Client::offer(proxy.addr(), "a.example", &config).err().expect("unknown");
    assert!(refused.to_string().contains("UnrecognisedName"), "{refused}");
    // What is open stays open, for the host that it was opened for.
    assert_eq!(client.get("a.example").status(), "200");
}

/// A proxy whose tickets come of this secret.
fn sealing(builder: Builder, secret: &str) -> Builder {
    let file = builder.folder().join("key");
    std::fs::write(&file, secret).expect("a folder of ours");
    builder.sections(&format!("[tls]\nticket_key_file = {file:?}\n"))
}

fn shake(proxy: &Proxy, config: &Arc<ClientConfig>) -> HandshakeKind {
    let mut client = Client::offer(proxy.addr(), "a.example", config).expect("a handshake");
    assert_eq!(client.get("a.example").status(), "200");
    client.stream.conn.handshake_kind().expect("it is through")
}

#[test]
fn a_session_goes_on_at_another_proxy_with_the_secret_and_under_its_own_policy_alone() {
    let [first, second] = ["First", "Second"].map(Authority::new);
    let demands = |policy: &str, authority: &Authority| {
        let builder = sealing(proxy().certificate(&Issued::new(&["a.example"])), SECRET);
        let file = builder.folder().join("ca.pem");
        std::fs::write(&file, authority.pem()).expect("a folder of ours");
        let table = format!("[[client_certificate]]\npolicy = {policy:?}\nca_file = {file:?}\n");
        builder.sections(&table).start()
    };
    let off = || sealing(proxy().certificate(&Issued::new(&["a.example"])), SECRET).start();
    let both = [first.pem(), second.pem()].concat();
    let all = [off(), demands("require", &first), demands("request", &first)];
    let again = [off(), demands("require", &first), demands("request", &first)];
    for (version, label) in [(&TLS12, "1.2"), (&TLS13, "1.3")] {
        let identity = first.issue("pull.example", 4096);
        for (from, one) in all.iter().enumerate() {
            for (to, other) in again.iter().enumerate() {
                let config = identified(version, Some(&identity));
                assert_eq!(shake(one, &config), HandshakeKind::Full);
                let expected =
                    if from == to { HandshakeKind::Resumed } else { HandshakeKind::Full };
                assert_eq!(shake(other, &config), expected, "{from} to {to}, TLS {label}");
            }
        }
    }
    // Of two authorities instead of one, another policy.
    let config = identified(&TLS13, Some(&first.issue("pull.example", 4096)));
    assert_eq!(shake(&all[1], &config), HandshakeKind::Full);
    let file = again[1].folder().join("ca.pem");
    std::fs::write(&file, both).expect("a folder of ours");
    let newcomer = identified(&TLS13, Some(&second.issue("pull.example", 4096)));
    eventually("both authorities count", || {
        let mut client = Client::offer(again[1].addr(), "a.example", &newcomer).ok()?;
        client.try_get("a.example").ok()
    });
    assert_eq!(shake(&again[1], &config), HandshakeKind::Full);
}

#[test]
fn a_new_secret_ends_sessions_and_one_that_is_no_good_does_not() {
    let builder = proxy().certificate(&Issued::new(&["a.example"]));
    let proxy = sealing(builder, SECRET).start();
    let file = proxy.folder().join("key");
    let failing = format!("ravelin_tls_certificate_file_failing{{file=\"{}\"}}", file.display());
    let config = Offer::default().config();
    assert_eq!(shake(&proxy, &config), HandshakeKind::Full);
    std::fs::write(&file, "short").expect("a folder of ours");
    proxy.await_metric(&failing, 1.0);
    assert_eq!(shake(&proxy, &config), HandshakeKind::Resumed);
    std::fs::write(&file, ANOTHER).expect("a folder of ours");
    proxy.await_metric(&failing, 0.0);
    assert_eq!(shake(&proxy, &config), HandshakeKind::Full);
    assert_eq!(shake(&proxy, &config), HandshakeKind::Resumed);
}

#[test]
fn a_proxy_does_not_start_with_a_file_that_holds_no_secret() {
    let builder = sealing(proxy().certificate(&Issued::new(&["a.example"])), "short");
    let refusal = builder.refusal();
    assert!(refusal.starts_with("session tickets: ") && refusal.contains("5 bytes"), "{refusal}");
}

/// What `openssl` says with these words; `None` if it is not installed.
fn openssl(words: &[&str]) -> Option<String> {
    let mut command = Command::new(program("openssl")?);
    let output = command.args(words).stdin(Stdio::null()).output().expect("it can be run");
    let text = [output.stdout, output.stderr].concat();
    Some(String::from_utf8_lossy(&text).into_owned())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn a_ticket_that_was_tampered_with_leads_to_a_full_handshake_and_no_error() {
    let builder = proxy().certificate(&Issued::new(&["a.example"]));
    let proxy = sealing(builder, SECRET).start();
    let addr = proxy.addr().to_string();
    let [whole, binary, changed] = ["s.pem", "s.der", "c.pem"].map(|f| proxy.folder().join(f));
    let client = ["s_client", "-connect", &addr, "-servername", "a.example", "-tls1_2"];
    let resume = |file: &Path| openssl(&[&client[..], &["-sess_in", text(file)]].concat());
    let Some(first) = openssl(&[&client[..], &["-sess_out", text(&whole)]].concat()) else {
        return;
    };
    assert!(first.contains("New, TLSv1.2"), "{first}");
    let again = resume(&whole).expect("installed");
    assert!(again.contains("Reused, TLSv1.2"), "{again}");
    let (from, to) = (text(&whole), text(&binary));
    openssl(&["sess_id", "-in", from, "-outform", "DER", "-out", to]).expect("installed");
    let session = std::fs::read(&binary).expect("it was written");
    // A ticket begins with the number of its epoch.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let epoch = (now / (6 * 3600)).to_be_bytes();
    let begin = session.windows(8).position(|piece| piece == epoch).expect("a ticket");
    for at in [6, 7, 8, 31, 40, 90] {
        let mut session = session.clone();
        session[begin + at] ^= 1;
        std::fs::write(&binary, session).expect("a folder of ours");
        let (from, to) = (text(&binary), text(&changed));
        openssl(&["sess_id", "-inform", "DER", "-in", from, "-out", to]).expect("installed");
        let said = resume(&changed).expect("installed");
        assert!(said.contains("New, TLSv1.2"), "byte {at}: {said}");
    }
}
