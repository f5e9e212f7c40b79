//! The lines above the tables: the process, its requests, its ports, what needs attention.

use super::Palette;
use crate::cli::numbers::{duration, rate, span};
use crate::cli::terminal::printable;
use crate::cli::top::sample::{CLASSES, HostCertificate, Sample};
use crate::cli::top::view::TopView;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Lines of the head, with one for a message.
pub(super) const LINES: u16 = 7;

/// Most lines of a message.
const MESSAGE_LINES: usize = 3;

/// Certificates with at most so many days left are named: the alerts of `deploy/monitoring` fire then.
const NEAR_END_DAYS: i64 = 14;

/// The lines. `width`: as many columns are there.
pub(super) fn lines<'l>(
    view: &TopView,
    now: &Sample,
    palette: Palette,
    width: usize,
) -> Vec<Line<'l>> {
    let mut lines = vec![
        title(view, now, palette),
        requests(view, palette),
        ports(view, now, palette),
        list("own answers", &view.rates.reasons, width),
        list("colos", &view.rates.colos, width),
        attention(now, palette, width),
    ];
    let message = wrapped(&message(view, now), width);
    lines.extend(message.into_iter().map(|line| Line::styled(line, palette.warning)));
    lines
}

/// The text in lines, between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let full = lines.len() == MESSAGE_LINES;
        let Some(line) = lines.last_mut() else { break };
        let is_first = line.is_empty();
        if is_first || full || line.chars().count() + 1 + word.chars().count() <= width {
            line.push_str(if is_first { "" } else { " " });
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

fn title<'l>(view: &TopView, now: &Sample, palette: Palette) -> Line<'l> {
    let process = &now.process;
    let (state, style) = match (&view.no_answer, view.paused, &process.not_ready) {
        (Some(failing), ..) => {
            let seconds = i64::try_from(failing.lasts().as_secs()).unwrap_or(i64::MAX);
            (format!("NO ANSWER for {}", span(seconds)), palette.bad)
        }
        (None, true, _) => ("PAUSED".to_owned(), palette.warning),
        (None, false, Some(_)) => ("NOT READY".to_owned(), palette.bad),
        (None, false, None) if view.rates.restarted => {
            ("ready, RESTARTED".to_owned(), palette.warning)
        }
        (None, false, None) => ("ready".to_owned(), palette.good),
    };
    let up = process.started.map(|started| format!("  up {}", span(now.wall - started)));
    let time = jiff::Timestamp::from_second(now.wall).unwrap_or_default();
    Line::from(vec![
        Span::styled(format!("ravelin {}  ", process.version), palette.bold),
        Span::styled(state, style),
        Span::raw(format!("{}  {time}  {}", up.unwrap_or_default(), view.place)),
    ])
}

/// At most 79 columns, whatever the numbers.
fn requests<'l>(view: &TopView, palette: Palette) -> Line<'l> {
    let classes = view.rates.classes;
    let mut spans = vec![Span::raw(format!("req/s {}", rate(classes.iter().sum())))];
    for (name, value) in CLASSES.into_iter().zip(classes).skip(1) {
        let style = if name == "5xx" && value > 0.0 { palette.bad } else { Style::new() };
        spans.push(Span::raw("  "));
        spans.push(Span::styled(format!("{name} {}", rate(value)), style));
    }
    let quantiles = view.rates.quantiles;
    let [p50, p99] = [quantiles.p50, quantiles.p99].map(duration);
    spans.push(Span::raw(format!("  p50 {p50}  p99 {p99}")));
    Line::from(spans)
}

fn ports<'l>(view: &TopView, now: &Sample, palette: Palette) -> Line<'l> {
    let gate = view.rates.gate;
    let [refused, dropped, failed] = [gate.refused, gate.dropped, gate.failed_handshakes].map(rate);
    let style = if gate.refused > 0.0 { palette.warning } else { Style::new() };
    Line::from(vec![
        Span::raw(format!("connections {}  ", now.process.connections)),
        Span::styled(format!("refused {refused}/s"), style),
        Span::raw(format!("  dropped packets {dropped}/s  tls failed {failed}/s")),
    ])
}

/// Names with rates, as many as fit.
fn list<'l>(name: &str, rates: &[(String, f64)], width: usize) -> Line<'l> {
    if rates.is_empty() {
        return Line::raw(format!("{name}  none"));
    }
    let parts = rates.iter().map(|(name, value)| format!("{} {}/s", printable(name), rate(*value)));
    let parts: Vec<String> = parts.collect();
    Line::raw(format!("{name}{}", fitting(&parts, width.saturating_sub(name.len()))))
}

/// As many of these texts as fit, and how many more there are.
fn fitting(parts: &[String], width: usize) -> String {
    let mut line = String::new();
    for (position, part) in parts.iter().enumerate() {
        let left = parts.len() - position;
        let room = if left == 1 { 0 } else { format!("  +{}", left - 1).len() };
        if line.chars().count() + 2 + part.chars().count() + room > width {
            line.push_str(&format!("  +{left}"));
            break;
        }
        line.push_str("  ");
        line.push_str(part);
    }
    line
}

fn attention<'l>(now: &Sample, palette: Palette, width: usize) -> Line<'l> {
    let process = &now.process;
    let plural = |count: u64, word: &str| match count {
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    };
    let findings = match (process.errors, process.warnings) {
        (0, 0) => "findings none".to_owned(),
        (errors, warnings) => {
            format!("findings {}, {}", plural(errors, "error"), plural(warnings, "warning"))
        }
    };
    let findings_style = if process.errors > 0 { palette.bad } else { Style::new() };
    let bad: Vec<String> = now.certificates.iter().filter_map(complaint).collect();
    let room = width.saturating_sub(findings.chars().count());
    let (text, style) = if !bad.is_empty() {
        const NAME: &str = "  certificates";
        (format!("{NAME}{}", fitting(&bad, room.saturating_sub(NAME.len()))), palette.warning)
    } else if let Some(days) = now.certificates.iter().map(|it| it.days_left).min() {
        (format!("  certificates ok, the first ends in {days} days"), Style::new())
    } else {
        ("  certificates none".to_owned(), Style::new())
    };
    Line::from(vec![Span::styled(findings, findings_style), Span::styled(text, style)])
}

/// What is wrong with a certificate, or soon will be.
fn complaint(certificate: &HostCertificate) -> Option<String> {
    let HostCertificate { host, days_left, refused_with } = certificate;
    let host = printable(host);
    match (refused_with, days_left) {
        (Some(status), _) => Some(format!("{host} refused ({status})")),
        (None, ..0) => Some(format!("{host} EXPIRED")),
        (None, ..=NEAR_END_DAYS) => Some(format!("{host} {days_left} days left")),
        (None, _) => None,
    }
}

/// The most urgent of what there is to say.
fn message(view: &TopView, now: &Sample) -> String {
    let process = &now.process;
    let text = if let Some(failing) = &view.no_answer {
        failing.text.clone()
    } else if let Some(why) = &process.not_ready {
        why.clone()
    } else if process.reload_failing {
        "the last reload was refused: see the log, or ravelin check --config".to_owned()
    } else {
        process.notes.clone()
    };
    printable(&text)
}
