//! Which Ingresses are ours.

use super::{serves, three};
use crate::support::{ingress, rule};
use serde_json::{Value, json};

/// An Ingress for host and Service of the same name, with this class or none.
fn of_class(name: &str, class: Option<&str>) -> Value {
    let mut object = ingress(name, &[rule(name, &[("/", "Prefix", name)])]);
    match class {
        Some(class) => object["spec"]["ingressClassName"] = class.into(),
        None => {
            object["spec"].as_object_mut().expect("a map").remove("ingressClassName");
        }
    }
    object
}

fn class(name: &str, controller: &str) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": name},
        "spec": {"controller": controller},
    })
}

const NONE: &str = "404 no_route";

#[test]
fn an_ingress_is_ours_by_the_controller_of_its_class() {
    let (builder, _upstreams) = three();
    let edge = builder
        .object("nginx.json", &class("nginx", "k8s.io/ingress-nginx"))
        .object("for-a.json", &of_class("a", Some("ravelin")))
        .object("for-b.json", &of_class("b", Some("nginx")))
        .object("for-c.json", &of_class("c", None))
        .start();
    serves(&edge, &[("a", "/", "a"), ("b", "/", NONE), ("c", "/", NONE)]);
}

#[test]
fn the_old_annotation_is_honoured_and_the_field_wins_over_it() {
    let (builder, _upstreams) = three();
    let annotated = |name: &str, class: Option<&str>, annotation: &str| {
        let mut object = of_class(name, class);
        object["metadata"]["annotations"] = json!({"kubernetes.io/ingress.class": annotation});
        object
    };
    let edge = builder
        .object("for-a.json", &annotated("a", None, "ravelin"))
        .object("for-b.json", &annotated("b", None, "nginx"))
        .object("for-c.json", &annotated("c", Some("ravelin"), "nginx"))
        .start();
    serves(&edge, &[("a", "/", "a"), ("b", "/", NONE), ("c", "/", "c")]);
}

#[test]
fn a_default_class_of_ours_takes_ingresses_without_class() {
    let (builder, _upstreams) = three();
    let mut default = class("ravelin", "ravelin.dev/ingress-controller");
    default["metadata"]["annotations"] =
        json!({"ingressclass.kubernetes.io/is-default-class": "true"});
    let edge =
        builder.object("class.json", &default).object("for-a.json", &of_class("a", None)).start();
    serves(&edge, &[("a", "/", "a")]);
}

#[test]
fn a_setting_takes_ingresses_without_class() {
    let (builder, _upstreams) = three();
    let edge = builder
        .set("source", "ingress_without_class", "true")
        .object("for-a.json", &of_class("a", None))
        .start();
    serves(&edge, &[("a", "/", "a")]);
}
