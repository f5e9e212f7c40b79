//! `ravelin compare`: sends what the rules ask for to a running Traefik and to ravelin beside it, and says in what the
//! answers differ.
//!
//! ```text
//! migrate (routes, verdicts, known differences) -> plan (requests) -> send (both proxies, in step)
//!     -> judge (same, known, noise, unexplained) -> page
//! ```
//!
//! It changes nothing by itself: requests have safe methods (RFC 9110 section 9.2.1) unless others are named, redirects
//! are not followed, and rate, number, time and bodies are bounded.

mod answer;
mod forms;
mod hints;
mod judge;
mod page;
mod plan;
mod preflight;
mod report;
mod send;
mod side;

use super::check::json;
use super::migrate::{self, Format, Reading};
use super::{Failure, complain, say};
use clap::Args;
use http::{HeaderName, HeaderValue, Method};
use judge::Judge;
use plan::{Plan, Wanted};
use send::Sides;
use side::{Caller, Place};
use std::path::PathBuf;
use std::time::Duration;

/// Exit code where nothing could be compared.
const COULD_NOT: u8 = 2;

/// Most requests a second that may be asked for.
const MOST_RATE: u32 = 1000;

/// Options of the verb.
#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// Traefik's entry point for HTTP, as http://ADDRESS:PORT.
    #[arg(long, value_name = "URL", requires = "ravelin", required_unless_present = "with_https")]
    with: Option<String>,
    /// Traefik's entry point for HTTPS, as https://ADDRESS:PORT.
    #[arg(long, value_name = "URL", requires = "ravelin_https")]
    with_https: Option<String>,
    /// ravelin's listener for HTTP.
    #[arg(long, value_name = "URL", requires = "with")]
    ravelin: Option<String>,
    /// ravelin's listener for HTTPS.
    #[arg(long, value_name = "URL", requires = "with_https")]
    ravelin_https: Option<String>,
    /// Manifests: a file or directory; may be given several times.
    #[arg(long = "manifests", value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    reading: Reading,
    /// Compare this host alone; may be given several times.
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
    /// Methods to send. All but GET, HEAD and OPTIONS make applications act, twice.
    #[arg(long, value_name = "METHOD,...", value_delimiter = ',', default_value = "GET,HEAD", value_parser = method)]
    methods: Vec<Method>,
    /// A header of every request, as NAME: VALUE; may be given several times.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Requests a second to each proxy.
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_RATE)))]
    rate: u32,
    /// Most requests to each proxy, repeated ones not counted. Each route has one before any has two.
    #[arg(long, value_name = "NUMBER", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max: u32,
    /// Seconds for one request.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
    timeout: u32,
    /// KiB of a body that are compared.
    #[arg(long, value_name = "KIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    max_body: u32,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// Compares, and prints what differs.
pub(super) fn compare(args: &CompareArgs) -> Result<u8, Failure> {
    let headers = headers(&args.headers)?;
    let foreseen = migrate::foresee(&args.reading, &args.paths)?;
    let plan = Plan::of(&foreseen.model, &wanted(args));
    if plan.requests.is_empty() {
        return Err(nothing(args, &foreseen.model, &plan));
    }
    warn_of_methods(&args.methods);
    let limit = Duration::from_secs(args.timeout.into());
    let caller = Caller::new(limit, u64::from(args.max_body) * 1024, headers)?;
    let rules = migrate::compared();
    let judge =
        Judge { rules: &rules, everywhere: &foreseen.everywhere, some: &foreseen.differences };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let results = runtime.block_on(async {
        let sides = sides(args).await?;
        preflight::check(&sides, &caller, &plan).await?;
        let sending = send::Sending { sides: &sides, caller: &caller, rate: args.rate };
        send::all(&sending, &plan, &judge, &foreseen.routes).await
    })?;
    let report = report::report(args, &foreseen, plan, &results);
    say(&match args.output {
        Format::Text => page::page(&report).text(),
        Format::Markdown => page::page(&report).markdown(),
        Format::Json => json(&report)?,
    })?;
    Ok(report.code())
}

fn wanted(args: &CompareArgs) -> Wanted {
    let mut methods = args.methods.clone();
    methods.dedup();
    let hosts = args.hosts.iter().map(|host| host.trim_end_matches('.').to_lowercase());
    let secure = [(args.with.is_some(), false), (args.with_https.is_some(), true)];
    let secure = secure.into_iter().filter_map(|(is_asked, secure)| is_asked.then_some(secure));
    Wanted {
        methods,
        hosts: hosts.collect(),
        secure: secure.collect(),
        most: usize::try_from(args.max).unwrap_or(usize::MAX),
    }
}

/// Reads a method, which is written in capitals (RFC 9110 section 9.1).
fn method(text: &str) -> Result<Method, String> {
    match text.trim().to_uppercase().parse() {
        Ok(Method::CONNECT) => Err("is for tunnels, which are not compared".to_owned()),
        Ok(method) => Ok(method),
        Err(_) => Err("is not a method; write GET,HEAD,POST".to_owned()),
    }
}

/// Says it where applications will act.
fn warn_of_methods(methods: &[Method]) {
    let unsafe_ones: Vec<&str> =
        methods.iter().filter(|method| !method.is_safe()).map(Method::as_str).collect();
    if !unsafe_ones.is_empty() {
        complain(&format!(
            "WARNING: --methods sends {} to every route, through both proxies: applications act on it at least twice",
            unsafe_ones.join(", ")
        ));
    }
}

fn headers(given: &[String]) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
    let read = given.iter().map(|field| {
        let wrong = || Failure::usage(format!("--header {field:?}: write \"Name: value\""));
        let (name, value) = field.split_once(':').ok_or_else(wrong)?;
        let name = HeaderName::try_from(name.trim()).map_err(|_| wrong())?;
        if name == http::header::HOST {
            return Err(Failure::usage("--header: hosts are those of the rules; see --host"));
        }
        Ok((name, HeaderValue::try_from(value.trim()).map_err(|_| wrong())?))
    });
    read.collect()
}

/// Why there is nothing to send.
fn nothing(args: &CompareArgs, model: &crate::model::Model, plan: &Plan) -> Failure {
    let failed = |text: String| Failure { code: COULD_NOT, text };
    if model.rules.is_empty() && model.defaults.is_empty() {
        return failed(format!(
            "there is no route of the class {} in the input: name its manifests, or its class with --ingress-class",
            args.reading.ingress_class()
        ));
    }
    if let [host, ..] = &args.hosts[..] {
        let known: Vec<String> = model.rules.iter().map(|rule| rule.host.to_string()).collect();
        let near = crate::control::suggest::nearest(host, known.iter().map(String::as_str));
        let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        return failed(format!(
            "no route of the input is for --host {}{near}",
            args.hosts.join(" ")
        ));
    }
    let remarks: Vec<String> =
        plan.remarks.iter().map(|it| format!("{}: {}: {}", it.object, it.field, it.text)).collect();
    failed(format!("nothing can be compared:\n{}", remarks.join("\n")))
}

async fn sides(args: &CompareArgs) -> Result<Sides, Failure> {
    let sides = Sides {
        traefik: [
            place("--with", args.with.as_deref(), false).await?,
            place("--with-https", args.with_https.as_deref(), true).await?,
        ],
        ravelin: [
            place("--ravelin", args.ravelin.as_deref(), false).await?,
            place("--ravelin-https", args.ravelin_https.as_deref(), true).await?,
        ],
    };
    for secure in [false, true] {
        let [theirs, ours] =
            [&sides.traefik, &sides.ravelin].map(|it| it[usize::from(secure)].as_ref());
        if let (Some(theirs), Some(ours)) = (theirs, ours)
            && theirs.is_same(ours)
        {
            return Err(Failure::usage(format!(
                "{} is given for both proxies: they listen at two places",
                theirs.url
            )));
        }
    }
    Ok(sides)
}

async fn place(option: &str, text: Option<&str>, secure: bool) -> Result<Option<Place>, Failure> {
    match text {
        Some(text) => Place::read(option, text, secure).await.map(Some),
        None => Ok(None),
    }
}
