//! Several Services of one route: `services` of an IngressRoute, and TraefikService.

use super::StatusRange;
use crate::model::{BackendKey, CookieSettings, drawn_by_weight};
use std::sync::Arc;

/// Where the requests of a route go that has several Services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceChoice {
    /// To a port of a Service.
    One(BackendKey),
    /// To one of several, in proportion to their weights.
    Weighted(WeightedServices),
    /// To the same one of several for one client: `highestRandomWeight`.
    Hashed(Vec<HashedService>),
    /// To the second while the first has no endpoint that can be used, or where it answers with an error.
    Failover(Arc<Failover>),
    /// To one, with copies to others.
    Mirrored(Arc<Mirroring>),
}

/// Two Services, of which the second stands in for the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failover {
    /// Where requests go.
    pub main: ServiceChoice,
    /// Where they go in its place.
    pub fallback: ServiceChoice,
    /// Which answers of the first are not passed on: the second is asked.
    pub errors: Option<FailoverErrors>,
}

/// `failover.errors`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailoverErrors {
    /// The statuses, of pods and of ours where a pod has failed. At least one.
    pub statuses: Vec<StatusRange>,
    /// The most bytes that the body of a request may have: it is answered with 413 if it has more.
    pub max_body: Option<u64>,
}

/// A Service, and those that get copies of its requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirroring {
    /// Whose answers are passed on.
    pub main: ServiceChoice,
    /// Whose answers nobody sees.
    pub mirrors: Vec<Mirror>,
    /// Whether copies have the body.
    pub with_body: bool,
    /// The most bytes that a body may have which is copied. `None`: as many as can be kept.
    pub max_body: Option<u64>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Of how many of a hundred requests it gets a copy, at most 100.
    pub percent: u8,
    /// Where the copies go.
    pub choice: ServiceChoice,
}

/// One Service among several that are chosen by the client's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashedService {
    /// Its share; more than 0.
    pub weight: u32,
    /// What Traefik calls it, which is hashed with the address.
    pub name: Box<str>,
    /// Where its requests go.
    pub choice: ServiceChoice,
}

impl HashedService {
    /// Its score for a client; the highest of all is taken (Thaler and Ravishankar, "Using name-based mappings to
    /// increase hit rates", 1998, with the weights of Schindelhauer and Schomaker, 2005). The number is Traefik's
    /// (`pkg/server/service/loadbalancer/hrw`), so that clients find the Service again that they had there.
    pub fn score(&self, client: &str) -> f64 {
        let bytes = client.bytes().chain(self.name.bytes());
        // FNV-1a (draft-eastlake-fnv).
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        // Of 64 bits a float has 53: Go's conversion rounds likewise.
        #[expect(clippy::cast_precision_loss, reason = "as in Traefik")]
        let share = hash as f64 / 2.0_f64.powi(64);
        f64::from(self.weight) / -share.ln()
    }
}

/// Services with weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedServices {
    /// At least one; the weights are not all 0.
    pub parts: Vec<WeightedService>,
    /// A cookie that names the part that a visitor had, if there is one.
    pub cookie: Option<Arc<CookieSettings>>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedService {
    /// Its share. With 0 it gets no request, but those of visitors with its cookie.
    pub weight: u32,
    /// What the cookie has for it: letters and digits.
    pub token: Box<str>,
    /// Where its requests go.
    pub choice: ServiceChoice,
}

impl WeightedServices {
    /// The part that a number stands for, drawn from all that there are.
    pub fn drawn(&self, random: u64) -> Option<&WeightedService> {
        drawn_by_weight(self.parts.iter(), |part| part.weight, random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PortKey;

    #[test]
    fn parts_are_drawn_by_their_weights() {
        let part = |weight| WeightedService {
            weight,
            token: "t".into(),
            choice: ServiceChoice::One(BackendKey {
                namespace: "ns".into(),
                service: "s".into(),
                port: PortKey::Number(80),
                variant: None,
            }),
        };
        let parts = |weights: &[u32]| WeightedServices {
            parts: weights.iter().map(|weight| part(*weight)).collect(),
            cookie: None,
        };
        let three = parts(&[1, 0, 3]);
        let drawn = |random| three.drawn(random).map(|part| part.weight);
        let all: Vec<_> = (0..8).map(drawn).collect();
        assert_eq!(all, [1, 3, 3, 3, 1, 3, 3, 3].map(Some));
        assert_eq!(parts(&[0, 0]).drawn(5), None);
    }

    /// Reckoned apart. tests/traefik compares where clients go with Traefik itself.
    #[test]
    fn a_client_has_the_score_that_traefik_gives_it() {
        let service = |name: &str, weight| HashedService {
            weight,
            name: name.into(),
            choice: ServiceChoice::One(BackendKey {
                namespace: "ns".into(),
                service: name.into(),
                port: PortKey::Number(80),
                variant: None,
            }),
        };
        let all = [service("ns-a-80", 1), service("ns-b-80", 3)];
        for (client, first, second) in [
            ("10.0.0.1", 0.769703, 12.451107),
            ("192.0.2.7", 2.925581, 1.488220),
            ("2001:db8::1", 1.448253, 2.127466),
        ] {
            for (service, expected) in all.iter().zip([first, second]) {
                let score = service.score(client);
                assert!((score - expected).abs() < 1e-5, "{client} {}: {score}", service.name);
            }
        }
    }
}
