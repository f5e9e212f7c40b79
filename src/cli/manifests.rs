//! Reading manifests for the verbs that look at them offline: the same code as `run`.

use super::{Failure, What};
use crate::app;
use crate::config::{Config, Kubernetes, SourceKind};
use crate::control::files::Directory;
use crate::control::reconcile::{Build, build};
use crate::control::translate::Options;
use crate::control::watch::Watch;
use std::path::PathBuf;
use std::sync::Arc;

/// What was read.
pub(super) struct Read {
    /// The configuration, where one was named.
    pub(super) config: Option<Config>,
    /// What the manifests come to.
    pub(super) build: Build,
}

/// Reads the configuration, if one is named, and the objects: the manifests given, or the cluster of
/// a kubeconfig, else what the configuration names. A cluster is listed once.
pub(super) fn read(what: &What, paths: Vec<PathBuf>) -> Result<Read, Failure> {
    let config = what.config.as_deref().map(Config::load).transpose();
    let config = config.map_err(|errors| super::run::config_failure(&errors))?;
    let options = config.as_ref().map_or_else(|| offline(&what.ingress_class), app::options);
    if what.kubeconfig.is_some() && !paths.is_empty() {
        return Err(Failure::usage("name manifests, or a cluster by --kubeconfig, not both"));
    }
    let kind = config.as_ref().map(|config| &config.source.kind);
    let paths = match (kind, &what.kubeconfig) {
        (_, Some(file)) => {
            let settings = match kind {
                Some(SourceKind::Kubernetes(settings)) => settings.clone(),
                _ => Kubernetes::default(),
            };
            let settings = Kubernetes { kubeconfig: Some(file.clone()), ..settings };
            let build = build_cluster(&settings, &of_cluster(options))?;
            return Ok(Read { config, build });
        }
        (Some(SourceKind::Directory { path }), None) if paths.is_empty() => vec![path.clone()],
        (Some(SourceKind::Kubernetes(settings)), None) if paths.is_empty() => {
            let build = build_cluster(settings, &options)?;
            return Ok(Read { config, build });
        }
        _ => paths,
    };
    if paths.is_empty() {
        return Err(Failure::usage(
            "no manifests: name files or directories, --config FILE or --kubeconfig FILE",
        ));
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

/// Lists the cluster once, and translates what is in it.
fn build_cluster(settings: &Kubernetes, options: &Options) -> Result<Build, Failure> {
    let failed = |text| Failure { code: 1, text };
    let metrics = Arc::default();
    let watch = Watch::new(settings, options.cloudflare_list.as_ref(), &metrics);
    let watch = watch.map_err(|error| failed(error.to_string()))?;
    let cluster = watch.list_once().map_err(failed)?;
    Ok(build(&cluster.objects(), Vec::new(), options))
}

/// As `run` reads a cluster, whatever the source of the configuration is.
fn of_cluster(options: Options) -> Options {
    Options { strict_class: true, loopback_endpoints: false, ..options }
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
