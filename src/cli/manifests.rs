//! Reading manifests for the verbs that look at them offline: the same code as `run`.

use super::{Failure, What};
use crate::app;
use crate::config::{Config, Kubernetes, SourceKind};
use crate::control::files::Directory;
use crate::control::reconcile::{Build, build};
use crate::control::translate::Options;
use crate::control::watch::{Cluster, Watch};
use std::path::PathBuf;
use std::sync::Arc;

/// What was read.
pub(super) struct Read {
    /// The configuration, where one was named.
    pub(super) config: Option<Config>,
    /// What the manifests come to.
    pub(super) build: Build,
}

/// Reads the configuration, if one is named, and the manifests: those given, else its
/// directory or its cluster, which is listed once.
pub(super) fn read(what: &What, paths: Vec<PathBuf>) -> Result<Read, Failure> {
    let config = what.config.as_deref().map(Config::load).transpose();
    let config = config.map_err(|errors| super::run::config_failure(&errors))?;
    let options = config.as_ref().map_or_else(|| offline(&what.ingress_class), app::options);
    let paths = match config.as_ref().map(|config| &config.source.kind) {
        Some(SourceKind::Directory { path }) if paths.is_empty() => vec![path.clone()],
        Some(SourceKind::Kubernetes(settings)) if paths.is_empty() => {
            let cluster = list(settings, &options)?;
            return Ok(Read { config, build: build(&cluster.objects(), Vec::new(), &options) });
        }
        _ => paths,
    };
    if paths.is_empty() {
        return Err(Failure::usage("no manifests: name files or directories, or --config FILE"));
    }
    for path in &paths {
        if let Err(error) = std::fs::metadata(path) {
            return Err(Failure::usage(format!("{}: {error}", path.display())));
        }
    }
    let mut directory = Directory::new(paths);
    directory.scan();
    let build = build(&directory.objects(), directory.findings(), &options);
    Ok(Read { config, build })
}

/// Lists the cluster once.
fn list(settings: &Kubernetes, options: &Options) -> Result<Arc<Cluster>, Failure> {
    let failed = |text| Failure { code: 1, text };
    let metrics = Arc::default();
    let watch = Watch::new(settings, options.cloudflare_list.as_ref(), &metrics);
    watch.map_err(|error| failed(error.to_string()))?.list_once().map_err(failed)
}

fn offline(ingress_class: &str) -> Options {
    Options {
        ingress_class: ingress_class.to_owned(),
        without_class: false,
        strict_class: false,
        loopback_endpoints: true,
        ..Options::default()
    }
}
