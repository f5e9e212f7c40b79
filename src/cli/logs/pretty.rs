//! A line for people.

use super::entry::LogEntry;
use super::prefix::{LinePrefix, pod};
use crate::cli::numbers::duration;
use crate::cli::terminal::printable;
use std::fmt::Write as _;

/// Namespace of the pods in commands: that of `deploy/`.
const NAMESPACE: &str = "ravelin";

/// How lines are printed for people.
#[derive(Clone, Debug)]
pub(super) struct Pretty {
    pub(super) has_colors: bool,
    /// Behind a 5xx, the command that explains it; where the process is.
    pub(super) explain: Option<String>,
}

/// Attributes of a terminal (ECMA-48, 8.3.117), as SGR parameters.
const DIM: &str = "2";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "1;31";
const CYAN: &str = "36";

impl Pretty {
    /// The line, and behind it what else there is to say.
    pub(super) fn write(&self, prefix: LinePrefix<'_>, entry: &LogEntry) -> String {
        let mut line = String::new();
        if let Some(pod) = pod(prefix) {
            self.add(&mut line, DIM, &format!("{} ", printable(pod)));
        }
        let time = entry.time.map(|time| time.strftime("%m-%d %H:%M:%S%.3f").to_string());
        self.add(&mut line, DIM, &format!("{:<18}", time.unwrap_or_default()));
        let (status, color) = match entry.status {
            None => ("tcp".to_owned(), if entry.reason.is_some() { YELLOW } else { GREEN }),
            Some(status @ 500..) => (status.to_string(), RED),
            Some(status @ 400..) => (status.to_string(), YELLOW),
            Some(status @ 300..) => (status.to_string(), CYAN),
            Some(status) => (status.to_string(), GREEN),
        };
        line.push_str("  ");
        self.add(&mut line, color, &status);
        let took = entry.microseconds.map(|took| took as f64 / 1000.0);
        let method = entry.method.as_deref().unwrap_or("-");
        let _ = write!(line, "  {:>7}  {:<6}  ", duration(took), printable(method));
        let target = [&entry.host, &entry.path].map(|part| part.as_deref().unwrap_or_default());
        line.push_str(&printable(&target.concat()));
        if let Some(reason) = &entry.reason {
            line.push_str("  ");
            self.add(&mut line, color, &printable(reason));
        }
        let fields = [
            ("route", &entry.route),
            ("pod", &entry.endpoint),
            ("client", &entry.client),
            ("ray", &entry.ray),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                self.add(&mut line, DIM, &format!("  {name} "));
                line.push_str(&printable(value));
            }
        }
        line.push('\n');
        if let Some(place) = &self.explain {
            line.push_str(&explanation(prefix, entry, place).unwrap_or_default());
        }
        line
    }

    fn add(&self, line: &mut String, color: &str, text: &str) {
        match self.has_colors {
            true => line.push_str(&format!("\u{1b}[{color}m{text}\u{1b}[0m")),
            false => line.push_str(text),
        }
    }
}

/// The command that tells more of a request that failed.
fn explanation(prefix: LinePrefix<'_>, entry: &LogEntry, place: &str) -> Option<String> {
    entry.status.filter(|status| *status >= 500)?;
    let indent = " ".repeat(20);
    // What a client sent is pasted into a shell.
    let is_ray =
        |ray: &&String| ray.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let Some(ray) = entry.ray.as_ref().filter(is_ray) else {
        return Some(format!("{indent}no Ray ID: the request did not come through Cloudflare\n"));
    };
    let is_name =
        |pod: &&str| pod.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    Some(match pod(prefix).filter(is_name) {
        Some(pod) => format!(
            "{indent}kubectl -n {NAMESPACE} exec {pod} -- ravelin explain --admin {place} --ray {ray}\n"
        ),
        None => format!("{indent}ravelin explain --admin {place} --ray {ray}\n"),
    })
}
