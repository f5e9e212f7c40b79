//! What both ends of HTTP/1.1 have in common: fields and bodies as they are written and read (RFC 9112).

mod chunk_grammar;
mod chunked;
mod decoder;
#[cfg(test)]
pub(crate) mod dice;

mod fields;
mod framer;
mod framing;
mod input;
mod names;
mod output;

pub use chunk_grammar::{BadChunk, ChunkGrammar};
pub use chunked::{Chunked, Decoded};
pub use decoder::BodyDecoder;
pub use fields::{FieldPlace, fill, write_field};
pub use framer::{BodyFramer, BodyFraming, BrokenBody, Gathered};
pub use framing::{agreed_length, content_length, has_option, is_chunked};
pub use input::Input;
pub use output::MessageOutput;
