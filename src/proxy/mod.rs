//! The data path: the life of a connection and of a request, in the order of their stages.
//!
//! **Invariant**: calls the stages in their order; `request` never imports `connection`
//! (`tests/layering`).

pub mod connection;
mod etag_table;
mod gcra;
pub mod middleware;
mod relay;
mod reply_head;
pub mod request;
mod strangers;
mod worker;

pub use etag_table::EtagTable;
pub use reply_head::clean_reply;
pub use strangers::{StrangerSeat, Strangers};
pub use worker::{Downstream, ListenerEntry, Worker};
