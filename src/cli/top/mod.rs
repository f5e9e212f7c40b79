//! `ravelin top`: what a running process does now, on a terminal.
//!
//! One thread asks the process, the other draws and reads keys, so that a slow answer never delays a key. Only what the
//! admin side serves is read; nothing is asked of data workers.

mod draw;
mod metrics;
mod rates;
mod sample;
mod terminal;
#[cfg(test)]
mod tests;
mod view;

use super::admin::ProcessArgs;
use super::{Failure, say};
use clap::Args;
use draw::Palette;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use sample::Sample;
use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};
use view::{HostOrder, TopView};

/// Columns of the frame of `--once`, unless COLUMNS says otherwise: those of the smallest terminal, and the bounds.
const WIDTH: u16 = 80;
const WIDEST: u16 = 500;

/// Hosts, and pods, of the frame of `--once`.
const MOST_ROWS: usize = 50;

/// What is watched, and how.
#[derive(Debug, Args)]
pub(super) struct TopArgs {
    #[command(flatten)]
    process: ProcessArgs,
    /// Seconds between two questions to the process, 1 to 60.
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=60))]
    interval: u8,
    /// Only hosts that contain this text, and the pods of their Services.
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,
    /// Order of hosts.
    #[arg(long, value_enum, default_value_t = HostOrder::Rate)]
    sort: HostOrder,
    /// Print one frame as text and end: for scripts and reports, and where there is no terminal.
    #[arg(long)]
    once: bool,
}

/// Shows the process until the user quits.
pub(super) fn top(args: &TopArgs) -> Result<u8, Failure> {
    let no_terminal = !io::stdout().is_terminal() || !io::stdin().is_terminal();
    if !args.once && no_terminal {
        return Err(Failure::usage("there is no terminal; use --once, or kubectl exec -it"));
    }
    let place = args.process.place()?;
    let mut view = TopView::new(place.to_string(), args.sort, args.filter.clone());
    let interval = Duration::from_secs(args.interval.into());
    // A mistake in the place is told before the screen is taken.
    view.take(Ok(Sample::take(&place).map_err(|failure| args.process.failed(failure))?));
    if args.once {
        pause(interval);
        view.take(Ok(Sample::take(&place)?));
        let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
        say(&printed(&view, columns.unwrap_or(WIDTH).clamp(WIDTH, WIDEST))?)?;
    } else {
        terminal::show(view, place, interval)?;
    }
    Ok(0)
}

/// Waits. This thread has nothing else to do.
fn pause(interval: Duration) {
    let end = Instant::now() + interval;
    while let left = end.saturating_duration_since(Instant::now())
        && !left.is_zero()
    {
        std::thread::park_timeout(left);
    }
}

/// The frame as lines of text, without those of keys, and as high as its hosts and pods need.
fn printed(view: &TopView, width: u16) -> Result<String, Failure> {
    let failed = |error: std::convert::Infallible| Failure { code: 1, text: error.to_string() };
    let height = draw::height(view.hosts().len().min(MOST_ROWS), view.pods().len().min(MOST_ROWS));
    let mut terminal = Terminal::new(TestBackend::new(width, height)).map_err(failed)?;
    terminal.draw(|frame| draw::draw(frame, view, Palette::new(false))).map_err(failed)?;
    let buffer = terminal.backend().buffer();
    let line = |y: u16| -> String { (0..width).map(|x| buffer[(x, y)].symbol()).collect() };
    Ok((0..height - 1).map(|y| format!("{}\n", line(y).trim_end())).collect())
}
