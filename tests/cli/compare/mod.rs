//! `compare`: beside two proxies that are played, one of which differs in known ways.

mod mistakes;
mod player;

use crate::program::{Ran, manifests, ravelin};
use player::{Player, Reply, reply};
use serde_json::Value;

/// Two Ingresses and an IngressRoute of Traefik's class.
const ROUTES: &str = "
apiVersion: v1
kind: Service
metadata: {name: s, namespace: shop}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: front, namespace: shop}
spec:
  ingressClassName: traefik
  rules:
  - host: front.example
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: s, port: {number: 80}}}}]}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: api, namespace: shop}
spec:
  routes:
  - match: Host(`api.example`) && PathPrefix(`/v1`) && Header(`X-Tenant`, `blue`)
    services: [{name: s, port: 80}]
";

/// Runs it with plain HTTP, as fast as it may.
fn compare(theirs: &str, ours: &str, more: &[&str]) -> Ran {
    of(ROUTES, &["--with", theirs, "--ravelin", ours], more)
}

fn of(routes: &str, places: &[&str], more: &[&str]) -> Ran {
    let (_folder, file) = manifests(routes);
    let mut line = vec!["compare", "--manifests", &file, "--rate", "1000"];
    line.extend(places);
    line.extend(more);
    ravelin(&line)
}

fn json(theirs: &str, ours: &str, more: &[&str]) -> (Value, i32) {
    let ran = compare(theirs, ours, &[&["--output", "json"], more].concat());
    let page = serde_json::from_str(&ran.out);
    (page.unwrap_or_else(|error| panic!("{error}: {ran:?}")), ran.code)
}

/// All differing items of the unexplained requests, as `METHOD URL item: theirs / ours`.
fn differing(page: &Value, of: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let mut lines = Vec::new();
    for exchange in page[of].as_array().expect("a list") {
        for item in exchange["items"].as_array().expect("a list") {
            let [method, url] = ["method", "url"].map(|key| text(&exchange[key]));
            let [item, theirs, ours] = ["item", "traefik", "ravelin"].map(|key| text(&item[key]));
            lines.push(format!("{method} {url} {item}: {theirs} / {ours}"));
        }
    }
    lines.sort();
    lines
}

fn welcome(_: &player::Asked) -> Reply {
    reply(200, &["content-type: text/plain"], "welcome")
}

#[test]
fn two_that_answer_alike_are_the_same_and_are_asked_safely_for_each_route_and_its_edges() {
    let (theirs, ours) = (Player::start(welcome), Player::start(welcome));
    let ran = compare(&theirs.url(), &ours.url(), &[]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    assert!(ran.out.starts_with("9 requests for 2 routes: 0 answered differently"), "{}", ran.out);
    let mut asked = ours.lines();
    assert_eq!(theirs.lines(), asked);
    // One to look whether somebody is there.
    assert_eq!(asked.len(), 10);
    asked.dedup();
    let expected = [
        "GET api.example/v1",
        "GET api.example/v1/",
        "GET api.example/v1/ravelin-compare",
        "GET api.example/v1x",
        "GET front.example/",
        "GET front.example/ravelin-compare",
        "HEAD api.example/v1",
        "HEAD front.example/",
    ];
    assert_eq!(asked, expected);
    let is_of_blue = |head: &&String| head.contains("x-tenant: blue");
    assert_eq!(ours.heads().iter().filter(is_of_blue).count(), 5, "once without it");
}

#[test]
fn what_differs_is_told_with_its_route_and_a_command_that_shows_it() {
    let theirs = Player::start(|asked| match asked.target.as_str() {
        "/v1/" => reply(301, &["location: /v1"], ""),
        "/v1x" => reply(404, &[], "404 page not found\n"),
        _ => reply(200, &["x-kept: 1"], "one"),
    });
    let ours = Player::start(|asked| match asked.target.as_str() {
        "/v1/" => reply(301, &["location: http://api.example/v1"], ""),
        "/v1x" => reply(200, &[], "open\n"),
        _ if asked.host == "front.example" => reply(200, &[], "two"),
        _ => reply(200, &["x-kept: 1"], "one"),
    });
    let (page, code) = json(&theirs.url(), &ours.url(), &[]);
    assert_eq!(code, 1);
    assert_eq!(
        differing(&page, "differing"),
        [
            "GET http://api.example/v1/ answer.field.location: /v1 / http://api.example/v1",
            "GET http://api.example/v1x answer.body: 404 page not found / open",
            "GET http://api.example/v1x status: 404 / 200",
            "GET http://front.example/ answer.body: one / two",
            "GET http://front.example/ answer.field.x-kept: 1 / -",
            "GET http://front.example/ravelin-compare answer.body: one / two",
            "GET http://front.example/ravelin-compare answer.field.x-kept: 1 / -",
            "HEAD http://front.example/ answer.field.x-kept: 1 / -",
        ]
    );
    let first = &page["differing"][0];
    assert_eq!(first["object"], "Ingress shop/front");
    assert_eq!(first["field"], "spec.rules[0].http.paths[0]");
    let command =
        format!("curl -si --path-as-is -H 'Host: front.example' {}/ {}/", theirs.url(), ours.url());
    assert_eq!(first["repeat"], command.as_str());
    let ran = compare(&theirs.url(), &ours.url(), &[]);
    for expected in [
        "== Differences\n",
        "Ingress shop/front: spec.rules[0].http.paths[0]: front.example/\n    body: Traefik one, ravelin two\n",
        "    status: Traefik 404, ravelin 200 (possibly: entry-points-in-any-case)\n    hint: Traefik has no such route",
        &format!("    {command}\n"),
        "-H 'x-tenant: blue'",
    ] {
        assert!(ran.out.contains(expected), "{expected}\n{}", ran.out);
    }
    let ran = compare(&theirs.url(), &ours.url(), &["--output", "markdown"]);
    assert!(ran.out.starts_with("# ravelin beside Traefik\n\n- 9 requests"), "{}", ran.out);
    assert!(ran.out.contains(&format!("  - ``{command}``\n")), "{}", ran.out);
}

#[test]
fn what_is_another_at_each_request_is_noise_and_what_one_side_never_has_is_not() {
    let theirs = Player::start(|asked| {
        let number = asked.number;
        let fields = [format!("x-id: {number}"), format!("set-cookie: s={number}; Path=/")];
        reply(200, &[&fields[0], &fields[1], "x-own: a"], &format!("request {number}"))
    });
    let ours = Player::start(|asked| {
        let number = asked.number + 1000;
        let fields = [format!("x-id: {number}"), format!("set-cookie: s={number}; Path=/; Secure")];
        reply(200, &[&fields[0], &fields[1]], &format!("request {number}"))
    });
    let (page, code) = json(&theirs.url(), &ours.url(), &["--host", "front.example"]);
    assert_eq!(code, 1);
    let found = differing(&page, "differing");
    assert_eq!(found.len(), 6, "{found:?}");
    for line in &found {
        let own = line.ends_with(" answer.field.x-own: a / -");
        let cookie =
            line.ends_with(" answer.field.set-cookie: s=...; Path=/ / s=...; Path=/; Secure");
        assert!(own || cookie, "{line}");
    }
    assert_eq!(page["varying"]["answer.field.x-id"], 3);
    assert_eq!(page["varying"]["answer.body"], 2);
    // Each three times.
    assert_eq!(ours.lines().len(), 1 + 3 * 3);
}

#[test]
fn known_differences_stand_apart_with_their_reason_and_do_not_count() {
    let routes =
        ROUTES.replace("blue`)\n    services: [{name: s", "blue`)\n    services: [{name: lost");
    let theirs = Player::start(|asked| match asked.host.as_str() {
        "api.example" => reply(404, &["content-type: text/plain"], "404 page not found"),
        _ => reply(200, &[], "one"),
    });
    let ours = Player::start(|asked| match asked.host.as_str() {
        "api.example" => reply(
            503,
            &["server: ravelin", "cache-control: no-store", "content-type: text/plain"],
            "503 service_missing: no such Service.\n",
        ),
        _ => reply(200, &["server: ravelin"], "one"),
    });
    let places = ["--with", &theirs.url(), "--ravelin", &ours.url()];
    let ran = of(&routes, &places, &[]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    for expected in [
        "9 requests for 2 routes: 0 answered differently, 9 with known differences, 0 the same\n",
        "== Known differences\n",
        "\nserver-field (9 requests)\n    Traefik adds no Server field",
        "\nbroken-keeps-its-place (6 requests)\n",
        "status: Traefik 404, ravelin 503 (known: broken-keeps-its-place)\n",
    ] {
        assert!(ran.out.contains(expected), "{expected}\n{}", ran.out);
    }
    assert!(!ran.out.contains("== Differences\n"), "{}", ran.out);
    // Of a route that both are to serve it is none.
    let (page, code) = json(&theirs.url(), &ours.url(), &[]);
    assert_eq!((page["totals"]["differing"].as_u64(), code), (Some(6), 1));
    let item = &page["differing"][0]["items"][3];
    assert_eq!(item["item"], "status");
    assert_eq!(
        (&item["known"], &item["possible"]),
        (&Value::Null, &"broken-keeps-its-place".into())
    );
}

#[test]
fn a_difference_of_some_routes_is_known_for_those_alone() {
    let secure = ROUTES.replace(
        "{name: front, namespace: shop}",
        "{name: front, namespace: shop, annotations: {traefik.ingress.kubernetes.io/router.tls: 'true'}}",
    );
    let theirs = Player::start(|asked| match asked.target.as_str() {
        "/" | "/v1x" => reply(404, &[], "404 page not found"),
        _ => reply(200, &[], "one"),
    });
    let ours = Player::start(|asked| match asked.target.as_str() {
        "/" | "/v1x" => {
            let location = format!("location: https://{}{}", asked.host, asked.target);
            reply(308, &["server: ravelin", "cache-control: no-store", &location], "")
        }
        _ => reply(200, &["server: ravelin"], "one"),
    });
    let places = ["--with", &theirs.url(), "--ravelin", &ours.url()];
    let ran = of(&secure, &places, &["--output", "json"]);
    let page: Value = serde_json::from_str(&ran.out).expect("JSON");
    let unexplained: Vec<&str> = page["differing"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|it| it["url"].as_str())
        .collect();
    assert_eq!(unexplained, ["http://api.example/v1x"], "front is for TLS alone: {}", ran.out);
}

#[test]
fn what_migrate_foretells_is_told_beside_the_difference() {
    let routes = format!(
        "{ROUTES}---\napiVersion: traefik.io/v1alpha1\nkind: Middleware\nmetadata: {{name: p, namespace: shop}}\nspec: {{plugin: {{x: \
         {{}}}}}}\n---\napiVersion: traefik.io/v1alpha1\nkind: IngressRoute\nmetadata: {{name: plugged, namespace: \
         shop}}\nspec:\n  routes:\n  - match: Host(`plugged.example`)\n    middlewares: [{{name: p}}]\n    services: [{{name: s, \
         port: 80}}]\n"
    );
    let theirs = Player::start(welcome);
    let ours = Player::start(|asked| match asked.host.as_str() {
        "plugged.example" => {
            reply(503, &["server: ravelin", "cache-control: no-store"], "503 x: y.\n")
        }
        _ => welcome(asked),
    });
    let places = ["--with", &theirs.url(), "--ravelin", &ours.url()];
    let ran = of(&routes, &places, &[]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(
        ran.out.contains("`ravelin migrate` says: not served: Middleware shop/p: "),
        "{}",
        ran.out
    );
}

#[test]
fn only_methods_that_are_named_are_sent_and_others_than_safe_ones_are_said_loudly() {
    let routes = ROUTES.replace("Header(`X-Tenant`, `blue`)", "Method(`POST`)");
    let (theirs, ours) = (Player::start(welcome), Player::start(welcome));
    let places = ["--with", &theirs.url(), "--ravelin", &ours.url()];
    let ran = of(&routes, &places, &[]);
    assert!(
        ran.out.contains("IngressRoute shop/api: spec.routes[0]: not compared: "),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("--methods names it") && ran.err.is_empty(), "{ran:?}");
    assert!(ours.lines().iter().all(|line| !line.starts_with("POST")), "{:?}", ours.lines());
    let ran = of(&routes, &places, &["--methods", "GET,POST"]);
    assert!(ran.err.contains("WARNING: --methods sends POST to every route"), "{}", ran.err);
    assert!(ours.lines().contains(&"POST api.example/v1".to_owned()), "{:?}", ours.lines());
}

#[test]
fn the_number_of_requests_is_bounded_and_each_route_has_one() {
    let (theirs, ours) = (Player::start(welcome), Player::start(welcome));
    let ran = compare(&theirs.url(), &ours.url(), &["--max", "2"]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert!(
        ran.out.contains("2 requests for 2 routes") && ran.out.contains("7 more requests"),
        "{}",
        ran.out
    );
    let mut asked = ours.lines();
    asked.dedup();
    assert_eq!(asked, ["GET api.example/v1", "GET front.example/"]);
}

#[test]
fn redirects_are_not_followed_and_bodies_are_read_up_to_a_bound() {
    let plays = |asked: &player::Asked| match asked.host.as_str() {
        "front.example" => Reply { is_endless: true, ..reply(200, &[], "begins") },
        _ => reply(302, &["location: http://elsewhere.example/"], &"x".repeat(5000)),
    };
    let (theirs, ours) = (Player::start(plays), Player::start(plays));
    let ran = compare(&theirs.url(), &ours.url(), &["--timeout", "2", "--max-body", "4"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ours.lines().iter().all(|line| !line.contains("elsewhere")), "{:?}", ours.lines());
}

#[test]
fn a_header_that_is_given_is_in_every_request() {
    let (theirs, ours) = (Player::start(welcome), Player::start(welcome));
    let ran = compare(&theirs.url(), &ours.url(), &["--header", "Authorization: Basic eDp5"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let other = Player::start(|_| reply(200, &[], "other"));
    let line = ["--header", "Authorization: Basic eDp5", "--methods", "get"];
    let told = compare(&theirs.url(), &other.url(), &line);
    assert!(told.out.contains("-H \"Authorization: $SECRET\""), "{}", told.out);
    assert!(!told.out.contains("eDp5"), "{}", told.out);
    assert!(ours.heads().iter().all(|head| head.contains("authorization: basic edp5")));
    assert!(ours.heads().iter().all(|head| head.contains("user-agent: ravelin-compare/")));
}

#[test]
fn certificates_are_compared_by_server_name() {
    let names = ["front.example", "api.example"];
    let (theirs, ours) = (Player::secure(&names, welcome), Player::secure(&names, welcome));
    let places = |theirs: &Player, ours: &Player| {
        ["--with-https".to_owned(), theirs.https(), "--ravelin-https".to_owned(), ours.https()]
    };
    let [a, b, c, d] = &places(&theirs, &ours);
    let ran = of(ROUTES, &[a, b, c, d], &["--host", "front.example"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let line = "certificate: Traefik front.example api.example, SHA-256 ";
    assert!(ran.out.contains(line), "{}", ran.out);
    let port = theirs.addr.port();
    let command = format!(
        "curl -sik --path-as-is --connect-to front.example:443:127.0.0.1:{port} https://front.example/ --next -sik"
    );
    assert!(ran.out.contains(&command), "{command}\n{}", ran.out);
    let [a, b, c, d] = &places(&theirs, &theirs);
    let ran = of(ROUTES, &[a, b, c, d], &[]);
    assert_eq!(ran.code, 64);
    assert!(ran.err.contains("is given for both proxies"), "{}", ran.err);
}
