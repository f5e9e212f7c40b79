//! The dashboards as Grafana reads them: their form, their names, and that they are what their source makes.

use crate::alerts::sections;
use crate::expression::names;
use crate::reference::Reference;
use crate::{deploy, program};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Units of Grafana that the panels use.
const UNITS: [&str; 9] = ["reqps", "ops", "pps", "percentunit", "s", "d", "bytes", "Bps", "short"];

/// Kinds of panels, which core Grafana has.
const KINDS: [&str; 4] = ["stat", "timeseries", "table", "state-timeline"];

/// A panel with queries.
struct Panel {
    /// `dashboard / title`.
    name: String,
    json: Value,
}

/// A query of a panel.
pub(crate) struct Query {
    /// The panel's, and the legend behind it where it has several: `dashboard / title: legend`.
    pub(crate) name: String,
    pub(crate) expression: String,
}

/// The dashboards by name.
fn dashboards() -> BTreeMap<String, Value> {
    let files = fs::read_dir(deploy("monitoring/dashboards")).expect("a folder");
    let files = files.map(|entry| entry.expect("an entry").path());
    let files = files.filter(|file| file.extension().is_some_and(|it| it == "json"));
    let read = |file: &Path| fs::read_to_string(file).expect("a readable file");
    let named = files.map(|file| {
        let stem = file.file_stem().and_then(|stem| stem.to_str()).expect("UTF-8");
        let name = stem.strip_prefix("ravelin-").expect("a name of ours").to_owned();
        (name, serde_json::from_str(&read(&file)).expect("JSON"))
    });
    let dashboards: BTreeMap<_, _> = named.collect();
    let names: Vec<_> = dashboards.keys().map(String::as_str).collect();
    assert_eq!(names, ["cloudflare", "edge", "overview", "pods"]);
    dashboards
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

/// All panels with queries.
fn panels() -> Vec<Panel> {
    let mut panels = Vec::new();
    for (dashboard, json) in dashboards() {
        for panel in list(&json, "panels").iter().filter(|panel| panel["type"] != "row") {
            let name = format!("{dashboard} / {}", text(panel, "title"));
            panels.push(Panel { name, json: panel.clone() });
        }
    }
    assert!(panels.len() > 60, "only {} panels", panels.len());
    panels
}

/// The queries of all panels.
pub(crate) fn queries() -> Vec<Query> {
    let mut queries = Vec::new();
    for Panel { name, json } in panels() {
        let targets = list(&json, "targets");
        for target in targets {
            let name = match targets.len() {
                1 => name.clone(),
                _ => format!("{name}: {}", text(target, "legendFormat")),
            };
            queries.push(Query { name, expression: text(target, "expr").to_owned() });
        }
    }
    let names: BTreeSet<_> = queries.iter().map(|query| &query.name).collect();
    assert_eq!(names.len(), queries.len(), "each has a name of its own");
    queries
}

#[test]
fn the_files_are_what_their_source_makes() {
    let Some(python) = program("python3") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = deploy("monitoring/dashboards.py");
    let status = Command::new(python).arg("-B").arg(script).arg(folder.path()).status();
    assert!(status.expect("it runs").success());
    for name in dashboards().keys() {
        let file = format!("ravelin-{name}.json");
        let made = fs::read(folder.path().join(&file)).expect("it was made");
        for folder in ["monitoring/dashboards", "chart/files/dashboards"] {
            let kept = fs::read(deploy(folder).join(&file)).expect("a readable file");
            assert!(kept == made, "deploy/{folder}/{file}: run deploy/render");
        }
    }
}

#[test]
fn dashboards_have_the_fields_that_grafana_reads() {
    let mut ids = BTreeSet::new();
    let sections = sections();
    for (name, json) in dashboards() {
        for key in ["uid", "title", "description", "refresh"] {
            assert!(!text(&json, key).is_empty(), "{name}: {key}");
        }
        assert!(ids.insert(text(&json, "uid").to_owned()), "{name}: another one has its uid");
        assert!(text(&json, "uid").len() <= 40, "{name}: Grafana takes 40 characters");
        // Of Grafana 10; newer ones migrate it.
        assert_eq!(json["schemaVersion"], 39, "{name}");
        assert!(json["id"].is_null(), "{name}: Grafana gives the number");
        assert_eq!(json["tags"], serde_json::json!(["ravelin"]), "{name}: links go by the tag");
        assert_eq!((text(&json["time"], "from"), text(&json["time"], "to")), ("now-3h", "now"));
        for panel in list(&json, "panels") {
            for link in list(panel, "links") {
                let (_, anchor) = text(link, "url").split_once("runbook.md#").expect("the runbook");
                assert!(sections.contains(anchor), "{name}: {anchor}");
            }
        }
    }
}

#[test]
fn panels_lie_on_the_grid_and_on_no_other_panel() {
    for (name, json) in dashboards() {
        let mut ids = BTreeSet::new();
        let mut titles = BTreeSet::new();
        let mut taken = BTreeSet::new();
        for panel in list(&json, "panels") {
            let title = text(panel, "title");
            assert!(ids.insert(panel["id"].as_u64().expect("a number")), "{name}: {title}: id");
            assert!(titles.insert(title), "{name}: two panels are called {title}");
            let [x, y, w, h] =
                ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().expect("a number"));
            assert!(w > 0 && h > 0 && x + w <= 24, "{name}: {title}: {x} + {w}");
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{name}: {title} lies on another panel");
            }
        }
        // No hole: each line of the grid that has a panel is full.
        let lines: BTreeSet<_> = taken.iter().map(|(_, y)| y).collect();
        assert_eq!(
            lines.len(),
            lines.iter().max().map_or(0, |y| usize::try_from(**y + 1).expect("few"))
        );
    }
}

#[test]
fn each_panel_says_what_it_is_in_which_unit() {
    for Panel { name, json } in panels() {
        assert!(KINDS.contains(&text(&json, "type")), "{name}: {}", json["type"]);
        assert!(text(&json, "description").len() > 20, "{name}: a description");
        assert!(!list(&json, "targets").is_empty(), "{name}: queries");
        let defaults = &json["fieldConfig"]["defaults"];
        let unit = text(defaults, "unit");
        assert!(UNITS.contains(&unit), "{name}: {unit}");
        let steps = list(&defaults["thresholds"], "steps");
        assert!(!steps.is_empty() && steps[0]["value"].is_null(), "{name}: thresholds");
        assert!(!text(defaults, "noValue").is_empty(), "{name}: what it shows when it is empty");
        let mut letters = BTreeSet::new();
        for target in list(&json, "targets") {
            assert!(letters.insert(text(target, "refId")), "{name}: refId");
            assert_eq!(target["datasource"], json["datasource"], "{name}");
        }
        assert_eq!(text(&json["datasource"], "uid"), "${datasource}", "{name}");
        // A column of a table has a name, and a unit of its own.
        if json["type"] == "table" {
            let renamed = &json["transformations"][1]["options"]["renameByName"];
            let columns: Vec<_> = renamed.as_object().expect("names").values().collect();
            assert_eq!(columns.len(), letters.len(), "{name}");
            for override_ in list(&json["fieldConfig"], "overrides") {
                assert!(columns.contains(&&override_["matcher"]["options"]), "{name}");
            }
        }
    }
}

#[test]
fn legends_have_labels_that_their_query_keeps() {
    for Panel { name, json } in panels() {
        for target in list(&json, "targets") {
            let kept = names(text(target, "expr")).grouping;
            for part in text(target, "legendFormat").split("{{").skip(1) {
                let label = part.split("}}").next().expect("a first part");
                assert!(kept.iter().any(|one| one == label), "{name}: {label}");
            }
        }
    }
}

#[test]
fn variables_that_are_used_are_there_and_the_reverse() {
    for (name, json) in dashboards() {
        let variables = list(&json["templating"], "list");
        let defined: BTreeSet<_> =
            variables.iter().map(|one| text(one, "name").to_owned()).collect();
        let mut used = BTreeSet::new();
        // Panels, annotations and links; `$__` is Grafana's own.
        for part in json.to_string().split('$').skip(1) {
            let part = part.strip_prefix('{').unwrap_or(part);
            let end = part.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let variable = &part[..end.unwrap_or(part.len())];
            if !variable.starts_with("__") {
                used.insert(variable.to_owned());
            }
        }
        assert_eq!(used, defined, "{name}");
        assert_eq!(variables[0]["type"], "datasource", "{name}: it is chosen first");
        assert_eq!(variables[0]["query"], "prometheus", "{name}: VictoriaMetrics is one as well");
    }
}

#[test]
fn panels_and_variables_name_metrics_and_labels_that_are_there() {
    let reference = Reference::read();
    let mut mistakes = Vec::new();
    let mut hold = |name: &str, expression: &str| {
        let found = reference.mistakes(expression).into_iter();
        mistakes.extend(found.map(|mistake| format!("{name}: {mistake}")));
    };
    queries().iter().for_each(|query| hold(&query.name, &query.expression));
    for (name, json) in dashboards() {
        for one in list(&json["annotations"], "list") {
            hold(&name, text(one, "expr"));
        }
        for one in list(&json["templating"], "list").iter().skip(1) {
            // label_values(METRIC, LABEL): as if it grouped by the label.
            let query = text(one, "definition");
            let inner = query.strip_prefix("label_values(").and_then(|it| it.strip_suffix(')'));
            let (metric, label) = inner.and_then(|it| it.split_once(", ")).expect("two arguments");
            hold(&name, &format!("count by ({label}) ({metric})"));
        }
    }
    assert_eq!(mistakes, Vec::<String>::new());
}
