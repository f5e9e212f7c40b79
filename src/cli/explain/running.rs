//! `explain --admin`: what a running process says, of a request that failed (`--ray`) or of a URL.

use super::origin::Origin;
use crate::cli::admin::AdminPlace;
use crate::cli::terminal::printable;
use crate::cli::{Failure, Output, check, say};
use form_urlencoded::Serializer;
use http::Uri;
use serde_json::Value;

/// Most failures with one Ray ID that are told: a request that is repeated has the same one.
const MOST: usize = 20;

/// A line: its name and its text.
type Line = (&'static str, String);

/// Prints what the process remembers of the request with a Ray ID. 0 if it does.
pub(super) fn ray(place: &AdminPlace, ray: &str, output: Output) -> Result<u8, Failure> {
    let query = Serializer::new(String::new()).append_pair("ray", ray).finish();
    let found = place.ask(&format!("failures?limit={MOST}&{query}"))?;
    let items = found["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    if output == Output::Json {
        say(&check::json(&items)?)?;
        return Ok(u8::from(items.is_empty()));
    }
    if items.is_empty() {
        return Err(Failure { code: 1, text: unknown(place, ray) });
    }
    let reports: Vec<String> =
        items.iter().map(|failure| written(&failed(place, failure))).collect();
    say(&reports.join("\n"))?;
    Ok(0)
}

fn unknown(place: &AdminPlace, ray: &str) -> String {
    format!(
        "{place} remembers no failed request with the Ray ID {ray:?}. Either another node had it: ask each process; \
         or it is not among the last failures any more: look for it in the access log; or it was answered well, or \
         never came here: a page of Cloudflare with 520 to 526 is explained in deploy/troubleshoot.md"
    )
}

/// What there is to say of a failure.
fn failed(place: &AdminPlace, failure: &Value) -> Vec<Line> {
    let text = |name: &str| failure[name].as_str().unwrap_or_default().to_owned();
    let status = failure["status"].as_u64().unwrap_or_default();
    let reason = text("reason");
    let answer = if reason.is_empty() { "of the pod" } else { &reason };
    let mut lines = vec![
        ("time", text("time")),
        ("ray", text("ray")),
        ("request", format!("{} {}{}", text("method"), text("host"), text("path"))),
        ("answer", format!("{status} {answer}")),
        ("meaning", text("meaning")),
        ("caused by", text("caused_by")),
        ("to do", text("fix")),
        ("route", text("route")),
        ("service", text("service")),
    ];
    if let Some(pod) = failure["endpoint"].as_str().filter(|pod| !pod.is_empty()) {
        let attempts = failure["attempts"].as_u64().unwrap_or_default();
        let times = if attempts == 1 { "attempt" } else { "attempts" };
        lines.push(("pod", format!("{pod}, {attempts} {times}")));
    }
    let duration = failure["duration_ms"].as_f64().unwrap_or_default();
    lines.push(("duration", format!("{duration:.1} ms")));
    lines.extend(now(place, failure).map(|text| ("now", text)));
    lines
}

/// Where such a request would go now, if the process can say it: methods without a name of their own are not known.
fn now(place: &AdminPlace, failure: &Value) -> Option<String> {
    let [host, path, method] = ["host", "path", "method"].map(|name| failure[name].as_str());
    let method = method.filter(|method| *method != "other")?;
    let pairs = [("host", host?), ("path", path?), ("method", method)];
    let query = Serializer::new(String::new()).extend_pairs(pairs).finish();
    let told = place.ask(&format!("explain?{query}")).ok()?;
    let (answer, note) = (told["answer"].as_str()?, told["note"].as_str()?);
    Some(if note.is_empty() { answer.to_owned() } else { format!("{answer}: {note}") })
}

/// Prints where a request for a URL would go in the process. 0 if it reaches an endpoint.
pub(super) fn url(
    place: &AdminPlace,
    method: &str,
    url: &str,
    origin: &Origin,
    output: Output,
) -> Result<u8, Failure> {
    let wrong = |what: &str| {
        Failure::usage(format!("{url:?} is not a URL: {what}; write http://host/path"))
    };
    let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| wrong(&error.to_string()))?;
    let scheme = uri.scheme_str().ok_or_else(|| wrong("it has no scheme"))?;
    if !matches!(scheme, "http" | "https") {
        return Err(wrong("its scheme is neither http nor https, which --admin needs"));
    }
    let host = uri.authority().ok_or_else(|| wrong("it has no host"))?.as_str();
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let target = if target.starts_with('?') { format!("/{target}") } else { target.to_owned() };
    let mut query = Serializer::new(String::new());
    query.extend_pairs([("host", host), ("path", &target), ("method", method), ("scheme", scheme)]);
    query.extend_pairs(origin.asked_of_process()?);
    let told = place.ask(&format!("explain?{}", query.finish()))?;
    say(&match output {
        Output::Json => check::json(&told)?,
        Output::Text => written(&explained(url, &told)),
    })?;
    Ok(u8::from(told["answer"] != "forwarded"))
}

/// The answer of the status page as lines, named as those of `explain` without a process.
fn explained(url: &str, told: &Value) -> Vec<Line> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = |name: &str| told[name].as_array().cloned().unwrap_or_default();
    let mut lines = vec![("url", url.to_owned())];
    let fields = [
        ("listener", "listener"),
        ("admission", "admission"),
        ("client", "client"),
        ("certificate", "certificate"),
        ("others", "certificate_others"),
        ("strict", "full_strict"),
        ("host", "host"),
        ("path", "path"),
    ];
    lines.extend(fields.map(|(name, field)| (name, text(&told[field]))));
    let route = &told["route"];
    if route.is_object() {
        let [host, kind, path] = ["host", "kind", "path"].map(|name| text(&route[name]));
        lines.push(("rule", format!("{host} {kind} {path}")));
        lines.push(("object", format!("{} {}", text(&route["object"]), text(&route["field"]))));
        lines.push(("service", text(&route["service"])));
    }
    lines.extend(all("proofs").iter().map(|proof| ("proof", text(&proof["text"]))));
    lines.extend(all("middlewares").iter().map(|step| {
        let [name, kind, effect] = ["middleware", "kind", "effect"].map(|name| text(&step[name]));
        ("middleware", format!("{name} ({kind}): {effect}"))
    }));
    let endpoints: Vec<String> = all("endpoints").iter().map(text).collect();
    lines.push(("endpoints", endpoints.join(" ")));
    lines.extend([("answer", text(&told["answer"])), ("note", text(&told["note"]))]);
    lines
}

/// The lines that have a text.
fn written(lines: &[Line]) -> String {
    let known = lines.iter().filter(|(_, text)| !text.is_empty());
    known.map(|(name, text)| format!("{name:<11} {}\n", printable(text))).collect()
}
