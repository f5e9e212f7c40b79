//! `ravelin.dev/raw-path`: pods get the path as it was sent, and rules are found by its canonical form.

use crate::support::{Edge, Upstream, edge, ingress, rule};
use serde_json::json;

/// A proxy whose Ingress has paths sent as they came, with a rule for `/private` of another Service.
fn raw(all: &Upstream, private: &Upstream) -> Edge {
    let paths = [("/", "Prefix", "all"), ("/private", "Prefix", "private")];
    let mut object = ingress("raw", &[rule("", &paths)]);
    object["metadata"]["annotations"] = json!({"ravelin.dev/raw-path": "true"});
    edge()
        .service("all", &[all.addr()])
        .service("private", &[private.addr()])
        .object("raw.json", &object)
        .start()
}

#[test]
fn a_path_arrives_byte_for_byte_where_it_has_one_meaning() {
    let (all, private) = (Upstream::saying("all"), Upstream::saying("private"));
    let edge = raw(&all, &private);
    let mut client = edge.connect();
    let targets = [
        "/bucket//key%2Fwith%2fslashes?X-Amz-Signature=%2e",
        "/insecure/rs:fit:300/plain/https://example.com/%7Ea.jpg@png",
        "/packages/@scope%2fname",
        "/%61",
        "/a?",
    ];
    for target in targets {
        assert_eq!(client.get("a", target).text(), "all", "{target}");
    }
    let requests = all.requests();
    let forwarded: Vec<_> = requests.iter().map(|request| request.target()).collect();
    assert_eq!(forwarded, targets);
    assert_eq!(client.get("a", "/%70rivate//x").text(), "private");
    assert_eq!(private.only_request().target(), "/%70rivate//x");
    let line = edge.await_log(targets.len() + 1).remove(0);
    assert_eq!(line["path"], "/bucket/key%2Fwith%2Fslashes");
}

#[test]
fn a_path_that_a_pod_could_read_as_anothers_is_refused() {
    let (all, private) = (Upstream::saying("all"), Upstream::saying("private"));
    let edge = raw(&all, &private);
    let mut client = edge.connect();
    for target in [
        "/x/../private",
        "/x/%2e%2e/private",
        "/./private",
        "//host/private",
        "/%2Fprivate",
        "/private%2fx",
        "/private%5Cx",
    ] {
        let answer = client.get("a", target);
        assert_eq!(answer.status(), 400, "{target}");
        assert!(answer.text().contains("bad_target"), "{target}: {answer:?}");
    }
    assert_eq!((all.requests().len(), private.requests().len()), (0, 0));
}
