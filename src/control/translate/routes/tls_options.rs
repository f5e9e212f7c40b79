//! The TLSOptions that routes name, by reference or by Traefik's id.

use super::clients::Clients;
use super::serve_routes::Found;
use crate::config::MiddlewarePolicy;
use crate::control::objects::Objects;
use crate::control::quote::quote;
use crate::control::translate::annotations::{Annotations, TLS_OPTIONS, field};
use crate::control::translate::clients::ClientsRead;
use crate::control::translate::ingress_route::{self, IngressRouteRead};
use crate::control::translate::middleware::{Dependency, object_id};
use crate::control::translate::report::{Problem, Report};
use crate::control::translate::tls_option::{self, TlsOptionRead};
use crate::model::{Broken, Diagnostic, Kind, ObjectRef, Why};
use crate::pki::client_certificate::Mode;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Who names a TLSOption, and where it is said what is wrong with that.
pub(super) struct TlsOptions<'t> {
    pub(super) objects: &'t Objects,
    pub(super) object: &'t ObjectRef,
    pub(super) dependencies: &'t mut BTreeSet<Dependency>,
    pub(super) problems: &'t mut Vec<Diagnostic>,
    /// What comes of its routes where there is no such TLSOption.
    pub(super) then: &'static str,
}

/// What comes of routes of HTTP.
pub(super) const ANSWER_503: &str = "its routes answer 503";

impl TlsOptions<'_> {
    /// What the one of this name asks of clients.
    ///
    /// # Errors
    /// It does not exist: no route is served, as Traefik has none.
    pub(super) fn named(
        &mut self,
        option: &ObjectRef,
        place: &str,
    ) -> Result<TlsOptionRead, Broken> {
        self.dependencies.insert(Dependency::Object(option.clone()));
        match tls_option::read(self.objects, option, self.problems) {
            Some(read) => Ok(read),
            None => {
                let ObjectRef { namespace, name, .. } = option;
                let what =
                    format!("there is no TLSOption {} in namespace {namespace}", quote(name));
                Err(self.missing(&what, place))
            }
        }
    }

    /// What the one asks that the annotation of an Ingress names, if it names one.
    ///
    /// # Errors
    /// The same.
    pub(super) fn of_annotation(
        &mut self,
        annotations: Annotations<'_>,
    ) -> Result<Option<ClientsRead>, Broken> {
        let Some(value) = annotations.get(TLS_OPTIONS).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        if annotations.ignores(
            TLS_OPTIONS,
            Some("names TLS options"),
            &mut Report::new(self.object, self.problems),
        ) {
            return Ok(None);
        }
        let place = field(TLS_OPTIONS);
        let id = value.strip_suffix("@kubernetescrd").unwrap_or_default();
        // Any object that comes to have the id is the one.
        let by_id = ObjectRef::new(Kind::TlsOption, "", id);
        self.dependencies.insert(Dependency::Object(by_id));
        let all = self.objects.traefik(Kind::TlsOption);
        let mut named = all.iter().filter(|(namespace, name, _)| object_id(namespace, name) == id);
        match (named.next(), named.next()) {
            (Some((namespace, name, _)), None) => {
                let (namespace, name) = (Arc::clone(namespace), Arc::clone(name));
                let option = ObjectRef { kind: Kind::TlsOption, namespace, name };
                self.named(&option, &place).map(|read| Some(read.clients))
            }
            (Some(_), Some(_)) => {
                Err(self.missing(&format!("{} names several TLSOptions", quote(value)), &place))
            }
            (None, _) => Err(self.missing(&format!("{} names no TLSOption", quote(value)), &place)),
        }
    }

    fn missing(&mut self, what: &str, place: &str) -> Broken {
        let reason = format!("{what}: {}", self.then);
        let fix = "create it: NAMESPACE-NAME@kubernetescrd in annotations";
        let problem = Problem::error(Why::RestrictionUnsupported, "", reason, fix);
        Report::new(self.object, self.problems).add(place, problem);
        Broken::Restricted
    }
}

impl Found {
    /// What is asked of the clients of its hosts, by annotations and by a TLSOption; and why no route is served.
    pub(super) fn clients(
        &mut self,
        objects: &Objects,
        object: &ObjectRef,
        own: Option<ClientsRead>,
        read: &IngressRouteRead<'_>,
        policy: MiddlewarePolicy,
    ) -> (Option<Box<Clients>>, Option<Broken>) {
        let IngressRouteRead { tls, hosts, is_for_any_host, .. } = read;
        let mut missing = None;
        let mut read = own;
        if let Some(named) = tls.as_ref().and_then(|tls| tls.option) {
            let namespace = named.namespace.unwrap_or(&object.namespace);
            let option = ObjectRef::new(Kind::TlsOption, namespace, named.name);
            let place = "spec.tls.options";
            let Self { dependencies, problems, .. } = self;
            let mut options =
                TlsOptions { objects, object, dependencies, problems, then: ANSWER_503 };
            let asked = match policy.allows(&object.namespace, namespace) {
                true => options.named(&option, place).map(|read| read.clients),
                false => {
                    let problem = ingress_route::forbidden("a TLSOption", "requests get 503");
                    Report::new(object, &mut self.problems).add(place, problem);
                    Err(Broken::Restricted)
                }
            };
            match asked {
                Ok(asked) => {
                    read = Some(match read {
                        Some(own) => own.with(asked),
                        None => asked,
                    });
                }
                Err(broken) => missing = Some(broken),
            }
        }
        let requires = read.as_ref().is_some_and(|read| read.mode == Mode::Require);
        if requires && *is_for_any_host {
            // A handshake for a name that is not known would be without the demand.
            let reason = "has a rule without Host, for which client certificates cannot be required: its routes answer 503";
            let problem = Problem::error(
                Why::RestrictionUnsupported,
                "",
                reason,
                "name the hosts in `match`",
            );
            Report::new(object, &mut self.problems).add("spec.routes", problem);
            missing = Some(Broken::Restricted);
        }
        let clients = read.map(|read| Box::new(Clients { read, hosts: hosts.as_slice().into() }));
        (clients, missing)
    }
}
