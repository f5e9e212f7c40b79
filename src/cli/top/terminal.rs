//! The terminal: taken for the time of the view, and given back whatever happens.

use super::draw::{Palette, draw};
use super::sample::Sample;
use super::view::{AfterKey, TopView};
use crate::cli::admin::AdminPlace;
use crate::cli::terminal::ColorChoice;
use crossterm::event::{self, Event, KeyEventKind};
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::{self, ErrorKind, Stdout};
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};
use std::{panic, thread};

/// How long a sample of the process, or a signal, may wait to be seen.
const TURN: Duration = Duration::from_millis(100);

/// The view is drawn at least so often: it tells how long there was no answer.
const REDRAW: Duration = Duration::from_secs(1);

/// A question takes at most this part of the time: on a large cluster it costs the process some tenths of a second.
const SHARE: u32 = 4;

/// The longest wait between two questions that this comes to, where the interval is not longer.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// For the view to end by itself after a signal.
const PATIENCE: Duration = Duration::from_secs(1);

/// The screen, which is given back when this is dropped. The kernel does the rest where the process is killed.
struct Screen;

impl Screen {
    fn take() -> io::Result<Self> {
        let before = panic::take_hook();
        // Before the message is written, which would be lost with the screen.
        panic::set_hook(Box::new(move |panic| {
            Self::give_back();
            before(panic);
        }));
        enable_raw_mode()?;
        let screen = Self;
        execute!(io::stdout(), EnterAlternateScreen, cursor::Hide)?;
        Ok(screen)
    }

    fn give_back() {
        // The terminal may be gone.
        let _ = execute!(io::stdout(), LeaveAlternateScreen, cursor::Show);
        let _ = disable_raw_mode();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        Self::give_back();
    }
}

/// Ends the view by signals. crossterm reads a terminal that hangs up at the wrong moment without an end, so that a view
/// that does not see `ended` ends with the process.
fn end_by_signals(ended: Arc<AtomicBool>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGQUIT])?;
    let wait = move || {
        if signals.forever().next().is_some() {
            ended.store(true, Ordering::Relaxed);
            super::pause(PATIENCE);
            let _ = disable_raw_mode();
            std::process::exit(0);
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}

/// What a wait for keys ended with.
enum Waited {
    Keys,
    Nothing,
    /// The terminal is gone: its window was closed, or ssh ended.
    Gone,
}

/// Waits for a key, for at most [`TURN`]. A signal, such as that of another size, ends it.
fn wait_for_keys() -> io::Result<Waited> {
    let input = io::stdin();
    let mut polled = [PollFd::new(&input, PollFlags::IN)];
    let limit = Timespec::try_from(TURN).map_err(io::Error::other)?;
    match poll(&mut polled, Some(&limit)) {
        Ok(0) | Err(Errno::INTR) => return Ok(Waited::Nothing),
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    let happened = polled[0].revents();
    Ok(match happened.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
        true => Waited::Gone,
        false => Waited::Keys,
    })
}

/// Shows the view until the user quits, a signal ends it, or the terminal goes away.
pub(super) fn show(mut view: TopView, place: AdminPlace, interval: Duration) -> io::Result<()> {
    let ended = Arc::new(AtomicBool::new(false));
    end_by_signals(Arc::clone(&ended))?;
    let (sender, samples) = sync_channel(1);
    // It ends with the process, or when nobody receives.
    thread::Builder::new()
        .name("samples".to_owned())
        .spawn(move || ask(&place, interval, &sender))?;
    let palette = Palette::new(ColorChoice::Auto.is_wanted(&io::stdout()));
    let screen = Screen::take()?;
    // Its drop shows the cursor, as `Screen` does, and panics where the terminal is gone.
    let mut terminal = ManuallyDrop::new(Terminal::new(CrosstermBackend::new(io::stdout()))?);
    let result = run(&mut terminal, &mut view, palette, &samples, &ended);
    drop(screen);
    match result {
        Err(error) if is_gone(&error) => Ok(()),
        result => result,
    }
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::BrokenPipe || error.raw_os_error() == Some(Errno::IO.raw_os_error())
}

/// Asks the process at intervals, until nobody listens.
fn ask(place: &AdminPlace, interval: Duration, sender: &SyncSender<Result<Sample, String>>) {
    let mut wait = interval;
    loop {
        super::pause(wait);
        let begun = Instant::now();
        let sample = Sample::take(place).map_err(|failure| failure.text);
        let took = begun.elapsed();
        if sender.send(sample).is_err() {
            return;
        }
        wait = interval.saturating_sub(took).max((took * (SHARE - 1)).min(LONGEST_WAIT));
    }
}

fn run(
    terminal: &mut Terminal<CrosstermBackend<Stdout>>,
    view: &mut TopView,
    palette: Palette,
    samples: &Receiver<Result<Sample, String>>,
    ended: &AtomicBool,
) -> io::Result<()> {
    let mut drawn = None::<Instant>;
    while !ended.load(Ordering::Relaxed) {
        if drawn.is_none_or(|at| at.elapsed() >= REDRAW) {
            terminal.draw(|frame| draw(frame, view, palette))?;
            drawn = Some(Instant::now());
        }
        match wait_for_keys()? {
            Waited::Gone => return Ok(()),
            Waited::Nothing => {}
            Waited::Keys if !event::poll(Duration::ZERO)? => super::pause(TURN),
            Waited::Keys => {}
        }
        while event::poll(Duration::ZERO)? {
            // A change of size, too, has the view drawn again.
            drawn = None;
            if let Event::Key(key) = event::read()?
                && key.kind == KeyEventKind::Press
                && view.press(key) == AfterKey::Quit
            {
                return Ok(());
            }
        }
        match samples.try_recv() {
            Ok(sample) => {
                view.take(sample);
                drawn = None;
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => {
                return Err(io::Error::other("the thread that asks the process has ended"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{LocalModes, tcgetattr};
    use std::ffi::OsStr;
    use std::fs::{File, OpenOptions};
    use std::io::Read;
    use std::os::unix::ffi::OsStrExt;
    use std::process::Command;

    /// Set for the process that panics.
    const PANICS: &str = "RAVELIN_TEST_TOP_PANICS";

    /// Panics with the screen taken, if it is told to: see the test below.
    #[test]
    fn panics_if_told() {
        if std::env::var_os(PANICS).is_some() {
            let _screen = Screen::take().expect("a terminal");
            panic!("as told");
        }
    }

    #[test]
    fn a_panic_gives_the_terminal_back_before_its_message() {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .expect("a pseudo-terminal");
        grantpt(&master).expect("ours");
        unlockpt(&master).expect("ours");
        let name = ptsname(&master, Vec::new()).expect("it has a name");
        let open =
            || OpenOptions::new().read(true).write(true).open(OsStr::from_bytes(name.as_bytes()));
        let device = open().expect("the device");
        let end = || open().expect("the device");
        let status = Command::new("setsid")
            .arg("--ctty")
            .arg(std::env::current_exe().expect("this test"))
            .args(["--exact", "cli::top::terminal::tests::panics_if_told", "--nocapture"])
            .env(PANICS, "1")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .status();
        assert!(!status.expect("setsid").success());
        let modes = tcgetattr(&device).expect("a terminal").local_modes;
        assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO));
        drop(device);
        // With the last descriptor of the device closed, reading ends with EIO.
        let (mut output, mut piece) = (Vec::new(), [0; 4096]);
        let mut master = File::from(master);
        while let Ok(length @ 1..) = master.read(&mut piece) {
            output.extend_from_slice(&piece[..length]);
        }
        let output = String::from_utf8_lossy(&output);
        let at = |text: &str| output.find(text).unwrap_or_else(|| panic!("{text:?}: {output}"));
        assert!(at("\u{1b}[?1049h") < at("\u{1b}[?1049l") && at("\u{1b}[?1049l") < at("as told"));
    }
}
