//! Reading manifests for the verbs that look at them offline: the same code as `run`.

use super::checkout::Input;
use super::{Failure, What};
use crate::app;
use crate::config::defaults::INGRESS_CLASS;
use crate::config::{Config, Kubernetes, SourceKind};
use crate::control::files::{Directory, MAX_FILE_BYTES, around_cluster, judge_beside};
use crate::control::reconcile::{Build, build};
use crate::control::translate::{ConfigMapKey, Guidance, Options};
use crate::control::watch::ClusterWatch;
use crate::control::write_back::NodeAddresses;
use crate::control::zone::ready_nodes;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Objects read, and their input.
pub(super) struct Read {
    /// The configuration, where one was named.
    pub(super) config: Option<Config>,
    /// The result of translating the manifests.
    pub(super) build: Build,
    /// The input.
    pub(super) input: Input,
    /// The Nodes that are ready.
    pub(super) nodes: Vec<NodeAddresses>,
}

/// The name of standard input among paths, and in messages.
pub(super) const STANDARD_INPUT: [&str; 2] = ["-", "standard input"];

/// Reads the configuration, if one is named, and the objects: the manifests given, or the cluster of
/// a kubeconfig, else what the configuration names. A cluster is listed once.
pub(super) fn read(what: &What, paths: Vec<PathBuf>) -> Result<Read, Failure> {
    let config = what.config.as_deref().map(Config::load).transpose();
    let config = config.map_err(|errors| super::run::config_failure(&errors))?;
    let options = config.as_ref().map_or_else(|| offline(&what.ingress_class), app::options);
    let options = Options { details: true, ..options };
    if what.kubeconfig.is_some() && !paths.is_empty() {
        return Err(Failure::usage("name manifests or a cluster (--kubeconfig), not both"));
    }
    let kind = config.as_ref().map(|config| &config.source.kind);
    let paths = match (kind, &what.kubeconfig) {
        (_, Some(file)) => {
            let settings = match kind {
                Some(SourceKind::Kubernetes(settings)) => settings.clone(),
                _ => Kubernetes::default(),
            };
            let settings = Kubernetes { kubeconfig: Some(file.clone()), ..settings };
            let (build, input, nodes) = build_cluster(&settings, &of_cluster(options))?;
            return Ok(Read { config, build, input, nodes });
        }
        (Some(SourceKind::Directory { path }), None) if paths.is_empty() => vec![path.clone()],
        (Some(SourceKind::Kubernetes(settings)), None) if paths.is_empty() => {
            let (build, input, nodes) = build_cluster(settings, &options)?;
            return Ok(Read { config, build, input, nodes });
        }
        _ => paths,
    };
    if paths.is_empty() {
        return Err(Failure::usage(
            "no manifests: name files or directories, --config FILE or --kubeconfig FILE",
        ));
    }
    let (standard, paths): (Vec<_>, Vec<_>) =
        paths.into_iter().partition(|path| path == Path::new(STANDARD_INPUT[0]));
    for path in &paths {
        if let Err(error) = std::fs::metadata(path) {
            return Err(Failure::usage(format!("{}: {error}", path.display())));
        }
    }
    let mut directory = Directory::to_judge(paths);
    directory.scan();
    if !standard.is_empty() {
        directory.add_text(STANDARD_INPUT[1], &standard_input()?);
    }
    let objects = directory.objects();
    let mut findings = directory.findings();
    judge_beside(directory.surroundings(), &objects, &mut findings);
    let build = build(&objects, findings, &options);
    let surroundings = Box::new(directory.surroundings().clone());
    let nodes = ready_nodes(&objects);
    let input = Input::Files { objects: Box::new(objects), surroundings };
    Ok(Read { config, build, input, nodes })
}

pub(super) fn standard_input() -> Result<String, Failure> {
    let wrong = |what: &str| Failure::usage(format!("{}: {what}", STANDARD_INPUT[1]));
    let mut bytes = Vec::new();
    let mut input = std::io::stdin().lock().take(MAX_FILE_BYTES + 1);
    input.read_to_end(&mut bytes).map_err(|error| wrong(&error.to_string()))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(wrong("is larger than 16 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8"))
}

/// Lists the cluster once, and translates what is in it.
fn build_cluster(
    settings: &Kubernetes,
    options: &Options,
) -> Result<(Build, Input, Vec<NodeAddresses>), Failure> {
    let failed = |text| Failure { code: 1, text };
    let metrics = Arc::default();
    let watch = ClusterWatch::new(settings, &ConfigMapKey::watched(&options.texts), &metrics);
    let watch = watch.map_err(|error| failed(error.to_string()))?;
    watch.keep(&options.certificates);
    let others = watch.list_others(&settings.namespaces);
    let objects = watch.list_once().map_err(failed)?.objects();
    let (surroundings, mut findings) = around_cluster(&others.notes);
    findings.extend(others.findings);
    judge_beside(&surroundings, &objects, &mut findings);
    let nodes = ready_nodes(&objects);
    Ok((build(&objects, findings, options), Input::Cluster, nodes))
}

/// As `run` reads a cluster, whatever the source of the configuration is.
fn of_cluster(options: Options) -> Options {
    let guidance = options.guidance.clone().or_else(|| Some(Guidance::default()));
    Options { strict_class: true, loopback_endpoints: false, guidance, ..options }
}

fn offline(ingress_class: &str) -> Options {
    Options {
        ingress_class: ingress_class.to_owned(),
        taken_classes: (ingress_class != INGRESS_CLASS)
            .then(|| ingress_class.to_owned())
            .into_iter()
            .collect(),
        without_class: false,
        strict_class: false,
        loopback_endpoints: true,
        ..Options::default()
    }
}
