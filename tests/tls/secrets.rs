//! Certificates out of the Secrets that Ingresses name.

use crate::certificates::Issued;
use crate::client::Client;
use crate::eventually;
use crate::proxy::{Proxy, proxy};
use serde_json::{Value, json};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// An Ingress of a namespace that names a Secret for a host.
pub(crate) fn ingress(namespace: &str, host: &str, secret: &str) -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"namespace": namespace, "name": format!("{host}-{secret}"),
                     "creationTimestamp": "2024-01-01T00:00:00Z"},
        "spec": {"ingressClassName": "ravelin", "tls": [{"hosts": [host], "secretName": secret}],
                 "defaultBackend": {"service": {"name": "all", "port": {"name": "http"}}}}})
}

/// Not of the type for certificates: of that, a directory keeps the last version that was one.
pub(crate) fn secret(namespace: &str, name: &str, issued: &Issued) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"namespace": namespace, "name": name},
        "stringData": {"tls.crt": issued.chain, "tls.key": issued.key}})
}

/// Puts objects in place, in a file of their own.
fn write(proxy: &Proxy, file: &str, objects: &[Value]) {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let aside = proxy.folder().join("aside");
    fs::write(&aside, list.to_string()).expect("a folder of ours");
    fs::rename(&aside, proxy.folder().join("manifests").join(file)).expect("the same file system");
}

/// Waits until a host is shown this certificate.
fn await_shown(proxy: &Proxy, host: &str, issued: &Issued) {
    eventually("the certificate is shown", || {
        let shown = Client::try_connect(proxy.addr(), host)?.shown();
        (shown == issued.der()).then_some(())
    });
}

/// Ends the load when it is dropped.
struct Ends<'d>(&'d AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_secret_is_shown_renewed_under_load_kept_when_it_breaks_and_forgotten_when_nobody_names_it() {
    let [first, second] = [(); 2].map(|()| Issued::new(&["a.example"]));
    let proxy = proxy().start();
    assert!(Client::try_connect(proxy.addr(), "a.example").is_none(), "no certificate yet");
    write(&proxy, "ingress.json", &[ingress("ns", "a.example", "cert")]);
    proxy.await_metric("ravelin_tls_secret_failing{shown=\"nothing\"}", 1.0);
    write(&proxy, "secret.json", &[secret("ns", "cert", &first)]);
    await_shown(&proxy, "a.example", &first);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        // Also if something here fails.
        let ends = Ends(&done);
        let load = scope.spawn(|| {
            let mut kept = Client::connect(proxy.addr(), "a.example");
            while !done.load(Ordering::Relaxed) {
                assert_eq!(kept.get("a.example").status(), "200");
                let mut fresh = Client::connect(proxy.addr(), "a.example");
                assert_eq!(fresh.get("a.example").status(), "200");
            }
        });
        write(&proxy, "secret.json", &[secret("ns", "cert", &second)]);
        await_shown(&proxy, "a.example", &second);
        let broken = Issued { chain: first.chain.clone(), key: String::from("no key") };
        write(&proxy, "secret.json", &[secret("ns", "cert", &broken)]);
        proxy.await_metric("ravelin_tls_secret_failing{shown=\"last_good\"}", 1.0);
        await_shown(&proxy, "a.example", &second);
        drop(ends);
        load.join().expect("no request failed");
    });
    fs::remove_file(proxy.folder().join("manifests/ingress.json")).expect("it is there");
    eventually("nobody is shown it", || {
        Client::try_connect(proxy.addr(), "a.example").is_none().then_some(())
    });
}

#[test]
fn a_host_of_another_namespace_is_not_taken_over() {
    let [own, stolen] = [(); 2].map(|()| Issued::new(&["a.example", "b.example"]));
    let proxy = proxy().start();
    write(&proxy, "own.json", &[ingress("ns", "a.example", "own"), secret("ns", "own", &own)]);
    await_shown(&proxy, "a.example", &own);
    let mut thief = ingress("thief", "a.example", "stolen");
    thief["metadata"]["creationTimestamp"] = "2025-01-01T00:00:00Z".into();
    thief["spec"]["tls"][0]["hosts"] = json!(["a.example", "c.example"]);
    write(&proxy, "thief.json", &[thief, secret("thief", "stolen", &stolen)]);
    await_shown(&proxy, "c.example", &stolen);
    await_shown(&proxy, "a.example", &own);
    // Named by nobody, in the older one's certificate.
    await_shown(&proxy, "b.example", &own);
}
