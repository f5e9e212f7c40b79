//! A terminal for the program: a pseudo-terminal, and the screen that its output makes.

use crate::program::{PATIENCE, await_end, command};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

type Screen = Arc<(Mutex<vt100::Parser>, Condvar)>;

/// The program in a terminal. It is killed when this is dropped.
pub(crate) struct InTerminal {
    pub(crate) child: Child,
    master: File,
    /// Kept open, so that the settings can be read when the program has ended.
    device: OwnedFd,
    screen: Screen,
    /// Reads what the program writes, until it is told that the terminal is to be gone.
    reader: Option<JoinHandle<()>>,
    closed: Arc<AtomicBool>,
}

impl InTerminal {
    /// Starts the program with a terminal of its own of 80 columns and 24 lines. `adapt` is for its environment.
    pub(crate) fn start(line: &[&str], adapt: impl FnOnce(&mut Command)) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .expect("a pseudo-terminal");
        grantpt(&master).expect("ours");
        unlockpt(&master).expect("ours");
        let name = ptsname(&master, Vec::new()).expect("it has a name");
        let path = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
        let device = OpenOptions::new().read(true).write(true).open(path).expect("the device");
        set_size(&device, 80, 24);
        let program = command(line);
        // A session of its own, whose terminal that is: it gets signals of size and hang-up. It keeps its process id.
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(program.get_program()).args(program.get_args());
        command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
        adapt(&mut command);
        let end = || device.try_clone().expect("a descriptor");
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("setsid");
        let screen = Screen::new((Mutex::new(vt100::Parser::new(24, 80, 0)), Condvar::new()));
        let master = File::from(master);
        let (mut output, drawn) = (master.try_clone().expect("a descriptor"), Arc::clone(&screen));
        let closed = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&closed);
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 8192];
            while !ended.load(Ordering::Relaxed) {
                let turn = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
                let mut polled = [PollFd::new(&output, PollFlags::IN)];
                if poll(&mut polled, Some(&turn)).is_ok_and(|ready| ready == 0) {
                    continue;
                }
                let Ok(length @ 1..) = output.read(&mut bytes) else { return };
                drawn.0.lock().expect("no panic").process(&bytes[..length]);
                drawn.1.notify_all();
            }
        });
        let reader = Some(reader);
        Self { child, master, device: device.into(), screen, reader, closed }
    }

    /// Waits until the screen is as wanted, and returns what is found.
    pub(crate) fn until<T>(&self, what: &str, find: impl Fn(&vt100::Screen) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        let mut parser = self.screen.0.lock().expect("no panic");
        loop {
            if let Some(found) = find(parser.screen()) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "never: {what}\n{}", parser.screen().contents());
            parser = self.screen.1.wait_timeout(parser, left).expect("no panic").0;
        }
    }

    /// Waits until some line of the screen has this text, and returns the line.
    pub(crate) fn until_line(&self, text: &str) -> String {
        self.until(text, |screen| {
            let contents = screen.contents();
            contents.lines().find(|line| line.contains(text)).map(str::to_owned)
        })
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("it is open");
    }

    /// Changes the size of the window.
    pub(crate) fn resize(&self, columns: u16, lines: u16) {
        self.screen.0.lock().expect("no panic").screen_mut().set_size(lines, columns);
        set_size(&self.device, columns, lines);
    }

    /// Whether keys come one by one and without an echo.
    pub(crate) fn is_raw(&self) -> bool {
        let modes = tcgetattr(&self.device).expect("a terminal").local_modes;
        !modes.intersects(LocalModes::ICANON | LocalModes::ECHO)
    }

    /// Closes the window, and waits for the end of the program: the kernel hangs the terminal up.
    pub(crate) fn hang_up(mut self) -> ExitStatus {
        self.closed.store(true, Ordering::Relaxed);
        self.reader.take().map(JoinHandle::join).expect("once").expect("no panic");
        let null = || File::open("/dev/null").expect("there is one");
        self.master = null();
        self.device = null().into();
        await_end(&mut self.child)
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().expect("kill").success());
    }

    /// Waits for the end of the program.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        await_end(&mut self.child)
    }
}

fn set_size(device: &impl std::os::fd::AsFd, columns: u16, lines: u16) {
    let size = Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(device, size).expect("a terminal");
}

impl Drop for InTerminal {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
