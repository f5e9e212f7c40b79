//! A frame: head, hosts, pods, and the line of keys. Fits 80 columns and 24 lines.

mod head;

use super::rates::HostRates;
use super::sample::Pod;
use super::view::TopView;
use crate::cli::numbers::{duration, rate};
use crate::cli::terminal::printable;
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Paragraph, Row, Table, Wrap};

/// The least that a frame is drawn for.
const LEAST_WIDTH: u16 = 70;
const LEAST_HEIGHT: u16 = head::LINES + 5;

/// The label `host` of requests that no rule matched.
const UNMATCHED: &str = "_";

/// How things stand out.
#[derive(Clone, Copy)]
pub(super) struct Palette {
    bold: Style,
    header: Style,
    good: Style,
    warning: Style,
    bad: Style,
}

impl Palette {
    /// With colours, or with what a terminal without them has.
    pub(super) fn new(has_colors: bool) -> Self {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let colored = |color| if has_colors { bold.fg(color) } else { bold };
        Self {
            bold,
            header: Style::new().add_modifier(Modifier::REVERSED),
            good: if has_colors { Style::new().fg(Color::Green) } else { Style::new() },
            warning: colored(Color::Yellow),
            bad: colored(Color::Red),
        }
    }
}

/// Height of a frame that has so many hosts and pods, all of them.
pub(super) fn height(hosts: usize, pods: usize) -> u16 {
    // Two headers, and the line of keys.
    let rows = u16::try_from(hosts.max(1) + pods.max(1)).unwrap_or(u16::MAX);
    head::LINES.saturating_add(rows).saturating_add(3)
}

/// Draws the view.
pub(super) fn draw(frame: &mut Frame<'_>, view: &TopView, palette: Palette) {
    let area = frame.area();
    if area.width < LEAST_WIDTH || area.height < LEAST_HEIGHT {
        let text =
            format!("too small: {LEAST_WIDTH}x{LEAST_HEIGHT} is needed, 80x24 is good; q quits");
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), area);
        return;
    }
    let Some(now) = &view.now else { return };
    let (hosts, pods) = (view.hosts(), view.pods());
    let lines = head::lines(view, now, palette, area.width.into());
    let head = u16::try_from(lines.len()).unwrap_or(head::LINES);
    let rows = area.height.saturating_sub(head + 1);
    let of_hosts = share(rows, hosts.len(), pods.len());
    let place = |y: u16, height: u16| Rect { y: area.y + y, height, ..area };
    frame.render_widget(Paragraph::new(lines), place(0, head));
    draw_hosts(frame, place(head, of_hosts), view, palette, &hosts);
    draw_pods(frame, place(head + of_hosts, rows.saturating_sub(of_hosts)), palette, &pods);
    frame.render_widget(Line::styled(keys(view), palette.bold), place(area.height - 1, 1));
}

/// Lines of the hosts, with their header, among `rows`: three of five, unless one of both needs fewer.
fn share(rows: u16, hosts: usize, pods: usize) -> u16 {
    let lines = |entries: usize| u16::try_from(entries.max(1) + 1).unwrap_or(u16::MAX);
    let (hosts, pods) = (lines(hosts), lines(pods));
    let part = (rows * 3 / 5).max(2);
    match (hosts <= part, pods <= rows.saturating_sub(part)) {
        // What is left over is below the pods.
        (true, _) => hosts,
        (false, true) => rows.saturating_sub(pods).min(hosts),
        (false, false) => part,
    }
}

fn keys(view: &TopView) -> String {
    if view.typing {
        return format!("filter: {}_   Enter keep  Esc clear", printable(&view.filter));
    }
    let pause = if view.paused { "p continue" } else { "p pause" };
    let filter = match view.filter.as_str() {
        "" => "/ filter".to_owned(),
        filter => format!("/ filter: {}  Esc clear", printable(filter)),
    };
    format!("q quit  s sort: {}  {filter}  {pause}  arrows scroll", view.order.name())
}

/// A header that tells which of its entries are there, if not all of them are.
fn title(name: &str, above: usize, shown: usize, all: usize) -> String {
    match shown == all {
        true => name.to_owned(),
        false => format!("{name} {}-{} of {all}", above + 1, above + shown),
    }
}

fn draw_hosts(
    frame: &mut Frame<'_>,
    area: Rect,
    view: &TopView,
    palette: Palette,
    hosts: &[(&str, &HostRates)],
) {
    let visible = usize::from(area.height.saturating_sub(1));
    let above = view.above.min(hosts.len().saturating_sub(visible));
    let shown = hosts.iter().skip(above).take(visible);
    // Durations of hosts are there with metrics.per_route = "all" alone.
    let has_durations =
        view.now.as_ref().is_some_and(|now| now.hosts.values().any(|it| !it.durations.is_empty()));
    let rows = shown.clone().map(|(host, rates)| {
        let [_, ok, redirect, client, server] = rates.classes.map(rate);
        let failing = if rates.classes[4] > 0.0 { palette.bad } else { Style::new() };
        let name = match *host {
            // The label of `metrics.labels` is left out.
            "" => "(all hosts)".to_owned(),
            UNMATCHED => format!("{UNMATCHED} (no rule)"),
            host => printable(host),
        };
        let mut cells = vec![Cell::from(name), right(&rate(rates.all()), 6)];
        cells.extend([right(&ok, 6), right(&redirect, 6), right(&client, 6)]);
        cells.push(right(&server, 6).style(failing));
        if has_durations {
            cells.push(right(&duration(rates.quantiles.p99), 7));
        }
        cells.push(right(&total(rates.total), 9));
        Row::new(cells)
    });
    let mut widths = vec![Constraint::Fill(1)];
    widths.extend([Constraint::Length(6); 5]);
    let name = title("HOST", above, shown.len(), hosts.len());
    let mut header = vec![Cell::from(name)];
    header.extend(["REQ/S", "2XX", "3XX", "4XX", "5XX"].map(|name| right(name, 6)));
    if has_durations {
        widths.push(Constraint::Length(7));
        header.push(right("P99", 7));
    }
    widths.push(Constraint::Length(9));
    header.push(right("TOTAL", 9));
    let header = Row::new(header).style(palette.header);
    frame.render_widget(Table::new(rows, widths).header(header), area);
}

fn draw_pods(frame: &mut Frame<'_>, area: Rect, palette: Palette, pods: &[(&Pod, Option<f64>)]) {
    let visible = usize::from(area.height.saturating_sub(1));
    let shown = pods.iter().take(visible);
    let rows = shown.clone().map(|(pod, picks)| {
        let known = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let row = Row::new([
            Cell::from(printable(&pod.service)),
            Cell::from(printable(&pod.address)),
            Cell::from(printable(&pod.state)),
            right(&known(picks.map(rate)), 6),
            right(&known(pod.in_flight.map(|count| count.to_string())), 6),
            right(&duration(pod.latency_ms), 7),
        ]);
        if pod.is_ejected() { row.style(palette.bad) } else { row }
    });
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(21),
        Constraint::Length(11),
        Constraint::Length(6),
        Constraint::Length(6),
        Constraint::Length(7),
    ];
    let header = Row::new([
        Cell::from(title("SERVICE", 0, shown.len(), pods.len())),
        Cell::from("POD"),
        Cell::from("STATE"),
        right("REQ/S", 6),
        right("OPEN", 6),
        right("LATENCY", 7),
    ]);
    frame.render_widget(Table::new(rows, widths).header(header.style(palette.header)), area);
}

/// A count in at most nine characters.
fn total(count: f64) -> String {
    if count < 1e9 { format!("{count:.0}") } else { format!("{:.3}G", count / 1e9) }
}

fn right<'c>(text: &str, width: usize) -> Cell<'c> {
    Cell::from(format!("{text:>width$}"))
}
