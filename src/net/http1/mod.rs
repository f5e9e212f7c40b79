//! What both ends of HTTP/1.1 have in common: fields and chunks as they are written and read (RFC 9112).

mod chunk_grammar;
mod chunked;
mod fields;
mod input;
mod output;

pub use chunk_grammar::{BadChunk, ChunkGrammar};
pub use chunked::{Chunked, Decoded};
pub use fields::{FieldPlace, fill, write_field};
pub use input::Input;
pub use output::MessageOutput;
