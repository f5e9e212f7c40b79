//! `deploy/` as an operator applies it: a real API server takes all of it, and with nothing but that
//! ravelin serves.

use crate::edge::{Backend, Edge, Pod, Site};
use crate::eventually;
use crate::go_program::go_program;
use crate::plane::{Connection, Plane};
use crate::secured::{Authority, put_certificate};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What is applied as it is.
const OVERLAYS: [&str; 3] = ["overlays/flexible", "overlays/servicelb", "overlays/balancer"];
/// What is added to an overlay.
const COMPONENTS: [&str; 3] =
    ["components/cloudflare-config-map", "components/namespaced", "components/podmonitor"];
/// The least that makes the kind known. The operator's own definition has 1 400 lines.
const POD_MONITOR: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: podmonitors.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  names: {kind: PodMonitor, listKind: PodMonitorList, plural: podmonitors, singular: podmonitor}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
";

fn deploy(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(relative)
}

/// Runs kubectl on a kustomization, and returns whether it succeeded, and all that it said.
fn apply(plane: &Plane, flags: &[&str], folder: &Path) -> (bool, String) {
    let folder = folder.display().to_string();
    let output = plane.kubectl(&[&["apply"], flags, &["-k", &folder]].concat());
    let [out, err] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("UTF-8"));
    (output.status.success(), out + &err)
}

/// Applies `deploy/base`, once for all tests of this file.
fn base(plane: &Plane) {
    static APPLIED: OnceLock<()> = OnceLock::new();
    APPLIED.get_or_init(|| {
        let (done, said) = apply(plane, &[], &deploy("base"));
        assert!(done && !said.contains("Warning"), "{said}");
    });
}

/// The configuration of `deploy/base`, at its own ports, for clients and files of this test.
fn configuration(kubeconfig: &Path, folder: &Path) -> String {
    let text = fs::read_to_string(deploy("base/ravelin.toml")).expect("a file of ours");
    let (socket, state) = (folder.join("admin.sock"), folder.join("state"));
    fs::create_dir(&state).expect("a folder of ours");
    let source = format!("kind = \"kubernetes\"\nkubeconfig = {kubeconfig:?}");
    [
        ("kind = \"kubernetes\"", source),
        ("admit = [\"cloudflare\"]", "admit = [\"loopback\"]".to_owned()),
        ("\"/run/ravelin/admin.sock\"", format!("{socket:?}")),
        ("\"/var/lib/ravelin\"", format!("{state:?}")),
    ]
    .iter()
    .fold(text, |text, (theirs, ours)| {
        assert!(text.contains(theirs), "{theirs} is not in {text}");
        text.replace(theirs, ours)
    })
}

/// It is ready without any certificate, refuses handshakes, and shows the first that comes.
fn is_secured_once_an_ingress_names_a_certificate(plane: &Plane, edge: &Edge) {
    let authority = Authority::new("Tests");
    let client = authority.client(None);
    let visit = || {
        let mut connection = Connection::secured(edge.secured_addr(), "a.deployed", &client)?;
        connection.get("a.deployed", "/")
    };
    let refused = visit().expect_err("there is no certificate").to_string();
    assert!(refused.contains("UnrecognisedName"), "{refused}");
    put_certificate(plane, "ravelin", "a-deployed", &authority.issue(&["a.deployed"]));
    let tls = r#"{"spec":{"tls":[{"hosts":["a.deployed"],"secretName":"a-deployed"}]}}"#;
    let said =
        plane.kubectl(&["-n", "ravelin", "patch", "ingress", "a", "--type=merge", "-p", tls]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    eventually("the certificate is shown", || visit().ok().filter(|answer| answer.status == 200));
}

#[test]
fn with_what_deploy_base_creates_and_nothing_else_it_serves() {
    let Some(plane) = Plane::shared() else { return };
    base(&plane);
    let kubeconfig = plane.kubeconfig_of("ravelin", "ravelin");
    let token = fs::read_to_string(plane.renew_token("ravelin", "ravelin")).expect("a token");
    let api = plane.api_with_token(&token);
    // The authorizer learns of rules by a watch.
    eventually("the role is in force", || {
        (api.request("GET", "/api/v1/secrets", None).status == 200).then_some(())
    });
    let backend = Backend::start("deployed");
    let site = Site { namespace: "ravelin", name: "a", class: "ravelin", host: "a.deployed" };
    site.create(&plane, &backend);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = configuration(&kubeconfig, folder.path());
    let pod = Pod { namespace: "ravelin", name: "ravelin-0" };
    let edge = Edge::configured(&plane, &text, Some(pod));
    edge.await_ready();
    assert_eq!([edge.addr().port(), edge.secured_addr().port()], [80, 443]);
    edge.await_answer("a.deployed", "/", "deployed");
    is_secured_once_an_ingress_names_a_certificate(&plane, &edge);
    let page = edge.metrics();
    assert!(page.sum("ravelin_watch_errors_total", &[("reason", "forbidden")]) < 0.5);
    assert!(edge.end().success(), "it leaves when it is told to");

    for path in ["/api/v1/serviceaccounts", "/api/v1/pods"] {
        assert_eq!(api.request("GET", path, None).status, 403, "{path}");
    }
    assert_eq!(api.request("GET", "/api/v1/namespaces/ravelin/pods", None).status, 200);
}

#[test]
fn the_one_file_changes_nothing_where_the_base_is_applied() {
    let Some(plane) = Plane::shared() else { return };
    base(&plane);
    let file = deploy("k3s/ravelin.yaml").display().to_string();
    let output = plane.kubectl(&["apply", "--dry-run=server", "-f", &file]);
    let [out, err] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("UTF-8"));
    assert!(output.status.success(), "{err}");
    assert_eq!(err, "");
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines.len() >= 9, "{out}");
    assert!(lines.iter().all(|line| line.ends_with("unchanged (server dry run)")), "{out}");
}

/// Runs helm with all rights. `None`: it is not built, which is said.
fn helm(plane: &Plane, folder: &Path, line: &[&str]) -> Option<(bool, String)> {
    let mut command = Command::new(go_program("tests/deploy/helm")?);
    command.args(line).env("KUBECONFIG", plane.admin_kubeconfig());
    for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "HOME"] {
        command.env(variable, folder);
    }
    let output = command.output().expect("it runs");
    let [out, err] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("UTF-8"));
    Some((output.status.success(), out + &err))
}

#[test]
fn helm_installs_upgrades_rolls_back_and_removes_the_chart() {
    let Some(plane) = Plane::shared() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let chart = deploy("chart").display().to_string();
    let values = |name: &str| deploy("chart/ci").join(name).display().to_string();
    // Names of its own: the cluster is shared, and has the objects of the base.
    let own = ["--namespace", "charted", "--set", "ingressClass.create=false"];
    let run = |line: &[&str], more: &[&str]| {
        helm(&plane, folder.path(), &[line, &own[..2], more].concat())
    };
    let install = ["install", "edge", &chart, "--create-namespace"];
    let Some((done, said)) = run(&install, &own[2..]) else { return };
    assert!(done && said.contains("kubectl -n charted rollout status ds/edge"), "{said}");
    let config = || {
        let set = plane.get("/apis/apps/v1/namespaces/charted/daemonsets/edge").json();
        set["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"].clone()
    };
    let first = config();
    let (nodes, servicelb) = (values("06-nodes-values.yaml"), values("05-servicelb-values.yaml"));
    let upgrade = ["upgrade", "edge", &chart, "--values", &nodes, "--values", &servicelb];
    let (done, said) = run(&upgrade, &own[2..]).expect("it has just run");
    assert!(done, "{said}");
    assert_ne!(config(), first, "a changed configuration rolls the DaemonSet");
    let (done, said) = run(&["rollback", "edge", "1"], &[]).expect("it has just run");
    assert!(done && config() == first, "{said}");
    // Each set of values, by a server that would take it.
    for set in fs::read_dir(deploy("chart/ci")).expect("a folder") {
        let file = set.expect("a readable entry").path().display().to_string();
        // No operator is here, and the namespace is there.
        let without = [
            "--set",
            "podMonitor.enabled=false,monitoring.rules.enabled=false,createNamespace=false",
        ];
        let line = ["upgrade", "edge", &chart, "--dry-run=server", "--values", &file];
        let (done, said) = run(&line, &[&own[2..], &without].concat()).expect("it has just run");
        assert!(done, "{file}: {said}");
    }
    let (done, said) = run(&["uninstall", "edge"], &[]).expect("it has just run");
    assert!(done, "{said}");
    assert_eq!(plane.get("/apis/apps/v1/namespaces/charted/daemonsets/edge").status, 404);
}

#[test]
fn a_real_api_server_takes_every_overlay_and_component() {
    let Some(plane) = Plane::shared() else { return };
    base(&plane);
    for overlay in OVERLAYS {
        let (done, said) = apply(&plane, &["--dry-run=server"], &deploy(overlay));
        assert!(done && !said.contains("Warning"), "{overlay}: {said}");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let own = folder.path().canonicalize().expect("it is there");
    for component in COMPONENTS {
        // kustomize wants relative paths.
        let up = "../".repeat(own.components().count() - 1);
        let at = |relative| format!("{up}{}", &deploy(relative).display().to_string()[1..]);
        let text =
            format!("resources: [{:?}]\ncomponents: [{:?}]\n", at(OVERLAYS[2]), at(component));
        fs::write(own.join("kustomization.yaml"), text).expect("a folder of ours");
        let try_it = || apply(&plane, &["--dry-run=server"], &own);
        if component.ends_with("podmonitor") {
            let (done, said) = try_it();
            assert!(!done && said.contains("no matches for kind \"PodMonitor\""), "{said}");
            plane.apply(POD_MONITOR);
            // It is told to clients some time after it is established.
            eventually("the kind is known", || {
                (!try_it().1.contains("no matches for kind")).then_some(())
            });
        }
        let (done, said) = try_it();
        assert!(done && !said.contains("Warning"), "{component}: {said}");
    }
}
