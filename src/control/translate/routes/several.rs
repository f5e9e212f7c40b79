//! Several Services of one route, and TraefikServices (`traefik.io/v1alpha1`).

use super::serve_routes::{Destination, Found, Leaf, Within};
use crate::control::translate::ingress_route::{self, ServiceRead, Target};
use crate::control::translate::middleware::{Dependency, Reference};
use crate::control::translate::report::{Problem, Report};
use crate::control::translate::traefik_service::{
    self, FailoverRead, MirroringRead, TraefikServiceRead,
};
use crate::model::middleware::{
    Failover, HashedService, Mirror, Mirroring, ServiceChoice, WeightedService, WeightedServices,
};
use crate::model::{Broken, CookieSettings, Kind, ObjectRef, Why};
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
            let problem = ingress_route::forbidden("a TraefikService", "requests get 503");
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
        match traefik_service::read(&source.spec, &object, &mut found.problems)? {
            TraefikServiceRead::Weighted(services, cookie) => {
                within.weighted(&services, cookie, "spec.weighted.services", found, leaves)
            }
            TraefikServiceRead::Hashed(services) => within.hashed(&services, found, leaves),
            TraefikServiceRead::Failover(read) => {
                let FailoverRead { main, fallback, errors } = *read;
                let main = within.choice(&main, "spec.failover.service", found, leaves)?;
                let fallback = within.choice(&fallback, "spec.failover.fallback", found, leaves)?;
                Ok(ServiceChoice::Failover(Arc::new(Failover { main, fallback, errors })))
            }
            TraefikServiceRead::Mirroring(read) => within.mirroring(&read, found, leaves),
        }
    }

    /// A choice by the client's address.
    fn hashed(
        &self,
        services: &[ServiceRead<'_>],
        found: &mut Found,
        leaves: &mut Vec<Leaf>,
    ) -> Result<ServiceChoice, Broken> {
        const PLACE: &str = "spec.highestRandomWeight.services";
        let mut all = Vec::with_capacity(services.len());
        // Traefik passes one without a weight over.
        for (position, read) in services.iter().enumerate().filter(|(_, read)| read.weight > 0) {
            let choice = self.choice(read, &format!("{PLACE}[{position}]"), found, leaves)?;
            let name = self.traefiks_name(&read.target).into();
            all.push(HashedService { weight: read.weight, name, choice });
        }
        if all.is_empty() {
            let reason = "have no weight above 0: requests get 503";
            let problem = Problem::error(Why::Invalid, "", reason, "give one of them a weight");
            Report::new(self.object, &mut found.problems).add(PLACE, problem);
            return Err(Broken::Unsupported);
        }
        Ok(ServiceChoice::Hashed(all))
    }

    /// What Traefik calls a service (`crd/kubernetes_http.go`, fullServiceName).
    fn traefiks_name(&self, target: &Target<'_>) -> String {
        let namespace = |reference: &Reference<'_>| {
            reference.namespace.unwrap_or(&self.object.namespace).to_owned()
        };
        let name = match target {
            Target::Service(reference, port) => {
                format!("{}-{}-{port}", namespace(reference), reference.name)
            }
            Target::TraefikService(reference) => {
                format!("{}-{}", namespace(reference), reference.name)
            }
            Target::Noop => "noop-internal".to_owned(),
            Target::Unusable(name, _) => (*name).to_owned(),
        };
        // `provider.Normalize`.
        let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.collect::<Vec<_>>().join("-")
    }

    fn mirroring(
        &self,
        read: &MirroringRead<'_>,
        found: &mut Found,
        leaves: &mut Vec<Leaf>,
    ) -> Result<ServiceChoice, Broken> {
        let main = self.choice(&read.main, "spec.mirroring", found, leaves)?;
        let mut mirrors = Vec::with_capacity(read.mirrors.len());
        for (position, (service, percent)) in read.mirrors.iter().enumerate() {
            let place = format!("spec.mirroring.mirrors[{position}]");
            let choice = self.choice(service, &place, found, leaves)?;
            mirrors.push(Mirror { percent: *percent, choice });
        }
        let MirroringRead { with_body, max_body, .. } = *read;
        Ok(ServiceChoice::Mirrored(Arc::new(Mirroring { main, mirrors, with_body, max_body })))
    }
}

/// TraefikServices within TraefikServices: more is a mistake.
const MOST_DEPTH: usize = 8;

/// A number for a choice: the same in every process, as cookies outlive them.
fn token(choice: &ServiceChoice) -> u64 {
    // FNV-1a (draft-eastlake-fnv).
    let text = format!("{choice:?}");
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
