//! What a request carries through the steps of its route.

use super::answer::StepAnswer;
use super::compress::{AcceptedCodings, BodyEncoder};
use super::error_pages::Asked;
use super::follow_up::FollowUp;
use super::grpc_web::WebCall;
use super::limit::InFlightTurn;
use super::received::Received;
use crate::error::Reason;
use crate::model::middleware::RetryLimit;
use crate::routing::Backend;
use http::HeaderValue;
use std::sync::Arc;
use std::time::Instant;

/// How far a request has come through its steps, and what they have kept of it.
#[derive(Debug, Default)]
pub struct Passage {
    /// Steps whose request half it has passed: only their response halves are due.
    passed: usize,
    notes: Vec<(usize, StepNote)>,
    /// `X-Forwarded-For` as it was received, before it was replaced by the verified visitor; all of its values,
    /// joined by commas.
    pub received_for: Option<HeaderValue>,
    /// What its steps ask for of the fields that were received.
    pub received: Received,
    /// The user, as a step has verified: for the log.
    pub user: Option<HeaderValue>,
    /// Whether a response without a type gets the one that its body looks like.
    pub detects_type: bool,
    /// The bound of `retry` for attempts.
    pub retry: Option<Arc<RetryLimit>>,
    /// The one of several Services that the request goes to.
    pub service: Option<Box<ChosenService>>,
    /// The answer of a step, until it is sent.
    pub answer: Option<Box<StepAnswer>>,
}

/// The Service of one request, where its route has several.
#[derive(Debug)]
pub struct ChosenService {
    /// Where it goes.
    pub backend: Arc<Backend>,
    /// Values of `Set-Cookie` that name the Service.
    pub cookies: Vec<HeaderValue>,
    /// What is still to be done when its answer has come.
    pub follow_up: Option<Box<FollowUp>>,
}

/// What the request half of a step keeps for its response half. Dropped with the request.
#[derive(Debug)]
pub enum StepNote {
    /// `Origin` of a request, for CORS.
    Origin(HeaderValue),
    /// Cookies of an auth server for the client, each a value of `Set-Cookie`.
    Cookies(Vec<HeaderValue>),
    /// What the Service of `errors` is told of a request, for a page.
    Asked(Box<Asked>),
    /// That its response may get a page of `error-pages`.
    Paged,
    /// That it is a call of gRPC-Web.
    GrpcWeb(Box<WebCall>),
    /// That the body of its response is to be one of gRPC-Web.
    WebBody {
        /// In base64.
        is_text: bool,
    },
    /// That it counts for `inFlightReq`, until it is dropped.
    InFlight(InFlightTurn),
    /// When `circuitBreaker` let it pass.
    Admitted(Instant),
    /// What of `compress` its client accepts.
    Accepted(Box<AcceptedCodings>),
    /// The compressor of its response's body.
    Compress(Box<BodyEncoder>),
}

impl Passage {
    /// At the first step, with `X-Forwarded-For` as it was received from a peer that may speak for others, and with what
    /// the steps ask for of the other fields.
    pub fn new(received_for: Option<HeaderValue>, received: Received) -> Self {
        Self { received_for, received, ..Self::default() }
    }

    /// Whether something is still to be done when the answer has come.
    pub fn has_follow_up(&self) -> bool {
        self.service.as_ref().is_some_and(|service| service.follow_up.is_some())
    }

    /// The step that is next.
    pub fn next(&self) -> usize {
        self.passed
    }

    /// Notes that the request has passed the step that was next.
    pub fn pass(&mut self) {
        self.passed += 1;
    }

    /// Keeps the answer of the step that was next, and returns its reason.
    pub fn answer_with(&mut self, answer: Box<StepAnswer>) -> Reason {
        self.answer.insert(answer).reason
    }

    /// Keeps a note for the step that is next.
    pub fn note(&mut self, note: StepNote) {
        self.notes.push((self.passed, note));
    }

    /// What a step has kept.
    pub fn take_note(&mut self, step: usize) -> Option<StepNote> {
        let position = self.notes.iter().position(|(of, _)| *of == step)?;
        Some(self.notes.swap_remove(position).1)
    }

    /// The compressor of the response's body, if it is to be compressed.
    pub fn take_encoder(&mut self) -> Option<Box<BodyEncoder>> {
        let is_encoder = |(_, note): &(usize, StepNote)| matches!(note, StepNote::Compress(_));
        let position = self.notes.iter().position(is_encoder)?;
        match self.notes.swap_remove(position).1 {
            StepNote::Compress(encoder) => Some(encoder),
            _ => None,
        }
    }

    /// Keeps again what a response half has left of its step's.
    pub fn put_note(&mut self, step: usize, note: StepNote) {
        self.notes.push((step, note));
    }

    /// The step whose response half is next, of so many steps: the last that the request has passed. After it
    /// comes the one before.
    pub fn back(&mut self, steps: usize) -> Option<usize> {
        self.passed = self.passed.min(steps).checked_sub(1)?;
        Some(self.passed)
    }

    /// Whether a step has kept what it needs for a page in place of the response.
    pub fn may_have_page(&self) -> bool {
        self.notes.iter().any(|(_, note)| matches!(note, StepNote::Asked(_) | StepNote::Paged))
    }

    /// Whether it is a call of gRPC-Web, which its pod gets as one of gRPC.
    pub fn is_web_call(&self) -> bool {
        self.notes.iter().any(|(_, note)| matches!(note, StepNote::GrpcWeb(_)))
    }

    /// Whether the body of its response is to be one of gRPC-Web, and then whether in base64.
    pub fn web_body(&self) -> Option<bool> {
        self.notes.iter().find_map(|(_, note)| match note {
            StepNote::WebBody { is_text } => Some(*is_text),
            _ => None,
        })
    }
}
