//! `ravelin logs`: the access log of a running process, or one that comes on standard input, with the lines that are wanted.

mod clf;
mod entry;
mod file;
mod filter;
mod prefix;
mod pretty;
mod printer;
#[cfg(test)]
mod tests;

use super::admin::{AdminPlace, AdminStream, ProcessArgs, SOCKET};
use super::terminal::ColorChoice;
use super::{Failure, complain};
use crate::config::{AccessLogConfig, Config};
use clap::{Args, ValueEnum};
use file::{AtEnd, Beginning, LogFile, PIECE};
use filter::LogFilter;
use pretty::Pretty;
use printer::{LineCounts, LinePrinter, Stopped};
use std::io::{self, BufWriter, ErrorKind, IsTerminal as _, Read as _, Stdout};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the process serves its log.
const STREAM: &str = "/api/v1/log/stream";

/// Between two attempts to reach a process that is gone.
const AGAIN: Duration = Duration::from_secs(1);

/// How often a file is looked at for more.
const PAUSE: Duration = Duration::from_millis(200);

/// Lines of a file that come first when it is followed, as `tail` has it.
const LAST: usize = 10;

/// Which log, which of its lines, and how they are printed.
#[derive(Debug, Args)]
pub(super) struct LogsArgs {
    #[command(flatten)]
    process: ProcessArgs,
    #[command(flatten)]
    filter: LogFilter,
    /// Only the last lines of those that are wanted. Default: 10 of a file that is followed, else all.
    #[arg(long, value_name = "NUMBER")]
    tail: Option<usize>,
    /// End at the end of the file, in the place of waiting for more.
    #[arg(long)]
    no_follow: bool,
    /// How lines are printed. Default: pretty on a terminal, else raw.
    #[arg(long, value_enum)]
    format: Option<LineStyle>,
    /// Below each 5xx, print the command that tells its reason, route and pod.
    #[arg(long)]
    explain: bool,
    /// When pretty lines have colours.
    #[arg(long, value_enum, default_value_t = ColorChoice::Auto)]
    color: ColorChoice,
    /// A file with lines of the access log; - is standard input.
    #[arg(value_name = "FILE", conflicts_with = "configuration_or_process")]
    file: Option<PathBuf>,
}

/// How a line is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LineStyle {
    /// As it was written.
    Raw,
    /// In columns, for people.
    Pretty,
}

/// Where lines come from.
#[derive(Debug, PartialEq, Eq)]
enum LogSource {
    File(PathBuf),
    Input,
    /// From now on.
    Process(AdminPlace),
}

type Printer = LinePrinter<BufWriter<Stdout>>;

/// Prints the wanted lines.
pub(super) fn logs(args: &LogsArgs) -> Result<u8, Failure> {
    let source = args.source()?;
    if matches!(source, LogSource::Process(_))
        && (args.no_follow || args.tail.is_some() || args.filter.since.is_some())
    {
        return Err(Failure::usage(
            "a process has no lines of the past: --since, --tail and --no-follow are for a file or standard input, such \
             as that of kubectl logs",
        ));
    }
    let output = BufWriter::with_capacity(PIECE, io::stdout());
    let mut printer = LinePrinter::new(args.filter.clone(), args.pretty()?, output);
    let ended = match &source {
        LogSource::Input => read_input(&mut printer, args.tail),
        LogSource::File(path) => read_file(&mut printer, path, args),
        LogSource::Process(place) => follow_process(&mut printer, place, &args.process),
    };
    match ended {
        Ok(counts) => told(counts),
        Err(Stopped::Unread) => Ok(0),
        Err(Stopped::Failed(failure)) => {
            // What was printed before stays; a pipe that is closed by now needs no report.
            let _ = printer.flush();
            Err(failure)
        }
    }
}

/// An input in which nothing is a line of the access log is a mistake.
fn told(counts: LineCounts) -> Result<u8, Failure> {
    let LineCounts { of_log, others } = counts;
    if of_log == 0 && others > 0 {
        return Err(Failure {
            code: 1,
            text: format!(
                "none of {others} lines is of the access log in a format of ravelin (log.format): is it another log?"
            ),
        });
    }
    if others > 0 {
        complain(&format!("{others} lines that are not of the access log were left out"));
    }
    Ok(0)
}

impl LogsArgs {
    fn source(&self) -> Result<LogSource, Failure> {
        match &self.file {
            Some(file) if file == Path::new("-") => return Ok(LogSource::Input),
            Some(file) => return Ok(LogSource::File(file.clone())),
            None if self.process.is_default() && is_piped() => return Ok(LogSource::Input),
            None => {}
        }
        if let Some(path) = self.process.config() {
            let config =
                Config::load(path).map_err(|errors| super::run::config_failure(&errors))?;
            match config.log.access {
                AccessLogConfig::File(file) => return Ok(LogSource::File(file)),
                AccessLogConfig::Stdout => {}
                AccessLogConfig::Off => {
                    let text = "log.access is \"off\": there is no access log; set it to \"stdout\" or a path";
                    return Err(Failure::usage(text));
                }
            }
        }
        self.process.place().map(LogSource::Process)
    }

    /// `None`: raw lines.
    fn pretty(&self) -> Result<Option<Pretty>, Failure> {
        let style = match (self.format, self.explain) {
            (Some(LineStyle::Raw), true) => {
                return Err(Failure::usage("--explain is for --format pretty"));
            }
            (Some(style), _) => style,
            (None, true) => LineStyle::Pretty,
            (None, false) if io::stdout().is_terminal() => LineStyle::Pretty,
            (None, false) => LineStyle::Raw,
        };
        if style == LineStyle::Raw {
            return Ok(None);
        }
        let has_colors = self.color.is_wanted(&io::stdout());
        let explain = match self.explain {
            true if self.process.is_default() => Some(SOCKET.to_owned()),
            true => Some(self.process.place()?.to_string()),
            false => None,
        };
        Ok(Some(Pretty { has_colors, explain }))
    }
}

/// Whether standard input is a pipe or a file, and not a terminal or nothing.
fn is_piped() -> bool {
    let input = io::stdin().as_fd().try_clone_to_owned().map(std::fs::File::from);
    let kind = input.and_then(|input| input.metadata()).map(|input| input.file_type());
    kind.is_ok_and(|kind| kind.is_fifo() || kind.is_file())
}

fn read_input(printer: &mut Printer, tail: Option<usize>) -> Result<LineCounts, Stopped> {
    if let Some(most) = tail {
        printer.keep_last(most);
    }
    let mut input = io::stdin().lock();
    let mut piece = vec![0; PIECE];
    loop {
        match input.read(&mut piece) {
            Ok(0) => return printer.finish(),
            Ok(length) => printer.take(&piece[..length])?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::from(error).into()),
        }
        printer.flush()?;
    }
}

fn read_file(printer: &mut Printer, path: &Path, args: &LogsArgs) -> Result<LineCounts, Stopped> {
    let failed =
        |error: io::Error| Failure { code: 1, text: format!("{}: {error}", path.display()) };
    let mut file = LogFile::open(path).map_err(failed)?;
    let since = args.filter.since;
    let is_followed = !args.no_follow;
    let last = args.tail.or((is_followed && since.is_none()).then_some(LAST));
    file.go_to(&args.filter, Beginning { last, since })?;
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece) {
            Ok(0) if !is_followed => return printer.finish(),
            Ok(0) => {
                printer.flush()?;
                if file.at_end().map_err(failed)? == AtEnd::Another {
                    printer.forget_begun();
                } else {
                    std::thread::park_timeout(PAUSE);
                }
            }
            Ok(length) => printer.take(&piece[..length])?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error).into()),
        }
    }
}

/// Follows what the process writes. One that has ended is waited for.
fn follow_process(
    printer: &mut Printer,
    place: &AdminPlace,
    process: &ProcessArgs,
) -> Result<LineCounts, Stopped> {
    let mut stream = place.follow(STREAM).map_err(|failure| process.failed(failure))?;
    loop {
        let lost = read_stream(printer, &mut stream)?;
        printer.forget_begun();
        complain(&format!("{place}: {lost}; waiting for the process"));
        stream = loop {
            std::thread::park_timeout(AGAIN);
            match place.follow(STREAM) {
                Ok(stream) => break stream,
                Err(failure) if failure.code == super::USAGE => return Err(failure.into()),
                Err(_) => {}
            }
        };
        complain(&format!("{place}: it answers again"));
    }
}

/// Prints what comes, and returns why it ended.
fn read_stream(printer: &mut Printer, stream: &mut AdminStream) -> Result<String, Stopped> {
    let mut piece = vec![0; PIECE];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return Ok("the log has ended".to_owned()),
            Ok(length) => printer.take(&piece[..length])?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Ok(error.to_string()),
        }
        printer.flush()?;
    }
}
