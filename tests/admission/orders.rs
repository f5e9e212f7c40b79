//! What a test tells the agents in the namespaces to do, and what they tell it.

use crate::raw::Segment;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// One order; its result is of the type in the comment.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) enum Order {
    /// Runs a shell script to its end: `()`.
    Run { script: String },
    /// Starts a program that ends with the agent, if not before. Its output goes to a file: `()`.
    Start { words: Vec<String>, output: String },
    /// Ends that program: `()`.
    Stop,
    /// Connects to all of these at once, for as many milliseconds at the most: `Vec<Met>`.
    Connect { to: Vec<SocketAddr>, milliseconds: u64 },
    /// Sends a text over a connection and reads one HTTP response: `Told`.
    Ask { connection: usize, text: String },
    /// Begins to ask without a pause, over one connection and over new ones in turns: `()`.
    Load { to: SocketAddr },
    /// Ends that: how many requests were answered, and what became of the others, `(u64, Vec<String>)`.
    Unload,
    /// Opens the raw sockets: from now on segments of TCP that arrive here are kept: `()`.
    Tap,
    /// Sends segments as they are: `()`.
    Send { segments: Vec<Segment> },
    /// Hands over the segments that have arrived, in no order: `Vec<Heard>`.
    Hear,
}

/// What came of an attempt to connect.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) enum Met {
    /// The other side accepted: the connection of this number.
    Connected(usize),
    /// No answer of any kind.
    Silence,
    /// RST.
    Refused,
    /// Another error.
    Failed(String),
}

/// What came over a connection.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) enum Told {
    /// A response, by its status, and its body.
    Response(u16, String),
    /// RST.
    Reset,
    /// The end, a deadline, or another error.
    Failed(String),
}
