//! What is agreed on: version, group, protocol, and which certificate is shown.

use crate::certificates::{ECDSA, Issued, RSA};
use crate::client::{Client, Offer};
use crate::proxy::proxy;
use rustls::crypto::aws_lc_rs::{cipher_suite, kx_group};
use rustls::version::{TLS12, TLS13};
use rustls::{NamedGroup, ProtocolVersion, SignatureScheme};

#[test]
fn both_versions_are_spoken_with_http_1_1_inside_and_counted() {
    let proxy = proxy().certificate(&Issued::new(&["a.example"])).start();
    for (version, number, label) in
        [(&TLS12, ProtocolVersion::TLSv1_2, "1.2"), (&TLS13, ProtocolVersion::TLSv1_3, "1.3")]
    {
        let config = Offer::version(version).config();
        let mut client = Client::offer(proxy.addr(), "a.example", &config).expect("a handshake");
        assert_eq!(client.stream.conn.protocol_version(), Some(number));
        assert_eq!(client.stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        let answer = client.get("a.example");
        assert_eq!(answer.status(), "200");
        assert!(answer.text().contains("x-forwarded-proto: https\r\n"), "{}", answer.text());
        let labels = format!("listener=\"tls\",version=\"{label}\",resumed=\"false\"");
        proxy.await_metric(&format!("ravelin_tls_handshakes_total{{{labels}}}"), 1.0);
    }
    let lines = proxy.await_log(2);
    for (line, version) in lines.iter().zip(["1.2", "1.3"]) {
        assert_eq!(line["tls"], version, "{line}");
        assert_eq!(line["sni"], "a.example", "{line}");
        assert_eq!(line["tls_resumed"], false, "{line}");
    }
    proxy.await_metric("ravelin_tls_handshakes_in_flight{listener=\"tls\"}", 0.0);
}

#[test]
fn key_exchange_is_post_quantum_where_the_client_begins_with_it() {
    let proxy = proxy().certificate(&Issued::new(&["a.example"])).start();
    for (groups, expected) in [
        // Its share is taken: another group would cost a round trip.
        (vec![kx_group::X25519, kx_group::X25519MLKEM768], NamedGroup::X25519),
        (vec![kx_group::X25519MLKEM768, kx_group::X25519], NamedGroup::X25519MLKEM768),
        (vec![kx_group::SECP256R1, kx_group::X25519], NamedGroup::secp256r1),
        (vec![kx_group::SECP256R1], NamedGroup::secp256r1),
        (vec![kx_group::SECP384R1], NamedGroup::secp384r1),
    ] {
        let mut offer = Offer::default();
        offer.provider.kx_groups = groups;
        let mut client =
            Client::offer(proxy.addr(), "a.example", &offer.config()).expect("a handshake");
        let group = client.stream.conn.negotiated_key_exchange_group().expect("one");
        assert_eq!(group.name(), expected);
        assert_eq!(client.get("a.example").status(), "200");
    }
}

#[test]
fn the_certificate_is_of_the_kind_that_the_client_takes_and_ecdsa_if_it_takes_both() {
    let (rsa, ecdsa) =
        (Issued::of_kind(&["a.example"], &RSA), Issued::of_kind(&["a.example"], &ECDSA));
    let proxy = proxy().certificate(&rsa).certificate(&ecdsa).start();
    let of_rsa = vec![SignatureScheme::RSA_PSS_SHA256, SignatureScheme::RSA_PKCS1_SHA256];
    let of_ecdsa = vec![SignatureScheme::ECDSA_NISTP256_SHA256];
    for version in [&TLS12, &TLS13] {
        let both = Offer::version(version).schemes;
        for (schemes, expected) in
            [(both, &ecdsa), (of_rsa.clone(), &rsa), (of_ecdsa.clone(), &ecdsa)]
        {
            let config = Offer { schemes, ..Offer::version(version) }.config();
            let client = Client::offer(proxy.addr(), "a.example", &config).expect("a handshake");
            assert_eq!(client.shown(), expected.der());
        }
    }
    // In TLS 1.2 the suite has a say, too.
    let mut offer = Offer::version(&TLS12);
    offer.provider.cipher_suites = vec![cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
    let client = Client::offer(proxy.addr(), "a.example", &offer.config()).expect("a handshake");
    assert_eq!(client.shown(), rsa.der());
}

#[test]
fn a_name_is_shown_its_own_certificate_then_that_of_a_wildcard() {
    let (own, wildcard) = (Issued::new(&["a.example"]), Issued::new(&["*.example", "*.b.example"]));
    let proxy = proxy().certificate(&wildcard).certificate(&own).start();
    for (name, expected) in [
        ("a.example", &own),
        ("A.EXAMPLE", &own),
        ("b.example", &wildcard),
        ("x.b.example", &wildcard),
    ] {
        let mut client = Client::connect(proxy.addr(), name);
        assert_eq!(client.shown(), expected.der(), "{name}");
        assert_eq!(client.get(name).status(), "200");
    }
}

#[test]
fn the_default_is_shown_to_who_asks_for_nothing_that_is_known() {
    let (own, default) = (Issued::new(&["a.example"]), Issued::new(&[]));
    let proxy = proxy().certificate(&own).default(&default).start();
    for (name, expected) in
        [("a.example", &own), ("unknown.example", &default), ("127.0.0.1", &default)]
    {
        let mut client = Client::connect(proxy.addr(), name);
        assert_eq!(client.shown(), expected.der(), "{name}");
        assert_eq!(client.get(name).status(), "200");
    }
}

#[test]
fn a_client_without_a_protocol_in_common_is_told_so() {
    let proxy = proxy().certificate(&Issued::new(&["a.example"])).start();
    let config = Offer { alpn: vec![b"spdy/1".to_vec()], ..Offer::default() }.config();
    let refused = Client::offer(proxy.addr(), "a.example", &config).err().expect("no protocol");
    assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
    proxy.await_failures("no_alpn", 1.0);
    // Who does not ask speaks HTTP/1.1.
    let config = Offer { alpn: Vec::new(), ..Offer::default() }.config();
    let mut client = Client::offer(proxy.addr(), "a.example", &config).expect("a handshake");
    assert_eq!(client.get("a.example").status(), "200");
}

#[test]
fn an_expired_certificate_is_shown_all_the_same() {
    let old = Issued::until(&["a.example"], &ECDSA, 2020);
    let proxy = proxy().certificate(&old).start();
    assert_eq!(Client::connect(proxy.addr(), "a.example").shown(), old.der());
    let series = "ravelin_tls_certificate_not_after_timestamp_seconds{host=\"a.example\"}";
    proxy.await_metric(series, 1_577_836_800.0);
}
