//! The directory that `--write` fills: an overlay over `deploy/base`, and the commands of the way there and back.

use super::chart::in_comment;
use super::commands::commands;
use super::installation::{By, off, on};
use super::page::Page;
use super::report::{Overlay, Report};
use crate::cli::Failure;
use serde_json::{Map, Value, json};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

/// Seconds that `terminationGracePeriodSeconds` has beyond the drain: the last handshakes, and the kubelet.
const BEYOND_DRAIN: u64 = 15;

/// Taints that the DaemonSet of the base tolerates.
const OF_BASE: [&str; 3] = [
    "node-role.kubernetes.io/control-plane",
    "node-role.kubernetes.io/master",
    "CriticalAddonsOnly",
];

/// Writes the files. None of them may be there.
///
/// # Errors
/// If one is there, or cannot be written.
pub(super) fn write(report: &Report, directory: &Path) -> Result<Vec<&'static str>, Failure> {
    let files = files(report);
    for (name, _) in &files {
        let path = directory.join(name);
        if path.exists() {
            let path = path.display();
            return Err(Failure::usage(format!("{path} is there already; name another directory")));
        }
    }
    let failed = |path: &Path, error: std::io::Error| Failure {
        code: super::UNWRITABLE,
        text: format!("{}: {error}", path.display()),
    };
    for (name, text) in &files {
        let path = directory.join(name);
        let parent = path.parent().unwrap_or(directory);
        fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| failed(&path, error))?;
    }
    Ok(files.into_iter().map(|(name, _)| name).collect())
}

/// Names and contents.
fn files(report: &Report) -> Vec<(&'static str, String)> {
    let overlay = &report.overlay;
    let mut files = vec![
        ("ravelin.toml", report.configuration.text.clone()),
        ("kustomization.yaml", kustomization("../../base", "")),
        ("patch-daemonset.yaml", patch(overlay)),
        ("COMMANDS.md", commands(report)),
        ("REPORT.md", Page::of(report).markdown()),
    ];
    if let Some(balancer) = &overlay.installation.balancer {
        files.push(("balancer-service.yaml", balancer.service(&overlay.ports)));
    }
    if let Some(text) = overlay.beside.as_ref().filter(|_| overlay.has_stage_beside()) {
        let about = ", for the time in which Traefik has ports 80 and 443 of the nodes";
        files.push(("beside/kustomization.yaml", kustomization("../../../base", about)));
        files.push(("beside/patch-daemonset.yaml", patch(overlay)));
        files.push(("beside/ravelin.toml", text.clone()));
    }
    if let By::K3s { namespace, values } = &overlay.installation.by {
        let text = off(namespace, values.as_ref(), overlay.installation.is_daemonset);
        files.push(("traefik-off.yaml", text));
        files.extend(values.as_ref().map(|values| ("traefik-on.yaml", on(namespace, values))));
    }
    files
}

/// `kustomization.yaml`. The base lies so many directories up.
fn kustomization(base: &str, about: &str) -> String {
    format!(
        "# Written by `ravelin migrate`{about}. The base is that of the repository of ravelin: put this directory\n\
         # into deploy/overlays, or name the base by its own path.\n\
         apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: ravelin\nresources:\n  - {base}\n\
         patches:\n  - path: patch-daemonset.yaml\nconfigMapGenerator:\n  - name: ravelin\n    behavior: replace\n    \
         files:\n      - ravelin.toml\n"
    )
}

/// What differs from the DaemonSet of the base.
fn patch(overlay: &Overlay) -> String {
    let mut spec = Map::new();
    let mut from = String::new();
    for (key, value, place) in &overlay.scheduling {
        from.push_str(&format!("# {key}: {}\n", in_comment(place)));
        let mut value = value.clone();
        // The patch replaces the list of the base.
        if let (&"tolerations", Value::Array(all)) = (key, &mut value) {
            all.splice(0..0, OF_BASE.map(|key| json!({"key": key, "operator": "Exists"})));
            all.dedup();
        }
        spec.insert((*key).to_owned(), value);
    }
    let grace = overlay.drain_seconds.saturating_add(BEYOND_DRAIN);
    from.push_str("# terminationGracePeriodSeconds: timeouts.drain, and the end of the process.\n");
    spec.insert("terminationGracePeriodSeconds".to_owned(), json!(grace));
    let patch = json!({"apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": "ravelin", "namespace": "ravelin"},
        "spec": {"template": {"spec": Value::Object(spec)}}});
    let text = serde_json::to_string_pretty(&patch).unwrap_or_default();
    format!("# Written by `ravelin migrate`. JSON is YAML.\n{from}{text}\n")
}
