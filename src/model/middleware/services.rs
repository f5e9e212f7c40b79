//! Several Services of one route: `services` of an IngressRoute, and TraefikService.

use crate::model::{BackendKey, CookieSettings};
use std::sync::Arc;

/// Where the requests of a route go that has several Services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceChoice {
    /// To a port of a Service.
    One(BackendKey),
    /// To one of several, in proportion to their weights.
    Weighted(WeightedServices),
    /// To the second while the first has no endpoint that can be used.
    Failover(Box<[ServiceChoice; 2]>),
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
        let total: u64 = self.parts.iter().map(|part| u64::from(part.weight)).sum();
        let mut rest = random.checked_rem(total)?;
        self.parts.iter().find(|part| match rest.checked_sub(u64::from(part.weight)) {
            Some(left) => {
                rest = left;
                false
            }
            None => true,
        })
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
}
