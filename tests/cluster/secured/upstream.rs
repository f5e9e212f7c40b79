//! The authorities for the certificates of pods, in the Secret that a Service names. The pod is
//! OpenSSL's server.

use super::{Secured, authority::Authority, put_authority};
use crate::edge::Site;
use crate::eventually;
use crate::plane::Plane;
use crate::skipped::skipped;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Where it listens, the last byte being its own: beyond what [`crate::edge::Backend`] gives, and nobody else's.
const ADDRESS: ([u8; 3], u16) = ([10, 77, 99], 8443);
const NAMESPACE: &str = "secret-upstream";

/// `openssl s_server`, which answers every request with a page of its own. Killed when dropped.
pub(super) struct Pod {
    child: Child,
    pub(super) addr: SocketAddr,
    _folder: TempDir,
}

impl Pod {
    /// Starts it with a certificate for a Service. `None`: there is no OpenSSL, which is said.
    pub(super) fn start(
        plane: &Plane,
        authority: &Authority,
        service: &str,
        last: u8,
    ) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let issued = authority.issue(&[service]);
        let [cert, key] =
            [("cert.pem", &issued.chain), ("key.pem", &issued.key)].map(|(name, text)| {
                fs::write(folder.path().join(name), text).expect("a folder of ours");
                folder.path().join(name)
            });
        let ([a, b, c], port) = ADDRESS;
        let addr = SocketAddr::from(([a, b, c, last], port));
        let child = Command::new("openssl")
            .args(["s_server", "-quiet", "-www", "-accept", &addr.to_string(), "-cert"])
            .arg(cert)
            .arg("-key")
            .arg(key)
            .process_group(plane.group())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            skipped("openssl is not installed, and no pod with TLS is tried on a real API server");
            return None;
        };
        let pod = Self { child, addr, _folder: folder };
        eventually("OpenSSL's server listens", || TcpStream::connect(pod.addr).ok());
        Some(pod)
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_authorities_that_a_service_names_arrive_and_are_followed() {
    let Some(plane) = Plane::shared() else { return };
    let [right, wrong] = ["Right", "Wrong"].map(Authority::new);
    let service = format!("pod.{NAMESPACE}.svc");
    let Some(pod) = Pod::start(&plane, &right, &service, 1) else { return };
    let secured = Secured::start(&plane, NAMESPACE);
    // There before anybody names it: its content was not kept, and is fetched.
    put_authority(&plane, NAMESPACE, "early", &right.pem());
    let host = "pod.secret-upstream";
    let site = Site { namespace: NAMESPACE, name: "pod", class: NAMESPACE, host };
    let mut of_site = site.service();
    of_site["metadata"]["annotations"] = serde_json::json!({
        "ravelin.dev/upstream-protocol": "https", "ravelin.dev/upstream-ca": "pods"});
    plane.create(&site.services(), &of_site);
    plane.create(&site.slices(), &site.slice(&[pod.addr]));
    plane.create(&site.ingresses(), &site.ingress());
    let answers = |status, reason: &str| {
        eventually(&format!("{status} {reason}"), || {
            let (got, body) = secured.edge.get(host, "/");
            (got == status && body.contains(reason)).then_some(())
        });
    };
    let name = |secret: &str| {
        let annotation = format!("ravelin.dev/upstream-ca={secret}");
        secured.kubectl(&["annotate", "--overwrite", "service", "pod", &annotation]);
    };
    answers(503, "protocol_unusable");
    put_authority(&plane, NAMESPACE, "pods", &wrong.pem());
    answers(502, "upstream_untrusted");
    put_authority(&plane, NAMESPACE, "pods", &right.pem());
    answers(200, "TLS");

    // Gone, and the last good ones count; then replaced by others.
    secured.kubectl(&["delete", "secret", "pods"]);
    let labels = [("kind", "Service"), ("severity", "error")];
    secured.await_metric("ravelin_rejected_objects", &labels, 1.0);
    answers(200, "TLS");
    put_authority(&plane, NAMESPACE, "pods", &wrong.pem());
    answers(502, "upstream_untrusted");

    // Another Secret is named, one that was there all the time; and none that is not.
    name("early");
    answers(200, "TLS");
    name("nowhere");
    answers(503, "protocol_unusable");
    put_authority(&plane, NAMESPACE, "nowhere", &right.pem());
    answers(200, "TLS");
    // Nobody has named it meanwhile.
    put_authority(&plane, NAMESPACE, "early", &wrong.pem());
    name("early");
    answers(502, "upstream_untrusted");
}
