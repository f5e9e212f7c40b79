//! Several Services of one route, and TraefikServices (`traefik.io/v1alpha1`).

use super::serve_routes::{Destination, Found, Leaf, Within};
use crate::control::translate::ingress_route::{self, ServiceRead, Target};
use crate::control::translate::middleware::{Dependency, Fields, Reference};
use crate::control::translate::report::{Problem, Report};
use crate::model::middleware::{ServiceChoice, WeightedService, WeightedServices};
use crate::model::{Broken, CookieSettings, Diagnostic, Kind, ObjectRef, Why};
use serde_json::Value;
use std::sync::Arc;

/// The most Services that one route leads to, over all TraefikServices.
const MOST_LEAVES: usize = 64;

impl Within<'_> {
    /// A choice among services by their weights.
    pub(super) fn weighted(
        &self,
        services: &[ServiceRead<'_>],
        cookie: Option<Arc<CookieSettings>>,
        place: &str,
        found: &mut Found,
        leaves: &mut Vec<Leaf>,
    ) -> Result<ServiceChoice, Broken> {
        let mut parts = Vec::with_capacity(services.len());
        for (position, read) in services.iter().enumerate() {
            let place = format!("{place}[{position}]");
            let choice = self.choice(read, &place, found, leaves)?;
            let token = format!("{:016x}", token(&choice)).into();
            parts.push(WeightedService { weight: read.weight, token, choice });
        }
        if parts.iter().all(|part| part.weight == 0) {
            let reason = "have no weight above 0: requests get 503";
            let problem = Problem::error(Why::Invalid, "", reason, "give one of them a weight");
            Report::new(self.object, &mut found.problems).add(place, problem);
            return Err(Broken::Unsupported);
        }
        Ok(ServiceChoice::Weighted(WeightedServices { parts, cookie }))
    }

    fn choice(
        &self,
        read: &ServiceRead<'_>,
        place: &str,
        found: &mut Found,
        leaves: &mut Vec<Leaf>,
    ) -> Result<ServiceChoice, Broken> {
        if let Target::TraefikService(named) = read.target {
            return self.traefik_service(named, place, found, leaves);
        }
        match self.service(read, place, found) {
            Destination::Port(key, wanted) if leaves.len() < MOST_LEAVES => {
                leaves.push((key.clone(), wanted));
                Ok(ServiceChoice::One(key))
            }
            Destination::Broken(_, broken) => Err(broken),
            _ => {
                let reason =
                    format!("is no Service, or one of more than {MOST_LEAVES}: requests get 503");
                let problem = Problem::error(Why::Unsupported, "", reason, "name fewer Services");
                Report::new(self.object, &mut found.problems).add(place, problem);
                Err(Broken::Unsupported)
            }
        }
    }

    /// The choice of a TraefikService.
    pub(super) fn traefik_service(
        &self,
        named: Reference<'_>,
        place: &str,
        found: &mut Found,
        leaves: &mut Vec<Leaf>,
    ) -> Result<ServiceChoice, Broken> {
        let Some((namespace, name)) = self.name(named) else {
            let problem = ingress_route::forbidden("a TraefikService");
            Report::new(self.object, &mut found.problems)
                .add(&format!("{place}.namespace"), problem);
            return Err(Broken::Restricted);
        };
        let object = ObjectRef { kind: Kind::TraefikService, namespace, name };
        found.dependencies.insert(Dependency::Object(object.clone()));
        let Some(source) = self.objects.traefik(object.kind).get(&object.namespace, &object.name)
        else {
            let problem =
                ingress_route::missing(object.kind.as_str(), &object.namespace, &object.name);
            Report::new(self.object, &mut found.problems).add(&format!("{place}.name"), problem);
            return Err(Broken::ServiceMissing);
        };
        if self.depth >= MOST_DEPTH {
            let reason = "is nested too deep: requests get 503";
            let problem =
                Problem::error(Why::Unsupported, "", reason, "name the Services directly");
            Report::new(self.object, &mut found.problems).add(place, problem);
            return Err(Broken::Unsupported);
        }
        let within = self.nested(&object);
        match read(&source.spec, &object, &mut found.problems)? {
            Read::Weighted(services, cookie) => {
                within.weighted(&services, cookie, "spec.weighted.services", found, leaves)
            }
            Read::Failover(main, fallback) => {
                let main = within.choice(&main, "spec.failover", found, leaves)?;
                let fallback = within.choice(&fallback, "spec.failover.fallback", found, leaves)?;
                Ok(ServiceChoice::Failover(Box::new([main, fallback])))
            }
            Read::Main(main) => within.choice(&main, "spec.mirroring", found, leaves),
        }
    }
}

/// TraefikServices within TraefikServices: more is a mistake.
const MOST_DEPTH: usize = 8;

/// What a TraefikService is.
enum Read<'o> {
    Weighted(Vec<ServiceRead<'o>>, Option<Arc<CookieSettings>>),
    Failover(Box<ServiceRead<'o>>, Box<ServiceRead<'o>>),
    /// One whose mirrors get nothing.
    Main(Box<ServiceRead<'o>>),
}

fn read<'o>(
    spec: &'o Value,
    object: &ObjectRef,
    problems: &mut Vec<Diagnostic>,
) -> Result<Read<'o>, Broken> {
    let mut report = Report::new(object, problems);
    let mut fields = Fields::of_routes("spec", spec, &mut report);
    fields.know(&["weighted", "mirroring", "failover", "highestRandomWeight"]);
    let weighted = fields.below("weighted", |weighted| {
        weighted.know(&["services", "sticky"]);
        let cookie = ingress_route::sticky(weighted);
        Read::Weighted(ingress_route::services(weighted), cookie)
    });
    let failover = fields.below("failover", |failover| {
        failover.tell("errors", "the fallback is for pods that cannot be used");
        let main = failover.below("service", ingress_route::service);
        let fallback = failover.below("fallback", ingress_route::service);
        Some(Read::Failover(Box::new(main?), Box::new(fallback?)))
    });
    let mirroring = fields.below("mirroring", |mirroring| {
        if mirroring.get("mirrors").is_some() {
            let reason = "is not obeyed: the service itself gets the requests, and no mirror does";
            mirroring.warn("mirrors", reason, "copy requests in the pod");
        }
        Read::Main(Box::new(ingress_route::mirrored(mirroring)))
    });
    match weighted.or(failover.flatten()).or(mirroring) {
        Some(read) if !fields.is_broken() => Ok(read),
        _ => {
            if !fields.is_broken() {
                let reason = "has neither weighted services, nor a failover, nor mirroring";
                fields.refuse_for(Why::Unsupported, "", reason, "write one of the three");
            }
            Err(Broken::Unsupported)
        }
    }
}

/// A number for a choice: the same in every process, as cookies outlive them.
fn token(choice: &ServiceChoice) -> u64 {
    // FNV-1a (draft-eastlake-fnv).
    let text = format!("{choice:?}");
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
