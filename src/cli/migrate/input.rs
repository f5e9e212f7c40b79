//! Reading what a migration is judged by: the objects that ravelin serves, and everything around them.

use super::Reading;
use super::documents::Documents;
use crate::cli::Failure;
use crate::cli::checkout;
use crate::cli::manifests::{STANDARD_INPUT, standard_input};
use crate::config::Kubernetes;
use crate::control::files::{Directory, texts};
use crate::control::objects::Objects;
use crate::control::watch::ClusterWatch;
use crate::model::{Diagnostic, Kind, ObjectRef};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Exit code for what cannot be read: the others are verdicts.
const UNAVAILABLE: u8 = 69;

/// `spec.controller` of Traefik's IngressClass.
const CONTROLLER: &str = "traefik.io/ingress-controller";

/// What was read.
pub(super) struct Gathered {
    /// Without IngressClasses of Traefik: ravelin takes their Ingresses.
    pub(super) objects: Objects,
    pub(super) findings: Vec<Diagnostic>,
    pub(super) input: checkout::Input,
    pub(super) documents: Documents,
}

pub(super) fn gather(reading: &Reading, paths: &[PathBuf]) -> Result<Gathered, Failure> {
    let is_cluster = reading.in_cluster || reading.kubeconfig.is_some();
    if is_cluster && !paths.is_empty() {
        return Err(Failure::usage("name manifests or a cluster (--kubeconfig), not both"));
    }
    let mut gathered = if is_cluster {
        let kubeconfig = reading.kubeconfig.clone();
        of_cluster(&Kubernetes { kubeconfig, ..Kubernetes::default() })?
    } else {
        of_files(paths)?
    };
    let of_traefik: Vec<ObjectRef> = gathered
        .objects
        .classes()
        .iter()
        .filter(|(_, _, class)| {
            let controller = class.spec.as_ref().and_then(|spec| spec.controller.as_deref());
            controller == Some(CONTROLLER)
        })
        .map(|(_, name, _)| ObjectRef::new(Kind::IngressClass, "", name))
        .collect();
    for class in of_traefik {
        gathered.objects.remove(&class);
    }
    Ok(gathered)
}

fn of_files(paths: &[PathBuf]) -> Result<Gathered, Failure> {
    if paths.is_empty() {
        return Err(Failure::usage(
            "no manifests: name files or directories, or --kubeconfig FILE",
        ));
    }
    let (standard, paths): (Vec<_>, Vec<_>) =
        paths.iter().cloned().partition(|path| path == Path::new(STANDARD_INPUT[0]));
    for path in &paths {
        if let Err(error) = std::fs::metadata(path) {
            return Err(Failure::usage(format!("{}: {error}", path.display())));
        }
    }
    let mut documents = Documents::default();
    for (path, text) in texts(&paths) {
        documents.add_text(&path.to_string_lossy(), &text);
    }
    let mut directory = Directory::to_judge(paths);
    directory.scan();
    if !standard.is_empty() {
        let text = standard_input()?;
        directory.add_text(STANDARD_INPUT[1], &text);
        documents.add_text(STANDARD_INPUT[1], &text);
    }
    let objects = directory.objects();
    let surroundings = Box::new(directory.surroundings().clone());
    let input = checkout::Input::Files { objects: Box::new(objects.clone()), surroundings };
    Ok(Gathered { objects, findings: directory.findings(), input, documents })
}

fn of_cluster(settings: &Kubernetes) -> Result<Gathered, Failure> {
    let failed = |text| Failure { code: UNAVAILABLE, text };
    let watch = ClusterWatch::new(settings, &[], &Arc::default());
    let watch = watch.map_err(|error| failed(error.to_string()))?;
    let raw = watch.list_documents();
    let mut documents = Documents::default();
    raw.objects.into_iter().for_each(|object| documents.add_object(object));
    let objects = watch.list_once().map_err(failed)?.objects();
    Ok(Gathered { objects, findings: raw.findings, input: checkout::Input::Cluster, documents })
}
