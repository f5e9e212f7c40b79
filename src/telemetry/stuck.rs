//! A sink that takes nothing, for the tests of both logs.

use std::io::{self, Write};
use std::sync::mpsc::Receiver;

/// Blocks in each write until it is told to go on, or nobody is left who could.
pub(super) struct Stuck(pub(super) Receiver<()>);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
