//! What clusters that run Traefik behind Cloudflare have, with their manifests unchanged: each Middleware protects from
//! the first request on, an edit is in force at once, and one that is gone closes its routes.

mod client;

use crate::edge::{Edge, Site, account, class};
use crate::eventually;
use crate::plane::Plane;
use client::{Answer, Pod, ask};
use serde_json::json;
use std::net::Ipv4Addr;

const MANIFESTS: &str = include_str!("manifests.yaml");
/// Where the Middlewares are, and where the Ingresses that name them.
const RULES: &str = "edge-rules";
const APPS: &str = "apps";

/// The Middlewares. The Ingress of each is called alike, and its host with `.example`.
const MIDDLEWARES: [&str; 5] =
    ["cloudflare-only", "redirect-https", "rate-limit", "admin-auth", "security-headers"];
/// The Ingress that names all of them.
const ALL: &str = "all";

/// A peer within Cloudflare's ranges, and one that is not.
const CLOUDFLARE: Ipv4Addr = Ipv4Addr::new(173, 245, 48, 9);
const STRANGER: Ipv4Addr = Ipv4Addr::new(10, 77, 3, 3);

/// Of `ann:secret`, and of `ann:other`.
const RIGHT: &str = "Authorization: Basic YW5uOnNlY3JldA==\r\n";
const OTHER: &str = "Authorization: Basic YW5uOm90aGVy\r\n";
/// What `other` is in the file of users: `openssl passwd -apr1 -salt saltsalt other`.
const OTHER_HASH: &str = "$apr1$saltsalt$oMNfpl1VcEny2lckzXHCp1";
const HTTPS: &str = "X-Forwarded-Proto: https\r\n";

/// Everything that runs.
struct Cluster {
    edge: Edge,
    plane: Plane,
    pod: Pod,
}

impl Cluster {
    /// Starts it, before there is any Middleware.
    fn start() -> Option<Self> {
        let plane = Plane::start()?;
        crate::crds::install(&plane);
        class(&plane, "traefik");
        let kubeconfig = account(&plane, "edge");
        plane.namespace(RULES);
        plane.namespace(APPS);
        let pod = Pod::start();
        let app = site("app", "app.example");
        plane.create(&app.services(), &app.service());
        plane.create(&app.slices(), &app.slice(&[pod.addr]));
        plane.create(&app.ingresses(), &app.ingress());
        for name in MIDDLEWARES.into_iter().chain([ALL]) {
            let host = host(name);
            let site = site(name, &host);
            let names = if name == ALL { &MIDDLEWARES[..] } else { &[name] };
            let ids: Vec<_> =
                names.iter().map(|name| format!("{RULES}-{name}@kubernetescrd")).collect();
            let mut ingress = site.ingress_to("app");
            ingress["metadata"]["annotations"] =
                json!({"traefik.ingress.kubernetes.io/router.middlewares": ids.join(",")});
            plane.create(&site.ingresses(), &ingress);
        }
        let text = format!(
            "workers = 1\n[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\n\
             admit = [\"cloudflare\", \"loopback\", \"lab\"]\n[admit]\nlab = [\"10.77.0.0/16\"]\n\
             [admin]\naddress = \"127.0.0.1:0\"\n[cloudflare]\nrefresh = \"off\"\n\
             [log]\naccess = \"off\"\n[source]\nkind = \"kubernetes\"\ningress_class = \"traefik\"\n\
             write_back = false\nkubeconfig = {kubeconfig:?}\n"
        );
        let edge = Edge::configured(&plane, &text, None);
        edge.await_ready();
        Some(Self { edge, plane, pod })
    }

    /// Asks a site for a page.
    fn ask(&self, from: Ipv4Addr, name: &str, fields: &str) -> Answer {
        self.send(from, "GET /a?b=c", name, fields)
    }

    fn send(&self, from: Ipv4Addr, line: &str, name: &str, fields: &str) -> Answer {
        ask(from, self.edge.addr(), line, &format!("Host: {}\r\n{fields}", host(name)))
    }

    /// Checks the status of a site for a request.
    fn is(&self, from: Ipv4Addr, name: &str, fields: &str, status: u16) {
        assert_eq!(self.ask(from, name, fields).status, status, "{name} from {from}: {fields}");
    }

    /// Applies the manifests with a text in them replaced.
    fn edit(&self, from: &str, to: &str) {
        assert!(MANIFESTS.contains(from), "{from}");
        self.plane.apply(&MANIFESTS.replace(from, to));
    }

    /// Waits until a site answers a request with this status. Until then it answers with the other one.
    fn turns(&self, (from, name, fields): (Ipv4Addr, &str, &str), before: u16, after: u16) {
        eventually(&format!("{name} from {from} answers {after}"), || {
            let status = self.ask(from, name, fields).status;
            assert!([before, after].contains(&status), "{name} from {from}: {status}");
            (status == after).then_some(())
        });
    }

    /// The statuses that a visitor gets from the site with the limit, one request after the other.
    fn statuses(&self, visitor: u8, count: usize) -> Vec<u16> {
        let fields = format!("CF-Connecting-IP: 198.51.100.{visitor}\r\n");
        (0..count).map(|_| self.ask(CLOUDFLARE, "rate-limit", &fields).status).collect()
    }
}

fn site<'s>(name: &'s str, host: &'s str) -> Site<'s> {
    Site { namespace: APPS, name, class: "traefik", host }
}

fn host(name: &str) -> String {
    format!("{name}.example")
}

#[test]
fn what_clusters_have_for_traefik_protects_as_it_is_written() {
    let Some(cluster) = Cluster::start() else { return };
    for name in MIDDLEWARES.into_iter().chain([ALL]) {
        let refused = cluster.ask(CLOUDFLARE, name, RIGHT);
        assert_eq!(refused.status, 503, "{name} before its Middleware is there");
        assert!(refused.has("middleware_unusable"), "{name}");
    }
    cluster.is(STRANGER, "app", "", 200);
    assert_eq!(cluster.pod.asked(), 1, "without Middlewares");
    cluster.plane.apply(MANIFESTS);
    cluster.turns((STRANGER, "cloudflare-only", ""), 503, 403);
    cluster.turns((STRANGER, "admin-auth", ""), 503, 401);
    cluster.turns((STRANGER, "redirect-https", ""), 503, 301);
    cluster.turns((STRANGER, "security-headers", ""), 503, 200);
    cluster.turns((STRANGER, "rate-limit", ""), 503, 200);
    cluster.turns((STRANGER, ALL, ""), 503, 403);
    each_protects(&cluster);
    all_protect_in_their_order(&cluster);
    edits_are_in_force(&cluster);
    a_deletion_closes(&cluster);
}

fn each_protects(cluster: &Cluster) {
    cluster.is(CLOUDFLARE, "cloudflare-only", "", 200);
    let claim = "CF-Connecting-IP: 173.245.48.9\r\nX-Forwarded-For: 173.245.48.9\r\n";
    cluster.is(STRANGER, "cloudflare-only", claim, 403);

    let refused = cluster.ask(CLOUDFLARE, "admin-auth", "");
    assert!(refused.has("www-authenticate: basic realm=\"admin\""), "Traefik's words");
    cluster.is(CLOUDFLARE, "admin-auth", OTHER, 401);
    cluster.is(CLOUDFLARE, "admin-auth", RIGHT, 200);

    let answer = cluster.ask(CLOUDFLARE, "security-headers", "");
    for field in [
        "x-frame-options: deny\r\n",
        "x-content-type-options: nosniff\r\n",
        "x-xss-protection: 1; mode=block\r\n",
        "referrer-policy: strict-origin-when-cross-origin\r\n",
        "strict-transport-security: max-age=31536000; includesubdomains; preload\r\n",
    ] {
        assert!(answer.has(field), "{field}");
    }
    assert!(!answer.has("server: ") && !answer.has("x-powered-by: "), "they are taken away");
    assert!(answer.has("x-forwarded-proto: https"), "the pod is told of it");

    let location = "location: https://redirect-https.example/a?b=c\r\n";
    assert!(cluster.ask(CLOUDFLARE, "redirect-https", "").has(location));
    let post = "Content-Length: 0\r\n";
    let moved = cluster.send(CLOUDFLARE, "POST /a?b=c", "redirect-https", post);
    assert_eq!((moved.status, moved.has(location)), (308, true));
    cluster.is(CLOUDFLARE, "redirect-https", HTTPS, 200);
    // Nobody else is believed.
    cluster.is(STRANGER, "redirect-https", HTTPS, 301);

    assert_eq!(cluster.statuses(1, 5), [200, 200, 200, 429, 429]);
    assert_eq!(cluster.statuses(2, 1), [200], "another visitor behind the same edge");
    let visitor = "CF-Connecting-IP: 198.51.100.1\r\n";
    assert!(cluster.ask(CLOUDFLARE, "rate-limit", visitor).has("retry-after: "));
}

fn all_protect_in_their_order(cluster: &Cluster) {
    let before = cluster.pod.asked();
    cluster.is(STRANGER, ALL, &format!("{HTTPS}{RIGHT}"), 403);
    cluster.is(CLOUDFLARE, ALL, RIGHT, 301);
    cluster.is(CLOUDFLARE, ALL, HTTPS, 401);
    assert_eq!(cluster.pod.asked(), before, "no refused request gets to the pod");
    let answer = cluster.ask(CLOUDFLARE, ALL, &format!("{HTTPS}{RIGHT}"));
    assert_eq!((answer.status, answer.has("x-frame-options: deny")), (200, true));
    cluster.is(CLOUDFLARE, ALL, &format!("{HTTPS}{RIGHT}"), 200);
    cluster.is(CLOUDFLARE, ALL, &format!("{HTTPS}{RIGHT}"), 429);
}

fn edits_are_in_force(cluster: &Cluster) {
    cluster.edit("- 173.245.48.0/20", "- 10.77.3.0/24");
    cluster.turns((STRANGER, "cloudflare-only", ""), 403, 200);
    cluster.is(CLOUDFLARE, "cloudflare-only", "", 403);
    // The password becomes `other`.
    cluster.edit("$apr1$saltsalt$LrttParrLPdxvgutaSXWJ0", OTHER_HASH);
    cluster.turns((CLOUDFLARE, "admin-auth", RIGHT), 200, 401);
    cluster.is(CLOUDFLARE, "admin-auth", OTHER, 200);
    cluster.edit("permanent: true", "permanent: false");
    cluster.turns((CLOUDFLARE, "redirect-https", ""), 301, 302);
    cluster.edit("frameDeny: true", "customFrameOptionsValue: SAMEORIGIN");
    eventually("the other value", || {
        let answer = cluster.ask(CLOUDFLARE, "security-headers", "");
        answer.has("x-frame-options: sameorigin\r\n").then_some(())
    });
    cluster.edit("burst: 3", "burst: 1");
    let mut visitors = 10..=u8::MAX;
    eventually("the other limit", || {
        let statuses = cluster.statuses(visitors.next().expect("a visitor"), 2);
        (statuses == [200, 429]).then_some(())
    });
    // A mistake opens nothing.
    cluster.edit("- 173.245.48.0/20", "- 173.245.48.0/33");
    cluster.turns((STRANGER, "cloudflare-only", ""), 200, 503);
    cluster.edit("users: |\n    ann:", "users: |\n    ann");
    cluster.turns((CLOUDFLARE, "admin-auth", OTHER), 200, 503);
    // As they were.
    cluster.plane.apply(MANIFESTS);
    cluster.turns((STRANGER, "cloudflare-only", ""), 503, 403);
    cluster.turns((CLOUDFLARE, "admin-auth", RIGHT), 503, 200);
}

fn a_deletion_closes(cluster: &Cluster) {
    for name in MIDDLEWARES {
        let refused = match name {
            "cloudflare-only" => 403,
            "admin-auth" => 401,
            "redirect-https" => 301,
            // The visitor has had all that the limit gives.
            "rate-limit" => 429,
            _ => 200,
        };
        if refused == 429 {
            let spent = || (cluster.ask(STRANGER, name, "").status == 429).then_some(());
            eventually("the limit is reached", spent);
        }
        let before = cluster.pod.asked();
        let gone = cluster.plane.kubectl(&["-n", RULES, "delete", "middleware", name]);
        assert!(gone.status.success(), "{name}");
        cluster.turns((STRANGER, name, ""), refused, 503);
        if refused != 200 {
            assert_eq!(cluster.pod.asked(), before, "{name} is never open");
        }
        let before = cluster.pod.asked();
        let closed = cluster.ask(CLOUDFLARE, name, &format!("{HTTPS}{RIGHT}"));
        assert!(closed.status == 503 && closed.has("middleware_unusable"), "{name}");
        eventually(&format!("{ALL} is closed without {name}"), || {
            (cluster.ask(CLOUDFLARE, ALL, &format!("{HTTPS}{RIGHT}")).status == 503).then_some(())
        });
        assert_eq!(cluster.pod.asked(), before, "{name}");
        cluster.plane.apply(MANIFESTS);
        // What the limit has counted is still known.
        cluster.turns((STRANGER, name, ""), 503, refused);
        cluster.turns((STRANGER, ALL, ""), 503, 403);
    }
    cluster.is(STRANGER, "app", "", 200);
    let gone = cluster.plane.kubectl(&["-n", RULES, "delete", "secret", "admin-basic-auth"]);
    assert!(gone.status.success(), "the users");
    cluster.turns((STRANGER, "admin-auth", ""), 401, 503);
}
