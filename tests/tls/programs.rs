//! openssl, sslscan and curl as clients.

use crate::authorities::{Authority, Identity, identified};
use crate::certificates::{ECDSA, Issued, RSA};
use crate::client::Client;
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
        (&["-alpn", "h2,http/1.1"], "ALPN protocol: h2"),
        (&["-alpn", "http/1.1,h2"], "ALPN protocol: h2"),
        (&["-alpn", "http/1.1"], "ALPN protocol: http/1.1"),
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

/// The elements of this name in what sslscan writes, each with its attributes.
fn elements<'t>(xml: &'t str, name: &str) -> Vec<&'t str> {
    let begin = format!("<{name} ");
    let lines = xml.lines().map(str::trim);
    lines.filter(|line| line.starts_with(&begin)).collect()
}

#[test]
fn sslscan_finds_two_versions_suites_of_today_and_none_of_the_old_holes() {
    let proxy = both_kinds();
    let Some(sslscan) = program("sslscan") else { return };
    let output = Command::new(sslscan)
        .args(["--xml=-", "--no-colour", "--no-groups", "--sni-name=a.example"])
        .arg(proxy.addr().to_string())
        .stdin(Stdio::null())
        .output()
        .expect("it can be run");
    let xml = String::from_utf8_lossy(&output.stdout).into_owned();
    let protocols = elements(&xml, "protocol");
    for (version, enabled) in [("1.0", 0), ("1.1", 0), ("1.2", 1), ("1.3", 1)] {
        let line = format!("<protocol type=\"tls\" version=\"{version}\" enabled=\"{enabled}\" />");
        assert!(protocols.contains(&&*line), "{line}: {xml}");
    }
    let enabled = protocols.iter().filter(|line| line.contains("enabled=\"1\"")).count();
    assert_eq!(enabled, 2, "SSL among them: {xml}");
    let suites = elements(&xml, "cipher");
    // Three of TLS 1.3, and three of TLS 1.2 for each kind of certificate.
    assert_eq!(suites.len(), 9, "{xml}");
    for suite in suites {
        let is_forward = suite.contains("cipher=\"TLS_") || suite.contains("cipher=\"ECDHE-");
        let is_authenticated = suite.contains("GCM") || suite.contains("POLY1305");
        assert!(is_forward && is_authenticated, "{suite}");
    }
    let renegotiation = elements(&xml, "renegotiation");
    assert!(renegotiation.iter().all(|line| line.contains("supported=\"0\"")), "{xml}");
    assert_eq!(renegotiation.len(), 1, "{xml}");
    let heartbleed = elements(&xml, "heartbleed");
    assert!(heartbleed.iter().all(|line| line.contains("vulnerable=\"0\"")), "{xml}");
    assert_eq!(heartbleed.len(), 2, "one for each version: {xml}");
    // Where its own OpenSSL cannot compress, it does not ask.
    let compression = elements(&xml, "compression");
    assert!(compression.iter().all(|line| line.contains("supported=\"0\"")), "{xml}");
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
fn curl_speaks_either_version_to_a_host_that_it_verifies() {
    let issued = Issued::new(&["a.example"]);
    let proxy = proxy().certificate(&issued).start();
    let Some(curl) = program("curl") else { return };
    let authority = proxy.folder().join("cert-0.crt");
    let port = proxy.addr().port();
    for (line, protocol) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let output = Command::new(&curl)
            .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20", line])
            .args(["--write-out", "%{http_code} %{http_version}"])
            .args(["--resolve", &format!("a.example:{port}:127.0.0.1")])
            .arg("--cacert")
            .arg(&authority)
            .arg(format!("https://a.example:{port}/x"))
            .output()
            .expect("it can be run");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.starts_with("GET /x HTTP/1.1\r\n"), "{said} {output:?}");
        assert!(said.ends_with(&format!("200 {protocol}")), "{said}");
    }
}

#[test]
fn openssl_and_curl_are_served_with_a_certificate_that_is_required_and_not_without() {
    let authority = Authority::new("Right");
    let builder = proxy().certificate(&Issued::new(&["a.example"]));
    let folder = builder.folder().to_owned();
    let write = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).expect("a folder of ours");
        folder.join(name).to_str().expect("UTF-8").to_owned()
    };
    let ca = write("ca.pem", &authority.pem());
    let good = authority.issue("pull.example", 4096);
    let (chain, key) = (write("client.crt", &good.chain), write("client.key", &good.key));
    let table = format!("[[client_certificate]]\npolicy = \"require\"\nca_file = {ca:?}\n");
    let proxy = builder.sections(&table).start();
    for version in ["-tls1_2", "-tls1_3"] {
        let line = ["-servername", "a.example", "-cert", &chain, "-key", &key, version];
        let Some((_, said)) = s_client(&proxy, &line) else { return };
        assert!(!said.contains("alert"), "{said}");
    }
    proxy.await_verdict("require", "valid", 2.0);
    let Some((_, said)) = s_client(&proxy, &["-servername", "a.example", "-tls1_2"]) else {
        return;
    };
    assert!(said.contains("alert"), "{said}");
    proxy.await_verdict("require", "none", 1.0);
    let Some(curl) = program("curl") else { return };
    let port = proxy.addr().port();
    for (line, expected) in [(&["--cert", &*chain, "--key", &*key][..], "200"), (&[], "000")] {
        let output = Command::new(&curl)
            .args(["--silent", "--noproxy", "*", "--max-time", "20", "--insecure"])
            .args(["--output", "/dev/null", "--write-out", "%{http_code}"])
            .args(["--resolve", &format!("a.example:{port}:127.0.0.1")])
            .args(line)
            .arg(format!("https://a.example:{port}/"))
            .output()
            .expect("it can be run");
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{output:?}");
    }
}

#[test]
fn a_certificate_of_version_1_is_a_verdict_and_with_request_no_end() {
    let Some(openssl) = program("openssl") else { return };
    let authority = Authority::new("Right");
    let builder = proxy().certificate(&Issued::new(&["a.example"]));
    let folder = builder.folder().to_owned();
    let run = |line: &str| {
        let words = line.split(' ');
        let output = Command::new(&openssl).args(words).current_dir(&folder).output();
        assert!(output.expect("it can be run").status.success(), "{line}");
    };
    // What `openssl x509 -req` made of a request until version 3.
    run("req -newkey rsa:2048 -nodes -keyout v1.key -out v1.csr -subj /CN=pull.example");
    std::fs::write(folder.join("ca.pem"), authority.pem()).expect("a folder of ours");
    std::fs::write(folder.join("ca.key"), authority.key()).expect("a folder of ours");
    let line = "x509 -req -in v1.csr -CA ca.pem -CAkey ca.key -set_serial 1 -days 30 -out v1.crt";
    run(line);
    let text = Command::new(&openssl)
        .args(["x509", "-noout", "-text", "-in", "v1.crt"])
        .current_dir(&folder)
        .output()
        .expect("it can be run");
    let is_first = String::from_utf8_lossy(&text.stdout).contains("Version: 1 ");
    let file = folder.join("ca.pem");
    let table = format!("[[client_certificate]]\npolicy = \"request\"\nca_file = {file:?}\n");
    let proxy = builder.sections(&table).start();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("openssl wrote it");
    let identity = Identity { chain: read("v1.crt"), key: read("v1.key") };
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = identified(version, Some(&identity));
        let mut client = Client::offer(proxy.addr(), "a.example", &config).expect("a handshake");
        assert_eq!(client.get("a.example").status(), "200");
    }
    // Later versions of openssl write a certificate of version 3, which is good.
    proxy.await_verdict("request", if is_first { "malformed" } else { "valid" }, 2.0);
}
