//! IngressRoutes at random: some routes with rules that are drawn, in one object or two, beside an Ingress or not,
//! with requests made for them. Which route has a request is told by the prefix that its Middleware adds.

use crate::cases::Case;
use crate::random::{Random, seeded};
use crate::request::Request;
use crate::routes::ingress_route;
use crate::rule::Rule;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// How many cases.
const COUNT: usize = 320;
/// Requests of each.
const REQUESTS: usize = 12;
/// The most routes of one.
pub(crate) const MOST_ROUTES: usize = 5;
/// The Middlewares that tell routes, of the name `KIND-POSITION`.
pub(crate) const KIND: &str = "rules";

/// All of them, the same for the same seed.
pub(crate) fn all() -> Vec<Case> {
    (0..COUNT).map(case).collect()
}

fn case(at: usize) -> Case {
    let (name, mut random) = (at.to_string(), seeded(&format!("rules-{at}")));
    let mut case = Case::routed(KIND, &name);
    let host = case.host();
    if random.one_in(4) {
        case.paths = vec![random.of(&["Prefix /", "Exact /a/b", "Prefix /"]).to_owned()];
        case.hosts = vec![random.of(&["", "a.", "*."]).to_owned() + &host];
    }
    let count = 1 + random.below(MOST_ROUTES);
    let rules: Vec<Rule> = (0..count)
        .map(|_| match random.below(3) {
            0 => Rule::draw_plain(&mut random, &host),
            _ => Rule::draw(&mut random, &host),
        })
        .collect();
    let routes = routes(&rules, &case, &mut random);
    let split = if random.one_in(3) { random.below(count) } else { 0 };
    let (first, second) = routes.split_at(split);
    case.routes = second.to_vec();
    if !first.is_empty() {
        case.objects.push(ingress_route("$NAME-2", &json!({"routes": first})));
    }
    if random.one_in(5) {
        let points = ["web", "websecure", "guarded"];
        case.entry_points = vec![points[random.below(3)].to_owned(), "web".to_owned()];
    }
    case.requests = (0..REQUESTS).map(|_| request(&rules, &case, &mut random)).collect();
    case
}

/// The routes, no two of one priority: which of two such has a request is not defined.
fn routes(rules: &[Rule], case: &Case, random: &mut Random) -> Vec<Value> {
    // The rules of the Ingress are as long as that.
    let ingress = |path: &str| format!("Host(``) && {path}{}", case.hosts.concat()).len();
    let mut taken: BTreeSet<usize> = [ingress("PathPrefix(`/`)"), ingress("Path(`/a/b`)")].into();
    let mut routes = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        let mut text = rule.written(random);
        if !rule.is_confined() {
            text = format!("Header(`X-Lab`, `{}`) && ({text})", case.object_name());
        }
        let pod = random.of(&["app", "auth", "page"]);
        let mut route = json!({"kind": "Rule", "services": [{"name": pod, "port": 80}],
            "middlewares": [{"name": format!("{KIND}-{at}")}]});
        if random.one_in(4) {
            let mut priority = 1 + random.below(200);
            while !taken.insert(priority) {
                priority += 1;
            }
            route["priority"] = priority.into();
        } else {
            while !taken.insert(text.len()) {
                text.push(' ');
            }
        }
        route["match"] = text.into();
        routes.push(route);
    }
    routes
}

fn request(rules: &[Rule], case: &Case, random: &mut Random) -> Request {
    let (method, target) = ("GET".to_owned(), "/".to_owned());
    let mut request = Request { method, target, ..Request::default() };
    if random.one_in(3) {
        rules[random.below(rules.len())].aim(&mut request, random);
    }
    rules[random.below(rules.len())].aim(&mut request, random);
    if !random.one_in(12) {
        request.fields.push(format!("X-Lab: {}", case.object_name()));
    }
    if !request.fields.iter().any(|field| field.starts_with("Host:")) {
        let label = random.of(&["", "", "", "", "a.", "b.", "c."]);
        request.fields.push(format!("Host: {label}{}", case.host()));
    }
    request
}

/// The routes of a case and of its further objects, for a failure.
pub(crate) fn told(case: &Case) -> String {
    let further = case.objects.iter().filter_map(|object| object["spec"]["routes"].as_array());
    let line = |route: &Value| {
        format!(
            "      {} {} {}",
            route["match"], route["priority"], route["middlewares"][0]["name"]
        )
    };
    let lines: Vec<String> = case.routes.iter().chain(further.flatten()).map(line).collect();
    let ingress = format!("      Ingress {:?} {:?}", case.hosts, case.paths);
    format!("{}\n{ingress}, entry points {:?}", lines.join("\n"), case.entry_points)
}
