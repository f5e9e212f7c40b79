//! The comparison, as data: what is not explained first.

use super::CompareArgs;
use super::hints::{self, Verdictless};
use super::judge::Differing;
use super::plan::{Plan, Planned, Remark};
use super::send::Compared;
use super::side::Place;
use crate::cli::migrate::{Difference, Report as Foreseen, RouteVerdict, Verdict};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What came of it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Where Traefik and ravelin are.
    pub(super) traefik: Vec<String>,
    pub(super) ravelin: Vec<String>,
    pub(super) totals: Totals,
    /// Why this says nothing of the routes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) void: Option<String>,
    pub(super) notes: Vec<String>,
    /// Requests with a difference that is not explained.
    pub(super) differing: Vec<Exchange>,
    /// Requests of which all differences are known and accepted.
    pub(super) known: Vec<Exchange>,
    /// The known differences that were met, or possibly were.
    pub(super) explanations: Vec<Explanation>,
    /// Items that are other ones at each request, with the number of requests.
    pub(super) varying: BTreeMap<String, usize>,
    pub(super) remarks: Vec<Remark>,
}

#[derive(Debug, Serialize)]
pub(super) struct Totals {
    pub(super) routes: usize,
    /// To each proxy, repeated ones not counted.
    pub(super) requests: usize,
    pub(super) same: usize,
    pub(super) known: usize,
    pub(super) differing: usize,
    /// Beyond the most that were asked for.
    pub(super) left_out: usize,
}

/// A difference of `differences.toml`.
#[derive(Debug, Serialize)]
pub(super) struct Explanation {
    pub(super) id: String,
    pub(super) what: String,
    pub(super) why: String,
}

/// A request whose answers differ.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Exchange {
    /// `Kind namespace/name`.
    pub(super) object: String,
    pub(super) field: String,
    pub(super) rule: String,
    pub(super) method: String,
    pub(super) url: String,
    pub(super) items: Vec<Differing>,
    /// What `migrate` says of the route.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) foretold: Vec<String>,
    /// Differences that `migrate` names of routes of this host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) nearby: Vec<String>,
    /// What it may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<&'static str>,
    /// Sends it again to both.
    pub(super) repeat: String,
}

impl Report {
    /// 0: the same, but for known differences. 1: something differs. 2: nothing can be said.
    pub(super) fn code(&self) -> u8 {
        match self.void {
            Some(_) => super::COULD_NOT,
            None => u8::from(!self.differing.is_empty()),
        }
    }
}

pub(super) fn report(
    args: &CompareArgs,
    foreseen: &Foreseen,
    plan: Plan,
    results: &[Compared],
) -> Report {
    let mut verdicts: BTreeMap<(&str, &str), Vec<&RouteVerdict>> = BTreeMap::new();
    for route in &foreseen.routes {
        verdicts.entry((&route.object, &route.field)).or_default().push(route);
    }
    let (mut differing, mut known) = (Vec::new(), Vec::new());
    let mut varying: BTreeMap<String, usize> = BTreeMap::new();
    for result in results {
        for item in &result.judged.varying {
            *varying.entry(item.clone()).or_default() += 1;
        }
        if result.judged.differing.is_empty() {
            continue;
        }
        let Some(request) = plan.requests.get(result.request) else { continue };
        let exchange = exchange(
            &Sources { args, plan: &plan, foreseen, verdicts: &verdicts },
            request,
            result,
        );
        let list = if result.judged.is_unexplained() { &mut differing } else { &mut known };
        list.push(exchange);
    }
    let met = differing.iter().chain(&known).flat_map(|it: &Exchange| &it.items);
    let met: BTreeSet<&String> =
        met.filter_map(|item| item.known.as_ref().or(item.possible.as_ref())).collect();
    let all = foreseen.differences.iter().chain(&foreseen.everywhere);
    let explanations = all.filter(|it| met.contains(&it.id)).map(explanation).collect();
    let Verdictless { void, notes } = hints::whole(&plan, results);
    let totals = Totals {
        routes: plan.routes.len(),
        requests: results.len(),
        same: results.len() - differing.len() - known.len(),
        known: known.len(),
        differing: differing.len(),
        left_out: plan.left_out,
    };
    let urls = |both: [&Option<String>; 2]| both.into_iter().flatten().cloned().collect();
    Report {
        traefik: urls([&args.with, &args.with_https]),
        ravelin: urls([&args.ravelin, &args.ravelin_https]),
        totals,
        void,
        notes,
        differing,
        known,
        explanations,
        varying,
        remarks: plan.remarks,
    }
}

fn explanation(difference: &Difference) -> Explanation {
    let Difference { id, what, why, .. } = difference;
    Explanation { id: id.clone(), what: what.clone(), why: why.clone() }
}

/// What an exchange is told with.
struct Sources<'s> {
    args: &'s CompareArgs,
    plan: &'s Plan,
    foreseen: &'s Foreseen,
    verdicts: &'s BTreeMap<(&'s str, &'s str), Vec<&'s RouteVerdict>>,
}

fn exchange(sources: &Sources<'_>, request: &Planned, result: &Compared) -> Exchange {
    let Sources { args, plan, foreseen, verdicts } = sources;
    let routed = &plan.routes[request.route];
    let of_route = verdicts.get(&(routed.object.as_str(), routed.field.as_str()));
    let causes = of_route.into_iter().flatten().flat_map(|route| {
        let says = match route.verdict {
            Verdict::NotServed => "not served",
            Verdict::Neither => "served by neither",
            Verdict::Differs => "served differently",
            Verdict::Same => "",
        };
        let causes = route.causes.iter().filter(move |_| !says.is_empty());
        causes.map(move |cause| format!("{says}: {}: {}", cause.object, cause.reason))
    });
    let foretold: BTreeSet<String> = causes.collect();
    let of_host = plan.hosts.get(&request.host).into_iter().flatten();
    let of_host = of_host.filter_map(|number| plan.routes.get(*number));
    let of_host = of_host.filter_map(|it| verdicts.get(&(&*it.object, &*it.field))).flatten();
    let ids: BTreeSet<&str> = of_host
        .flat_map(|route| &route.differences)
        .filter(|id| foreseen.differences.iter().any(|it| it.id == **id && it.counts()))
        .map(String::as_str)
        .collect();
    let scheme = if request.secure { "https" } else { "http" };
    Exchange {
        object: routed.object.clone(),
        field: routed.field.clone(),
        rule: routed.rule.clone(),
        method: request.method.to_string(),
        url: format!("{scheme}://{}{}", request.host, request.target),
        items: result.judged.differing.clone(),
        foretold: foretold.into_iter().collect(),
        nearby: ids.into_iter().map(str::to_owned).collect(),
        hint: hints::of(&result.judged.differing),
        repeat: repeat(args, request),
    }
}

/// Fields whose values are in no report.
const SECRET: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];

/// A command that sends a request to both.
fn repeat(args: &CompareArgs, request: &Planned) -> String {
    let Planned { secure, method, host, target, headers, .. } = request;
    let mut options = String::from(if *secure { "-sik" } else { "-si" });
    match method.as_str() {
        "GET" => {}
        "HEAD" => options.push_str(" -I"),
        other => options.push_str(&format!(" -X {other}")),
    }
    options.push_str(" --path-as-is");
    for field in &args.headers {
        let name = field.split(':').next().unwrap_or_default().trim();
        match SECRET.iter().any(|secret| secret.eq_ignore_ascii_case(name)) {
            // Reports go into pull requests.
            true => options.push_str(&format!(" -H \"{name}: $SECRET\"")),
            false => options.push_str(&format!(" -H {}", quoted(field))),
        }
    }
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        options.push_str(&format!(" -H {}", quoted(&format!("{name}: {value}"))));
    }
    let urls = match secure {
        true => [&args.with_https, &args.ravelin_https],
        false => [&args.with, &args.ravelin],
    };
    let urls = urls.into_iter().flatten().map(|url| url.trim_end_matches('/'));
    if !secure {
        let urls: Vec<String> = urls.map(|url| quoted(&format!("{url}{target}"))).collect();
        return format!(
            "curl {options} -H {} {}",
            quoted(&format!("Host: {host}")),
            urls.join(" ")
        );
    }
    let each = urls.map(|url| {
        let place = url.split_once("://").map_or(url, |(_, place)| place);
        let place = if Place::has_port(place) { place.to_owned() } else { format!("{place}:443") };
        let to = quoted(&format!("{host}:443:{place}"));
        format!("{options} --connect-to {to} {}", quoted(&format!("https://{host}{target}")))
    });
    format!("curl {}", each.collect::<Vec<_>>().join(" --next "))
}

/// For a shell.
fn quoted(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-._~/:[]".contains(letter);
    if text.chars().all(is_plain) && !text.contains('[') {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
