//! The status page of the admin port and its JSON: what the process knows of itself, read-only.
//!
//! ```text
//! GET /             the page, for browsers; its script polls /api/v1/...
//! GET /api/v1/NAME  Question -> Sources::answer (on a thread of its own) -> JSON
//! ```
//!
//! Answers are made of what the process has already, a page at a time; nothing is kept between two of them, and no lock
//! is held that a data worker takes per request. Keys, passwords and values of headers are in none of them.

mod answers;
mod assets;
mod certificates;
mod decide;
mod explain;
mod failures;
mod findings;
mod fix;
mod gate;
mod overview;
mod pods;
mod proofs;
mod question;
mod requests;
mod routes;
mod steps;
mod window;

pub(super) use answers::{Readiness, Sources, StatusAnswer, own_host};
pub(super) use assets::{Asset, asset, is_page_wanted};
pub(crate) use decide::{AskedRoute, Decided, decide};
pub(crate) use proofs::{Proof, ZoneSettings};
pub(super) use question::is_api;
pub(crate) use steps::StepEffect;
