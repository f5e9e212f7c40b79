//! Credentials that are replaced, or refused: the next ones are taken wherever they come from.

use crate::api::Api;
use crate::edge::Edge;
use std::fs;
use std::path::Path;

/// A plug-in that says what is in a file, and no time at which that ends.
fn plug_in(folder: &Path) -> String {
    let answer = "{\\\"apiVersion\\\": \\\"client.authentication.k8s.io/v1\\\", \\\"kind\\\": \\\"ExecCredential\\\", \\\"status\\\": {\\\"token\\\": \\\"'$(cat token)'\\\"}}";
    format!(
        "{{exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, \
         command: /bin/sh, args: [\"-c\", \"cd {} && echo '{answer}'\"]}}}}",
        folder.display()
    )
}

fn write_token(folder: &Path, token: &str) {
    fs::write(folder.join("next"), token).expect("a folder of ours");
    fs::rename(folder.join("next"), folder.join("token")).expect("a folder of ours");
}

/// Takes the old credentials away, and gives new ones when they have been refused.
fn is_followed_again(api: &Api, edge: &Edge, renew: impl FnOnce()) {
    api.serve("a.test");
    edge.await_status("a.test", 503);
    api.require("second");
    // Watches that are open go on: nothing but the end of a connection shows it.
    api.cut(false);
    edge.await_failure("Ingress", "unauthorized");
    edge.await_failure("Node", "unauthorized");
    assert_eq!((edge.status("a.test"), edge.readyz().0), (503, 200));
    renew();
    api.serve("b.test");
    edge.await_status("b.test", 503);
    let refused = api.refused();
    assert!(refused < 100, "{refused} requests were refused");
}

#[test]
fn a_kubeconfig_that_is_replaced_is_read_anew() {
    let api = Api::new();
    api.require("first");
    let edge = Edge::as_user(&api, "", |_| "{token: first}".to_owned()).ready();
    is_followed_again(&api, &edge, || edge.set_user(&api, "{token: second}"));
}

#[test]
fn a_token_file_that_is_replaced_is_read_anew() {
    let api = Api::new();
    api.require("first");
    let user = |folder: &Path| {
        write_token(folder, "first");
        format!("{{tokenFile: {:?}}}", folder.join("token"))
    };
    let edge = Edge::as_user(&api, "", user).ready();
    is_followed_again(&api, &edge, || write_token(edge.folder(), "second"));
}

#[test]
fn a_plug_in_is_asked_again_when_its_word_is_refused() {
    let api = Api::new();
    api.require("first");
    let user = |folder: &Path| {
        write_token(folder, "first");
        plug_in(folder)
    };
    let edge = Edge::as_user(&api, "", user).ready();
    is_followed_again(&api, &edge, || write_token(edge.folder(), "second"));
}

#[test]
fn a_kubeconfig_that_cannot_be_read_leaves_the_credentials_before() {
    let api = Api::new();
    api.require("first");
    let edge = Edge::as_user(&api, "", |_| "{token: first}".to_owned()).ready();
    edge.set_user(&api, "{token: [");
    api.cut(false);
    api.serve("a.test");
    edge.await_status("a.test", 503);
}
