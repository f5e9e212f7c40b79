//! Messages in which something may be wrong, for tests that compare two readers: random, and the same each time.

/// How many messages are compared. `RAVELIN_HTTP1_CASES` asks for more than the usual number: the first ones are the same.
pub(crate) fn cases() -> usize {
    let asked = std::env::var("RAVELIN_HTTP1_CASES");
    asked.map_or(40_000, |cases| cases.parse().expect("RAVELIN_HTTP1_CASES is a number"))
}

/// A source of random numbers.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    pub(crate) fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most as u64).unwrap_or(0)
    }

    pub(crate) fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    /// Removes or replaces a byte, or all from one on. Something is left.
    pub(crate) fn break_something(&mut self, text: &mut Vec<u8>) {
        let at = self.below(text.len());
        match self.below(3) {
            0 if text.len() > 1 => drop(text.remove(at)),
            1 => text.truncate(at.max(1)),
            _ => {
                let odd = [b"\r", b"\n", b" ", b"\0", b"0", b":", b"#", b"\x80", b";"];
                text[at] = self.one(&odd)[0];
            }
        }
    }
}
