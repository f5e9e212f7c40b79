//! A request body that is here already, from its first byte to its last.

use super::upload::Upload;
use crate::net::memory::{Account, HolderKind};
use bytes::Bytes;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

/// All bytes of a body, held for as long as somebody may send them.
#[derive(Debug)]
pub struct Whole {
    bytes: Bytes,
    /// Whose memory it is, where it is a client's.
    account: Option<Arc<Account>>,
    /// The upload that it was read from.
    upload: Option<Rc<Upload>>,
    /// Whether the connection has taken all of it.
    is_sent: Cell<bool>,
}

impl Whole {
    /// A body of our own, for a request of our own.
    pub fn of_ours(bytes: Bytes) -> Rc<Self> {
        Rc::new(Self { bytes, account: None, upload: None, is_sent: Cell::new(false) })
    }

    /// What was read of an upload, at the cost of its connection. The upload is on its way again until the
    /// connection to the pod has taken this.
    pub fn of_upload(bytes: Bytes, upload: &Rc<Upload>) -> Rc<Self> {
        let account = Arc::clone(upload.flow().account());
        account.charge(HolderKind::Bodies, bytes.len());
        upload.restart();
        let (account, upload) = (Some(account), Some(Rc::clone(upload)));
        Rc::new(Self { bytes, account, upload, is_sent: Cell::new(false) })
    }

    /// What was made of it, in its place.
    pub fn with_bytes(&self, bytes: Bytes) -> Rc<Self> {
        match &self.upload {
            Some(upload) => Self::of_upload(bytes, upload),
            None => Self::of_ours(bytes),
        }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether the connection has taken all of it, so that another request may follow.
    pub fn is_sent(&self) -> bool {
        self.is_sent.get() || self.bytes.is_empty()
    }

    /// Notes that the connection has taken all of it.
    pub(super) fn sent(&self) {
        self.is_sent.set(true);
        if let Some(upload) = &self.upload {
            upload.finish();
        }
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if let Some(account) = &self.account {
            account.release(HolderKind::Bodies, self.bytes.len());
        }
    }
}

/// Sends a [`Whole`], from its beginning.
#[derive(Debug)]
pub struct WholeReader {
    whole: Rc<Whole>,
    ended: bool,
}

impl WholeReader {
    /// Begins.
    pub fn new(whole: Rc<Whole>) -> Self {
        Self { whole, ended: false }
    }

    /// What it sends.
    pub fn whole(&self) -> &Rc<Whole> {
        &self.whole
    }

    /// The bytes, the first time.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        if self.is_through() {
            return None;
        }
        self.ended = true;
        self.whole.sent();
        Some(self.whole.bytes.clone())
    }

    pub(super) fn is_through(&self) -> bool {
        self.ended || self.whole.bytes.is_empty()
    }

    /// How many bytes are still to come.
    pub(super) fn left(&self) -> u64 {
        if self.is_through() { 0 } else { self.whole.bytes.len() as u64 }
    }
}
