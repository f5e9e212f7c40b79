//! Certificates that no authority would sign, by OpenSSL's own server: with `upstream-tls-insecure` all
//! are taken.

use super::certificates::Authority;
use super::peer::edge_as;
use crate::support::program;
use serde_json::json;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const RSA: &[&str] = &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
const RSA_1024: &[&str] = &["RSA", "-pkeyopt", "rsa_keygen_bits:1024"];
const P_256: &[&str] = &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
const P_521: &[&str] = &["EC", "-pkeyopt", "ec_paramgen_curve:P-521"];

/// What is odd, the key, and what `openssl req` is told beyond that.
const ODD: [(&str, &[&str], &[&str]); 11] = [
    ("no name but a subject, and an authority's", RSA, &[]),
    ("signed with MD5", RSA, &["-md5"]),
    ("signed with SHA-1", P_256, &["-sha1"]),
    ("RSA of 1024 bits", RSA_1024, &[]),
    ("P-521", P_521, &[]),
    ("Ed25519", &["ED25519"], &[]),
    ("Ed448", &["ED448"], &[]),
    ("no subject", P_256, &["-subj", "/"]),
    ("an unknown critical extension", P_256, &["-addext", "1.2.3.4=critical,ASN1:UTF8String:odd"]),
    ("names that are none", RSA, &["-addext", "subjectAltName=DER:01:02"]),
    ("a serial number below zero", P_256, &["-set_serial", "-5"]),
];

fn openssl(openssl: &Path, folder: &Path, arguments: &[&str]) {
    let output =
        Command::new(openssl).args(arguments).current_dir(folder).output().expect("it runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// OpenSSL's server with the pair of `folder`; killed when dropped.
struct Server(Child);

impl Server {
    fn start(openssl: &Path, folder: &Path, version: &str) -> (Self, SocketAddr) {
        let mut command = Command::new(openssl);
        command.current_dir(folder).args(["s_server", "-accept", "127.0.0.1:0", "-www", version]);
        command.args(["-cert", "cert.pem", "-key", "key.pem", "-cipher", "DEFAULT:@SECLEVEL=0"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = Self(command.spawn().expect("it can be run"));
        let output = BufReader::new(server.0.stdout.take().expect("piped"));
        let mut lines = output.lines().map(|line| line.expect("text"));
        let addr = lines.find_map(|line| line.strip_prefix("ACCEPT ").map(str::to_owned));
        let addr = addr.expect("it listens").parse().expect("an address");
        // It is read for as long as the server lives.
        std::thread::spawn(move || lines.count());
        (server, addr)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether the pair in `folder` is refused by whoever takes everything, and how.
fn refused(program: &Path, folder: &Path, what: &str) -> Vec<String> {
    let insecure = json!({
        "ravelin.dev/upstream-protocol": "https",
        "ravelin.dev/upstream-tls-insecure": "true",
    });
    // In TLS 1.2 rustls has neither the curve of the one nor the signatures of the other, whoever verifies.
    let versions: &[&str] = match what {
        "P-521" | "Ed448" => &["-tls1_3"],
        _ => &["-tls1_2", "-tls1_3"],
    };
    let ask = |version: &&str| {
        let (_server, addr) = Server::start(program, folder, version);
        let response = edge_as(&insecure, addr).start().get("a", "/");
        (response.status() != 200).then(|| format!("{what} {version}: {}", response.text()))
    };
    versions.iter().filter_map(ask).collect()
}

#[test]
fn certificates_of_every_sort_are_taken_where_that_is_asked_for() {
    let Some(program) = program("openssl") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let names: String = (0..1_500).map(|n| format!(",DNS:a-long-name-{n}.example")).collect();
    let huge = format!("subjectAltName=DNS:first.example{names}");
    let huge = ["-addext", &*huge];
    let mut all_refused = Vec::new();
    let all = ODD.iter().copied().chain([("40 KiB", P_256, &huge[..])]);
    for (what, key, request) in all {
        openssl(&program, folder, &[&["genpkey", "-out", "key.pem", "-algorithm"], key].concat());
        let begin = ["req", "-x509", "-new", "-key", "key.pem", "-out", "cert.pem", "-days", "9"];
        let subject: &[&str] = if request.contains(&"-subj") { &[] } else { &["-subj", "/CN=odd"] };
        openssl(&program, folder, &[&begin, subject, request].concat());
        all_refused.extend(refused(&program, folder, what));
    }
    // Version 1, without extensions.
    let request = ["req", "-new", "-key", "key.pem", "-out", "request.pem", "-subj", "/CN=odd"];
    openssl(&program, folder, &request);
    let sign = ["x509", "-req", "-in", "request.pem", "-signkey", "key.pem", "-out", "cert.pem"];
    openssl(&program, folder, &sign);
    all_refused.extend(refused(&program, folder, "version 1"));
    let expired = Authority::new().sign_until("a.example", 2020);
    fs::write(folder.join("cert.pem"), expired.certificate).expect("a folder of ours");
    fs::write(folder.join("key.pem"), expired.key).expect("a folder of ours");
    all_refused.extend(refused(&program, folder, "expired, by nobody"));
    assert!(all_refused.is_empty(), "{all_refused:#?}");
}
