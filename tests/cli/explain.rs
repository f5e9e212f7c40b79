//! `explain`, one case for each sort of answer.

use crate::program::{config, manifests, ravelin};
use serde_json::Value;

/// Runs it and returns the exit code with its lines, spaces made one.
fn explain(line: &[&str]) -> (i32, Vec<String>) {
    let mut all = vec!["explain"];
    all.extend(line);
    let ran = ravelin(&all);
    assert_eq!(ran.err, "", "{line:?}");
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    (ran.code, ran.out.lines().map(words).collect())
}

fn assert_says(line: &[&str], code: i32, expected: &[&str]) {
    let (found, lines) = explain(line);
    assert_eq!(found, code, "{lines:#?}");
    for expected in expected {
        assert!(lines.iter().any(|line| line == expected), "{expected} is not in {lines:#?}");
    }
}

#[test]
fn a_request_that_is_forwarded() {
    assert_eq!(
        explain(&[
            "--manifests",
            "config/demo",
            "http://App.Example.test:80/x/../static/%6cogo.svg?v"
        ]),
        (
            0,
            [
                "url http://App.Example.test:80/x/../static/%6cogo.svg?v",
                "host app.example.test",
                "path /static/logo.svg",
                "rule app.example.test Prefix /static",
                "object Ingress demo/app spec.rules[0].http.paths[1]",
                "service demo/admin:80",
                "endpoints 127.0.0.1:18083",
                "proof address alone: every customer of Cloudflare can send from an admitted one",
                "answer forwarded",
                "note one endpoint, by load",
            ]
            .map(str::to_owned)
            .to_vec()
        )
    );
}

#[test]
fn a_checkout_has_no_pods_and_is_not_told_that_it_has_none() {
    let line = ["--ingress-class", "traefik", "--manifests", "tests/cli/cases/git.yaml"];
    let url = "http://a.example.com/";
    assert_says(
        &[&line[..], &[url]].concat(),
        0,
        &[
            "service shop/web:80",
            "endpoints not in the input",
            "answer forwarded",
            "note checked as a repository: the input has no EndpointSlices, so a Service is enough; \
                in a cluster, a Service without a ready pod answers 503 no_endpoint",
        ],
    );
    let ran = ravelin(&[&["explain", "--output", "json"], &line[..], &[url]].concat());
    let said: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!((&said["judged_as"], &said["answer"]), (&"checkout".into(), &"forwarded".into()));
}

#[test]
fn json_has_the_same_and_the_row_of_check() {
    let line = ["explain", "--output", "json", "--manifests", "config/demo"];
    let ran = ravelin(&[&line[..], &["http://pr-7.preview.example.test/"]].concat());
    assert_eq!(ran.code, 0);
    let said: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(said["answer"], "forwarded");
    let check: Value = serde_json::from_str(include_str!("golden/demo.json")).expect("JSON");
    assert!(check["routes"].as_array().expect("a list").contains(&said["route"]), "{said:#}");
}

#[test]
fn a_404_says_what_the_host_has_instead() {
    let sites = "config/demo/sites.yaml";
    assert_says(
        &["--manifests", sites, "http://api.example.test/nope"],
        1,
        &[
            "answer 404 no_route",
            "note the host has rules, but none matches this path: Exact /v1/status, Prefix /v1, Prefix /v2",
        ],
    );
    assert_says(
        &["--manifests", sites, "http://unknown.test/"],
        1,
        &[
            "answer 404 no_route",
            "note no rule, wildcard or default backend matches the host \"unknown.test\"",
        ],
    );
}

#[test]
fn every_503_says_which_part_is_missing() {
    assert_says(
        &["--manifests", "config/demo", "http://api.example.test/v2"],
        1,
        &["service demo/soon:http", "endpoints none", "answer 503 no_endpoint"],
    );
    let (_folder, file) = manifests(
        "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}]}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: x}
spec:
  ingressClassName: ravelin
  rules:
    - host: a.example
      http:
        paths:
          - {path: /service, pathType: Prefix, backend: {service: {name: nope, port: {number: 80}}}}
          - {path: /port, pathType: Prefix, backend: {service: {name: web, port: {number: 81}}}}
          - {path: /resource, pathType: Prefix, backend: {resource: {kind: Bucket, name: b}}}
",
    );
    for (path, answer, note) in [
        ("/service", "service_missing", "The Service of this rule does not exist."),
        ("/port", "port_missing", "The Service of this rule has no such port."),
        ("/resource", "backend_unsupported", "The backend of this rule is not supported."),
    ] {
        assert_says(
            &["--manifests", &file, &format!("http://a.example{path}")],
            1,
            &[&format!("answer 503 {answer}"), &format!("note {note}"), "endpoints none"],
        );
    }
}

#[test]
fn requests_that_are_refused() {
    let demo = ["--manifests", "config/demo"];
    for (url, answer) in [
        ("http://api.example.test/%zz", "400 bad_target"),
        ("http://api.example.test/a/..;/b", "400 bad_target"),
        ("http://u@api.example.test/", "400 bad_host"),
        ("http://api.example.test:99999/", "400 bad_host"),
    ] {
        assert_says(&[demo[0], demo[1], url], 1, &[&format!("answer {answer}")]);
    }
    let line = [demo[0], demo[1], "--method", "CONNECT", "http://api.example.test/"];
    assert_says(&line, 1, &["answer 501 connect_refused"]);
}

#[test]
fn what_is_no_url_is_wrong_usage() {
    for (url, what) in [
        ("api.example.test", "it has no scheme"),
        ("/v1", "it has no scheme"),
        ("ftp://api.example.test/", "its scheme is none of http, https, tcp and tls"),
        ("http://a b/", "invalid"),
        ("", "empty"),
    ] {
        let ran = ravelin(&["explain", "--manifests", "config/demo", url]);
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{url}");
        assert!(
            ran.err.contains(what) && ran.err.contains("write http://host/path"),
            "{}",
            ran.err
        );
    }
}

#[test]
fn with_a_configuration_the_listener_is_named() {
    let file = config(
        "[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:8080\"\nadmit = [\"loopback\"]\n\
         [source]\nkind = \"directory\"\ndirectory = \"config/demo\"\n\
         [limits]\nrequest_target = \"1KiB\"\n",
    );
    let file = file.path().to_str().expect("UTF-8");
    assert_says(
        &["--config", file, "http://api.example.test:8080/v1"],
        0,
        &["listener web 127.0.0.1:8080", "answer forwarded"],
    );
    assert_says(
        &["--config", file, "http://api.example.test/v1"],
        0,
        &["listener none for http on port 80"],
    );
    let long = format!("http://api.example.test:8080/{}", "a".repeat(1024));
    assert_says(&["--config", file, &long], 1, &["answer 414 target_too_long"]);
}

/// A Service with annotations, its two pods, one of them on our node, and an Ingress with timeouts.
const SPREAD: &str = "
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations:
    ravelin.dev/balance: round-robin
    ravelin.dev/prefer: same-node
    ravelin.dev/health-check-path: /up
spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 8080}]
endpoints:
  - {addresses: [10.0.0.1], nodeName: node-1}
  - {addresses: [10.0.0.2], nodeName: node-2}
---
apiVersion: v1
kind: Service
metadata: {name: out}
spec: {type: ExternalName, externalName: api.example.com}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: x, annotations: {ravelin.dev/request-timeout: 90s}}
spec:
  ingressClassName: ravelin
  rules:
    - host: a.example
      http:
        paths:
          - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
          - {path: /out, pathType: Prefix, backend: {service: {name: out, port: {number: 443}}}}
";

#[test]
fn what_annotations_say_of_pods_is_told() {
    let (_folder, manifests) = manifests(SPREAD);
    let file = config(&format!(
        "[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:80\"\nadmit = [\"loopback\"]\n\
         [source]\nkind = \"directory\"\ndirectory = {manifests:?}\nnode_name = \"node-1\"\n\
         [dns]\nexternal_names = true\n",
    ));
    let file = file.path().to_str().expect("UTF-8");
    assert_says(
        &["--config", file, "http://a.example/"],
        0,
        &[
            "balance round-robin",
            "prefer same-node",
            "endpoints 10.0.0.1:8080 10.0.0.2:8080",
            "near 10.0.0.1:8080",
            "check GET /up every 10s, timeout 2s",
            "timeouts request 90s",
            "answer forwarded",
        ],
    );
    assert_says(
        &["--config", file, "http://a.example/out"],
        0,
        &[
            "protocol https (api.example.com, public CAs)",
            "endpoints api.example.com:443",
            "answer forwarded",
        ],
    );
}

#[test]
fn a_path_that_is_sent_as_it_came_is_told() {
    let text = "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: x, \
         annotations: {ravelin.dev/raw-path: 'true'}}, spec: {ingressClassName: ravelin, \
         rules: [{http: {paths: [{path: /, pathType: Prefix, \
         backend: {service: {name: s, port: {number: 80}}}}]}}]}}\n---\n\
         {apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 80}]}}\n---\n\
         {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: s-1, \
         labels: {kubernetes.io/service-name: s}}, addressType: IPv4, ports: [{port: 80}], \
         endpoints: [{addresses: [127.0.0.1]}]}\n";
    let (_folder, file) = manifests(text);
    let url = "http://a.example/a//b%2fc";
    assert_says(&["--manifests", &file, url], 0, &["path /a/b%2Fc", "raw path /a//b%2fc"]);
    let refused = "http://a.example/a/../b";
    assert_says(&["--manifests", &file, refused], 1, &["answer 400 bad_target"]);
}

#[test]
fn a_token_of_cloudflare_access_is_asked_for_and_not_verified_without_keys() {
    let text = "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: x, \
         annotations: {ravelin.dev/access: example/0a}}, spec: {ingressClassName: ravelin, \
         rules: [{http: {paths: [{path: /, pathType: Prefix, \
         backend: {service: {name: s, port: {number: 80}}}}]}}]}}\n---\n\
         {apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 80}]}}\n";
    let (_folder, file) = manifests(text);
    let url = "http://a.example/";
    let asks = "middleware default/x: access (access): answers 403 access_token_missing";
    assert_says(&["--manifests", &file, url], 1, &[asks, "answer 403 access_token_missing"]);
    // The header {"alg":"RS256","kid":"k"}.
    let token = "Cf-Access-Jwt-Assertion: eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.e30.AA";
    let asks = "middleware default/x: access (access): asks for the keys of \
         example.cloudflareaccess.com, which verify the token when the request comes";
    assert_says(&["--manifests", &file, "--header", token, url], 0, &[asks, "answer forwarded"]);
}

#[test]
fn the_other_name_of_a_host_is_redirected() {
    let git = include_str!("cases/git.yaml");
    let key = "nginx.ingress.kubernetes.io/from-to-www-redirect: 'true'";
    let (_folder, file) =
        manifests(&git.replacen("annotations: {", &format!("annotations: {{{key}, "), 1));
    let line = ["--ingress-class", "traefik", "--manifests", &file];
    assert_says(
        &[&line[..], &["http://www.a.example.com/x"]].concat(),
        1,
        &[
            "rule www.a.example.com Prefix /",
            "middleware shop/app: from-to-www-redirect (redirectRegex): answers 308 redirected, to http://a.example.com/x",
            "answer 308 redirected",
        ],
    );
    let check = ravelin(&["check", "--ingress-class", "traefik", &file]);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let row = "www.a.example.com Prefix / shop/web:80 redirect to a.example.com shop/app";
    assert!(check.out.lines().any(|line| words(line) == row), "{}", check.out);
}

#[test]
fn rules_by_fields_see_what_is_known_of_the_sender() {
    let manifests = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: r}
spec:
  routes:
  - {match: 'Host(`a.test`) && Header(`X-Forwarded-Proto`, `https`)', services: [{name: web, port: 80}]}
  - {match: 'Host(`a.test`) && Header(`CF-IPCountry`, `DE`)', services: [{name: web, port: 80}]}
";
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("all.yaml");
    std::fs::write(&file, manifests).expect("a file of ours");
    let file = file.to_str().expect("UTF-8");
    let route = |fields: &[&str], url: &str| {
        let line =
            ["explain", "--ingress-class", "traefik", "--output", "json", "--manifests", file];
        let ran = ravelin(&[&line[..], fields, &[url]].concat());
        let said: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}", ran.err));
        said["route"]["field"].as_str().map(str::to_owned)
    };
    let claim = ["--header", "X-Forwarded-Proto: https"];
    assert_eq!(route(&claim, "http://a.test/"), None);
    let country = ["--header", "CF-IPCountry: DE"];
    assert_eq!(route(&country, "http://a.test/").as_deref(), Some("spec.routes[1]"));
}
