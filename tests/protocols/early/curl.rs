//! The same with curl, as people have it.

use super::pods::{Pod, Speaks, Then};
use crate::secured::{HOST, secured};
use crate::support::{edge_to, program};
use std::process::Command;

#[test]
fn curl_sees_an_early_answer_over_every_protocol() {
    let Some(curl) = program("curl") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let body = folder.path().join("body");
    std::fs::write(&body, vec![b'x'; 16 * 1024 * 1024]).expect("a new file");
    for then in Then::ALL {
        let pod = Pod::start(Speaks::Http1, then);
        let (plain, tls) = (edge_to(&[pod.addr()]).start(), secured(pod.addr()).start());
        for (scheme, addr, version) in [
            ("http", plain.addr(), "--http1.1"),
            ("https", tls.addr(), "--http1.1"),
            ("https", tls.addr(), "--http2"),
        ] {
            let output = Command::new(&curl)
                .args(["-s", "-S", "-k", version, "-w", "%{http_code} %{size_download}", "-o"])
                .arg(folder.path().join("answer"))
                .args(["--connect-to", &format!("::{addr}"), "-H", "Expect:", "-T"])
                .arg(&body)
                .arg(format!("{scheme}://{HOST}/"))
                .output()
                .expect("curl runs");
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(told, "413 40000", "{then:?} {scheme} {version}: {error}");
        }
    }
}
