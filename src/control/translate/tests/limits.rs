//! Timeouts of Ingresses and limits of Services, from annotations.

use super::{lines, mk_ingress, mk_paths, options, run_with};
use crate::model::{Limits, Timeouts};
use std::time::Duration;

/// What an Ingress and its Service ask for with these annotations, in flow style, and what is said
/// about it.
fn read(ingress: &str, service: &str) -> (Option<Timeouts>, Option<Limits>, Vec<String>) {
    let with = ingress;
    let ingress = mk_ingress(&mk_paths(&[("Prefix", "/")]));
    let ingress = ingress.replace("name: x", &format!("name: x, annotations: {{{with}}}"));
    let ingress = ingress.replace("service: {name: web", "service: {name: own");
    let manifests = format!(
        "{ingress}\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: own, annotations: \
         {{{service}}}}}\nspec: {{ports: [{{name: http, port: 80}}]}}\n"
    );
    let (model, findings) = run_with(&options(), &manifests);
    let backend = model.backends.iter().find(|backend| &*backend.key.service == "own");
    let limits = backend.and_then(|backend| backend.treatment.limits);
    let ours = |line: &String| line.contains("annotations[");
    let timeouts = model.ingresses[0].timeouts.as_deref().copied();
    (timeouts, limits, lines(&findings).into_iter().filter(ours).collect())
}

#[test]
fn time_outs_are_those_that_are_written() {
    assert_eq!(read("", ""), (None, None, vec![]));
    let (timeouts, _, findings) = read(
        "ravelin.dev/connect-timeout: 300ms, ravelin.dev/response-head-timeout: 2m, \
         ravelin.dev/body-progress-timeout: 5s, ravelin.dev/tunnel-idle-timeout: 24h, \
         ravelin.dev/request-timeout: 30s",
        "",
    );
    let expected = Timeouts {
        connect: Some(Duration::from_millis(300)),
        response_head: Some(Duration::from_secs(120)),
        body_progress: Some(Duration::from_secs(5)),
        tunnel_idle: Some(Duration::from_secs(86_400)),
        request: Some(Duration::from_secs(30)),
    };
    assert_eq!((timeouts, findings), (Some(expected), vec![]));
}

#[test]
fn a_time_out_that_is_none_is_named_and_leaves_the_default_and_the_others() {
    let (timeouts, _, findings) =
        read("ravelin.dev/connect-timeout: '3', ravelin.dev/request-timeout: 2s", "");
    let expected = Timeouts { request: Some(Duration::from_secs(2)), ..Timeouts::default() };
    assert_eq!(timeouts, Some(expected));
    assert_eq!(
        findings,
        [
            "error: Ingress default/x: metadata.annotations[ravelin.dev/connect-timeout]: \"3\" has no \
            unit (fix: write \"3s\" for seconds or \"3ms\" for milliseconds; until then the default \
            applies)"
        ]
    );
    for value in ["0s", "25h", "1.5s", "soon", "''"] {
        let (timeouts, _, findings) = read(&format!("ravelin.dev/request-timeout: {value}"), "");
        assert_eq!((timeouts, findings.len()), (None, 1), "{value}: {findings:?}");
    }
}

#[test]
fn a_service_has_the_limit_that_is_written_and_what_is_not_written_is_usual() {
    let (_, limits, findings) = read("", "ravelin.dev/max-connections: '10'");
    let usual = Limits { max_connections: 10, queue: 1024, queue_timeout: Duration::from_secs(5) };
    assert_eq!((limits, findings), (Some(usual), vec![]));
    let (_, limits, findings) = read(
        "",
        "ravelin.dev/max-connections: '1000000', ravelin.dev/queue: '0', \
         ravelin.dev/queue-timeout: 1ms",
    );
    let written =
        Limits { max_connections: 1_000_000, queue: 0, queue_timeout: Duration::from_millis(1) };
    assert_eq!((limits, findings), (Some(written), vec![]));
}

#[test]
fn a_limit_that_is_none_is_named_and_a_queue_without_a_limit_is_warned_of() {
    for value in ["0", "1000001", "-1", "+1", "ten", ""] {
        let (_, limits, findings) =
            read("", &format!("ravelin.dev/max-connections: '{value}', ravelin.dev/queue: '5'"));
        let expected = format!(
            "error: Service default/own: metadata.annotations[ravelin.dev/max-connections]: \
                \"{value}\" is not a whole number from 1 to 1000000 (fix: write one in quotes; until \
                then the default applies)"
        );
        assert_eq!((limits, findings), (None, vec![expected]));
    }
    let (_, limits, findings) = read("", "ravelin.dev/queue-timeout: 1s");
    assert_eq!(limits, None);
    assert_eq!(
        findings,
        ["warning: Service default/own: metadata.annotations[ravelin.dev/queue-timeout]: has no \
          effect without ravelin.dev/max-connections (fix: set the limit, or remove it)"]
    );
}
