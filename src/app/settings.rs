//! What the configuration comes to: the files that it names, and how manifests are read under it.

use super::thread::Thread;
use super::{Parts, StartError, on_runtime, zone};
use crate::config::{self, Config, ListenerProtocol, Members, SourceKind};
use crate::control::translate::{ConfigMapKey, EntryPointTable, Guidance, Options};
use crate::http::client_ip::VisitorPolicy;
use crate::model::NamedStep;
use crate::model::middleware::{AccessRule, Step};
use crate::telemetry::access_log::{self, Custom, Output, Sink};
use crate::telemetry::traces::{self, Exporter, TraceSink};
use crate::telemetry::{EntryPointNames, LogCells, RouterWays, Telemetry, Writer};
use std::io;
use std::sync::Arc;

/// Opens the access log, and starts the thread that writes it, if there is to be one.
pub(super) fn open_access_log(
    config: &Config,
    cells: &Arc<LogCells>,
) -> Result<Option<(Sink, Writer)>, StartError> {
    let custom = Custom::of(&config.log, entry_points(config));
    let start = |output| access_log::start(output, Arc::clone(cells), custom);
    match &config.log.access {
        config::AccessLogConfig::Off => Ok(None),
        config::AccessLogConfig::Stdout => Ok(Some(start(Output::Stdout)?)),
        config::AccessLogConfig::File(path) => {
            let failed = |source| StartError::AccessLog { path: path.clone(), source };
            start(Output::File(path.clone())).map(Some).map_err(failed)
        }
    }
}

/// What traces requests, and what exports their spans, if that is configured.
pub(super) fn trace_export(
    config: &Config,
    telemetry: &Telemetry,
) -> Option<(TraceSink, Exporter)> {
    let mut tracing = config.tracing.clone()?;
    let node = node(config).map(|node| ("k8s.node.name".to_owned(), node));
    // What is configured has precedence.
    let is_known = |key: &str| tracing.resource.iter().any(|(known, _)| known == key);
    let node = node.filter(|(key, _)| !is_known(key));
    tracing.resource.extend(node);
    Some(traces::start(&tracing, entry_points(config), telemetry.traces()))
}

/// Exports spans on a thread of its own, if there is what exports them.
pub(super) fn export(parts: &Parts, exporter: Option<Exporter>) -> io::Result<Option<Thread>> {
    let signal = parts.signal.clone();
    let run = |exporter: Exporter| move || on_runtime("traces", exporter.run(signal));
    let spawn = |exporter| Thread::spawn(&parts.wakeup, "traces", run(exporter));
    exporter.map(spawn).transpose()
}

/// The name of each listener's entry point, by position: its own name, if it is of none.
pub(super) fn entry_points(config: &Config) -> EntryPointNames {
    let all = config.listeners.iter().enumerate();
    let name = |(listener, own): (usize, &config::Listener)| {
        let mut points = config.entry_points.iter();
        let point = points.find(|point| point.listeners.contains(&listener));
        Arc::clone(point.map_or(&own.name, |point| &point.name))
    };
    all.map(name).collect()
}

/// Where Traefik would have routers of their own.
pub(super) fn router_ways(config: &Config) -> RouterWays {
    let names = entry_points(config);
    let secure = config.listeners.iter().zip(&names).map(|(listener, name)| {
        (listener.protocol == ListenerProtocol::Https).then(|| Arc::clone(name))
    });
    let entry_points = (0..config.entry_points.len()).fold(0, |bits, point| bits | 1 << point);
    RouterWays { entry_points, secure: secure.collect() }
}

/// How manifests are read under this configuration.
pub fn options(config: &Config) -> Options {
    let of_cluster = matches!(config.source.kind, SourceKind::Kubernetes(_));
    let admits = config.listeners.iter().map(|listener| &listener.admit);
    let of_admin = [&config.admin.admit, &config.admin.admit_status];
    let mut sets = admits.chain(of_admin).flat_map(|admit| &admit.sets);
    Options {
        ingress_class: config.source.ingress_class.clone(),
        taken_classes: config.source.ingress_classes.clone(),
        taken_status: config.source.status_of_other_classes,
        without_class: config.source.ingress_without_class,
        strict_class: of_cluster,
        class_grace: config.source.class_grace,
        hosts: config.source.hosts,
        middlewares: config.source.middlewares,
        loopback_endpoints: !of_cluster,
        external_names: config.dns.external_names,
        admits_pods: sets.any(|set| set.members == Members::Pods),
        https: config.https.clone(),
        entry_points: EntryPointTable::of(config),
        first_steps: zone::steps(config).into_iter().chain(access_steps(config)).collect(),
        node: node(config).map(Arc::from),
        prefer: config.upstream.prefer,
        details: false,
        certificates: config.certificate_secrets.clone(),
        texts: ConfigMapKey::all(config),
        guidance: guidance(config),
    }
}

/// For a cluster: what is missing in a directory, its owner sees.
fn guidance(config: &Config) -> Option<Guidance> {
    match &config.source.kind {
        SourceKind::Directory { .. } => None,
        SourceKind::Kubernetes(settings) => Some(Guidance {
            ports: config.listeners.iter().map(|listener| listener.address.port()).collect(),
            namespaces: settings.namespaces.clone(),
        }),
    }
}

/// What tables `[[access]]` ask of requests.
fn access_steps(config: &Config) -> Vec<Arc<NamedStep>> {
    let tables = config.access.iter().enumerate();
    let asking = tables.filter(|(_, table)| !table.audiences.is_empty());
    let step = |(number, table): (usize, &config::Access)| {
        let config::Access { team, hosts, audiences, groups, .. } = table.clone();
        let step = Step::Access(Box::new(AccessRule { team, audiences, groups, hosts }));
        Arc::new(NamedStep { name: format!("configuration: access[{number}]").into(), step })
    };
    asking.map(step).collect()
}

/// Name of the Node that we run on: as configured, or else as the DaemonSet says (downward API).
fn node(config: &Config) -> Option<String> {
    config.source.node_name.clone().or_else(|| variable("NODE_NAME"))
}

/// A variable of the environment, unless it is empty.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Reads the conditions for requests through Cloudflare, with their secrets.
pub fn policy(config: &Config) -> Result<VisitorPolicy, StartError> {
    let path = config.cloudflare.secret.as_ref().map(|secret| secret.file.clone());
    let text = path.as_ref().map(std::fs::read_to_string).transpose();
    let failed = |problem| StartError::Secret { path: path.clone().unwrap_or_default(), problem };
    let text = text.map_err(|error| failed(error.to_string()))?.unwrap_or_default();
    let policy = VisitorPolicy::new(&config.cloudflare, &text);
    let policy = policy.map_err(|error| failed(error.to_string()))?;
    Ok(if config.crowdsec.is_some() { policy.denying() } else { policy })
}
