//! How the endpoints of a Service are checked: annotations.

use super::{lines, mk_backend, mk_ingress, run};
use crate::model::HealthCheck;
use std::time::Duration;

/// What the Service `pods` with these annotations has, and what is said about it.
fn check(annotations: &str) -> (Option<HealthCheck>, Vec<String>) {
    let service = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: pods, annotations: {{{annotations}}}}}\n\
         spec: {{ports: [{{port: 80}}]}}\n---\n"
    );
    let backend = mk_backend("{service: {name: pods, port: {number: 80}}}");
    let (model, findings) = run(&(service + &mk_ingress(&backend)));
    (model.backends[0].treatment.check.as_deref().cloned(), lines(&findings))
}

fn mk_check(path: &str) -> HealthCheck {
    HealthCheck::of(path.into())
}

#[test]
fn a_service_with_a_path_is_checked_and_what_is_not_said_is_the_default() {
    assert_eq!(check(""), (None, vec![]));
    assert_eq!(
        check("ravelin.dev/health-check-path: '/up?x=1'"),
        (Some(mk_check("/up?x=1")), vec![])
    );
    let all = "ravelin.dev/health-check-path: /, ravelin.dev/health-check-host: a.example, \
               ravelin.dev/health-check-interval: 1s, ravelin.dev/health-check-timeout: 500ms";
    let expected = HealthCheck {
        host: Some("a.example".into()),
        interval: Duration::from_secs(1),
        failing_interval: Duration::from_secs(1),
        timeout: Duration::from_millis(500),
        ..mk_check("/")
    };
    assert_eq!(check(all), (Some(expected), vec![]));
}

#[test]
fn a_mistake_is_named_with_its_fix_and_takes_no_pod_away() {
    for (annotations, expected, found) in [
        (
            "ravelin.dev/health-check-path: healthz",
            None,
            "error: Service default/pods: metadata.annotations[ravelin.dev/health-check-path]: \
             \"healthz\" is not a path (fix: write one such as \"/healthz\"; until then the endpoints \
             are not checked)",
        ),
        (
            "ravelin.dev/health-check-path: /, ravelin.dev/health-check-interval: '10'",
            Some(mk_check("/")),
            "error: Service default/pods: metadata.annotations[ravelin.dev/health-check-interval]: \
             \"10\" has no unit (fix: write \"10s\" for seconds or \"10ms\" for milliseconds)",
        ),
        (
            "ravelin.dev/health-check-path: /, ravelin.dev/health-check-interval: 100ms",
            Some(HealthCheck {
                interval: HealthCheck::SHORTEST,
                failing_interval: HealthCheck::SHORTEST,
                ..mk_check("/")
            }),
            "error: Service default/pods: metadata.annotations[ravelin.dev/health-check-interval]: \
                is less than one second (fix: write \"1s\" or more)",
        ),
        (
            "ravelin.dev/health-check-path: /, ravelin.dev/health-check-host: a b",
            Some(mk_check("/")),
            "error: Service default/pods: metadata.annotations[ravelin.dev/health-check-host]: \"a b\" \
             is not a host (fix: write a DNS name)",
        ),
        (
            "ravelin.dev/health-check-timeout: 1s",
            None,
            "warning: Service default/pods: metadata.annotations[ravelin.dev/health-check-timeout]: \
             has no effect without ravelin.dev/health-check-path (fix: add it, or remove this one)",
        ),
    ] {
        assert_eq!(check(annotations), (expected, vec![found.to_owned()]), "{annotations}");
    }
}
