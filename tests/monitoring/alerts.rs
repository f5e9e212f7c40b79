//! `rules.yaml`: its form, its names, and each alert by recorded series (`alerts.yaml`) in promtool.

use crate::reference::Reference;
use crate::{deploy, program};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// An alert, as `rules.yaml` has it.
pub(crate) struct Alert {
    pub(crate) name: String,
    pub(crate) expression: String,
    pub(crate) rule: Value,
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("a readable file");
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All alerts.
pub(crate) fn alerts() -> Vec<Alert> {
    let rules = read(&deploy("monitoring/rules.yaml"));
    let groups = rules["groups"].as_array().expect("groups").iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().expect("rules").iter());
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let alerts: Vec<_> = rules
        .map(|rule| Alert {
            name: text(&rule["alert"]),
            expression: text(&rule["expr"]),
            rule: rule.clone(),
        })
        .collect();
    assert!(alerts.len() > 40, "only {} alerts", alerts.len());
    alerts
}

/// The headings of the runbook that alerts link to.
pub(crate) fn sections() -> BTreeSet<String> {
    let page = fs::read_to_string(deploy("monitoring/runbook.md")).expect("the runbook");
    let headings = page.lines().filter_map(|line| line.strip_prefix("### "));
    headings.map(|heading| heading.trim().to_lowercase()).collect()
}

/// The cases of an alert.
pub(crate) fn cases() -> Map<String, Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/monitoring/alerts.yaml");
    let Value::Object(cases) = read(&file) else { panic!("no map") };
    cases
}

/// Runs promtool. `None`: it is not installed, which is said.
pub(crate) fn promtool(arguments: &[String]) -> Option<Output> {
    let promtool = program("promtool")?;
    Some(Command::new(promtool).args(arguments).output().expect("it runs"))
}

#[test]
fn every_alert_says_how_bad_it_is_and_what_to_do() {
    let sections = sections();
    let mut names = BTreeSet::new();
    for Alert { name, rule, .. } in alerts() {
        assert!(names.insert(name.clone()), "{name} is there twice");
        let severity = rule["labels"]["severity"].as_str().unwrap_or_default();
        assert!(["critical", "warning"].contains(&severity), "{name}: {severity}");
        for annotation in ["summary", "description", "runbook_url"] {
            let text = rule["annotations"][annotation].as_str().unwrap_or_default();
            assert!(text.len() > 20, "{name}: {annotation}");
        }
        let link = rule["annotations"]["runbook_url"].as_str().expect("as above");
        let anchor = link.rsplit_once("deploy/monitoring/runbook.md#").expect("a section").1;
        assert_eq!(anchor, name.to_lowercase());
        assert!(sections.contains(anchor), "{name} has no section in the runbook");
    }
    let lower: BTreeSet<_> = names.iter().map(|name| name.to_lowercase()).collect();
    let gone: Vec<_> = sections.difference(&lower).collect();
    assert!(gone.is_empty(), "sections of the runbook without an alert: {gone:?}");
}

#[test]
fn alerts_name_metrics_and_labels_that_are_there() {
    let reference = Reference::read();
    let mut mistakes = Vec::new();
    for Alert { name, expression, .. } in alerts() {
        let found = reference.mistakes(&expression).into_iter();
        mistakes.extend(found.map(|mistake| format!("{name}: {mistake}")));
    }
    assert_eq!(mistakes, Vec::<String>::new());
}

#[test]
fn templates_of_an_alert_name_labels_that_it_has() {
    let cases = cases();
    for Alert { name, rule, .. } in alerts() {
        let labels = cases[&name]["labels"].as_object().expect("labels");
        let texts = rule["annotations"].as_object().expect("annotations").values();
        let text: String = texts.map(|text| text.as_str().expect("text")).collect();
        for part in text.split("$labels.").skip(1) {
            let end = part.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let label = &part[..end.unwrap_or(part.len())];
            assert!(labels.contains_key(label), "{name}: $labels.{label}");
        }
    }
}

#[test]
fn promtool_finds_nothing_wrong_with_the_rules() {
    let file = deploy("monitoring/rules.yaml").display().to_string();
    let Some(output) = promtool(&["check".into(), "rules".into(), file]) else { return };
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains(&format!("{} rules found", alerts().len())), "{said}");
}

/// What promtool is told to try for an alert: its one rule, and both cases. Returns the file.
fn unit_test(folder: &Path, alert: &Alert, case: &Value) -> String {
    let Alert { name, rule, .. } = alert;
    let file = |end: &str| folder.join(format!("{name}.{end}"));
    let rules = json!({"groups": [{"name": "one", "rules": [rule]}]});
    fs::write(file("rules.yaml"), rules.to_string()).expect("a folder of ours");
    let mut labels: BTreeMap<_, _> =
        case["labels"].as_object().expect("labels").clone().into_iter().collect();
    for (label, value) in [("alertname", name.as_str()), ("alertstate", "firing")] {
        labels.insert(label.to_owned(), json!(value));
    }
    labels.insert("severity".to_owned(), rule["labels"]["severity"].clone());
    let labels: Vec<String> =
        labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
    let fired = json!([{"labels": format!("ALERTS{{{}}}", labels.join(",")), "value": 1}]);
    let cases = [("fires", fired), ("quiet", json!([]))].map(|(which, samples)| {
        let series = case[which].as_object().unwrap_or_else(|| panic!("{name} has no {which}"));
        assert!(!series.is_empty(), "{name}: {which} has no series");
        let series =
            series.iter().map(|(series, values)| json!({"series": series, "values": values}));
        json!({
            "name": format!("{name} {which}"),
            "interval": "1m",
            "input_series": series.collect::<Vec<_>>(),
            "promql_expr_test": [{
                "expr": format!("ALERTS{{alertname=\"{name}\",alertstate=\"firing\"}}"),
                "eval_time": case["at"],
                "exp_samples": samples,
            }],
        })
    });
    // JSON is YAML.
    let test =
        json!({"rule_files": [file("rules.yaml")], "evaluation_interval": "1m", "tests": cases});
    fs::write(file("test.yaml"), test.to_string()).expect("a folder of ours");
    file("test.yaml").display().to_string()
}

#[test]
fn each_alert_fires_by_its_series_and_by_no_others() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (alerts, cases) = (alerts(), cases());
    let names: BTreeSet<_> = alerts.iter().map(|alert| &alert.name).collect();
    assert_eq!(names, cases.keys().collect(), "each alert has a case, and each case an alert");
    let tests = alerts.iter().map(|alert| unit_test(folder.path(), alert, &cases[&alert.name]));
    let arguments: Vec<_> = ["test".into(), "rules".into()].into_iter().chain(tests).collect();
    let Some(output) = promtool(&arguments) else { return };
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("SUCCESS").count(), alerts.len(), "{said}");
}
