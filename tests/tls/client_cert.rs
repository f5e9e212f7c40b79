//! `ravelin.dev/client-certificate-headers` and `client_certificate_headers` of `[[zone]]`: `Client-Cert` and
//! `Client-Cert-Chain` (RFC 9440) of certificates that openssl made and curl shows.

use crate::certificates::Issued;
use crate::client_certificates;
use crate::program;
use crate::proxy::{Proxy, proxy};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Makes a CA, one below it, and a client of that; another CA; and files of what clients send.
fn issue(openssl: &Path, folder: &Path) {
    fs::write(folder.join("ca.ext"), "basicConstraints=critical,CA:TRUE\n").expect("a folder");
    fs::write(folder.join("leaf.ext"), "basicConstraints=CA:FALSE\n").expect("a folder");
    let run = |line: &[&str]| {
        let output = Command::new(openssl).args(line).current_dir(folder).output();
        let output = output.expect("it can be run");
        assert!(output.status.success(), "{line:?}: {output:?}");
    };
    for name in ["root", "other"] {
        let (key, pem, subject) =
            (format!("{name}.key"), format!("{name}.pem"), format!("/CN={name}"));
        run(&[
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", &subject,
            "-keyout", &key, "-out", &pem,
        ]);
    }
    for (name, by, extensions) in [
        ("middle", "root", "ca.ext"),
        ("client", "middle", "leaf.ext"),
        ("stranger", "other", "leaf.ext"),
    ] {
        let [key, csr, pem] = ["key", "csr", "pem"].map(|end| format!("{name}.{end}"));
        let [by_key, by_pem] = ["key", "pem"].map(|end| format!("{by}.{end}"));
        let subject = format!("/CN={name}");
        run(&[
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", &subject, "-keyout", &key, "-out",
            &csr,
        ]);
        run(&[
            "x509",
            "-req",
            "-in",
            &csr,
            "-CA",
            &by_pem,
            "-CAkey",
            &by_key,
            "-set_serial",
            "7",
            "-days",
            "30",
            "-extfile",
            extensions,
            "-out",
            &pem,
        ]);
    }
    for (file, parts) in [
        ("whole.pem", ["client.pem", "middle.pem"].as_slice()),
        // What has nothing to do with the proof, and the CA's own.
        ("more.pem", &["client.pem", "other.pem", "middle.pem", "root.pem"]),
    ] {
        let parts = parts.iter().map(|part| fs::read(folder.join(part)).expect("openssl wrote it"));
        fs::write(folder.join(file), parts.collect::<Vec<_>>().concat()).expect("a folder");
    }
}

/// A proxy whose host `a.example` asks for certificates of the root by this policy; `None` without openssl.
fn telling(policy: &str, annotation: Option<&str>, table: &str) -> Option<Proxy> {
    let openssl = program("openssl")?;
    let builder = proxy().certificate(&Issued::new(&["a.example"]));
    let folder = builder.folder().to_owned();
    issue(&openssl, &folder);
    let path = json!({"path": "/", "pathType": "Prefix",
        "backend": {"service": {"name": "all", "port": {"name": "http"}}}});
    let annotations = annotation
        .map(|value| json!({"ravelin.dev/client-certificate-headers": value}))
        .unwrap_or_default();
    let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"namespace": "ns", "name": "told", "annotations": annotations},
        "spec": {"ingressClassName": "ravelin",
                 "rules": [{"host": "a.example", "http": {"paths": [path]}}]}});
    fs::write(folder.join("manifests/told.json"), ingress.to_string()).expect("a folder of ours");
    let root = folder.join("root.pem");
    let tables =
        format!("[[client_certificate]]\npolicy = {policy:?}\nca_file = {root:?}\n{table}\n");
    Some(builder.sections(&tables).start())
}

/// The fields, and other spellings.
const FIELDS: [&str; 4] = ["Client-Cert", "Client_Cert", "Client-Cert-Chain", "Client-Cert_Chain"];

/// What the pod got from curl, which forges them; without curl nothing.
fn asked(proxy: &Proxy, shown: Option<(&str, &str)>) -> Option<String> {
    client_certificates::asked(proxy, &FIELDS, shown)
}

/// Both fields.
fn fields(head: &str) -> [Option<&str>; 2] {
    ["client-cert: ", "client-cert-chain: "]
        .map(|name| head.lines().find_map(|line| line.strip_prefix(name)))
}

/// A certificate as an item of the fields.
fn item(proxy: &Proxy, file: &str) -> String {
    let pem = fs::read_to_string(proxy.folder().join(file)).expect("openssl wrote it");
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    format!(":{base64}:")
}

#[test]
fn a_pod_gets_the_certificate_and_those_by_which_it_was_verified() {
    for policy in ["request", "require"] {
        let both = Some("Client-Cert, Client-Cert-Chain");
        let Some(proxy) = telling(policy, both, "") else { return };
        for file in ["whole.pem", "more.pem"] {
            let Some(head) = asked(&proxy, Some((file, "client.key"))) else { return };
            let (client, middle) = (item(&proxy, "client.pem"), item(&proxy, "middle.pem"));
            assert_eq!(fields(&head), [Some(&*client), Some(&*middle)], "{policy} {file}: {head}");
        }
    }
}

#[test]
fn a_pod_gets_the_fields_that_are_asked_for_and_no_others() {
    let shown = Some(("whole.pem", "client.key"));
    let Some(proxy) = telling("require", Some("Client-Cert"), "") else { return };
    let Some(head) = asked(&proxy, shown) else { return };
    assert_eq!(fields(&head), [Some(&*item(&proxy, "client.pem")), None], "{head}");
    let Some(proxy) = telling("require", None, "") else { return };
    let Some(head) = asked(&proxy, shown) else { return };
    assert_eq!(fields(&head), [None, None], "{head}");
}

#[test]
fn a_table_asks_for_its_hosts() {
    let table = |host: &str| {
        format!("[[zone]]\nhosts = [{host:?}]\nclient_certificate_headers = [\"client-cert\"]\n")
    };
    for (host, is_told) in [("a.example", true), ("*.example", true), ("b.example", false)] {
        let Some(proxy) = telling("require", None, &table(host)) else { return };
        let Some(head) = asked(&proxy, Some(("whole.pem", "client.key"))) else { return };
        let client = item(&proxy, "client.pem");
        assert_eq!(fields(&head), [is_told.then_some(&*client), None], "{host}: {head}");
    }
}

#[test]
fn a_pod_gets_nothing_of_a_certificate_of_others_or_of_none() {
    let both = Some("Client-Cert, Client-Cert-Chain");
    let Some(proxy) = telling("request", both, "") else { return };
    // Without the one in between it cannot be verified.
    let lacking = ("client.pem", "client.key");
    for shown in [None, Some(("stranger.pem", "stranger.key")), Some(lacking)] {
        let Some(head) = asked(&proxy, shown) else { return };
        assert_eq!(fields(&head), [None, None], "{shown:?}: {head}");
    }
}
