//! The report for people: one page, as text or as Markdown.

use super::chart::{Left, Weight};
use super::differences::Difference;
use super::report::{Report, Totals};
use super::routes::{Cause, RouteVerdict, Verdict};
use std::collections::BTreeMap;

/// Routes that are served the same are only named; of more than this many, their number is enough.
const MAX_SAME: usize = 50;

/// Up to this many routes of which the same is to be said are listed one by one.
const MAX_ALIKE: usize = 3;

/// How lines begin that are commands.
const COMMAND: &str = "curl ";

/// A page, before it is text.
pub(in crate::cli) struct Page {
    /// Of Markdown.
    pub(in crate::cli) title: &'static str,
    pub(in crate::cli) head: Vec<String>,
    /// Those without items are left out.
    pub(in crate::cli) sections: Vec<Section>,
}

pub(in crate::cli) struct Section {
    pub(in crate::cli) title: String,
    pub(in crate::cli) about: &'static str,
    pub(in crate::cli) items: Vec<Item>,
}

pub(in crate::cli) struct Item {
    pub(in crate::cli) head: String,
    /// One that begins with `curl ` is a command.
    pub(in crate::cli) lines: Vec<String>,
}

impl Page {
    pub(super) fn of(report: &Report) -> Self {
        let Totals { routes, not_served, neither, differs, same, matters, lost_values } =
            report.totals;
        let class = &report.class;
        let sources = match report.configuration.sources.len() {
            0 => "the defaults of Traefik's chart: no values were in the input".to_owned(),
            _ => report.configuration.sources.join(", "),
        };
        let head = vec![
            format!(
                "{routes} routes of the class {class}: {not_served} not served, {neither} by neither, {differs} differently, \
                 {same} the same"
            ),
            format!(
                "{matters} things to do besides, {lost_values} values of Traefik without a counterpart"
            ),
            format!("configuration: {sources}"),
        ];
        let mut sections = routes_of(report);
        sections.extend(matters_of(report));
        sections.extend(values_of(report));
        sections.extend(differences_of(report));
        Self { title: "From Traefik to ravelin", head, sections }
    }

    fn filled(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter().filter(|section| !section.items.is_empty())
    }

    pub(in crate::cli) fn text(&self) -> String {
        let mut out: String = self.head.iter().map(|line| format!("{line}\n")).collect();
        for Section { title, about, items } in self.filled() {
            out.push_str(&format!("\n== {title}\n"));
            if !about.is_empty() {
                out.push_str(&format!("   {about}\n"));
            }
            for Item { head, lines } in items {
                out.push_str(&format!("{head}\n"));
                lines.iter().for_each(|line| out.push_str(&format!("    {line}\n")));
            }
        }
        out
    }

    pub(in crate::cli) fn markdown(&self) -> String {
        let mut out = format!("# {}\n\n", self.title);
        self.head.iter().for_each(|line| out.push_str(&format!("- {}\n", escaped(line))));
        for Section { title, about, items } in self.filled() {
            out.push_str(&format!("\n## {}\n\n", escaped(title)));
            if !about.is_empty() {
                out.push_str(&format!("{}\n\n", escaped(about)));
            }
            for Item { head, lines } in items {
                out.push_str(&format!("- **{}**\n", escaped(head)));
                lines.iter().for_each(|line| out.push_str(&format!("  - {}\n", marked(line))));
            }
        }
        out
    }
}

fn marked(line: &str) -> String {
    if line.starts_with(COMMAND) { format!("``{line}``") } else { escaped(line) }
}

/// What Markdown would take for its own.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        if matches!(letter, '*' | '_' | '<' | '>' | '[' | ']' | '\\' | '|') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

fn routes_of(report: &Report) -> Vec<Section> {
    let of = |verdict: Verdict| report.routes.iter().filter(move |route| route.verdict == verdict);
    let full = |verdict, title: &str, about| Section {
        title: title.to_owned(),
        about,
        items: alike(of(verdict)),
    };
    let mut sections = vec![
        full(Verdict::NotServed, "Not served", "Traefik serves them; ravelin answers 503 or 404."),
        full(
            Verdict::Neither,
            "Served by neither",
            "Traefik answers 404; ravelin keeps their place and answers 503.",
        ),
        full(Verdict::Differs, "Served differently", "The words are explained under Differences."),
    ];
    let same: Vec<&RouteVerdict> = of(Verdict::Same).collect();
    let noted = same.iter().filter(|route| !route.causes.is_empty()).map(|route| route_item(route));
    let plain = same.iter().filter(|route| route.causes.is_empty());
    let mut items: Vec<Item> = noted.collect();
    let names: Vec<String> =
        plain.map(|route| format!("{} ({})", route.rule, route.object)).collect();
    let more = names.len().saturating_sub(MAX_SAME);
    items.extend(names.into_iter().take(MAX_SAME).map(|head| Item { head, lines: Vec::new() }));
    if more > 0 {
        items.push(Item { head: format!("and {more} more"), lines: Vec::new() });
    }
    sections.push(Section { title: "Served the same".to_owned(), about: "", items });
    sections
}

/// Routes of which the same is to be said are one item, if they are many; JSON has each of them.
fn alike<'r>(routes: impl Iterator<Item = &'r RouteVerdict>) -> Vec<Item> {
    let mut order: Vec<Vec<&RouteVerdict>> = Vec::new();
    let mut known: BTreeMap<_, usize> = BTreeMap::new();
    for route in routes {
        let own = |cause: &'r Cause| (cause.object != route.object).then_some(&*cause.object);
        let causes = route.causes.iter().map(|it| (own(it), &it.field, &it.reason, &it.fix));
        let causes: Vec<_> = causes.collect();
        let at = *known.entry((&route.answer, &route.differences, causes)).or_insert(order.len());
        match order.get_mut(at) {
            Some(group) => group.push(route),
            None => order.push(vec![route]),
        }
    }
    let items = order.into_iter().flat_map(|group| match group.len() {
        0..=MAX_ALIKE => group.into_iter().map(route_item).collect::<Vec<_>>(),
        number => {
            let item = route_item(group[0]);
            vec![Item { head: format!("{} and {} more routes", item.head, number - 1), ..item }]
        }
    });
    items.collect()
}

fn route_item(route: &RouteVerdict) -> Item {
    let RouteVerdict { object, field, rule, answer, differences, causes, .. } = route;
    let mut lines: Vec<String> = Vec::new();
    lines.extend(answer.as_ref().map(|answer| format!("answers {answer}")));
    lines.extend(causes.iter().map(cause));
    if !differences.is_empty() {
        lines.push(format!("differences: {}", differences.join(", ")));
    }
    Item { head: format!("{object}: {field}: {rule}"), lines }
}

fn cause(cause: &Cause) -> String {
    let Cause { object, field, reason, fix } = cause;
    let field = if field.is_empty() { String::new() } else { format!("{field}: ") };
    format!("{object}: {field}{}", with_fix(reason, fix))
}

fn with_fix(reason: &str, fix: &str) -> String {
    if fix.is_empty() { reason.to_owned() } else { format!("{reason} (fix: {fix})") }
}

/// One section for each topic, in which what is said of several objects is said once.
fn matters_of(report: &Report) -> Vec<Section> {
    let mut topics: BTreeMap<_, BTreeMap<(&str, &str), Vec<String>>> = BTreeMap::new();
    for matter in &report.matters {
        let Cause { object, field, reason, fix } = &matter.cause;
        let place = if field.is_empty() { object.clone() } else { format!("{object}: {field}") };
        let texts = topics.entry(matter.topic).or_default();
        texts.entry((reason, fix)).or_default().push(place);
    }
    let sections = topics.into_iter().map(|(topic, texts)| Section {
        title: topic.title().to_owned(),
        about: "",
        items: texts.into_iter().map(|(text, places)| said(text, &places)).collect(),
    });
    let mut sections: Vec<Section> = sections.collect();
    let items = report.unread.iter().map(|it| Item { head: cause(it), lines: Vec::new() });
    let about = "What is in them is in no verdict.";
    sections.push(Section { title: "Not read".to_owned(), about, items: items.collect() });
    sections
}

fn said(text: (&str, &str), places: &[String]) -> Item {
    let (reason, fix) = text;
    let mut lines = vec![reason.to_owned()];
    if !fix.is_empty() {
        lines.push(format!("fix: {fix}"));
    }
    // Of several places in one object, the object is named once.
    let mut head = String::new();
    let mut before = "";
    for place in places {
        let (object, path) = place.rsplit_once(": ").unwrap_or(("", place));
        let separator = if head.is_empty() { "" } else { ", " };
        let place = if !object.is_empty() && object == before { path } else { place };
        head.push_str(&format!("{separator}{place}"));
        before = object;
    }
    Item { head, lines }
}

fn values_of(report: &Report) -> Vec<Section> {
    let section = |weight: Weight, title: &str, about| {
        let mut texts: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
        for Left { from, reason, fix, .. } in
            report.configuration.left.iter().filter(|left| left.weight == weight)
        {
            texts.entry((reason, fix)).or_default().push(from.clone());
        }
        let items = texts.into_iter().map(|(text, places)| said(text, &places)).collect();
        Section { title: title.to_owned(), about, items }
    };
    vec![
        section(Weight::Differs, "Values of Traefik without a counterpart", ""),
        section(
            Weight::Nothing,
            "Values of Traefik that need nothing",
            "They have no line in ravelin.toml, and nothing is lost.",
        ),
    ]
}

fn differences_of(report: &Report) -> Vec<Section> {
    let item = |difference: &Difference, number: Option<usize>| {
        let Difference { id, side, what, why, seldom, .. } = difference;
        let seldom = if *seldom { ", for unusual requests alone" } else { "" };
        let number = match number {
            Some(1) => ", 1 route".to_owned(),
            Some(number) => format!(", {number} routes"),
            None => String::new(),
        };
        let head = format!("{id} ({}{seldom}{number})", side.as_str());
        Item { head, lines: vec![what.clone(), format!("Why: {why}")] }
    };
    let count = |id: &String| report.routes.iter().filter(|it| it.differences.contains(id)).count();
    let some = report.differences.iter().map(|it| item(it, Some(count(&it.id)))).collect();
    let all = report.everywhere.iter().map(|it| item(it, None)).collect();
    vec![
        Section { title: "Differences".to_owned(), about: "", items: some },
        Section {
            title: "Differences everywhere".to_owned(),
            about: "They hold for every route, and no route is counted for them.",
            items: all,
        },
    ]
}
