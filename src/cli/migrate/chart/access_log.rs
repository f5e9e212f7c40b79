//! `accessLog` of Traefik, to `[log]` and `[log_filter]`.

use super::Given;
use super::configuration::Draft;
use super::file::{list, quoted};
use super::reasons::Weight;
use super::value::{self, duration, in_words, is_true, text};
use std::time::Duration;

const LOG: &str = "[log]";
const FILTER: &str = "[log_filter]";

/// Adds the lines, if there is an access log.
pub(super) fn add(draft: &mut Draft<'_>) {
    let switch = draft.take("accesslog");
    let below = draft.told.below("accesslog").next().map(|(_, given)| given);
    // Flags below it switch it on; the chart renders none of them without the switch.
    let on = switch.or(below.filter(|_| !draft.told.is_chart));
    let Some(given) = on.filter(|given| is_true(&given.value) || switch.is_none()) else {
        let from = switch.map_or("Traefik's default is none", |given| given.from.as_str());
        let from =
            format!("ravelin's default; Traefik wrote none, for which write \"off\": {from}");
        draft.line(LOG, "access", quoted("stdout"), &from);
        return;
    };
    draft.line(LOG, "access", quoted("stdout"), &given.from);
    format(draft, given);
    filters(draft);
    headers(draft);
    if let Some(given) = draft.take("accesslog.filepath") {
        let reason =
            "the file system of the container is read-only: the access log goes to standard output";
        let fix = "let the collector read the output of the pods";
        draft.leave(Weight::Differs, &given.from, reason, fix);
    }
}

/// The same format, so that whatever reads the lines goes on.
fn format(draft: &mut Draft<'_>, switch: &Given) {
    let given = draft.take("accesslog.format");
    let word = given.and_then(|given| text(&given.value)).unwrap_or_default().to_lowercase();
    // Traefik takes words that it does not know for its default as well.
    let format = if word == "json" { "traefik" } else { "traefik-clf" };
    let from = given.map_or_else(
        || format!("Traefik's default is its text: {}", switch.from),
        |given| given.from.clone(),
    );
    draft.line(LOG, "format", quoted(format), &from);
    let reason = "lines have no query, which may have credentials";
    let fix = "write log.query = true if what reads the log needs queries, as CrowdSec does";
    draft.leave(Weight::Differs, &from, reason, fix);
}

fn filters(draft: &mut Draft<'_>) {
    let mut from = None;
    if let Some(given) = draft.take("accesslog.filters.statuscodes") {
        draft.line(FILTER, "statuses", list(&value::list(&given.value)), &given.from);
        from = Some(given);
    }
    if let Some(given) = draft.take("accesslog.filters.retryattempts") {
        if is_true(&given.value) {
            draft.line(FILTER, "retry_attempts", "true".to_owned(), &given.from);
            from = from.or(Some(given));
        } else {
            draft.leave(Weight::Nothing, &given.from, "it is ravelin's default", "");
        }
    }
    if let Some(given) = draft.take("accesslog.filters.minduration") {
        match duration(&given.value) {
            Some(Duration::ZERO) => {
                draft.leave(Weight::Nothing, &given.from, "it is ravelin's default", "");
            }
            Some(time) => {
                draft.line(FILTER, "min_duration", quoted(&in_words(time)), &given.from);
                from = from.or(Some(given));
            }
            None => draft.leave(Weight::Differs, &given.from, "is not a duration", "write one"),
        }
    }
    if let Some(given) = from {
        let from = format!("Traefik keeps no others: {}", given.from);
        draft.line(FILTER, "keep_errors", "false".to_owned(), &from);
    }
}

/// Header fields by name. Credentials are never written, whatever Traefik was told.
fn headers(draft: &mut Draft<'_>) {
    const NAMES: &str = "accesslog.fields.headers.names.";
    let keys: Vec<String> =
        draft.told.below(NAMES.trim_end_matches('.')).map(|(n, _)| n.to_owned()).collect();
    let (mut kept, mut redacted): (Vec<String>, Vec<String>) = Default::default();
    let mut first = None;
    for name in keys {
        let Some(given) = draft.take(&format!("{NAMES}{name}")) else { continue };
        match text(&given.value).unwrap_or_default().as_str() {
            "keep" if crate::config::is_credential(&name) => {
                let reason =
                    "is a credential, whose value is never logged: it is in redacted_headers";
                draft.leave(Weight::Differs, &given.from, reason, "");
                redacted.push(name);
            }
            "keep" => kept.push(name),
            "redact" => redacted.push(name),
            _ => {
                draft.leave(Weight::Nothing, &given.from, "it is ravelin's default", "");
                continue;
            }
        }
        first.get_or_insert(given);
    }
    if let Some(given) = draft.take("accesslog.fields.headers.defaultmode") {
        match text(&given.value).as_deref() {
            Some("keep" | "redact") => {
                let fix = "list them in log.request_headers, log.response_headers and log.redacted_headers";
                let reason = "header fields are logged by name alone";
                draft.leave(Weight::Differs, &given.from, reason, fix);
            }
            _ => draft.leave(Weight::Nothing, &given.from, "it is ravelin's default", ""),
        }
    }
    let Some(given) = first else { return };
    for (key, names) in
        [("request_headers", &kept), ("response_headers", &kept), ("redacted_headers", &redacted)]
    {
        if !names.is_empty() {
            draft.line(LOG, key, list(names), &given.from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{config_of, left, line};

    #[test]
    fn the_access_log_goes_on_in_its_format_with_its_filters_and_fields() {
        let found = config_of(
            "logs: {access: {enabled: true, format: json, filters: {statuscodes: '404,500-599', minduration: 10ms}, \
             fields: {general: {names: {ClientUsername: drop}}, headers: {defaultmode: keep, names: \
             {Referer: keep, Authorization: keep, Cookie: redact, Via: drop}}}}}",
        );
        for (head, key, value) in [
            ("[log]", "access", "access = \"stdout\""),
            ("[log]", "format", "format = \"traefik\""),
            ("[log]", "request_headers", "request_headers = [\"referer\"]"),
            ("[log]", "response_headers", "response_headers = [\"referer\"]"),
            ("[log]", "redacted_headers", "redacted_headers = [\"authorization\", \"cookie\"]"),
            ("[log_filter]", "statuses", "statuses = [\"404\", \"500-599\"]"),
            ("[log_filter]", "min_duration", "min_duration = \"10ms\""),
            ("[log_filter]", "keep_errors", "keep_errors = false"),
        ] {
            let (found, _) =
                line(&found, head, key).unwrap_or_else(|| panic!("{key}: {}", found.text));
            assert_eq!(found, value);
        }
        assert!(left(&found, "names.Authorization").reason.contains("credential"));
        assert!(left(&found, "defaultmode").reason.contains("by name alone"));
        assert!(left(&found, "ClientUsername").reason.contains("all fields"));
    }

    #[test]
    fn without_a_format_it_is_traefiks_text_and_without_a_log_ravelins_own() {
        let found = config_of("logs: {access: {enabled: true}}");
        assert_eq!(found.config.log.format, crate::config::AccessLogFormat::TraefikClf);
        let found = config_of("logs: {access: {enabled: false}}");
        assert_eq!(found.config.log, crate::config::LogConfig::default());
    }
}
