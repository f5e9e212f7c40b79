//! The steps of IngressRouteTCPs, which a connection passes before its pod is chosen: `ipAllowList` and
//! `inFlightConn`.

use super::client::contains;
use super::limit::{InFlightTurn, Key};
use super::state::{State, States};
use crate::error::Reason;
use crate::model::NamedStep;
use crate::model::middleware::{SourceList, Step};
use std::net::IpAddr;
use std::sync::Arc;

/// The turns of a connection, of those who count how many there are: each until it is dropped.
#[derive(Debug, Default)]
pub struct ConnectionTurns(
    #[expect(dead_code, reason = "it is kept to be dropped")] Vec<InFlightTurn>,
);

/// Lets a connection pass, or not.
///
/// # Errors
/// A step refuses it, or cannot decide.
pub fn admit_connection(
    steps: &[Arc<NamedStep>],
    states: &States,
    peer: IpAddr,
) -> Result<ConnectionTurns, Reason> {
    let mut turns = Vec::new();
    for step in steps {
        match &step.step {
            Step::Source(rule) => {
                let is_listed = |networks| contains(networks, peer);
                let may_connect = match &rule.list {
                    SourceList::Allow(networks) => is_listed(networks),
                    SourceList::Deny(networks) => !is_listed(networks),
                };
                if !may_connect {
                    return Err(Reason::SourceDenied);
                }
            }
            Step::InFlight(limit) => {
                let key = Key::Address(Some(peer.to_canonical()));
                let turn = states.with(step, |state| match &**state {
                    State::InFlight(state) => Some(state.begin(key, limit.amount.get())),
                    _ => None,
                });
                turns.push(turn.ok_or(Reason::Internal)?.ok_or(Reason::InFlightLimited)?);
            }
            // No other is read for them.
            _ => return Err(Reason::MiddlewareUnusable),
        }
    }
    Ok(ConnectionTurns(turns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::middleware::{ClientSelector, InFlightLimit, LimitKey, SourceRule};
    use http::StatusCode;
    use std::num::NonZeroU32;

    fn named(step: Step) -> Arc<NamedStep> {
        Arc::new(NamedStep { name: "ns/m".into(), step })
    }

    #[test]
    fn a_connection_is_admitted_by_its_address_and_counts_until_it_ends() {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let list = SourceList::Allow(vec!["10.0.0.0/8".parse().expect("a network")]);
        let (client, status) = (ClientSelector::Peer, StatusCode::FORBIDDEN);
        let list = named(Step::Source(Box::new(SourceRule { list, client, status })));
        let (amount, key) = (NonZeroU32::MIN, LimitKey::Client(ClientSelector::Peer));
        let limit = InFlightLimit { amount, key, except: Vec::new(), status };
        let few = named(Step::InFlight(Box::new(limit)));
        let states = States::default();
        let admit =
            |steps: &[Arc<NamedStep>], peer: &str| admit_connection(steps, &states, address(peer));
        let both = [list, few];
        assert_eq!(admit(&both, "192.0.2.1").err(), Some(Reason::SourceDenied));
        let first = admit(&both, "::ffff:10.0.0.1").expect("the first");
        assert_eq!(admit(&both, "10.0.0.1").err(), Some(Reason::InFlightLimited));
        assert!(admit(&both, "10.0.0.2").is_ok(), "another client");
        drop(first);
        assert!(admit(&both, "10.0.0.1").is_ok());
        assert_eq!(admit(&[named(Step::Noop)], "10.0.0.1").err(), Some(Reason::MiddlewareUnusable));
    }
}
