//! What lies around the objects of a directory: what is not read, told once for all files, and what a
//! verdict without a cluster needs to know.

use crate::control::manifest::{Note, word};
use crate::model::{Diagnostic, Kind, ObjectRef, Severity, Why};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// Names that a message lists of many.
const MAX_LISTED: usize = 3;

/// Facts for judging without a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// How many files there are.
    pub files: usize,
    /// The objects that create Secrets, by namespace and name.
    pub makers: BTreeMap<(String, String), String>,
    /// The objects that create others that are not in the input, by their target namespace.
    pub bringers: BTreeMap<String, String>,
    /// The kinds of Traefik whose definitions belong to a release, by the release.
    pub releases: BTreeMap<String, BTreeSet<String>>,
    /// IngressRouteUDPs, and Services that they name, by namespace and name; each with its `spec` as JSON.
    pub udp_routes: BTreeMap<(String, String), String>,
    /// See `udp_routes`.
    pub udp_services: BTreeMap<(String, String), String>,
    /// The placeholders for variables of Flux, and the original text.
    pub variables: BTreeMap<String, String>,
}

impl Surroundings {
    /// A text with the variables in the place of what stands in for them.
    pub fn as_written(&self, text: &str) -> String {
        self.variables.iter().fold(text.to_owned(), |text, (word, name)| text.replace(word, name))
    }

    /// Whether something in it stands in for a variable.
    pub fn has_variable(&self, text: &str) -> bool {
        self.variables.keys().any(|word| text.contains(word))
    }
}

/// The notes about all files.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) surroundings: Surroundings,
    pub(super) findings: Vec<Diagnostic>,
    /// Files that are no objects of their own.
    pub(super) patches: BTreeSet<PathBuf>,
    /// Whether kustomize is to make something else of the files.
    pub(super) kustomized: bool,
}

/// The same for a cluster: notes about objects of its API server.
pub fn around_cluster(notes: &[Note]) -> (Surroundings, Vec<Diagnostic>) {
    let Gathered { surroundings, mut findings, .. } =
        gather(std::iter::once((Path::new(""), notes)));
    for finding in &mut findings {
        finding.object = ObjectRef::new(Kind::Cluster, "", "");
    }
    (surroundings, findings)
}

/// Several of a sort, and where they are.
#[derive(Default)]
struct Several<'n> {
    files: BTreeSet<&'n Path>,
    names: BTreeSet<&'n str>,
}

impl<'n> Several<'n> {
    fn add(&mut self, file: &'n Path, name: &'n str) {
        self.files.insert(file);
        self.names.insert(name);
    }

    fn names(&self) -> String {
        let listed: Vec<&str> = self.names.iter().take(MAX_LISTED).copied().collect();
        let more = self.names.len().saturating_sub(MAX_LISTED);
        match more {
            0 => listed.join(", "),
            more => format!("{} and {more} more", listed.join(", ")),
        }
    }

    fn place(&self) -> String {
        let first = self.files.first().map(|file| file.display().to_string()).unwrap_or_default();
        match self.files.len() {
            0 | 1 => first,
            2 => format!("{first} and another"),
            more => format!("{first} and {} others", more - 1),
        }
    }
}

/// A `kustomization.yaml`: itself, what it takes, its patches, and whether it changes anything.
type Kustomization<'n> = (&'n Path, &'n [String], &'n [String], bool);

/// The notes, by sort.
#[derive(Default)]
struct Sorted<'n> {
    unserved: BTreeMap<(&'n str, &'n str), Several<'n>>,
    bringers: BTreeMap<&'n str, Several<'n>>,
    templates: BTreeMap<PathBuf, Several<'n>>,
    encrypted: Several<'n>,
    variables: Several<'n>,
    kustomizations: Vec<Kustomization<'n>>,
    surroundings: Surroundings,
}

/// Gathers the notes about all files.
pub(super) fn gather<'n>(files: impl Iterator<Item = (&'n Path, &'n [Note])>) -> Gathered {
    let mut sorted = Sorted::default();
    for (file, notes) in files {
        sorted.surroundings.files += 1;
        notes.iter().for_each(|note| sorted.add(file, note));
    }
    sorted.gathered()
}

impl<'n> Sorted<'n> {
    fn add(&mut self, file: &'n Path, note: &'n Note) {
        match note {
            Note::Unserved { group, kind, name } => {
                self.unserved.entry((kind, group)).or_default().add(file, name);
            }
            Note::Bringer { kind, namespace, name } => {
                self.bringers.entry(kind).or_default().add(file, name);
                let by = format!("{kind} {name}");
                self.surroundings.bringers.entry(namespace.clone()).or_insert(by);
            }
            Note::Maker { namespace, secret, by } => {
                let secret = (namespace.clone(), secret.clone());
                self.surroundings.makers.entry(secret).or_insert_with(|| by.clone());
            }
            Note::Released { kind, release } => {
                let kinds = self.surroundings.releases.entry(release.clone()).or_default();
                kinds.insert(kind.clone());
            }
            Note::Udp { namespace, name, spec } => {
                let name = (namespace.clone(), name.clone());
                self.surroundings.udp_routes.insert(name, spec.clone());
            }
            Note::Service { namespace, name, spec } => {
                let name = (namespace.clone(), name.clone());
                self.surroundings.udp_services.insert(name, spec.clone());
            }
            Note::Encrypted(name) => self.encrypted.add(file, name),
            Note::Template => {
                self.templates.entry(of_templates(file)).or_default().add(file, "");
            }
            Note::Variable(name) => {
                self.variables.add(file, name);
                let written = format!("${{{name}}}");
                self.surroundings.variables.insert(word(name), written);
            }
            Note::Kustomization { resources, patches, changes } => {
                self.kustomizations.push((file, resources, patches, *changes));
            }
        }
    }

    fn gathered(self) -> Gathered {
        let Self { unserved, bringers, templates, encrypted, variables, .. } = self;
        let mut findings: Vec<Diagnostic> = Vec::new();
        findings.extend(unserved.iter().map(|((kind, group), all)| not_served(kind, group, all)));
        findings.extend(bringers.iter().map(|(kind, all)| not_rendered(kind, all)));
        findings.extend(templates.iter().map(|(directory, all)| of_template(directory, all)));
        if !encrypted.names.is_empty() {
            let reason = format!("is encrypted by SOPS and not checked: {}", encrypted.names());
            findings.push(finding(Severity::Info, Why::Encrypted, &encrypted.place(), reason, ""));
        }
        if !variables.names.is_empty() {
            let reason = format!(
                "has variables that Flux substitutes (postBuild.substitute), which are not checked: {}",
                variables.names()
            );
            findings.push(finding(
                Severity::Info,
                Why::NotRendered,
                &variables.place(),
                reason,
                "",
            ));
        }
        let surroundings = self.surroundings;
        let mut gathered = Gathered { surroundings, findings, ..Gathered::default() };
        kustomize(&self.kustomizations, &mut gathered);
        gathered
    }
}

fn finding(severity: Severity, why: Why, place: &str, reason: String, fix: &str) -> Diagnostic {
    let object = ObjectRef::new(Kind::File, "", place);
    Diagnostic { severity, object, field: String::new(), why, reason, fix: fix.to_owned() }
}

fn not_served(kind: &str, group: &str, several: &Several<'_>) -> Diagnostic {
    let number = several.names.len();
    let (kinds, are) = match number {
        1 => (kind.to_owned(), "is"),
        _ => (plural(kind), "are"),
    };
    let routes = ["Route", "Ingress", "Gateway", "Proxy", "Virtual", "Mapping"];
    let asked = if routes.iter().any(|word| kind.contains(word)) { "served" } else { "supported" };
    let reason = format!("{number} {kinds} ({group}) {are} not {asked} yet: {}", several.names());
    let fix = match (group, kind) {
        ("traefik.containo.us", _) => "Traefik 3 ignores this group: change it to traefik.io",
        (_, "IngressRouteUDP") => concat!(
            "apply a Service in its place: {apiVersion: v1, kind: Service, metadata: {name: NAME, namespace: NAMESPACE}, ",
            "spec: {type: LoadBalancer, selector: LABELS OF THE PODS, ports: [{port: PORT, protocol: UDP}]}}"
        ),
        _ => {
            "write Ingresses for the routes that ravelin should serve, and leave the rest to its own controller"
        }
    };
    finding(Severity::Warning, Why::UnservedKind, &several.place(), reason, fix)
}

fn not_rendered(kind: &str, several: &Several<'_>) -> Diagnostic {
    let number = several.names.len();
    let (kinds, bring) =
        if number == 1 { (kind.to_owned(), "brings") } else { (plural(kind), "bring") };
    let names = several.names();
    let reason = format!(
        "{number} {kinds} {bring} objects that are not in the input and not checked: {names}"
    );
    let fix = "render them: helm template CHART --values FILE | ravelin check -";
    finding(Severity::Info, Why::NotRendered, &several.place(), reason, fix)
}

/// The directory that a template is told under: that of the chart's templates.
fn of_templates(file: &Path) -> PathBuf {
    let directory = file.parent().unwrap_or(Path::new(""));
    let of_chart = directory.ancestors().filter(|above| above.ends_with("templates")).last();
    of_chart.unwrap_or(directory).to_owned()
}

fn of_template(directory: &Path, several: &Several<'_>) -> Diagnostic {
    let number = several.files.len();
    let are = if number == 1 { "file is a template" } else { "files are templates" };
    let reason = format!("{number} {are} and not checked");
    let chart = directory.parent().filter(|_| directory.ends_with("templates"));
    let fix = match chart {
        Some(chart) => {
            let chart = if chart.as_os_str().is_empty() { Path::new(".") } else { chart };
            format!("render first: helm template {} | ravelin check -", chart.display())
        }
        None => "render first: helm template CHART | ravelin check -".to_owned(),
    };
    let place = match directory.as_os_str().is_empty() {
        true => ".".to_owned(),
        false => directory.display().to_string(),
    };
    finding(Severity::Warning, Why::NotRendered, &place, reason, &fix)
}

fn kustomize(all: &[Kustomization<'_>], gathered: &mut Gathered) {
    let directory = |file: &Path| file.parent().unwrap_or(Path::new("")).to_owned();
    let mut taken = BTreeSet::new();
    for (file, resources, patches, changes) in all {
        let home = directory(file);
        taken.extend(resources.iter().map(|name| lexical(&home, name)));
        gathered.patches.extend(patches.iter().map(|name| lexical(&home, name)));
        gathered.kustomized |= changes;
    }
    if !gathered.kustomized {
        return;
    }
    let mut roots = Several::default();
    for (file, _, _, _) in all {
        if !taken.contains(&directory(file)) {
            roots.files.insert(file);
        }
    }
    let Some(first) = roots.files.first().map(|file| directory(file)) else {
        return;
    };
    let first = if first.as_os_str().is_empty() { PathBuf::from(".") } else { first };
    let reason =
        "generates other objects from the files: the files are checked as they are".to_owned();
    let fix = format!("build first: kubectl kustomize {} | ravelin check -", first.display());
    let place = roots.place();
    gathered.findings.push(finding(Severity::Warning, Why::NotRendered, &place, reason, &fix));
}

/// A name in a directory, with its dots resolved as in a text.
fn lexical(directory: &Path, name: &str) -> PathBuf {
    let mut path = directory.to_owned();
    for part in Path::new(name).components() {
        match part {
            Component::ParentDir if path.file_name().is_some() => {
                path.pop();
            }
            Component::CurDir => {}
            part => path.push(part),
        }
    }
    path
}

fn plural(kind: &str) -> String {
    match kind.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ if kind.ends_with('s') => format!("{kind}es"),
        _ => format!("{kind}s"),
    }
}
