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
use super::{Failure, complain, say};
use clap::{Args, ValueEnum};
use page::Page;
use std::path::PathBuf;

/// Exit code (`EX_CANTCREAT`) for a directory that cannot be written: the others are verdicts.
const UNWRITABLE: u8 = 73;

/// Options of the verb.
#[derive(Debug, Args)]
pub(super) struct MigrateArgs {
    /// A kubeconfig file. Reads the objects of that cluster, as `kubectl get` would.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The class that Traefik serves.
    #[arg(long, value_name = "NAME", default_value = "traefik")]
    ingress_class: String,
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
enum Format {
    /// Text for people.
    Text,
    /// One JSON object for programs.
    Json,
    /// Markdown, for a pull request.
    Markdown,
}

/// Prints the report, and writes what is asked for.
pub(super) fn migrate(args: &MigrateArgs) -> Result<u8, Failure> {
    let report = report::report(args, input::gather(args)?)?;
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
