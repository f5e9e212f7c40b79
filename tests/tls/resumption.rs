//! Tickets.

use crate::certificates::Issued;
use crate::client::{Client, Offer};
use crate::proxy::{proxy, write_pair};
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};

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
