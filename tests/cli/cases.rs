//! Small inputs that went wrong once, each with its verdict, and a checkout with all of them.

use crate::program::{Ran, await_end, command, ravelin};
use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;

const CASES: &str = "tests/cli/cases";

fn check(name: &str) -> Ran {
    let ran = ravelin(&["check", "--ingress-class", "traefik", &format!("{CASES}/{name}.yaml")]);
    assert_eq!(ran.err, "", "{name}");
    ran
}

/// The lines of the findings, and the exit code.
fn findings(name: &str) -> (Vec<String>, i32) {
    let Ran { code, out, .. } = check(name);
    let words = ["error: ", "warning: ", "info: "];
    let is_finding = |line: &&str| words.iter().any(|word| line.starts_with(word));
    (out.lines().filter(is_finding).map(str::to_owned).collect(), code)
}

const CHECKOUT: &str = "checked as a repository (1 file without EndpointSlices): a Service is enough, pods are not required\n";

#[test]
fn an_ingress_route_is_served_with_the_class_of_traefik() {
    let (findings, code) = findings("ir");
    assert_eq!(code, 1);
    assert_eq!(
        findings,
        [
            "error: IngressRoute b/a: spec.routes[0].services[0].name: there is no Service \"web\" in \
                namespace b (fix: create it; until then requests get 503)"
        ]
    );
    let ran = ravelin(&["check", &format!("{CASES}/ir.yaml")]);
    let line = "info: IngressRoute b/a: spec.ingressClassName: is not set, and IngressRoutes without one are of \
                Traefik alone (fix: if ravelin should serve it, add \"traefik\" to source.ingress_classes, or give \
                --ingress-class traefik)\n";
    assert!(ran.code == 0 && ran.out.contains(line), "{}", ran.out);
}

#[test]
fn a_checkout_is_judged_without_endpoints_and_with_the_secret_to_come() {
    let Ran { code, out, .. } = check("git");
    let expected = format!(
        "HOST           TYPE    PATH  SERVICE      GOES TO   INGRESS\na.example.com  Prefix  /     shop/web:80  its pods  shop/app\n\ninfo: Ingress shop/app: spec.tls[0].secretName: Secret \"app-tls\" will be created by cert-manager, through the annotation cert-manager.io/cluster-issuer\n{CHECKOUT}1 routes, 0 errors, 0 warnings\n"
    );
    assert_eq!((code, out), (0, expected));
    let ran = ravelin(&[
        "check",
        "--output",
        "json",
        "--ingress-class",
        "traefik",
        "tests/cli/cases/git.yaml",
    ]);
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(report["judged_as"], "checkout");
    assert_eq!(report["routes"][0].get("answer"), None);
}

#[test]
fn templates_are_one_line_a_directory() {
    let Ran { code, out, .. } =
        ravelin(&["check", &format!("{CASES}/helm.yaml"), &format!("{CASES}/helm2.yaml")]);
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(code, 0);
    assert_eq!(
        lines[0],
        "warning: File tests/cli/cases: 2 files are templates and not checked (fix: render first: \
            helm template CHART | ravelin check -)"
    );
    assert_eq!(lines[lines.len() - 1], "0 routes, 0 errors, 1 warnings");
    assert_eq!(lines.len(), 3, "{out}");
}

#[test]
fn of_a_flux_substitution_the_rest_is_judged() {
    let Ran { code, out, .. } = check("flux");
    assert_eq!(code, 1, "the Service is missing");
    assert!(
        out.contains("\napp.${DOMAIN}  Prefix  /     shop/web:80  503 service_missing"),
        "{out}"
    );
    assert!(
        out.contains(
            "info: File tests/cli/cases/flux.yaml: has variables that Flux substitutes (postBuild.substitute), which are not checked: DOMAIN\n"
        ),
        "{out}"
    );
    assert!(out.contains("there is no Service \"web\" in namespace shop"), "{out}");
    assert!(!out.contains("DNS name"), "{out}");
}

#[test]
fn what_sops_has_encrypted_is_skipped() {
    let (findings, code) = findings("sops");
    assert_eq!(code, 0);
    assert_eq!(
        findings,
        [
            "info: File tests/cli/cases/sops.yaml: is encrypted by SOPS and not checked: Secret shop/t"
        ]
    );
}

#[test]
fn comments_and_alias_keys_are_valid() {
    assert_eq!(findings("comments"), (vec![], 0));
    assert_eq!(findings("alias"), (vec![], 0));
}

#[test]
fn the_last_of_two_equal_keys_counts_with_a_warning() {
    let (findings, _) = findings("dup");
    let expected = "warning: File tests/cli/cases/dup.yaml: repeats the key \
        \"traefik.ingress.kubernetes.io/router.middlewares\" at line 8: the last one is used (fix: \
        remove one of the two, or put both values into one)";
    assert!(findings.iter().any(|line| line == expected), "{findings:?}");
}

#[test]
fn the_items_of_a_list_stand_alone() {
    let Ran { out, .. } = check("list");
    assert!(out.contains("\n*     Default  /     s/web:80  503 service_missing  s/a\n"), "{out}");
}

/// A checkout as there are many: a chart, kustomize with overlays, Flux, SealedSecrets, other files.
fn checkout() -> TempDir {
    let folder = TempDir::new().expect("a temporary directory");
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("it is in a directory")).expect("ours");
        fs::write(path, text).expect("ours");
    };
    write("charts/shop/Chart.yaml", "apiVersion: v2\nname: shop\n");
    write("charts/shop/templates/a.yaml", "{{- if .Values.a }}\nkind: Service\n{{- end }}\n");
    write(
        "charts/shop/templates/b.yaml",
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: \"{{ .Release.Name }}\"\n",
    );
    let ingress = |name: &str, rest: &str| {
        format!(
            "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}}}\nspec:\n  \
             {rest}\n  rules:\n  - host: {name}.example.com\n    http: {{paths: [{{path: /, pathType: \
             Prefix, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}]}}\n"
        )
    };
    let service =
        "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n";
    let tls = "ingressClassName: ravelin\n  tls: [{secretName: web-tls}]";
    write("base/web.yaml", &format!("{}{service}", ingress("web", tls)));
    write("base/kustomization.yaml", "resources: [web.yaml]\n");
    for stage in ["prod", "test"] {
        let text = "namespace: x\nresources: [../../base]\npatches: [{path: host.yaml}]\n";
        write(&format!("overlays/{stage}/kustomization.yaml"), text);
        let patch =
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web}\nspec: {}\n";
        write(&format!("overlays/{stage}/host.yaml"), patch);
    }
    write(
        "flux/release.yaml",
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: g, namespace: m}\n",
    );
    let grafana =
        ingress("g", "ingressClassName: ravelin").replace("{name: g}", "{name: g, namespace: m}");
    write("flux/grafana.yaml", &grafana);
    write("flux/typo.yaml", &ingress("typo", "ingressClassName: raveln"));
    write("flux/none.yaml", &ingress("none", ""));
    for number in 0..12 {
        let text = format!(
            "apiVersion: traefik.io/v1alpha1\nkind: IngressRoute\nmetadata: {{name: r{number:02}}}\n---\n\
             apiVersion: traefik.containo.us/v1alpha1\nkind: Middleware\nmetadata: {{name: m{number:02}}}\n"
        );
        write(&format!("routes/{number:02}.yaml"), &text);
    }
    write(
        "secrets/web.yaml",
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: web-tls}\nspec: {}\n",
    );
    write("mkdocs.yml", "a: [\n");
    folder
}

#[test]
fn a_checkout_of_everything_is_short_and_says_what_to_do() {
    let folder = checkout();
    let root = folder.path().to_str().expect("UTF-8");
    let ran = ravelin(&["check", root]);
    let out = ran.out.replace(&format!("{root}/"), "");
    assert_eq!((out.as_str(), ran.code), (include_str!("golden/checkout.txt"), 0));
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = TempDir::new().expect("a temporary directory");
    let path = |name: &str| folder.path().join(name);
    fs::write(path("binary.yaml"), [0x80, 0xff, 0x00]).expect("ours");
    fs::write(path("wide.yaml"), b"\xff\xfea\0").expect("ours");
    std::os::unix::fs::symlink("nowhere", path("link.yaml")).expect("ours");
    std::os::unix::fs::symlink("self.yaml", path("self.yaml")).expect("ours");
    std::os::unix::fs::symlink(".", path("again")).expect("ours");
    let huge = fs::File::create(path("huge.yaml")).expect("ours");
    huge.set_len(17 << 20).expect("a file without blocks");
    let ran = ravelin(&["check", folder.path().to_str().expect("UTF-8")]);
    assert_eq!(ran.code, 1);
    for expected in [
        "binary.yaml: is not UTF-8 (fix",
        "wide.yaml: is UTF-16, not UTF-8 (fix",
        "link.yaml: is a dangling symbolic link (fix",
        "self.yaml: Too many levels of symbolic links",
        "huge.yaml: is larger than 16 MiB (fix",
        "0 routes, 5 errors, 0 warnings",
    ] {
        assert!(ran.out.contains(expected), "{expected}: {}", ran.out);
    }
}

#[test]
fn standard_input_is_a_file_among_others() {
    let mut child = command(&["check", "--ingress-class", "traefik", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let text = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(CASES).join("git.yaml"));
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(&text.expect("a case")).expect("it reads");
    drop(input);
    let status = await_end(&mut child);
    assert_eq!(status.code(), Some(0));
    let mut out = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().expect("a pipe"), &mut out)
        .expect("UTF-8");
    assert!(out.ends_with("\n1 routes, 0 errors, 0 warnings\n"), "{out}");
}
