//! `ravelin demo`: everything in one process, on loopback.

mod certificates;
mod cloudflare;
mod live;
mod page;
mod pods;
mod progress;
mod routes;
mod samples;

use super::{Failure, What, manifests, say};
use crate::app::{App, Signals};
use crate::config::Config;
use crate::telemetry::log;
use live::Live;
use page::Page;
use progress::told;
use samples::{Ports, Samples};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use tracing_subscriber::filter::LevelFilter;

/// Serves the samples until a signal, and tells of edits of their manifests.
pub(super) fn demo(port: u16, https_port: u16) -> Result<u8, Failure> {
    let _log = log::init(LevelFilter::ERROR)?;
    // Before there is a folder that a signal would leave behind.
    let signals = Signals::new()?;
    let pods = pods::start()?;
    let samples = told("making a certificate", Samples::new)?;
    let ports =
        Ports { http: free_or_any(port), https: free_or_any(https_port), balanced: 0, admin: 0 };
    let failed = |error: crate::app::StartError| Failure { code: 1, text: error.to_string() };
    let prepared = App::prepare(parsed(&samples.configured(ports))?).map_err(failed)?;
    // What is redirected to https needs its port, which is known now.
    let [http, https, balanced] = three(prepared.listeners()?)?;
    samples.write_manifests(&pods, https)?;
    let ports = Ports {
        http: http.port(),
        https: https.port(),
        balanced: balanced.port(),
        admin: prepared.admin().port(),
    };
    std::fs::write(samples.configuration(), samples.configured(ports))?;
    let started = told("reading manifests and starting", || prepared.start(|| signals.again()));
    let Some(app) = started.map_err(failed)? else { return Ok(0) };
    let edge = cloudflare::serve(balanced)?;
    let read = judged(&samples)?;
    let page = Page { app: &app, samples: &samples, pods: &pods, ports, edge, read: &read };
    say(&page.text())?;
    let live = Live::start(&app, samples, pods, &read)?;
    app.run_until_signal(&signals);
    say(&live.end())?;
    Ok(0)
}

fn parsed(text: &str) -> Result<Config, Failure> {
    Config::parse(text, "demo").map_err(|errors| super::run::config_failure(&errors))
}

/// Reads the folder as `ravelin check --config` does.
fn judged(samples: &Samples) -> Result<manifests::Read, Failure> {
    let what = What {
        config: Some(samples.configuration()),
        kubeconfig: None,
        ingress_class: String::new(),
        output: super::Output::Text,
    };
    manifests::read(&what, Vec::<PathBuf>::new())
}

fn three(listeners: Vec<SocketAddr>) -> Result<[SocketAddr; 3], Failure> {
    let wrong = |_| Failure { code: 1, text: "the demo has three listeners".to_owned() };
    listeners.try_into().map_err(wrong)
}

/// `port` if it is free, else 0: the kernel chooses one when it is bound for good. To choose it here
/// would be to let go of it again, and listeners share a port (`SO_REUSEPORT`) with another demo
/// that had the same idea.
fn free_or_any(port: u16) -> u16 {
    let free = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_ok();
    if free { port } else { 0 }
}
