//! What no route names: certificates of the configuration and of Traefik's default TLSStore, and its default
//! TLSOption.

use super::{Name, Routes, Touched};
use crate::control::objects::{Objects, TraefikObject};
use crate::control::translate::clients::ClientsRead;
use crate::control::translate::findings::{Findings, Reported};
use crate::control::translate::middleware::Fields;
use crate::control::translate::report::{Problem, Report, leave_out_details};
use crate::control::translate::tls_option::{self, DEFAULT, TlsOptionRead};
use crate::model::{CertificateRole, Diagnostic, Kind, ObjectRef, Severity, TlsSecret, Why};
use serde_json::Value;
use std::sync::Arc;

/// Whom the Secrets have as a user that is no route.
const POOL: usize = usize::MAX;

/// The certificates, in the order in which they come before those of routes.
#[derive(Debug, Default)]
pub(super) struct Pool {
    all: Vec<Pooled>,
    /// The default TLSOption.
    option: Option<(Arc<str>, TlsOptionRead)>,
    is_read: bool,
    /// About the objects themselves.
    problems: Vec<Diagnostic>,
    found: Reported,
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
struct Pooled {
    secret: Name,
    role: CertificateRole,
    /// Who names it, and in which field.
    by: (ObjectRef, &'static str),
}

impl Pool {
    /// What a Secret is for beside its routes.
    pub(super) fn role(&self, secret: &Name) -> CertificateRole {
        let named = self.all.iter().find(|pooled| pooled.secret == *secret);
        named.map(|pooled| pooled.role).unwrap_or_default()
    }

    /// What is asked of clients of hosts that nothing else is asked of, and in which namespace.
    pub(super) fn clients(&self) -> Option<(&Arc<str>, &ClientsRead)> {
        self.option.as_ref().map(|(namespace, option)| (namespace, &option.clients))
    }

    /// The Secrets, each once, those of the configuration first.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &Name> {
        self.all.iter().map(|pooled| &pooled.secret)
    }
}

impl Routes {
    /// Reads which Secrets are named, where that may have changed. Returns whether it has read.
    pub(super) fn read_pool(&mut self, objects: &Objects, touched: &mut Touched) -> bool {
        self.touch_default_options(touched);
        let is_of_pool = |object: &ObjectRef| match object.kind {
            Kind::TlsStore => true,
            Kind::TlsOption => *object.name == *DEFAULT,
            _ => false,
        };
        if self.pool.is_read && !touched.referenced.iter().any(is_of_pool) {
            return false;
        }
        let mut problems = Vec::new();
        self.read_default_option(objects, touched, &mut problems);
        let is_strict = self.pool.option.as_ref().is_some_and(|(_, option)| option.is_strict);
        let of_configuration = self.options.certificates.iter().map(|own| {
            let secret: Name = (own.namespace.as_str().into(), own.name.as_str().into());
            let object = ObjectRef::new(Kind::Secret, &own.namespace, &own.name);
            let role = CertificateRole::Operator { is_default: own.default && !is_strict };
            Pooled { secret, role, by: (object, "") }
        });
        let mut all: Vec<Pooled> = of_configuration.collect();
        for mut pooled in of_stores(objects, &mut problems) {
            if is_strict {
                pooled.role = CertificateRole::Store { is_default: false };
            }
            if !all.iter().any(|other| other.secret == pooled.secret) {
                all.push(pooled);
            }
        }
        leave_out_details(&mut problems, self.options.details);
        for Pooled { secret, .. } in &all {
            if self.secrets.acquire(secret, POOL) {
                touched.secrets.insert(secret.clone());
            }
        }
        let before = std::mem::replace(&mut self.pool.all, all);
        for Pooled { secret, .. } in &before {
            if self.pool.all.iter().all(|now| now.secret != *secret) {
                self.secrets.release(secret, POOL);
            }
        }
        touched.certificates |= before != self.pool.all;
        (self.pool.is_read, self.pool.problems) = (true, problems);
        true
    }

    /// Reads what the default TLSOption asks of clients.
    fn read_default_option(
        &mut self,
        objects: &Objects,
        touched: &mut Touched,
        problems: &mut Vec<Diagnostic>,
    ) {
        let object = tls_option::default(objects);
        let read = object.and_then(|object| {
            let read = tls_option::read(objects, &object, problems)?;
            Some((object.namespace, read))
        });
        let before = std::mem::replace(&mut self.pool.option, read);
        let secret = |option: &Option<(Arc<str>, TlsOptionRead)>| {
            let (namespace, read) = option.as_ref()?;
            read.clients.secret(namespace)
        };
        if let Some(secret) = secret(&self.pool.option)
            && self.authorities.acquire(&secret, POOL)
        {
            touched.secrets.insert(secret);
        }
        if let Some(gone) =
            secret(&before).filter(|gone| secret(&self.pool.option).as_ref() != Some(gone))
        {
            self.authorities.release(&gone, POOL);
        }
        touched.clients |= before != self.pool.option;
    }

    /// Says what is wrong with them, once the Secrets have been looked at.
    pub(super) fn report_pool(&mut self, findings: &mut Findings) {
        let mut now = self.pool.problems.clone();
        for Pooled { secret, by: (object, field), .. } in &self.pool.all {
            if let Some(problem) = self.secrets.problem(secret) {
                Report::new(object, &mut now).add(field, problem.clone());
            }
        }
        findings.replace(&mut self.pool.found, now);
    }

    /// A certificate of the pool, as long as no route names it.
    pub(super) fn pooled(&self, secret: &Name) -> TlsSecret {
        TlsSecret {
            namespace: Arc::clone(&secret.0),
            name: Arc::clone(&secret.1),
            certificate: self.secrets.content(secret).cloned(),
            hosts: Vec::new(),
            role: self.pool.role(secret),
        }
    }
}

/// Those of the store `default`. Of several in different namespaces none counts, as in Traefik.
fn of_stores(objects: &Objects, problems: &mut Vec<Diagnostic>) -> Vec<Pooled> {
    let stores = objects.traefik(Kind::TlsStore);
    let of_name = || stores.iter().filter(|(_, name, _)| ***name == *DEFAULT);
    for (namespace, name, _) in stores.iter().filter(|(_, name, _)| ***name != *DEFAULT) {
        let reason = "is not \"default\", and Traefik uses the default store alone";
        let problem =
            Problem::error(Why::Unsupported, "", reason, "name its Secret in `tls` of the routes");
        let object = ObjectRef::new(Kind::TlsStore, namespace, name);
        let problem = problem.with(Severity::Warning);
        Report::new(&object, problems).add("metadata.name", problem);
    }
    if of_name().count() > 1 {
        for (namespace, name, _) in of_name() {
            let reason = "is there in several namespaces, and none of them counts, as in Traefik";
            let problem = Problem::error(Why::Duplicate, "", reason, "keep one of them");
            let object = ObjectRef::new(Kind::TlsStore, namespace, name);
            Report::new(&object, problems).add("metadata.name", problem);
        }
        return Vec::new();
    }
    let read = |(namespace, name, store): (&Arc<str>, &Arc<str>, &Arc<TraefikObject>)| {
        let object = ObjectRef::new(Kind::TlsStore, namespace, name);
        read_store(&object, store, problems)
    };
    of_name().flat_map(read).collect()
}

fn read_store(
    object: &ObjectRef,
    store: &TraefikObject,
    problems: &mut Vec<Diagnostic>,
) -> Vec<Pooled> {
    let mut report = Report::new(object, problems);
    let mut fields = Fields::of_routes("spec", &store.spec, &mut report);
    fields.know(&["defaultCertificate", "certificates", "defaultGeneratedCert"]);
    if fields.get("defaultGeneratedCert").is_some() {
        let reason = "is not obeyed: no certificate is requested";
        let fix = "name a Secret in defaultCertificate, such as cert-manager makes";
        fields.warn("defaultGeneratedCert", reason, fix);
    }
    let named = |secret: &str, is_default, field| Pooled {
        secret: (Arc::clone(&object.namespace), secret.into()),
        role: CertificateRole::Store { is_default },
        by: (object.clone(), field),
    };
    let default = fields.below("defaultCertificate", |own| {
        own.required("secretName", "name a Secret of this namespace")
    });
    let default = default.flatten();
    let default = default.map(|name| named(name, true, "spec.defaultCertificate.secretName"));
    let more = fields.get("certificates").and_then(Value::as_array).into_iter().flatten();
    let more = more.filter_map(|one| one.get("secretName")?.as_str());
    let more = more.map(|name| named(name, false, "spec.certificates"));
    default.into_iter().chain(more).collect()
}
