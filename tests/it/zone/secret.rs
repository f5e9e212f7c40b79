//! `ravelin.dev/secret-header`: a field that only the operator's zone adds.

use super::{NEXT, NOW, annotated, ask, refused, secret};
use crate::support::{Builder, Client, Upstream, edge};
use serde_json::Value;

const ANNOTATIONS: [(&str, &str); 2] =
    [("secret-header", "X-Origin-Auth"), ("secret-header-secret", "auth")];

/// Host `a` with the annotation, and `open` without it.
fn hosts(pod: &Upstream, secret: &Value) -> Builder {
    edge()
        .service("pod", &[pod.addr()])
        .object("a.json", &annotated("a", &ANNOTATIONS))
        .object("open.json", &annotated("open", &[]))
        .object("secret.json", secret)
}

fn line(value: &str) -> String {
    format!("X-Origin-Auth: {value}\r\n")
}

#[test]
fn one_field_with_one_of_the_values_gets_in_and_reaches_no_pod() {
    let pod = Upstream::saying("pod");
    let edge = hosts(&pod, &secret(&[("now", NOW), ("next", NEXT)])).start();
    for lines in [
        line(NOW),
        format!("x-origin-auth: {NEXT}\r\n"),
        format!("{}X_Origin_Auth: {NEXT}\r\nX-Origin_Auth: x\r\n", line(NOW)),
    ] {
        assert_eq!(ask(edge.addr(), "a", &lines).status(), 200, "{lines}");
    }
    assert_eq!(ask(edge.addr(), "open", "").status(), 200);
    let requests = pod.requests();
    assert_eq!(requests.len(), 4);
    let seen = format!("{requests:?}").to_lowercase();
    for hidden in ["origin-auth", "origin_auth", NOW, NEXT] {
        assert!(!seen.contains(hidden), "{hidden}: {seen}");
    }
}

#[test]
fn whatever_else_is_refused_and_logged() {
    let pod = Upstream::saying("pod");
    let edge = hosts(&pod, &secret(&[("now", NOW), ("next", NEXT)])).start();
    let wrong = [
        String::new(),
        line(""),
        line("guess"),
        line(&NOW[..NOW.len() - 1]),
        line(&format!("{NOW}x")),
        line(&NOW.to_uppercase()),
        line(&format!("{NOW}, {NEXT}")),
        format!("{}{}", line(NOW), line(NOW)),
        format!("{}{}", line(NOW), line("guess")),
        format!("X_Origin_Auth: {NOW}\r\n"),
        format!("X-Other: {NOW}\r\n"),
    ];
    for lines in &wrong {
        refused(&ask(edge.addr(), "a", lines), 403, "secret_missing");
    }
    let log = edge.await_log(wrong.len());
    for one in &log {
        assert_eq!((&one["reason"], &one["status"]), (&"secret_missing".into(), &403.into()));
    }
    let count = f64::from(u32::try_from(wrong.len()).expect("few"));
    edge.await_metric("ravelin_requests_total", &[("reason", "secret_missing")], count);
    let answered = [("kind", "secret-header"), ("outcome", "answered")];
    edge.await_metric("ravelin_middleware_requests_total", &answered, count);
    assert_eq!(pod.requests().len(), 0);
    // Nothing between the sender and us can take it away, but the sender itself.
    let lines = format!("{}Connection: x-origin-auth\r\n", line(NOW));
    assert_eq!(ask(edge.addr(), "a", &lines).status(), 200);
}

#[test]
fn a_rotation_needs_no_restart() {
    let pod = Upstream::saying("pod");
    let edge = hosts(&pod, &secret(&[("now", NOW)])).start();
    let statuses = || [NOW, NEXT].map(|value| ask(edge.addr(), "a", &line(value)).status());
    assert_eq!(statuses(), [200, 403]);
    for (values, expected) in [
        ([("now", NOW), ("next", NEXT)].as_slice(), [200, 200]),
        (&[("now", NEXT)], [403, 200]),
        // As `kubectl create secret --from-file` makes it of a file with two lines.
        (&[("lines", &format!("{NOW}\n{NEXT}\n"))], [200, 200]),
    ] {
        edge.put("secret.json", &secret(values).to_string());
        assert_eq!(statuses(), expected, "{values:?}");
    }
}

#[test]
fn without_values_that_can_be_used_nobody_gets_in() {
    let pod = Upstream::saying("pod");
    let edge = hosts(&pod, &secret(&[("now", NOW)])).start();
    assert_eq!(ask(edge.addr(), "a", &line(NOW)).status(), 200);
    for values in [
        [].as_slice(),
        &[("now", "")],
        &[("now", " \n")],
        &[("now", "short")],
        &[("now", NOW), ("next", "short")],
    ] {
        edge.put("secret.json", &secret(values).to_string());
        for lines in [line(NOW), line("short"), line(""), String::new()] {
            refused(&ask(edge.addr(), "a", &lines), 503, "middleware_unusable");
        }
    }
    edge.remove("secret.json");
    refused(&ask(edge.addr(), "a", &line(NOW)), 503, "middleware_unusable");
    edge.put("secret.json", &secret(&[("now", NEXT)]).to_string());
    assert_eq!(ask(edge.addr(), "a", &line(NEXT)).status(), 200);
    // An annotation of the two alone.
    for one in ANNOTATIONS {
        edge.put("a.json", &annotated("a", &[one]).to_string());
        refused(&ask(edge.addr(), "a", &line(NEXT)), 503, "middleware_unusable");
    }
    assert_eq!(ask(edge.addr(), "open", "").status(), 200);
}

#[test]
fn values_are_in_no_log_no_metric_and_no_answer() {
    let pod = Upstream::saying("pod");
    let builder = hosts(&pod, &secret(&[("now", NOW)])).set("log", "level", "\"trace\"");
    let mut process = builder.spawn(1);
    let mut told = Vec::new();
    for value in [NOW, "guess-098f6bcd4621d373cade4e832627b4f6"] {
        told.push(format!("{:?}", ask(process.addr(), "a", &line(value))));
    }
    for path in ["/metrics", "/api/v1/routes", "/api/v1/explain?host=a&path=/"] {
        let answer = Client::connect(process.admin()).get("localhost", path);
        assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
        told.push(answer.text().to_owned());
    }
    process.signal("TERM");
    assert_eq!(process.exit().code(), Some(0));
    told.push(format!("{:?}", process.log_lines()));
    told.push(format!("{:?}", process.said()));
    let proof = "secret header x-origin-auth (ns/a: secret-header)";
    assert!(told[4].contains(proof), "{}", told[4]);
    assert!(told[5].contains("secret_missing"), "{}", told[5]);
    for text in &told {
        assert!(!text.contains(NOW) && !text.contains("guess-098f"), "{text}");
    }
}
