use super::*;
use std::collections::BTreeSet;

#[test]
fn each_row_holds_everywhere_or_says_of_which_routes() {
    let file: File = toml::from_str(FILE).unwrap_or_else(|error| panic!("{error}"));
    assert!(file.difference.len() > 70, "only {} rows", file.difference.len());
    let mut ids = BTreeSet::new();
    for row in &file.difference {
        assert!(ids.insert(&row.id), "{} is there twice", row.id);
        assert_eq!(row.everywhere, row.when.is_empty(), "{}", row.id);
        assert!(!(row.everywhere && row.seldom), "{}: everywhere is told once in any case", row.id);
        let empty = Condition::default();
        let says = |condition: &Condition| format!("{condition:?}") != format!("{empty:?}");
        assert!(row.when.iter().all(says), "{}: an empty condition holds for all", row.id);
    }
}

fn conditions(text: &str) -> Condition {
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_condition_holds_for_the_fields_of_one_middleware() {
    let spec =
        serde_json::json!({"stsSeconds": 31_536_000, "allowedHosts": ["*", "b"], "none": null});
    let (name, is_shared, is_broken) = ("a/b".to_owned(), false, true);
    let headers = StepView { kind: "headers", spec: &spec, name, is_shared, is_broken };
    let steps = [headers];
    for (text, holds) in [
        ("middleware = ['Headers']", true),
        ("middleware = ['compress', 'headers']", true),
        ("middleware = ['compress']", false),
        ("middleware = ['headers']\nfields = { stsSeconds = '3*' }", true),
        ("middleware = ['headers']\nfields = { stsSeconds = '0' }", false),
        ("middleware = ['headers']\nfields = { allowedHosts = '=*' }", true),
        ("middleware = ['headers']\nnot_fields = { stsSeconds = '0' }", true),
        ("middleware = ['headers']\nwithout = ['none', 'allowedHosts.2']", true),
        ("middleware = ['headers']\nwithout = ['allowedHosts.1']", false),
        ("middleware = ['headers']\nbeside = ['headers']", false),
        ("middleware = ['headers']\nis = ['shared-middleware']", false),
        ("middleware = ['headers']\nis = ['not-served']", true),
    ] {
        assert_eq!(conditions(text).holds_for_steps(&steps), holds, "{text}");
    }
}

#[test]
fn a_condition_holds_for_the_fields_of_one_traefik_service() {
    let specs = [
        serde_json::json!({"failover": {"errors": {}}}),
        serde_json::json!({"mirroring": {"mirrors": [{"name": "b", "percent": 5}]}}),
    ];
    let specs: Vec<&Value> = specs.iter().collect();
    for (text, holds) in [
        ("traefik_service = { 'mirroring.mirrors.0.percent' = '5' }", true),
        ("traefik_service = { failover = '*' }", true),
        (
            "traefik_service = { failover = '*' }\ntraefik_service_without = ['failover.errors.status.0']",
            true,
        ),
        (
            "traefik_service = { failover = '*' }\ntraefik_service_without = ['failover.errors']",
            false,
        ),
        ("traefik_service = { weighted = '*' }", false),
    ] {
        let condition = conditions(text);
        assert_eq!(condition.holds_for_traefik_services(&specs), holds, "{text}");
        assert!(!condition.holds_for_traefik_services(&[]), "{text}");
    }
}

#[test]
fn a_condition_holds_for_the_fields_of_a_route() {
    let route = serde_json::json!({"match": "Host(`a`) && Path(`/%61`)",
        "services": [{"name": "b", "port": "80"}]});
    for (text, holds) in [
        ("route = { match = '*Path(`*%*' }", true),
        ("route = { match = '*Query*' }", false),
        ("route = { 'services.0.port' = '80' }\nroute_without = ['services.0.scheme']", true),
        ("route_without = ['services.0']", false),
    ] {
        assert_eq!(conditions(text).holds_for_route(Some(&route)), holds, "{text}");
        assert!(!conditions(text).holds_for_route(None), "{text}");
    }
    assert!(Condition::default().holds_for_route(None));
}
