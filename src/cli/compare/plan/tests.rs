use super::*;
use crate::control::files::Directory;
use crate::control::reconcile::build;
use crate::control::translate::Options;

fn wanted() -> Wanted {
    Wanted { methods: vec![Method::GET], hosts: Vec::new(), secure: vec![false], most: 1000 }
}

/// The model of IngressRoutes, each with this `match`.
fn model(rules: &[&str]) -> Model {
    let mut text =
        "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 80}]}\n"
            .to_owned();
    for (at, rule) in rules.iter().enumerate() {
        text.push_str(&format!(
            "---\napiVersion: traefik.io/v1alpha1\nkind: IngressRoute\nmetadata: {{name: r{at}}}\nspec:\n  routes:\n  - match: \
             {rule:?}\n    services: [{{name: s, port: 80}}]\n"
        ));
    }
    let mut directory = Directory::to_judge(Vec::new());
    directory.add_text("rules", &text);
    let options = Options {
        ingress_class: "traefik".to_owned(),
        taken_classes: vec!["traefik".to_owned()],
        without_class: true,
        ..Options::default()
    };
    let built = build(&directory.objects(), directory.findings(), &options);
    assert_eq!(built.model.ingresses.len(), rules.len(), "{:?}", built.findings);
    built.model
}

fn lines(plan: &Plan) -> Vec<String> {
    let line = |it: &Planned| format!("{} {}{}", it.method, it.host, it.target);
    plan.requests.iter().map(line).collect()
}

#[test]
fn a_rule_is_asked_at_its_place_and_at_its_edges() {
    let plan = Plan::of(&model(&["Host(`a.example`) && PathPrefix(`/api`)"]), &wanted());
    assert_eq!(
        lines(&plan),
        [
            "GET a.example/api",
            "GET a.example/api/",
            "GET a.example/api/ravelin-compare",
            "GET a.example/apix"
        ]
    );
    let Routed { object, field, rule } = &plan.routes[0];
    assert_eq!((object.as_str(), field.as_str()), ("IngressRoute default/r0", "spec.routes[0]"));
    assert_eq!(rule, "a.example/api");
}

#[test]
fn each_route_is_asked_once_before_any_is_asked_again() {
    let model = model(&["Host(`a.example`)", "Host(`b.example`)"]);
    let methods = vec![Method::GET, Method::HEAD];
    let plan = Plan::of(&model, &Wanted { methods, ..wanted() });
    let expected = ["GET a.example/", "GET b.example/", "HEAD a.example/", "HEAD b.example/"];
    assert_eq!(lines(&plan)[..4], expected);
    let plan = Plan::of(&model, &Wanted { most: 2, ..wanted() });
    assert_eq!((lines(&plan).len(), plan.left_out), (2, 2));
}

#[test]
fn with_both_ways_each_request_goes_both_ways() {
    let plan =
        Plan::of(&model(&["Host(`a.example`)"]), &Wanted { secure: vec![false, true], ..wanted() });
    let ways: Vec<bool> = plan.requests.iter().map(|request| request.secure).collect();
    assert_eq!(ways, [false, true, false, true]);
}

#[test]
fn fields_and_parameters_are_sent_and_left_out() {
    let plan = Plan::of(
        &model(&["Host(`a.example`) && Header(`X-A`, `1`) && Query(`q`, `z`)"]),
        &wanted(),
    );
    assert_eq!(lines(&plan), ["GET a.example/?q=z", "GET a.example/?q=z", "GET a.example/"]);
    let fields: Vec<usize> = plan.requests.iter().map(|request| request.headers.len()).collect();
    assert_eq!(fields, [1, 0, 1]);
}

#[test]
fn a_method_that_is_not_allowed_is_not_sent_and_said() {
    let model = model(&["Host(`a.example`) && Method(`POST`)"]);
    let plan = Plan::of(&model, &wanted());
    assert!(plan.requests.is_empty());
    assert!(plan.remarks[0].text.contains("asks for the method POST"), "{:?}", plan.remarks);
    let methods = vec![Method::GET, Method::POST];
    let plan = Plan::of(&model, &Wanted { methods, ..wanted() });
    assert_eq!(lines(&plan), ["POST a.example/"]);
}

#[test]
fn hosts_that_are_given_are_the_only_ones() {
    let model =
        model(&["Host(`a.example`)", "HostRegexp(`^b[0-9]+[.]example$`)", "Host(`c.example`)"]);
    let hosts = vec!["b7.example".to_owned()];
    let plan = Plan::of(&model, &Wanted { hosts, ..wanted() });
    assert_eq!(lines(&plan), ["GET b7.example/"]);
    let hosts = vec!["d.example".to_owned()];
    assert!(Plan::of(&model, &Wanted { hosts, ..wanted() }).requests.is_empty());
}

#[test]
fn a_wildcard_is_asked_with_one_label_and_with_two() {
    let plan = Plan::of(&model(&["Host(`*.a.example`)"]), &wanted());
    assert_eq!(
        lines(&plan),
        ["GET ravelin-compare.a.example/", "GET deep.ravelin-compare.a.example/"]
    );
}

#[test]
fn a_rule_that_nothing_meets_is_said() {
    let plan = Plan::of(&model(&["Host(`a.example`) && Host(`b.example`)"]), &wanted());
    assert!(plan.requests.is_empty() && plan.remarks[0].text.contains("no request could be made"));
    let plan = Plan::of(&model(&["Host(`a.example`) && ClientIP(`10.0.0.0/8`)"]), &wanted());
    assert_eq!(lines(&plan), ["GET a.example/"]);
    assert!(plan.remarks[0].text.contains("ClientIP"), "{:?}", plan.remarks);
}
