//! `ravelin check --break-glass`: what is said of each host, and how the program ends. And what `explain` says of the two
//! certificates of a host.

use crate::program::{Ran, ravelin};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::Value;
use std::fs;
use tempfile::TempDir;

const AUD: &str = "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228";
const CLOSED: (&str, &str) = ("break-glass", "closed");
const OPEN: (&str, &str) = ("break-glass", "open");
const REQUIRE: [(&str, &str); 2] = [("client-certificate", "require"), ("client-ca", "cloudflare")];

/// Who signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// A Secret of the namespace `shop`, valid until the begin of a year.
    fn secret(&self, name: &str, host: &str, year: i32) -> String {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let own = params.signed_by(&key, &self.0).expect("a certificate");
        secret(name, &own.pem(), &key.serialize_pem())
    }
}

fn secret(name: &str, chain: &str, key: &str) -> String {
    let [chain, key] = [chain, key].map(|text| STANDARD.encode(text));
    format!(
        "---\napiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: {{name: {name}, namespace: shop}}\n\
         data: {{tls.crt: {chain}, tls.key: {key}}}\n"
    )
}

/// An Ingress for a path of `NAME.example`, which names Secrets for its host.
fn ingress((name, path): (&str, &str), secrets: &[&str], annotations: &[(&str, &str)]) -> String {
    let annotations =
        annotations.iter().map(|(key, value)| format!("ravelin.dev/{key}: \"{value}\""));
    let annotations = annotations.collect::<Vec<_>>().join(", ");
    let host = format!("{name}.example");
    let tls = secrets.iter().map(|secret| format!("{{hosts: [{host}], secretName: {secret}}}"));
    let tls = tls.collect::<Vec<_>>().join(", ");
    let object = if path == "/" { name.to_owned() } else { format!("{name}-more") };
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {object}, namespace: shop, annotations: \
         {{{annotations}}}}}\nspec:\n  ingressClassName: ravelin\n  tls: [{tls}]\n  rules:\n  - host: {host}\n    http: {{paths: \
         [{{path: {path}, pathType: Prefix, backend: {{service: {{name: s, port: {{number: 80}}}}}}}}]}}\n"
    )
}

const SERVICE: &str = "---\napiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: shop}\nspec: {ports: [{port: 80}]}\n";

/// A folder with manifests, the CA of visitors, a switch that is off, and a configuration.
struct Scene {
    folder: TempDir,
    public: Authority,
    origin: Authority,
    config: String,
}

impl Scene {
    fn new() -> Self {
        let folder = TempDir::new().expect("a temporary directory");
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("manifests")).expect("a folder of ours");
        let config = format!(
            "workers = 1\n[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:80\"\nadmit = [\"cloudflare\"]\n\
             [[listener]]\nname = \"tls\"\naddress = \"127.0.0.1:443\"\nprotocol = \"https\"\nadmit = [\"cloudflare\"]\n\
             [cloudflare]\nrefresh = \"off\"\n[break_glass]\nfile = {:?}\n\
             [source]\nkind = \"directory\"\ndirectory = {:?}\n",
            path("switch"),
            path("manifests"),
        );
        let public = Authority::new("Example Trust");
        fs::write(path("ca.pem"), public.0.pem()).expect("a file of ours");
        fs::write(path("switch"), "off").expect("a file of ours");
        let origin = Authority::new("CloudFlare Origin SSL Certificate Authority");
        Self { folder, public, origin, config }
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("a file of ours");
        path.to_str().expect("UTF-8").to_owned()
    }

    fn check(&self, manifests: &str, more: &[&str]) -> Ran {
        self.write("manifests/all.yaml", &format!("{SERVICE}{manifests}"));
        let config = self.write("ravelin.toml", &self.config);
        let ca = self.folder.path().join("ca.pem");
        let ca = ca.to_str().expect("UTF-8");
        let line = ["check", "--break-glass", "--break-glass-ca", ca, "--config", &config];
        ravelin(&[&line[..], more].concat())
    }

    /// A host of every sort.
    fn every_sort(&self) -> String {
        let (public, origin) = (&self.public, &self.origin);
        let own = rcgen::generate_simple_self_signed(["self.example".to_owned()]).expect("a name");
        let access = format!("team/{AUD}");
        let access = ("access", access.as_str());
        let later = "cert-manager.io/issuer: x, ravelin.dev/https-redirect";
        let all = [
            public.secret("public", "both.example", 4000),
            origin.secret("origin", "both.example", 4000),
            ingress(("both", "/"), &["origin", "public"], &[]),
            origin.secret("app-origin", "app.wide.example", 4000),
            public.secret("wide", "*.wide.example", 4000),
            ingress(("app.wide", "/"), &["app-origin"], &[]),
            ingress(("x.wide", "/"), &["wide"], &[]),
            origin.secret("only-origin", "origin.example", 4000),
            ingress(("origin", "/"), &["only-origin"], &[]),
            ingress(("none", "/"), &[], &[]),
            secret("self", &own.cert.pem(), &own.signing_key.serialize_pem()),
            ingress(("self", "/"), &["self"], &[]),
            public.secret("old", "old.example", 2020),
            ingress(("old", "/"), &["old"], &[]),
            public.secret("aop", "*.aop.example", 4000),
            ingress(("unsaid.aop", "/"), &["aop"], &REQUIRE),
            ingress(("open.aop", "/"), &["aop"], &[&REQUIRE[..], &[OPEN]].concat()),
            ingress(("shut.aop", "/"), &["aop"], &[&REQUIRE[..], &[CLOSED]].concat()),
            ingress(("admin.aop", "/"), &["aop"], &[access]),
            ingress(("part.aop", "/"), &["aop"], &[]),
            ingress(("part.aop", "/admin"), &[], &[access]),
            ingress(("later", "/"), &["later"], &[("hsts", "off")])
                .replace("ravelin.dev/hsts", later)
                .replace("\"off\"", "\"true\""),
        ];
        all.concat()
    }
}

/// The lines about break-glass, without how many days are left.
fn lines(ran: &Ran) -> Vec<String> {
    let of_it = |line: &&str| line.contains("break-glass");
    let without_days = |line: &str| match line.split_once(" days left") {
        Some((before, after)) => {
            let before = before.rsplit_once(' ').map_or(before, |(before, _)| before);
            format!("{before} N days left{after}")
        }
        None => line.to_owned(),
    };
    ran.out.lines().filter(of_it).map(without_days).collect()
}

#[test]
fn each_host_is_ready_or_has_what_it_lacks_and_its_fix() {
    let scene = Scene::new();
    let ran = scene.check(&scene.every_sort(), &[]);
    let folder = scene.folder.path().to_str().expect("UTF-8");
    let told = lines(&ran).join("\n").replace(folder, "FOLDER") + "\n";
    assert_eq!(told, include_str!("golden/break_glass.txt"), "{}", ran.out);
    assert_eq!(ran.code, 1, "{}", ran.err);
}

#[test]
fn programs_are_told_the_same() {
    let scene = Scene::new();
    let ran = scene.check(&scene.every_sort(), &["--output", "json"]);
    assert_eq!(ran.code, 1);
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    let hosts = report["break_glass"]["hosts"].as_array().expect("a list");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let rows = hosts.iter().map(|row| {
        let what: Vec<String> = all(&row["missing"]).iter().map(|it| text(&it["what"])).collect();
        format!("{} {} {}", text(&row["host"]), text(&row["state"]), what.join(" "))
    });
    let rows: Vec<String> = rows.map(|row| row.trim_end().to_owned()).collect();
    let expected = [
        "admin.aop.example closed access",
        "app.wide.example ready",
        "both.example ready",
        "later.example not_judged certificate",
        "none.example not_ready certificate",
        "old.example not_ready certificate",
        "open.aop.example ready",
        "origin.example not_ready certificate",
        "part.aop.example partly access",
        "self.example not_ready certificate",
        "shut.aop.example closed client_certificate",
        "unsaid.aop.example not_ready client_certificate",
        "x.wide.example ready",
    ];
    assert_eq!(rows, expected);
    assert_eq!(hosts[2]["certificate"], "Secret shop/public");
    assert!(hosts[2]["days_left"].as_i64() > Some(100_000), "{}", hosts[2]);
    assert_eq!(report["errors"], 5, "{}", ran.out);
}

#[test]
fn what_is_ready_or_closed_on_purpose_ends_well_and_without_the_option_nothing_is_said() {
    let mut scene = Scene::new();
    let host = scene.public.secret("public", "a.example", 4000);
    let require = [&REQUIRE[..], &[CLOSED]].concat();
    let manifests = format!("{host}{}", ingress(("a", "/"), &["public"], &require));
    let ran = scene.check(&manifests, &[]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let config = scene.folder.path().join("ravelin.toml");
    let ran = ravelin(&["check", "--config", config.to_str().expect("UTF-8")]);
    assert_eq!(lines(&ran), [""; 0]);
    // The configuration requires it, and says what becomes of the host.
    let table = "[[client_certificate]]\npolicy = \"require\"\nca = \"cloudflare\"\n[cloudflare]";
    scene.config = scene.config.replace("[cloudflare]", table);
    let plain = format!("{host}{}", ingress(("a", "/"), &["public"], &[]));
    assert_eq!(scene.check(&plain, &[]).code, 1);
    let open = "ca = \"cloudflare\"\nbreak_glass = \"open\"";
    scene.config = scene.config.replace("ca = \"cloudflare\"", open);
    assert_eq!(scene.check(&plain, &[]).code, 0);
    // An Ingress that requires it as well has a say.
    assert_eq!(scene.check(&manifests, &[]).code, 0, "closed on purpose");
    let unsaid = format!("{host}{}", ingress(("a", "/"), &["public"], &REQUIRE));
    assert_eq!(scene.check(&unsaid, &[]).code, 1);
}

#[test]
fn what_is_missing_for_all_hosts_is_told_once() {
    let ready = |scene: &Scene| {
        let host = scene.public.secret("public", "a.example", 4000);
        format!("{host}{}", ingress(("a", "/"), &["public"], &[]))
    };
    for (from, to, expected, code) in [
        (
            "[break_glass]\nfile",
            "[break_glass]\n# file",
            "error: break-glass: there is no switch",
            1,
        ),
        (
            "admit = [\"cloudflare\"]",
            "admit = [\"loopback\"]",
            "error: break-glass: no listener admits the set cloudflare",
            1,
        ),
        (
            "protocol = \"https\"",
            "protocol = \"http\"",
            "error: break-glass: no listener with TLS admits visitors",
            1,
        ),
        (
            "[break_glass]",
            "[break_glass]\nrequests = 1000000",
            "warning: break-glass: break_glass.requests = 1000000 limits no visitor",
            0,
        ),
        (
            "[break_glass]",
            "[break_glass]\nconnections = 10000",
            "warning: break-glass: break_glass.connections = 10000 lets one visitor take all",
            0,
        ),
    ] {
        let mut scene = Scene::new();
        assert!(scene.config.contains(from), "{from}");
        scene.config = scene.config.replace(from, to);
        let ran = scene.check(&ready(&scene), &[]);
        let told = lines(&ran).iter().filter(|line| line.starts_with(expected)).count();
        assert_eq!((told, ran.code), (1, code), "{expected}: {}{}", ran.out, ran.err);
    }
    for (word, expected) in [("on", ": ON"), ("onn", ": off, as it cannot be read")] {
        let scene = Scene::new();
        scene.write("switch", word);
        let ran = scene.check(&ready(&scene), &[]);
        assert_eq!(ran.code, 0, "{}", ran.out);
        let first = lines(&ran).remove(0);
        assert!(first.ends_with(expected), "{first}");
        let warned = ran.out.contains("counts as off: \"onn\" is neither \"on\" nor \"off\"");
        assert_eq!(warned, word == "onn", "{}", ran.out);
    }
}

#[test]
fn a_file_that_is_no_ca_is_told_and_manifests_are_enough() {
    let scene = Scene::new();
    let manifests = format!("{SERVICE}{}", ingress(("a", "/"), &[], &[]));
    let file = scene.write("alone.yaml", &manifests);
    let wrong = scene.write("wrong.pem", "hunter2");
    let ran = ravelin(&["check", "--break-glass", "--break-glass-ca", &wrong, &file]);
    assert_eq!((ran.code, ran.out.as_str()), (64, ""));
    assert!(ran.err.contains("--break-glass-ca") && !ran.err.contains("hunter2"), "{}", ran.err);
    let ran = ravelin(&["check", "--break-glass", &file]);
    assert_eq!(ran.code, 1);
    let told = lines(&ran);
    assert!(told[0].contains("not looked at without --config"), "{told:?}");
    assert!(told[1].contains("a.example: not ready: it has no certificate"), "{told:?}");
}

#[test]
fn explain_names_both_certificates_and_judges_by_that_of_the_source() {
    let scene = Scene::new();
    let open = [&REQUIRE[..], &[OPEN]].concat();
    let manifests = [
        scene.origin.secret("origin", "app.wide.example", 4000),
        scene.public.secret("wide", "*.wide.example", 4000),
        ingress(("app.wide", "/"), &["origin"], &[]),
        ingress(("x.wide", "/"), &["wide"], &[]),
        ingress(("open.wide", "/"), &[], &open),
        ingress(("shut.wide", "/"), &[], &REQUIRE),
    ];
    scene.check(&manifests.concat(), &[]);
    let config = scene.folder.path().join("ravelin.toml");
    let explain = |host: &str, more: &[&str]| {
        let url = format!("https://{host}/");
        let config = config.to_str().expect("UTF-8");
        let line = ["explain", "--output", "json", "--config", config, &url];
        let ran = ravelin(&[&line[..], more].concat());
        serde_json::from_str::<Value>(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    };
    let begins = |value: &Value, with: &str| value.as_str().is_some_and(|it| it.starts_with(with));
    let both = explain("app.wide.example", &[]);
    assert!(begins(&both["certificate"], "app.wide.example, "), "{both}");
    assert_eq!(both["certificate_from"], "Secret shop/origin");
    assert!(begins(&both["certificate_others"], "*.wide.example, "), "{both}");
    assert_eq!(both["certificate_others_from"], "Secret shop/wide");
    let one = explain("x.wide.example", &[]);
    assert_eq!(
        (&one["certificate_others"], &one["certificate_others_from"]),
        (&Value::Null, &Value::Null)
    );
    // The wildcard covers another host, which Cloudflare's certificate does not.
    let of_others = ["--sni", "app.wide.example", "--from", "203.0.113.9"];
    let of_cloudflare = ["--sni", "app.wide.example", "--from", "104.16.0.1"];
    scene.write("switch", "on");
    let answer = |more: &[&str]| explain("x.wide.example", more)["answer"].clone();
    assert_eq!(answer(&of_others), "forwarded");
    assert_eq!(answer(&of_cloudflare), "421 misdirected_request");
    // What is asked of the client of each host.
    let plain = |host: &str| {
        let url = format!("http://{host}/");
        let config = config.to_str().expect("UTF-8");
        let line = ["explain", "--config", config, "--from", "203.0.113.9", &url];
        ravelin(&line)
    };
    let open = plain("open.wide.example");
    assert!(open.out.contains("not of this visitor, for whom break-glass opens"), "{}", open.out);
    assert!(open.out.contains("forwarded"), "{}", open.out);
    let shut = plain("shut.wide.example");
    assert!(shut.out.contains("closed in break-glass"), "{}", shut.out);
    assert!(shut.out.contains("403 client_certificate_required"), "{}", shut.out);
}
