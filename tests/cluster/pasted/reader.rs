//! Who pastes: a folder like a checkout, a cluster with a shop and a Traefik in it, and a ravelin that serves.

use super::collect::Pasted;
use crate::crds;
use crate::edge::{Backend, Edge, Pod, SECURED, Setup, Site, program};
use crate::eventually;
use crate::go_program::go_program;
use crate::plane::Plane;
use crate::secured::Authority;
use crate::skipped;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// In front of kubectl: what needs a kubelet, with the same programs and arguments here. The pod is called ravelin-a.
const KUBECTL: &str = r#"#!/bin/bash
verb=
for word; do
    case $word in exec | logs) verb=$word && break ;; pods) verb=$word && break ;; --) break ;; esac
done
case $verb in
    exec)
        while [ "$1" != -- ]; do shift; done
        shift
        [ "$1" = /ravelin ] || { echo "the image has no $1" >&2 && exit 127; }
        shift
        words=()
        for word; do
            word=${word/#\/run\/ravelin\/admin.sock/$SOCKET}
            words+=("${word/#\/etc\/ravelin\/ravelin.toml/$CONFIG}")
        done
        exec ravelin "${words[@]}"
        ;;
    logs) cat "$LOG" ;;
    pods) case "$*" in *-n\ ravelin*-o\ name*) echo pod/ravelin-a ;; *) exec "$REAL_KUBECTL" "$@" ;; esac ;;
    *) exec "$REAL_KUBECTL" "$@" ;;
esac
"#;

/// In front of sudo, which not every machine has.
const SUDO: &str = "#!/bin/sh\nexec \"$@\"\n";

/// The least of the operators' definitions.
const OPERATORS: [(&str, &str); 2] =
    [("PodMonitor", "podmonitors"), ("PrometheusRule", "prometheusrules")];

/// What a page has instead of the names of its reader.
const NAMES: [(&str, &str); 9] = [
    ("exec POD ", "exec ravelin-a "),
    ("logs POD ", "logs ravelin-a "),
    ("RAY-ID", "8f2b3c4d5e6f7a8b-FRA"),
    ("REGISTRY/ravelin:TAG", "registry.example/ravelin:2"),
    ("TRAEFIK-NAMESPACE", "kube-system"),
    // Beside the one that is applied.
    (
        "helm install ravelin deploy/chart --namespace ravelin",
        "helm uninstall edge --ignore-not-found --namespace charted; helm install edge deploy/chart --set ingressClass.create=false --namespace charted",
    ),
    (
        "helm upgrade ravelin deploy/chart --namespace ravelin",
        "helm upgrade edge deploy/chart --namespace charted",
    ),
    ("--config /etc/ravelin/ravelin.toml", "--config ravelin.toml"),
    ("~/", "$HOME/"),
];

pub(super) struct Reader {
    home: TempDir,
    kubectl: PathBuf,
    helm: PathBuf,
    edge: Edge,
    _backend: Backend,
    /// The page that is read, and its folder.
    page: String,
    folder: PathBuf,
    /// Variables that were set on the page.
    variables: Vec<String>,
    /// What serves on the page.
    serving: Option<String>,
}

impl Reader {
    /// `None`: helm is not built, which is said.
    pub(super) fn new(plane: &Plane) -> Option<Self> {
        let helm = go_program("tests/deploy/helm")?;
        for program in ["curl", "jq", "openssl", "python3"] {
            let runs = Command::new(program).arg("--version").output();
            if runs.is_err() {
                skipped(&format!("{program} is not installed"));
                return None;
            }
        }
        let home = tempfile::tempdir().expect("a temporary folder");
        let at = |relative: &str| home.path().join(relative);
        for folder in ["bin", ".kube", "pages", "root/etc/bash_completion.d", "root/usr/local/bin"]
        {
            fs::create_dir_all(at(folder)).expect("a folder of ours");
        }
        fs::copy(plane.admin_kubeconfig(), at(".kube/config")).expect("a file of ours");
        for (name, text) in [("kubectl", KUBECTL), ("sudo", SUDO)] {
            let file = at("bin").join(name);
            fs::write(&file, text).expect("a folder of ours");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("our file");
        }
        symlink(program(), at("bin/ravelin")).expect("a folder of ours");
        symlink(&helm, at("bin/helm")).expect("a folder of ours");
        let backend = set_up(plane);
        let edge = serve(plane, home.path());
        let (page, folder) = (String::new(), home.path().to_owned());
        let (variables, serving) = (Vec::new(), None);
        let kubectl = plane.programs().join("kubectl");
        Some(Self {
            home,
            kubectl,
            helm,
            edge,
            _backend: backend,
            page,
            folder,
            variables,
            serving,
        })
    }

    /// Runs a command on its page. An error if it ends with another exit code.
    pub(super) fn paste(&mut self, pasted: &Pasted, codes: &[i32]) -> Result<(), String> {
        self.turn_to(&pasted.page);
        if let Some((name, _)) = pasted.script.split_once("=$(")
            && name.bytes().all(|byte| byte.is_ascii_uppercase())
        {
            self.variables.push(pasted.script.clone());
        }
        self.run(&pasted.script, pasted, codes)
    }

    /// The same of kubectl, without consequences.
    pub(super) fn paste_dry(&mut self, pasted: &Pasted) -> Result<(), String> {
        self.turn_to(&pasted.page);
        let script = format!("{} --dry-run=server", pasted.script);
        self.run(&script, pasted, &[0])
    }

    /// Has what serves started by those that visit it.
    pub(super) fn serves(&mut self, pasted: &Pasted) {
        self.turn_to(&pasted.page);
        self.serving = Some(pasted.script.clone());
    }

    /// Asks what serves on the page, in a network that it has for itself; without any, that of the cluster.
    pub(super) fn visits(&mut self, pasted: &Pasted) -> Result<(), String> {
        self.turn_to(&pasted.page);
        let Some(serving) = &self.serving else {
            return self.run(&pasted.script, pasted, &[0]);
        };
        let script = format!(
            "ip link set lo up\n{serving} 2> serving.log &\nuntil curl -s -o ready http://127.0.0.1:9180/readyz; do read -t 0.05 < <(:); done\n\
             {}\ncode=$?\nkill %1\nexit $code\n",
            pasted.script
        );
        let mut command = Command::new("unshare");
        command.args(["-n", "bash", "-c", &script]);
        self.end(command, pasted, &[0])
    }

    /// Each page has a folder like a checkout.
    fn turn_to(&mut self, page: &str) {
        if self.page == page {
            return;
        }
        (self.page, self.variables, self.serving) = (page.to_owned(), Vec::new(), None);
        self.folder = self.home.path().join("pages").join(page.replace('/', "-"));
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let copy = Command::new("sh")
            .args([
                "-c",
                "mkdir -p \"$1/target/release\" && cp -r \"$0/deploy\" \"$0/config\" \"$1\"",
            ])
            .args([root, &self.folder])
            .status();
        assert!(copy.expect("a shell").success());
        symlink(program(), self.folder.join("target/release/ravelin")).expect("a folder of ours");
        let at = |name: &str| self.folder.join(name);
        if page != "README.md" {
            fs::copy(self.home.path().join("ravelin.toml"), at("ravelin.toml")).expect("our files");
            fs::create_dir(at("manifests")).expect("a folder of ours");
        }
        let authority = Authority::new("Tests");
        let issued = authority.issue(&["app.example.com"]);
        let files = [
            ("origin.pem", issued.chain.as_str()),
            ("origin.key", &issued.key),
            ("new.pem", &issued.chain),
            ("new.key", &issued.key),
            ("ca.pem", &authority.pem()),
            ("before.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: before}}"),
        ];
        for (name, text) in files {
            fs::write(at(name), text).expect("a folder of ours");
        }
        fs::copy(program(), at("ravelin")).expect("a folder of ours");
    }

    fn run(&self, script: &str, pasted: &Pasted, codes: &[i32]) -> Result<(), String> {
        let root = self.home.path().join("root").display().to_string();
        let mut script = self.variables.join("\n") + "\n" + script;
        for (theirs, ours) in NAMES {
            script = script.replace(theirs, ours);
        }
        for place in ["/usr/local/", "/etc/"] {
            script = script.replace(&format!(" {place}"), &format!(" {root}{place}"));
        }
        script = script.replace("127.0.0.1:9180", &self.edge.admin_address().to_string());
        let mut command = Command::new("bash");
        command.args(["-c", &format!("set -o pipefail\n{script}")]);
        self.end(command, pasted, codes)
    }

    fn end(&self, mut command: Command, pasted: &Pasted, codes: &[i32]) -> Result<(), String> {
        let home = self.home.path();
        fs::write(home.join("log"), self.edge.log_text()).expect("a folder of ours");
        let path = std::env::var("PATH").unwrap_or_default();
        let output = command
            .current_dir(&self.folder)
            .env("PATH", format!("{}:{path}:/usr/sbin:/sbin", home.join("bin").display()))
            .env("HOME", home)
            .env("KUBECONFIG", home.join(".kube/config"))
            .env("REAL_KUBECTL", &self.kubectl)
            .env("SOCKET", home.join("admin.sock"))
            .env("LOG", home.join("log"))
            .env("CONFIG", home.join("ravelin.toml"))
            .env("HELM", &self.helm)
            .stdin(Stdio::null())
            .output()
            .expect("it runs");
        let code = output.status.code().unwrap_or(-1);
        if codes.contains(&code) {
            return Ok(());
        }
        let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        let end = |text: &str| {
            text.chars().rev().take(600).collect::<Vec<_>>().into_iter().rev().collect::<String>()
        };
        Err(format!(
            "{}: {}\nends with {code}: {}{}",
            pasted.page,
            pasted.script,
            end(&err),
            end(&out)
        ))
    }
}

/// The cluster: ravelin as it is applied, a shop, nodes that take no pod, and what Traefik leaves.
fn set_up(plane: &Plane) -> Backend {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/k3s/ravelin.yaml");
    let applied = plane.kubectl(&["apply", "-f", &file.display().to_string()]);
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    crds::install(plane);
    for (kind, plural) in OPERATORS {
        let name = format!("{plural}.monitoring.coreos.com");
        let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": name}, "spec": {"group": "monitoring.coreos.com", "scope": "Namespaced",
                "names": {"kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": kind.to_lowercase()},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema":
                    {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}});
        plane.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &definition);
    }
    for node in ["node-1", "node-2", "node-3"] {
        plane.apply(&format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: {node}}}, spec: {{taints: [{{key: example.com/none, effect: NoSchedule}}]}}}}"
        ));
    }
    // One to go back to.
    let revisions = "/apis/apps/v1/namespaces/ravelin/controllerrevisions";
    let count = || plane.get(revisions).json()["items"].as_array().map_or(0, Vec::len);
    eventually("the first revision", || (count() == 1).then_some(()));
    plane.kubectl_fed(
        &["-n", "ravelin", "set", "image", "ds/ravelin", "ravelin=ravelin:second"],
        "",
    );
    eventually("the second one", || (count() == 2).then_some(()));
    plane.namespace("shop");
    plane.namespace("app");
    plane.apply(
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: ravelin-break-glass, namespace: ravelin}, data: {switch: 'off'}}\n---\n\
         {apiVersion: v1, kind: Service, metadata: {name: traefik, namespace: kube-system}, spec: {ports: [{port: 80}]}}\n---\n\
         {apiVersion: apps/v1, kind: DaemonSet, metadata: {name: traefik, namespace: kube-system}, spec: {selector: {matchLabels: {app: \
         traefik}}, template: {metadata: {labels: {app: traefik}}, spec: {containers: [{name: traefik, image: traefik}]}}}}\n",
    );
    let backend = Backend::start("shop");
    let site = Site { namespace: "shop", name: "shop", class: "ravelin", host: "app.example.com" };
    site.create(plane, &backend);
    backend
}

/// Starts a ravelin with the account that was applied.
fn serve(plane: &Plane, home: &Path) -> Edge {
    let kubeconfig = plane.kubeconfig_of("ravelin", "ravelin");
    let token = fs::read_to_string(plane.renew_token("ravelin", "ravelin")).expect("a token");
    let api = plane.api_with_token(&token);
    eventually("the role is in force", || {
        (api.request("GET", "/api/v1/secrets", None).status == 200).then_some(())
    });
    let setup = Setup { kubeconfig: &kubeconfig, class: "ravelin", keys: SECURED };
    let text = setup
        .text(true)
        .replace("[admin]\n", &format!("[admin]\nsocket = {:?}\n", home.join("admin.sock")));
    fs::write(home.join("ravelin.toml"), &text).expect("a folder of ours");
    let edge =
        Edge::configured(plane, &text, Some(Pod { namespace: "ravelin", name: "ravelin-a" }));
    edge.await_ready();
    edge.await_answer("app.example.com", "/", "shop");
    let lease = "/apis/coordination.k8s.io/v1/namespaces/ravelin/leases/ravelin";
    eventually("the Lease", || {
        let lease: Value = plane.get(lease).json();
        lease["spec"]["holderIdentity"].is_string().then_some(())
    });
    edge
}
