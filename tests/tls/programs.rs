//! openssl and curl as clients.

use crate::certificates::{ECDSA, Issued, RSA};
use crate::program;
use crate::proxy::{Proxy, proxy};
use std::process::{Command, Stdio};

/// What `openssl s_client` says of a handshake, and whether it was content; `None` without openssl.
fn s_client(proxy: &Proxy, line: &[&str]) -> Option<(bool, String)> {
    let addr = proxy.addr().to_string();
    let output = Command::new(program("openssl")?)
        .args(["s_client", "-connect", &addr])
        .args(line)
        .stdin(Stdio::null())
        .output()
        .expect("it can be run");
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

fn both_kinds() -> Proxy {
    let (rsa, ecdsa) =
        (Issued::of_kind(&["a.example"], &RSA), Issued::of_kind(&["a.example"], &ECDSA));
    proxy().certificate(&rsa).certificate(&ecdsa).start()
}

#[test]
fn openssl_gets_tls_1_2_and_1_3_with_suites_of_our_choice() {
    let proxy = both_kinds();
    for (line, expected) in [
        (&["-tls1_3"][..], "TLSv1.3, Cipher is TLS_AES_"),
        (&["-tls1_2"], "TLSv1.2, Cipher is ECDHE-ECDSA-"),
        (&["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"], "ECDHE-RSA-AES128-GCM-SHA256"),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"], "ECDHE-ECDSA-AES256-GCM-SHA384"),
        (&["-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"], "Peer signature type: RSA-PSS"),
        (&["-tls1_3", "-sigalgs", "ecdsa_secp256r1_sha256"], "Peer signature type: ECDSA"),
        (&["-alpn", "h2,http/1.1"], "ALPN protocol: http/1.1"),
        (&["-tls1_3", "-early_data", "/dev/null"], "TLSv1.3"),
    ] {
        let line = [&["-servername", "a.example"], line].concat();
        let Some((_, said)) = s_client(&proxy, &line) else { return };
        assert!(said.contains(expected), "{line:?}: {said}");
    }
}

#[test]
fn openssl_gets_no_older_version_and_no_suite_without_authenticated_encryption() {
    let proxy = both_kinds();
    let weakest = "ALL:@SECLEVEL=0";
    for (line, reason) in [
        (&["-tls1", "-cipher", weakest][..], "protocol_version"),
        (&["-tls1_1", "-cipher", weakest], "protocol_version"),
        (&["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"], "no_shared_cipher"),
        (&["-tls1_2", "-cipher", "AES128-GCM-SHA256"], "no_shared_cipher"),
        (&["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"], "no_shared_cipher"),
    ] {
        let labels = format!("listener=\"tls\",reason=\"{reason}\"");
        let series = format!("ravelin_tls_handshake_failures_total{{{labels}}}");
        let before = proxy.metric(&series);
        let line = [&["-servername", "a.example"], line].concat();
        let Some((content, said)) = s_client(&proxy, &line) else { return };
        assert!(!content, "{line:?}: {said}");
        assert!(!said.contains("BEGIN CERTIFICATE"), "{line:?}: {said}");
        proxy.await_metric(&series, before + 1.0);
    }
}

#[test]
fn openssl_sees_no_certificate_without_a_name_that_is_known() {
    let proxy = both_kinds();
    for line in [&["-noservername"][..], &["-servername", "b.example"]] {
        let Some((content, said)) = s_client(&proxy, line) else { return };
        assert!(!content && said.contains("alert number 112"), "{line:?}: {said}");
        assert!(!said.contains("BEGIN CERTIFICATE"), "{line:?}: {said}");
    }
}

#[test]
fn curl_speaks_http_1_1_to_a_host_that_it_verifies() {
    let issued = Issued::new(&["a.example"]);
    let proxy = proxy().certificate(&issued).start();
    let Some(curl) = program("curl") else { return };
    let authority = proxy.folder().join("cert-0.crt");
    let port = proxy.addr().port();
    let output = Command::new(curl)
        .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20"])
        .args(["--write-out", "%{http_code} %{http_version}"])
        .args(["--resolve", &format!("a.example:{port}:127.0.0.1")])
        .arg("--cacert")
        .arg(authority)
        .arg(format!("https://a.example:{port}/x"))
        .output()
        .expect("it can be run");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.starts_with("GET /x HTTP/1.1\r\n"), "{said} {output:?}");
    assert!(said.ends_with("200 1.1"), "{said}");
}
