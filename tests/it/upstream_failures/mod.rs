//! What a client sees when its backend fails, and that no failure reaches anybody else.

mod aborts;
mod answers;
mod connecting;
mod ejection;
mod ghost;
mod replays;
mod reuse;
mod unread;
