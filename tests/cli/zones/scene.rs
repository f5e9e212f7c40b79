//! What is served in these tests, and the run of the program against the played API.

use super::api::{Api, TOKEN, World};
use super::identity::{authority, issued};
use crate::program::{Ran, command};
use std::fs;
use std::process::Stdio;
use tempfile::TempDir;

/// Three hosts, and three nodes of which one is not ready.
const MANIFESTS: &str = r#"{apiVersion: networking.k8s.io/v1, kind: Ingress,
  metadata: {namespace: shop, name: web}, spec: {ingressClassName: ravelin, rules: [
    {host: app.example.com, http: {paths: [
      {path: /, pathType: Prefix, backend: {service: {name: s, port: {number: 80}}}}]}},
    {host: www.example.com, http: {paths: [
      {path: /, pathType: Prefix, backend: {service: {name: s, port: {number: 80}}}}]}},
    {host: "*.pages.example.com", http: {paths: [
      {path: /, pathType: Prefix, backend: {service: {name: s, port: {number: 80}}}}]}}]}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: shop, name: s}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: n1}, status: {
  conditions: [{type: Ready, status: "True"}],
  addresses: [{type: InternalIP, address: 10.0.0.1}, {type: ExternalIP, address: 192.0.2.1}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: n2}, status: {
  conditions: [{type: Ready, status: "True"}],
  addresses: [{type: InternalIP, address: 192.0.2.2}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: n3}, status: {
  conditions: [{type: MemoryPressure, status: "False"}, {type: Ready, status: "Unknown"}],
  addresses: [{type: ExternalIP, address: 192.0.2.3}]}}
"#;

/// The names of the certificate.
const NAMES: [&str; 3] = ["app.example.com", "www.example.com", "*.pages.example.com"];

/// What is served, before the program runs.
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) config: String,
    pub(super) manifests: String,
    /// The names that the certificate is for.
    pub(super) names: Vec<&'static str>,
    /// More of the command line.
    pub(super) args: Vec<&'static str>,
    /// What the file of the token holds.
    pub(super) token: String,
    /// The base of the API, if it is not the played one.
    pub(super) base: Option<String>,
    folder: TempDir,
}

/// How the program ended, and what it asked the API for.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) ran: Ran,
    pub(super) seen: Vec<String>,
}

impl Scene {
    /// A zone and what is served agree.
    pub(super) fn right() -> Self {
        let folder = TempDir::new().expect("a temporary directory");
        let path = |name: &str| folder.path().join(name);
        let config = format!(
            "workers = 1\n[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:80\"\n\
             [[listener]]\nname = \"tls\"\naddress = \"127.0.0.1:443\"\nprotocol = \"https\"\n\
             [[certificate]]\ncert_file = {:?}\nkey_file = {:?}\n\
             [[client_certificate]]\nhosts = [\"app.example.com\"]\npolicy = \"require\"\n\
             ca_file = {:?}\n[[client_certificate]]\nhosts = [\"www.example.com\", \
             \"*.pages.example.com\"]\npolicy = \"request\"\nca_file = {:?}\n\
             [cloudflare]\nrefresh = \"off\"\ntrust_store_file = {:?}\n\
             [source]\nkind = \"directory\"\ndirectory = {:?}\n",
            path("tls.crt"),
            path("tls.key"),
            path("pull-ca.pem"),
            path("pull-ca.pem"),
            path("store.pem"),
            path("manifests"),
        );
        let (world, manifests, args) = (World::right(), MANIFESTS.to_owned(), Vec::new());
        let (names, token) = (NAMES.to_vec(), TOKEN.to_owned());
        Self { world, config, manifests, names, args, token, base: None, folder }
    }

    /// Changes the configuration.
    pub(super) fn configure(&mut self, from: &str, to: &str) -> &mut Self {
        assert!(self.config.contains(from), "{from} is not in {}", self.config);
        self.config = self.config.replace(from, to);
        self
    }

    /// Changes the manifests.
    pub(super) fn manifest(&mut self, from: &str, to: &str) -> &mut Self {
        assert!(self.manifests.contains(from), "{from} is not in {}", self.manifests);
        self.manifests = self.manifests.replacen(from, to, 1);
        self
    }

    pub(super) fn run(self) -> Outcome {
        let path = |name: &str| self.folder.path().join(name);
        let (chain, key, store) = issued(&self.names);
        let write = |name: &str, text: &str| fs::write(path(name), text).expect("a file of ours");
        write("tls.crt", &chain);
        write("tls.key", &key);
        write("store.pem", &store);
        write("pull-ca.pem", &authority("of the zone").pem());
        write("token", &self.token);
        write("ravelin.toml", &self.config);
        fs::create_dir(path("manifests")).expect("a folder of ours");
        write("manifests/all.yaml", &self.manifests);
        let api = Api::start(self.folder.path(), self.world.clone());
        let text = |name: &str| path(name).to_str().expect("UTF-8").to_owned();
        let (config, token) = (text("ravelin.toml"), text("token"));
        let ca_file = api.ca_file.to_str().expect("UTF-8");
        let base = self.base.as_ref().unwrap_or(&api.base);
        let line = ["check", "--cloudflare", "--config", &config, "--cloudflare-api", base];
        let with = ["--cloudflare-ca", ca_file, "--cloudflare-token", &token];
        let mut command = command(&[&line[..], &with, &self.args].concat());
        command.env_remove("CLOUDFLARE_API_TOKEN").env("RUST_BACKTRACE", "1");
        let output = command.stderr(Stdio::piped()).output().expect("the program runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let code = output.status.code().expect("no signal ended it");
        let ran = Ran { code, out: text(output.stdout), err: text(output.stderr) };
        for said in [&ran.out, &ran.err] {
            assert!(!said.contains(TOKEN), "the token is in {said}");
        }
        Outcome { ran, seen: api.seen() }
    }
}

impl Outcome {
    /// The lines about zones, and the last one.
    pub(super) fn section(&self) -> String {
        let of_zone = |line: &&str| {
            let begins =
                ["zone ", "error: ", "warning: ", "info: ", "not checked: ", "  curl ", "3 "];
            begins.iter().any(|begin| line.starts_with(begin))
                && !line.starts_with("warning: full (strict)")
        };
        self.ran.out.lines().filter(of_zone).map(|line| format!("{line}\n")).collect()
    }
}
