//! The right to read Secrets, taken away and given back.

use super::{Secured, role_name};
use crate::edge::{Site, all_rules, lacking};
use crate::plane::Plane;
use crate::served::says;
use serde_json::{Value, json};

const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";

/// Gives the account these rules.
fn grant(plane: &Plane, namespace: &str, rules: &[Value]) {
    let name = role_name(namespace);
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": name}, "rules": rules});
    plane.put(&format!("{ROLES}/{name}"), &role);
}

/// Without it from the beginning there is no start: `granted.rs`.
#[test]
fn without_the_right_to_read_secrets_the_known_ones_are_shown_and_everything_else_goes_on() {
    let Some(plane) = Plane::shared() else { return };
    let secured = Secured::start(&plane, "secret-rights");
    secured.name_secret("shop");
    let first = secured.issue();
    secured.certify(&first);
    secured.await_shown(&first);
    let visitors = secured.visitors();
    grant(&plane, "secret-rights", &lacking(&all_rules(), "secrets", "*"));
    secured.edge.await_failure("Secret", "forbidden");
    crate::eventually("the right is named in the log", || {
        let named = |line: &Value| {
            let words = line["words"].as_str().unwrap_or_default();
            says(line, "secrets", "forbidden") && words.contains("resource \"secrets\"")
        };
        secured.edge.has_said(named).then_some(())
    });
    assert_eq!(secured.edge.readyz().0, 200);

    // Another site, which needs no Secret, is served at once; and this one still is.
    let more = Site {
        namespace: "secret-rights",
        name: "more",
        class: "secret-rights",
        host: "more.secret-rights",
    };
    plane.create(&more.ingresses(), &more.ingress_to("shop"));
    secured.edge.await_answer("more.secret-rights", "/", "shop");
    let second = secured.issue();
    secured.certify(&second);
    assert_eq!(secured.shown().as_deref(), Some(&*first.der()), "nobody has told of the other");

    grant(&plane, "secret-rights", &all_rules());
    secured.await_shown(&second);
    visitors.iter().for_each(|visitor| visitor.is_content());
}
