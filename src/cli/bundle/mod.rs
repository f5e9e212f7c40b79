//! `ravelin bundle`: what somebody who helps needs to know of an installation, in one archive, without its secrets.
//!
//! What comes out is made of lists of what may be in it, never of everything but what is known to be secret: keys of the
//! configuration that ravelin knows, fields of the access log that name no visitor, answers of the status page, which has
//! no secrets. Every text is searched for the values that were left out of the configuration, too.

mod archive;
mod host;
mod log_lines;
mod process;
mod redact;

use super::admin::AdminPlace;
use super::{Failure, complain};
use crate::config::Config;
use clap::Args;
use redact::Secrets;
use serde::Serialize;
use std::path::PathBuf;

/// Access log lines that are taken, from the end.
const LOG_LINES: usize = 1_000;

/// A support bundle: of which process, and where to.
#[derive(Debug, Args)]
pub(super) struct BundleArgs {
    /// The configuration file. It names the process, too, unless --admin or --offline is given.
    #[arg(long, value_name = "FILE", required_unless_present = "admin")]
    config: Option<PathBuf>,
    /// The admin port or socket of the process: http://127.0.0.1:9180, or a path such as /run/ravelin/admin.sock.
    #[arg(long, value_name = "URL|SOCKET", value_parser = AdminPlace::parse)]
    admin: Option<AdminPlace>,
    /// Ask no process: tell what the configuration would serve.
    #[arg(long, conflicts_with = "admin")]
    offline: bool,
    /// Lines of the end of the access log, if it is a file; 0 for none.
    #[arg(long, value_name = "NUMBER", default_value_t = LOG_LINES)]
    log_lines: usize,
    /// Where to: a new .tar.gz, a directory (its name ends with /), or - for standard output.
    #[arg(long, value_name = "PATH", default_value = "ravelin-bundle.tar.gz")]
    output: PathBuf,
}

/// The files of a bundle, and what it lacks.
#[derive(Debug, Default)]
pub(super) struct Bundle {
    files: Vec<BundleFile>,
    /// What could not be had, a line each.
    missing: Vec<String>,
    secrets: Secrets,
}

/// A file of a bundle.
#[derive(Debug)]
struct BundleFile {
    name: &'static str,
    about: &'static str,
    text: String,
}

impl Bundle {
    fn add(&mut self, name: &'static str, about: &'static str, text: String) {
        self.files.push(BundleFile { name, about, text });
    }

    fn add_json(&mut self, name: &'static str, about: &'static str, value: &impl Serialize) {
        match super::check::json(value) {
            Ok(text) => self.add(name, about, text),
            Err(error) => self.lack(format!("{name}: {}", error.text)),
        }
    }

    fn lack(&mut self, what: String) {
        self.missing.push(what);
    }

    /// The files with a page that lists them, every text without secrets.
    fn finish(mut self) -> Vec<(&'static str, String)> {
        let list: String =
            self.files.iter().map(|it| format!("- `{}`: {}\n", it.name, it.about)).collect();
        let missing: String = self.missing.iter().map(|line| format!("- {line}\n")).collect();
        let missing =
            if missing.is_empty() { String::new() } else { format!("\nMissing:\n\n{missing}") };
        let time = jiff::Timestamp::now();
        let page = format!(
            "# Support bundle of ravelin\n\nMade by `ravelin bundle`, version {}, at {time:.0}.\n\n{list}{missing}\n{}",
            env!("CARGO_PKG_VERSION"),
            redact::PROMISE,
        );
        self.files.insert(0, BundleFile { name: "README.md", about: "", text: page });
        let secrets = self.secrets;
        self.files.into_iter().map(|it| (it.name, secrets.without(&it.text))).collect()
    }
}

/// Writes a bundle. 0 if it is complete, 1 if something is missing.
pub(super) fn bundle(args: &BundleArgs) -> Result<u8, Failure> {
    let mut bundle = Bundle::default();
    let config = args.config.as_deref().and_then(|path| configuration(&mut bundle, path));
    let place = match (&args.admin, &config) {
        _ if args.offline => None,
        (Some(place), _) => Some(place.clone()),
        (None, Some(config)) => AdminPlace::of(config),
        (None, None) => None,
    };
    match place {
        Some(place) => process::add(&mut bundle, &place),
        None if !args.offline => bundle.lack(
            "the process was not asked: the configuration cannot be read, or the kernel chooses the admin port; name \
             it with --admin"
                .to_owned(),
        ),
        None => {}
    }
    let told = bundle.files.iter().any(|file| file.name == "status.json");
    if let (false, Some(path)) = (told, &args.config) {
        process::add_offline(&mut bundle, path);
    }
    bundle.add_json(
        "system.json",
        "the machine on which the command ran: kernel, limits, cgroup",
        &host::facts(),
    );
    if let Some(config) = &config {
        log_lines::add(&mut bundle, &config.log.access, args.log_lines);
    }
    let missing = bundle.missing.clone();
    archive::write(&args.output, &bundle.finish())?;
    for line in &missing {
        complain(&format!("missing: {line}"));
    }
    Ok(u8::from(!missing.is_empty()))
}

/// Adds the configuration without its secrets, and reads it.
fn configuration(bundle: &mut Bundle, path: &std::path::Path) -> Option<Config> {
    match std::fs::read_to_string(path) {
        Ok(text) => match redact::configuration(&text, &mut bundle.secrets) {
            Some(text) => bundle.add(
                "ravelin.toml",
                "the configuration; what is no value of a known key is left out",
                text,
            ),
            // The message of the parser quotes lines.
            None => bundle.lack(
                "ravelin.toml: it is not valid TOML; `ravelin check --config` says where"
                    .to_owned(),
            ),
        },
        Err(error) => {
            bundle.lack(format!("ravelin.toml: {error}"));
            return None;
        }
    }
    match Config::load(path) {
        Ok(config) => Some(config),
        Err(errors) => {
            // Only how many: messages may quote values.
            let count = errors.len();
            bundle.lack(format!(
                "the configuration is not valid: {count} errors; see `ravelin check --config`"
            ));
            None
        }
    }
}
