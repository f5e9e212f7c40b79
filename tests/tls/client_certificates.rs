//! `passTLSClientCert`: what pods are told of a certificate that openssl made and curl shows.

use crate::certificates::Issued;
use crate::program;
use crate::proxy::{Proxy, proxy};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What curl forges: a value that every field takes.
const FORGED: &str = ":Zm9yZ2Vk:";

/// The fields of `passTLSClientCert`, and another spelling.
const FIELDS: [&str; 3] = [
    "X-Forwarded-Tls-Client-Cert",
    "X_Forwarded_Tls-Client-Cert",
    "X-Forwarded-Tls-Client-Cert-Info",
];

const CERTIFICATE: &str = "x-forwarded-tls-client-cert: ";
const INFO: &str = "x-forwarded-tls-client-cert-info: ";

/// A proxy whose host `a.example` asks for certificates of `ca.pem` by this policy; `None` without openssl.
fn telling(policy: &str) -> Option<Proxy> {
    let openssl = program("openssl")?;
    let builder = proxy().certificate(&Issued::new(&["a.example"]));
    let folder = builder.folder().to_owned();
    let run = |line: &[&str]| {
        let output = Command::new(&openssl).args(line).current_dir(&folder).output();
        let output = output.expect("it can be run");
        assert!(output.status.success(), "{line:?}: {output:?}");
    };
    for (name, subject) in [("ca", "/O=Lab Ltd/CN=clients"), ("other", "/CN=others")] {
        let (key, pem) = (format!("{name}.key"), format!("{name}.pem"));
        run(&[
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", subject,
            "-keyout", &key, "-out", &pem,
        ]);
        let (key, csr, crt) =
            (format!("of-{name}.key"), format!("of-{name}.csr"), format!("of-{name}.crt"));
        let subject = "/C=DE/O=Ann & Sons, Inc/CN=ann";
        run(&[
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", subject, "-keyout", &key, "-out", &csr,
        ]);
        let authority = format!("{name}.key");
        fs::write(folder.join("v3.ext"), "subjectAltName=DNS:ann.example\n").expect("a folder");
        run(&[
            "x509",
            "-req",
            "-in",
            &csr,
            "-CA",
            &pem,
            "-CAkey",
            &authority,
            "-set_serial",
            "1234",
            "-days",
            "30",
            "-extfile",
            "v3.ext",
            "-out",
            &crt,
        ]);
    }
    // Those who send more certificates than their own.
    let both = [fs::read(folder.join("of-ca.crt")), fs::read(folder.join("other.pem"))];
    let both = both.map(|read| read.expect("openssl wrote it")).concat();
    fs::write(folder.join("both.crt"), both).expect("a folder");
    manifests(&folder);
    let table = format!(
        "[[client_certificate]]\npolicy = {policy:?}\nca_file = {:?}\n",
        folder.join("ca.pem")
    );
    Some(builder.sections(&table).start())
}

fn manifests(folder: &Path) {
    let path = json!({"path": "/", "pathType": "Prefix",
        "backend": {"service": {"name": "all", "port": {"name": "http"}}}});
    let info = json!({"subject": {"commonName": true, "organization": true}, "serialNumber": true,
        "issuer": {"commonName": true}, "sans": true});
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "traefik.io/v1alpha1", "kind": "Middleware",
         "metadata": {"namespace": "ns", "name": "tell"},
         "spec": {"passTLSClientCert": {"pem": true, "info": info}}},
        {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
         "metadata": {"namespace": "ns", "name": "told",
                      "annotations": {"ravelin.dev/middlewares": "tell"}},
         "spec": {"ingressClassName": "ravelin",
                  "rules": [{"host": "a.example", "http": {"paths": [path]}}]}},
    ]});
    fs::write(folder.join("manifests/told.json"), objects.to_string()).expect("a folder of ours");
}

/// What the pod got from curl, which forges these fields with the value [`FORGED`], or without curl nothing.
pub(crate) fn asked(
    proxy: &Proxy,
    forged: &[&str],
    certificate: Option<(&str, &str)>,
) -> Option<String> {
    let port = proxy.addr().port();
    let mut curl = Command::new(program("curl")?);
    curl.args(["--silent", "--noproxy", "*", "--max-time", "20", "--insecure"])
        .args(["--resolve", &format!("a.example:{port}:127.0.0.1")])
        .current_dir(proxy.folder());
    for name in forged {
        curl.args(["-H", &format!("{name}: {FORGED}")]);
    }
    if let Some((certificate, key)) = certificate {
        curl.args(["--cert", certificate, "--key", key]);
    }
    let output = curl.arg(format!("https://a.example:{port}/")).output().expect("it can be run");
    let head = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(head.starts_with("GET / HTTP/1.1\r\n"), "{output:?}");
    assert!(!head.contains(FORGED), "{head}");
    Some(head)
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| line.strip_prefix(name))
}

#[test]
fn a_pod_is_told_of_the_certificate_that_was_checked_and_of_no_other() {
    for policy in ["request", "require"] {
        let Some(proxy) = telling(policy) else { return };
        let pem = fs::read_to_string(proxy.folder().join("of-ca.crt")).expect("openssl wrote it");
        let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        for chain in ["of-ca.crt", "both.crt"] {
            let Some(head) = asked(&proxy, &FIELDS, Some((chain, "of-ca.key"))) else { return };
            assert_eq!(field(&head, CERTIFICATE), Some(&*base64), "{head}");
            assert_eq!(
                field(&head, INFO),
                Some(
                    "Subject%3D%22O%3DAnn+%26+Sons%2C+Inc%2CCN%3Dann%22%3BIssuer%3D%22CN%3Dclients%22\
                     %3BSerialNumber%3D%221234%22%3BSAN%3D%22ann.example%22"
                ),
                "{head}"
            );
        }
    }
}

#[test]
fn a_pod_is_told_nothing_of_a_certificate_of_others_or_of_none() {
    let Some(proxy) = telling("request") else { return };
    for certificate in [None, Some(("of-other.crt", "of-other.key"))] {
        let Some(head) = asked(&proxy, &FIELDS, certificate) else { return };
        assert_eq!((field(&head, CERTIFICATE), field(&head, INFO)), (None, None), "{head}");
    }
}
