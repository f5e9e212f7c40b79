//! The end of the access log, if it is a file: lines that can be read, with the fields that name no visitor.

use super::Bundle;
use crate::config::AccessLogConfig;
use serde_json::Value;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Most bytes of the file that are read, from its end.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// Fields of a line that are taken: not the client, the peer, the user and the user agent, and nothing that is not known.
const FIELDS: [&str; 24] = [
    "time",
    "listener",
    "tls",
    "sni",
    "tls_resumed",
    "client_certificate",
    "route",
    "service",
    "endpoint",
    "cf_ray",
    "method",
    "host",
    "path",
    "protocol",
    "reason",
    "status",
    "duration_us",
    "upstream_us",
    "connect_us",
    "bytes_in",
    "bytes_out",
    "retries",
    "end",
    "truncated",
];

/// Adds the last lines.
pub(super) fn add(bundle: &mut Bundle, log: &AccessLogConfig, lines: usize) {
    let AccessLogConfig::File(path) = log else { return };
    if lines == 0 {
        return;
    }
    match end_of(path) {
        Ok(text) => {
            let kept: Vec<String> = text.lines().rev().filter_map(known).take(lines).collect();
            let text: String = kept.iter().rev().map(|line| format!("{line}\n")).collect();
            let about = "the last lines of the access log, without addresses, users and user agents of visitors";
            bundle.add("access.jsonl", about, text);
        }
        Err(error) => bundle.lack(format!("access.jsonl: {}: {error}", path.display())),
    }
}

/// The end of a regular file. Another one could block.
fn end_of(path: &Path) -> io::Result<String> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(MOST_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The known fields of a line; `None` for what is no line of the access log.
fn known(line: &str) -> Option<String> {
    let Value::Object(fields) = serde_json::from_str(line).ok()? else { return None };
    let kept: serde_json::Map<_, _> =
        fields.into_iter().filter(|(name, _)| FIELDS.contains(&&**name)).collect();
    (!kept.is_empty()).then(|| Value::Object(kept).to_string())
}
