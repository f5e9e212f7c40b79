//! The command line: `run`, `demo`, `check`, `explain`, `migrate`, `compare`, `probe`,
//! `top`, `logs`, `bundle`, `completions`, `man`, `version`.
//!
//! Exit codes: 0 for success, 1 for a finding or a failure (`migrate`, `compare`: 1 and 2 are verdicts), 64 (`EX_USAGE` of sysexits) for a wrong
//! command line or configuration.
//!
//! **Invariant**: calls the functions that `run` uses and decides nothing by itself, so `check` and
//! `explain` agree with the proxy (`tests/agreement`).

mod admin;
mod break_glass;
mod bundle;
mod certificates;
mod check;
mod checkout;
mod compare;
mod demo;
mod explain;
mod findings;
mod full_strict;
mod logs;
mod manifests;
mod migrate;
mod numbers;
mod preflight;
mod probe;
mod reference;
mod run;
mod table;
mod terminal;
mod top;
mod zones;

use clap::error::{ContextKind, ErrorKind};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Exit code for a wrong command line or configuration.
const USAGE: u8 = 64;

/// Exit code (`EX_CANTCREAT` of sysexits) for a directory that cannot be written.
const UNWRITABLE: u8 = 73;

/// Edge reverse proxy for Kubernetes nodes behind Cloudflare.
#[derive(Debug, Parser)]
#[command(name = "ravelin", version, arg_required_else_help = true, max_term_width = 100)]
struct Line {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the proxy until SIGTERM.
    #[command(after_help = "Examples:\n  ravelin run --config /etc/ravelin/ravelin.toml\n  \
        ravelin run --check --config /etc/ravelin/ravelin.toml\n\n\
        SIGTERM or SIGINT: close listeners, finish requests in flight, exit 0. A second signal closes\n  \
        connections at once.\n  \
        SIGHUP: reload the configuration; if it is invalid, the old one stays in use.\n\n\
        --check looks at ports, gate, Cloudflare's list, certificates, API server, clock and the limit on\n\
        open files, prints a line for each, and ends: with 0 if all pass, 1 with warnings, 2 with failures.\n\
        It disturbs no process that listens on the same ports.")]
    Run {
        /// Look whether it could start here, print what was found, and end.
        #[arg(long)]
        check: bool,
        /// The configuration file (TOML; config/ravelin.toml lists every key).
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Serve sample manifests with echo backends on loopback, and print commands to try.
    #[command(
        after_help = "Examples:\n  ravelin demo\n  ravelin demo --port 8080 --https-port 8443\n\n\
        Manifests, certificates and the configuration are in a temporary folder, which is removed at the end.\n\
        Edit the manifests: what becomes of the routes is printed."
    )]
    Demo {
        /// Port on 127.0.0.1 for http. If it is in use, or 0, a free port is chosen.
        #[arg(long, default_value_t = 18080)]
        port: u16,
        /// Port on 127.0.0.1 for https, likewise.
        #[arg(long, default_value_t = 18443)]
        https_port: u16,
    },
    /// Show what manifests would serve, and report mistakes in them.
    #[command(after_help = "Examples:\n  ravelin check manifests/\n  \
        ravelin check --output json app.yaml service.yaml\n  \
        ravelin check --config ravelin.toml\n  \
        helm template CHART | ravelin check -\n  \
        ravelin check --kubeconfig ~/.kube/config\n  \
        ravelin check --ingress-class traefik cluster.yaml\n  \
        ravelin check --cloudflare --cloudflare-token token.txt --config ravelin.toml\n  \
        ravelin check --break-glass --config ravelin.toml\n\n\
        Files without EndpointSlices are checked as a repository: a Service is enough, and a Secret that\n\
        cert-manager, SealedSecrets or SOPS will create is not an error. Documents that are not read\n\
        (templates, charts, encrypted documents, kinds of other edges) are counted.\n\n\
        Exit code: 0 no errors (there may be warnings), 1 errors: something is not served as written, or\n\
        a host is not ready (--break-glass); 64 wrong usage or configuration.")]
    Check {
        #[command(flatten)]
        what: What,
        #[command(flatten)]
        zone: zones::ZoneArgs,
        #[command(flatten)]
        break_glass: break_glass::BreakGlassArgs,
        /// List every finding; by default, similar findings share one line.
        #[arg(long)]
        verbose: bool,
        /// Manifests: files or directories; `-` is standard input.
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Show where a request for a URL would go, and why.
    #[command(
        after_help = "Examples:\n  ravelin explain --manifests manifests/ http://app.example.com/login\n  \
        ravelin explain --config ravelin.toml --output json http://app.example.com/\n  \
        ravelin explain --kubeconfig ~/.kube/config http://app.example.com/\n  \
        ravelin explain --config ravelin.toml --from 104.16.0.1 \
        --header \"CF-Connecting-IP: 203.0.113.7\" http://app.example.com/\n  \
        ravelin explain --admin http://127.0.0.1:9180 https://app.example.com/login\n  \
        ravelin explain --admin /run/ravelin/admin.sock --ray 8f2b3c4d5e6f7a8b-FRA\n\n\
        --admin asks a running process; --ray looks for a request among its last failures, and says why it failed and\n\
        what to do.\n\n\
        Exit code: 0 the request reaches an endpoint, or the Ray ID is known, 1 ravelin answers it itself, or the Ray\n\
        ID is not known, 64 wrong usage, 69 the process does not answer."
    )]
    Explain(explain::ExplainArgs),
    /// Show what will differ from Traefik, and propose a configuration.
    #[command(after_help = "Examples:\n  ravelin migrate manifests/ traefik-values.yaml\n  \
        ravelin migrate --kubeconfig ~/.kube/config --write deploy/overlays/mine\n  \
        ravelin migrate --output markdown cluster.yaml > report.md\n\n\
        Reads HelmChartConfig, HelmChart, values files and arguments of Traefik as well.\n\n\
        Exit code: 0 all routes are served the same, 1 something differs or is to be done, 2 something is\n\
        not served, 64 wrong usage, 69 the cluster cannot be read, 73 the directory cannot be written.\n\
        Differences that hold for every route are told once, and do not count.")]
    Migrate(migrate::MigrateArgs),
    /// Send what the rules ask for to a running Traefik and to ravelin, and show what differs.
    #[command(
        after_help = "Examples:\n  ravelin compare --with http://10.43.7.9:80 --ravelin http://127.0.0.1:9181 \\\n    \
        --kubeconfig ~/.kube/config\n  \
        ravelin compare --with-https https://10.43.7.9:443 --ravelin-https https://127.0.0.1:9182 --in-cluster\n  \
        ravelin compare --with http://traefik.example:8000 --ravelin http://127.0.0.1:9181 \\\n    \
        --manifests manifests/ --host app.example.com --output markdown\n\n\
        Both run beside each other and serve the same class. Only GET and HEAD are sent, unless --methods\n\
        names others; redirects are not followed. A request whose answers differ is sent twice more, which\n\
        tells differences from what varies anyway. Where ravelin admits configured sources only, compare on\n\
        the node, through a listener that admits loopback.\n\n\
        Exit code: 0 the same, but for known differences, 1 something differs, 2 it could not be compared,\n\
        64 wrong usage, 69 the cluster cannot be read."
    )]
    Compare(compare::CompareArgs),
    /// Check whether the process in this container is ready or alive. For the kubelet.
    #[command(after_help = "Examples:\n  ravelin probe ready --socket /run/ravelin/admin.sock\n  \
        ravelin probe live --config ravelin.toml\n\n\
        Exit code: 0 yes, 1 no, or no response within 2 s, 64 wrong usage or configuration.")]
    Probe {
        /// What to check.
        #[arg(value_enum)]
        question: probe::Question,
        /// The socket: the value of `admin.socket`.
        #[arg(long, value_name = "PATH", conflicts_with = "config")]
        socket: Option<PathBuf>,
        /// A configuration file that sets `admin.socket`.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Watch what a running process does: requests by host, statuses, durations, pods, refused sources.
    #[command(after_help = "Examples:\n  ravelin top\n  \
        ravelin top --admin http://127.0.0.1:9180 --filter example.com --sort errors\n  \
        kubectl -n ravelin exec -it ds/ravelin -- ravelin top\n  \
        kubectl -n ravelin exec POD -- ravelin top --once\n\n\
        Keys: q or Ctrl-C quits, s changes the order, / filters by host, Esc clears the filter, p pauses,\n\
        arrows scroll.\n\
        Rates are of the last interval; counts are of one process, which serves one node. Refused:\n\
        connections that were reset, of sources that are not admitted or over a limit; dropped packets: of\n\
        sources that are not admitted, by the kernel. Own answers: responses of ravelin, by reason.\n\
        NO_COLOR=1 turns colours off.\n\n\
        Exit code: 0 quit, 64 wrong usage or no terminal, 69 the process does not answer.")]
    Top(top::TopArgs),
    /// Follow the access log, and print the lines that are wanted.
    #[command(after_help = "Examples:\n  ravelin logs --status 5xx --explain\n  \
        ravelin logs --config /etc/ravelin/ravelin.toml --host app.example.com --slower-than 1s\n  \
        kubectl -n ravelin logs -f ds/ravelin | ravelin logs --status 5xx\n  \
        kubectl -n ravelin logs -f -l app.kubernetes.io/name=ravelin --prefix \\\n    \
        | ravelin logs --slower-than 1s\n  \
        ravelin logs --reason 'upstream_*' --route 'shop/*'\n  \
        kubectl -n ravelin exec POD -- ravelin logs --client 203.0.113.0/24\n  \
        ravelin logs --no-follow --since 2h --path /api /var/log/ravelin/access.log\n\n\
        The log is that of FILE; or standard input, if that is a pipe or a file; or with --config the file\n\
        of log.access; or else what the process writes from now on, over its admin socket (not its port:\n\
        lines have addresses of visitors). A file is followed by its name: renamed, removed or truncated,\n\
        the new one is read. All formats of log.format are read. Lines of traefik have no reason, route and\n\
        Ray ID, those of traefik-clf no host either: options for these fields are then refused.\n\n\
        Exit code: 0 the log has ended, 1 it cannot be read, or has no line of the access log, 64 wrong\n\
        usage, 69 the process does not answer.")]
    Logs(logs::LogsArgs),
    /// Collect what a helper needs to know of an installation, without its secrets.
    #[command(after_help = "Examples:\n  ravelin bundle --config /etc/ravelin/ravelin.toml\n  \
        ravelin bundle --admin http://127.0.0.1:9180 --output bundle/\n  \
        kubectl -n ravelin exec POD -- ravelin bundle --config /etc/ravelin/ravelin.toml --output - > bundle.tar.gz\n\n\
        README.md in it lists its files and what is left out. Facts of the machine are those of the machine on\n\
        which the command runs.\n\n\
        Exit code: 0 complete, 1 something is missing (told, and in README.md), 64 wrong usage, 73 the file cannot\n\
        be written, or exists.")]
    Bundle(bundle::BundleArgs),
    /// Print a script that completes the command line in a shell.
    #[command(after_help = "Examples:\n  \
        ravelin completions bash > /etc/bash_completion.d/ravelin\n  \
        ravelin completions zsh > /usr/local/share/zsh/site-functions/_ravelin\n  \
        ravelin completions fish > ~/.config/fish/completions/ravelin.fish")]
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: reference::CompletionShell,
    },
    /// Write manual pages, one for each verb.
    #[command(after_help = "Example:\n  ravelin man /usr/local/share/man/man1\n\n\
        Exit code: 0 written, 64 wrong usage, 73 the directory cannot be written.")]
    Man {
        /// Where to; created if it does not exist.
        #[arg(value_name = "DIRECTORY")]
        directory: PathBuf,
    },
    /// Print the version.
    #[command(after_help = "Example:\n  ravelin version")]
    Version,
}

/// The input and the output format of `check` and `explain`.
#[derive(Debug, Args)]
struct What {
    /// A configuration file. It is checked too; its class and directory are used.
    #[arg(long, value_name = "FILE", group = "configuration_or_process")]
    config: Option<PathBuf>,
    /// A kubeconfig file. Reads the objects of that cluster, as `kubectl get` would.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The IngressClass to serve, if no configuration file is given.
    #[arg(long, value_name = "NAME", default_value = crate::config::defaults::INGRESS_CLASS)]
    ingress_class: String,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Text for people.
    Text,
    /// One JSON object for programs.
    Json,
}

/// Runs the command line and returns the exit code.
pub fn main(line: impl IntoIterator<Item = OsString>) -> ExitCode {
    let line = match Line::try_parse_from(line) {
        Ok(line) => line,
        Err(error) => {
            // The value that is not wanted may be a token, which clap would repeat.
            let argument = error.get(ContextKind::InvalidArg).map(ToString::to_string);
            if error.kind() == ErrorKind::TooManyValues
                && argument.is_some_and(|argument| argument.starts_with("--cloudflare"))
            {
                complain(zones::NO_TOKEN_HERE);
                return USAGE.into();
            }
            // Help and version are errors here too. A closed pipe needs no report.
            let _ = error.print();
            return if error.use_stderr() { USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    let result = match line.verb {
        Verb::Run { config, check: true } => preflight::check(&config),
        Verb::Run { config, check: false } => run::run(&config),
        Verb::Demo { port, https_port } => demo::demo(port, https_port),
        Verb::Check { what, zone, break_glass, verbose, paths } => {
            check::check(&what, &zone, &break_glass, paths, verbose)
        }
        Verb::Explain(args) => explain::explain(args),
        Verb::Migrate(args) => migrate::migrate(&args),
        Verb::Compare(args) => compare::compare(&args),
        Verb::Probe { question, socket, config } => {
            probe::probe(question, socket, config.as_deref())
        }
        Verb::Top(args) => top::top(&args),
        Verb::Logs(args) => logs::logs(&args),
        Verb::Bundle(args) => bundle::bundle(&args),
        Verb::Completions { shell } => reference::completions(shell),
        Verb::Man { directory } => reference::man(&directory),
        Verb::Version => say(&format!("ravelin {}\n", env!("CARGO_PKG_VERSION"))).map(|()| 0),
    };
    match result {
        Ok(code) => code.into(),
        Err(failure) => {
            complain(&failure.text);
            failure.code.into()
        }
    }
}

/// The failure of a command: exit code and message.
#[derive(Debug)]
struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    fn usage(text: impl Into<String>) -> Self {
        Self { code: USAGE, text: text.into() }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self { code: 1, text: error.to_string() }
    }
}

/// Writes to standard output. A closed pipe (`| head`) is not an error.
fn say(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn complain(text: &str) {
    // If standard error is closed, the message is lost.
    let _ = writeln!(io::stderr().lock(), "{}", text.trim_end());
}
