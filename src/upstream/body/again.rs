//! What it takes to send the body of a request once more.

use super::{RequestBody, Upload, UploadState, Whole, WholeReader};
use std::rc::Rc;

/// A body, whatever has become of who reads it.
#[derive(Debug)]
pub enum BodyAgain {
    /// There is none.
    Empty,
    /// The client's.
    Upload(Rc<Upload>),
    /// One that is here already.
    Whole(Rc<Whole>),
}

impl BodyAgain {
    /// Of this body.
    pub fn of(body: &RequestBody) -> Self {
        match body {
            RequestBody::Empty => Self::Empty,
            RequestBody::Streaming(reader) => Self::Upload(Rc::clone(reader.upload())),
            RequestBody::Whole(reader) => Self::Whole(Rc::clone(reader.whole())),
        }
    }

    /// How long it is, if all of it is on its way to the pod.
    pub fn bytes_if_sent(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Upload(upload) => (upload.state() == UploadState::Done).then(|| upload.bytes()),
            Self::Whole(whole) => whole.is_sent().then(|| whole.bytes().len() as u64),
        }
    }

    /// The body from its beginning; `None` if that is not there any more.
    pub fn read(&self) -> Option<RequestBody> {
        Some(match self {
            Self::Empty => RequestBody::Empty,
            Self::Upload(upload) => RequestBody::Streaming(upload.read()?),
            Self::Whole(whole) => RequestBody::Whole(WholeReader::new(Rc::clone(whole))),
        })
    }
}
