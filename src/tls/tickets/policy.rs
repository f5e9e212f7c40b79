//! What a policy is known by in the keys of its tickets: two processes with the same demand find the
//! same, and no two demands do.

use super::Issuer;
use crate::pki::client_certificate::Demand;
use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};

/// SHA-256 of a demand on clients, and of who has issued the certificate that they were presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PolicyId([u8; SHA256_OUTPUT_LEN]);

impl PolicyId {
    pub(super) fn of(demand: &Demand, issuer: Issuer) -> Self {
        let mut context = Context::new(&SHA256);
        part(&mut context, demand.mode.as_str().as_bytes());
        match &demand.authority {
            None => count(&mut context, 0),
            Some(authority) => {
                // None at all would be something else than no authority.
                count(&mut context, 1 + authority.certificates().len());
                authority.certificates().iter().for_each(|one| part(&mut context, one));
            }
        }
        count(&mut context, demand.subjects.iter().count());
        demand.subjects.iter().for_each(|subject| part(&mut context, subject.as_bytes()));
        if demand.tls13_only {
            part(&mut context, b"TLS 1.3 alone");
        }
        if issuer == Issuer::OriginCa {
            part(&mut context, b"Cloudflare Origin CA");
        }
        let mut id = [0; SHA256_OUTPUT_LEN];
        id.copy_from_slice(context.finish().as_ref());
        Self(id)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// With its length in front, so that where one part ends is never in question.
fn part(context: &mut Context, bytes: &[u8]) {
    count(context, bytes.len());
    context.update(bytes);
}

fn count(context: &mut Context, count: usize) {
    context.update(&(count as u64).to_be_bytes());
}
