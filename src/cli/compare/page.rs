//! The report for people: one page, as text or as Markdown.

use super::judge::Differing;
use super::report::{Exchange, Explanation, Report, Totals};
use crate::cli::migrate::{Item, Page, Section};
use std::collections::BTreeMap;

/// Most requests that are told of those that differ alike.
const MOST_SHOWN: usize = 2;

pub(super) fn page(report: &Report) -> Page {
    let Totals { routes, requests, same, known, differing, .. } = report.totals;
    let mut head = vec![
        format!(
            "{requests} requests for {routes} routes: {differing} answered differently, {known} with known differences, {same} \
             the same"
        ),
        format!("Traefik: {}; ravelin: {}", report.traefik.join(" "), report.ravelin.join(" ")),
    ];
    head.extend(report.void.iter().map(|void| format!("cannot be compared: {void}")));
    head.extend(report.notes.iter().map(|note| format!("note: {note}")));
    let sections = vec![
        Section {
            title: "Differences".to_owned(),
            about: "Not explained by a known difference.",
            items: differences(&report.differing),
        },
        Section {
            title: "Known differences".to_owned(),
            about: "Accepted, each with its reason.",
            items: known_ones(report),
        },
        varying(report),
        Section { title: "Not compared, or in part".to_owned(), about: "", items: remarks(report) },
    ];
    Page { title: "ravelin beside Traefik", head, sections }
}

/// Items of whose values only the difference is worth being told.
fn is_opaque(item: &str) -> bool {
    matches!(item, "answer.body" | "certificate" | "answer.field.etag" | "answer.field.set-cookie")
}

/// Those that differ alike are one item.
fn differences(all: &[Exchange]) -> Vec<Item> {
    let mut order: Vec<Vec<&Exchange>> = Vec::new();
    let mut known: BTreeMap<_, usize> = BTreeMap::new();
    for exchange in all {
        let sign = |it: &Differing| {
            let values = (!is_opaque(&it.item)).then(|| (it.traefik.clone(), it.ravelin.clone()));
            (it.item.clone(), values, it.known.clone())
        };
        let signs: Vec<_> = exchange.items.iter().map(sign).collect();
        let at = *known
            .entry((signs, exchange.foretold.clone(), exchange.nearby.clone(), exchange.hint))
            .or_insert(order.len());
        match order.get_mut(at) {
            Some(group) => group.push(exchange),
            None => order.push(vec![exchange]),
        }
    }
    order.iter().map(|group| group_item(group)).collect()
}

fn group_item(group: &[&Exchange]) -> Item {
    let first = group[0];
    let mut routes: Vec<String> = group.iter().map(|it| place(it)).collect();
    routes.dedup();
    let more = match routes.len() {
        1 => String::new(),
        number => format!(" and {} more routes", number - 1),
    };
    let mut lines: Vec<String> = first.items.iter().map(differing).collect();
    lines.extend(first.hint.map(|hint| format!("hint: {hint}")));
    lines.extend(first.foretold.iter().map(|cause| format!("`ravelin migrate` says: {cause}")));
    if !first.nearby.is_empty() {
        lines.push(format!("`ravelin migrate` names for this host: {}", first.nearby.join(", ")));
    }
    for exchange in group.iter().take(MOST_SHOWN) {
        lines.push(format!("{} {}", exchange.method, exchange.url));
        lines.push(exchange.repeat.clone());
    }
    if group.len() > MOST_SHOWN {
        lines.push(format!("and {} more requests", group.len() - MOST_SHOWN));
    }
    Item { head: format!("{}{more}", routes[0]), lines }
}

fn place(exchange: &Exchange) -> String {
    let Exchange { object, field, rule, .. } = exchange;
    format!("{object}: {field}: {rule}")
}

fn differing(it: &Differing) -> String {
    let Differing { item, traefik, ravelin, known, possible } = it;
    let item = item.strip_prefix("answer.").unwrap_or(item);
    let item = item.strip_prefix("field.").unwrap_or(item);
    let known = known.as_ref().map(|id| format!(" (known: {id})"));
    let possible = possible.as_ref().map(|id| format!(" (possibly: {id})"));
    let named = known.or(possible).unwrap_or_default();
    format!("{item}: Traefik {traefik}, ravelin {ravelin}{named}")
}

/// By their ids, with an example each.
fn known_ones(report: &Report) -> Vec<Item> {
    let items = report.explanations.iter().map(|explanation| {
        let Explanation { id, what, why } = explanation;
        let is_it = |item: &&Differing| item.known.as_ref() == Some(id);
        let all = report.known.iter().chain(&report.differing);
        let own: Vec<(&Exchange, &Differing)> =
            all.filter_map(|it| Some((it, it.items.iter().find(is_it)?))).collect();
        let number = match own.len() {
            0 => "possibly".to_owned(),
            1 => "1 request".to_owned(),
            number => format!("{number} requests"),
        };
        let mut lines = vec![what.clone(), format!("Why: {why}")];
        let example = own.first();
        lines.extend(
            example.map(|(it, item)| format!("{} {}: {}", it.method, it.url, differing(item))),
        );
        Item { head: format!("{id} ({number})"), lines }
    });
    items.collect()
}

fn varying(report: &Report) -> Section {
    let items = report.varying.iter().map(|(item, number)| {
        let head = match number {
            1 => format!("{item}: 1 request"),
            number => format!("{item}: {number} requests"),
        };
        Item { head, lines: Vec::new() }
    });
    Section {
        title: "Varies".to_owned(),
        about: "Other values at each request to the same proxy: not compared.",
        items: items.collect(),
    }
}

fn remarks(report: &Report) -> Vec<Item> {
    let item = |it: &super::plan::Remark| Item {
        head: format!("{}: {}: {}", it.object, it.field, it.text),
        lines: Vec::new(),
    };
    report.remarks.iter().map(item).collect()
}
