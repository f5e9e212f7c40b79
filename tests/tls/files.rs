//! Files of certificates that change while the proxy runs.

use crate::authorities::{Authority, identified};
use crate::certificates::{ECDSA, Issued};
use crate::client::Client;
use crate::eventually;
use crate::proxy::{proxy, write_pair};
use rustls::version::TLS13;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

#[test]
fn a_new_certificate_is_shown_without_a_failed_request() {
    let issued: Vec<Issued> = (0..3).map(|_| Issued::new(&["a.example"])).collect();
    let proxy = proxy().certificate(&issued[0]).start();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut kept = Client::connect(proxy.addr(), "a.example");
            let mut count = 0;
            while !done.load(Ordering::Relaxed) {
                assert_eq!(kept.get("a.example").status(), "200");
                let mut fresh = Client::connect(proxy.addr(), "a.example");
                assert_eq!(fresh.get("a.example").status(), "200");
                count += 1;
            }
            count
        });
        for next in &issued[1..] {
            write_pair(proxy.folder(), "cert-0", next);
            eventually("the new certificate is shown", || {
                let shown = Client::connect(proxy.addr(), "a.example").shown();
                (shown == next.der()).then_some(())
            });
        }
        done.store(true, Ordering::Relaxed);
        assert!(load.join().expect("no request failed") > 0);
    });
}

#[test]
fn files_that_break_leave_the_last_good_certificate_and_are_told() {
    let (good, better) = (Issued::new(&["a.example"]), Issued::until(&["a.example"], &ECDSA, 3000));
    let proxy = proxy().certificate(&good).start();
    let file = proxy.folder().join("cert-0.crt");
    let series = format!("ravelin_tls_certificate_file_failing{{file=\"{}\"}}", file.display());
    fs::write(&file, "half a certif").expect("a folder of ours");
    proxy.await_metric(&series, 1.0);
    assert_eq!(Client::connect(proxy.addr(), "a.example").shown(), good.der());
    fs::remove_file(&file).expect("it is there");
    assert_eq!(Client::connect(proxy.addr(), "a.example").shown(), good.der());
    write_pair(proxy.folder(), "cert-0", &better);
    proxy.await_metric(&series, 0.0);
    assert_eq!(Client::connect(proxy.addr(), "a.example").shown(), better.der());
    let series = "ravelin_tls_certificate_not_after_timestamp_seconds{host=\"a.example\"}";
    proxy.await_metric(series, 32_503_680_000.0);
}

#[test]
fn a_proxy_does_not_start_with_files_that_are_no_certificate() {
    let (a, b) = (Issued::new(&["a.example"]), Issued::new(&["b.example"]));
    let mixed = Issued { chain: a.chain, key: b.key };
    for (issued, expected) in [
        (Issued { chain: String::new(), key: a.key }, "contains no certificate"),
        (mixed, "does not match the first certificate of the chain"),
        (Issued::new(&[]), "contains no DNS name"),
    ] {
        let refusal = proxy().certificate(&issued).refusal();
        assert!(refusal.starts_with("certificate: \"/"), "{refusal}");
        assert!(refusal.contains(expected), "{refusal}");
    }
}

#[test]
fn a_proxy_does_not_start_with_a_file_that_is_no_authority_and_keeps_the_last_good_one() {
    let authority = Authority::new("Right");
    let issued = Issued::new(&["a.example"]);
    let mk = |text: Option<&str>| {
        let builder = proxy().certificate(&issued);
        let file = builder.folder().join("ca.pem");
        if let Some(text) = text {
            fs::write(&file, text).expect("a folder of ours");
        }
        let lines = format!("[[client_certificate]]\npolicy = \"require\"\nca_file = {file:?}\n");
        (builder.sections(&lines), file)
    };
    for (text, expected) in [
        (None, "cannot be read"),
        (Some("no PEM"), "contains no certificate"),
        (Some(&*issued.chain), "is not a CA's"),
    ] {
        let refusal = mk(text).0.refusal();
        assert!(refusal.starts_with("client_certificate: \"/"), "{refusal}");
        assert!(refusal.contains(expected), "{refusal}");
    }
    let (builder, file) = mk(Some(&authority.pem()));
    let proxy = builder.start();
    let good = identified(&TLS13, Some(&authority.issue("pull.example", 4096)));
    let served = || {
        let client = Client::offer(proxy.addr(), "a.example", &good).ok();
        client.is_some_and(|mut client| client.try_get("a.example").is_ok())
    };
    assert!(served());
    fs::write(&file, "half a certif").expect("a folder of ours");
    let series = format!("ravelin_tls_certificate_file_failing{{file=\"{}\"}}", file.display());
    proxy.await_metric(&series, 1.0);
    assert!(served(), "the last good CA applies");
    fs::write(&file, Authority::new("Another").pem()).expect("a folder of ours");
    eventually("the other authority counts", || (!served()).then_some(()));
}
