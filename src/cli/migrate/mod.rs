//! `ravelin migrate`: what will differ from a Traefik that is there, and the configuration that comes closest.
//!
//! ```text
//! files or cluster -> input (objects as `check` reads them) + documents (everything, as written)
//! documents -> chart (values, flags) -> ravelin.toml -> build, as `run` would -> routes, subject, differences
//! documents -> around (what else hangs on Traefik); installation -> write, commands
//! ```
//!
//! The verdict on a route is that of the translation under the proposed configuration; what differs in a route that is
//! served is said by `differences.toml`, which `tests/traefik` proves beside a real Traefik.

mod around;
mod balancer;
mod chart;
mod commands;
mod differences;
mod documents;
mod input;
mod installation;
mod page;
mod pattern;
mod report;
mod routes;
mod subject;
mod write;

use super::check::json;
use super::{Failure, UNWRITABLE, complain, say};
use clap::{Args, ValueEnum};
pub(super) use differences::{Compared, Difference, Form, Sighting, compared};
pub(super) use page::{Item, Page, Section};
pub(super) use report::Report;
pub(super) use routes::{RouteVerdict, Verdict};
use std::path::PathBuf;

/// What is read.
#[derive(Debug, Args)]
pub(super) struct Reading {
    /// A kubeconfig file. Reads the objects of that cluster, as `kubectl get` would.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Read the objects of the cluster of this pod, with its service account.
    #[arg(long, conflicts_with = "kubeconfig")]
    in_cluster: bool,
    /// The class that Traefik serves.
    #[arg(long, value_name = "NAME", default_value = "traefik")]
    ingress_class: String,
}

impl Reading {
    /// The class that Traefik serves.
    pub(super) fn ingress_class(&self) -> &str {
        &self.ingress_class
    }
}

/// Options of the verb.
#[derive(Debug, Args)]
pub(super) struct MigrateArgs {
    #[command(flatten)]
    reading: Reading,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
    /// Write ravelin.toml, an overlay over deploy/base, REPORT.md and COMMANDS.md into this directory.
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
    /// Manifests and values of Traefik's chart: files or directories; `-` is standard input.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Text for people.
    Text,
    /// One JSON object for programs.
    Json,
    /// Markdown, for a pull request.
    Markdown,
}

/// What is to be said of each route of the input: files and directories, or the cluster that `reading` names.
pub(super) fn foresee(reading: &Reading, paths: &[PathBuf]) -> Result<Report, Failure> {
    report::report(reading, input::gather(reading, paths)?)
}

/// Prints the report, and writes what is asked for.
pub(super) fn migrate(args: &MigrateArgs) -> Result<u8, Failure> {
    let report = foresee(&args.reading, &args.paths)?;
    let page = match args.output {
        Format::Text => Page::of(&report).text(),
        Format::Markdown => Page::of(&report).markdown(),
        Format::Json => json(&report)?,
    };
    if let Some(directory) = &args.write {
        let files = write::write(&report, directory)?;
        complain(&format!("written to {}: {}", directory.display(), files.join(", ")));
    }
    say(&page)?;
    Ok(report.code())
}
