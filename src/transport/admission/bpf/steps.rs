//! A set of addresses as a function over their 32-bit words: what the filter can compare at once.
//!
//! The values of the first word fall into intervals within which the answer is one: allowed,
//! dropped, or a question about the next word. Only the words at the ends of a range can need the
//! next one, so few do.

use std::rc::Rc;

/// The state of an address after its words so far.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Then {
    Drop,
    Allow,
    /// The next word decides, by these steps.
    Next(Rc<[Step]>),
}

/// One interval of a word's values. It ends where the next step begins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Step {
    pub(super) from: u32,
    pub(super) then: Then,
}

const WORD_BITS: u32 = u32::BITS;

/// The steps of the first word of addresses with so many bits, a multiple of 32. The first step is
/// from 0, they ascend, and neighbours differ. The ranges are sorted and neither overlap nor touch.
pub(super) fn steps(ranges: &[(u128, u128)], bits: u32) -> Rc<[Step]> {
    let low = bits - WORD_BITS;
    let mask = (1 << low) - 1;
    let mut builder = Builder::new(low);
    for &(first, last) in ranges {
        let (begin, end) = (word(first >> low), word(last >> low));
        let (head, tail) = (first & mask, last & mask);
        let (whole_head, whole_tail) = (head == 0, tail == mask);
        if begin == end && !(whole_head && whole_tail) {
            builder.part(begin, (head, tail));
            continue;
        }
        if !whole_head {
            builder.part(begin, (head, mask));
        }
        let from = begin + u32::from(!whole_head);
        let to = end - u32::from(!whole_tail);
        if from <= to {
            builder.whole(from, to);
        }
        if !whole_tail {
            builder.part(end, (0, tail));
        }
    }
    builder.finish()
}

/// Collects the intervals of one word in ascending order.
struct Builder {
    steps: Vec<Step>,
    /// The first value without a step; `None` behind the last one.
    free: Option<u32>,
    /// A value that the next word decides, and what is allowed of the words behind it.
    open: Option<(u32, Vec<(u128, u128)>)>,
    /// Bits of the words behind this one.
    low: u32,
}

impl Builder {
    fn new(low: u32) -> Self {
        Self { steps: Vec::new(), free: Some(0), open: None, low }
    }

    /// These values are allowed, whatever follows them.
    fn whole(&mut self, first: u32, last: u32) {
        self.close();
        self.push(first, last, Then::Allow);
    }

    /// This value is allowed where the rest of the address is in the range.
    fn part(&mut self, value: u32, rest: (u128, u128)) {
        match &mut self.open {
            Some((open, ranges)) if *open == value => ranges.push(rest),
            _ => {
                self.close();
                self.open = Some((value, vec![rest]));
            }
        }
    }

    fn close(&mut self) {
        if let Some((value, ranges)) = self.open.take() {
            self.push(value, value, Then::Next(steps(&ranges, self.low)));
        }
    }

    fn push(&mut self, first: u32, last: u32, then: Then) {
        if let Some(free) = self.free.filter(|&free| free < first) {
            self.steps.push(Step { from: free, then: Then::Drop });
        }
        // Two ranges side by side can ask the same of the next word.
        if self.steps.last().is_none_or(|before| before.then != then) {
            self.steps.push(Step { from: first, then });
        }
        self.free = last.checked_add(1);
    }

    fn finish(mut self) -> Rc<[Step]> {
        self.close();
        if let Some(free) = self.free {
            self.steps.push(Step { from: free, then: Then::Drop });
        }
        self.steps.into()
    }
}

/// A word of an address that was shifted down to it.
fn word(value: u128) -> u32 {
    u32::try_from(value).expect("an address has no bits above its first word")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(from: u32, then: Then) -> Step {
        Step { from, then }
    }

    #[test]
    fn only_the_ends_of_a_range_ask_for_the_next_word() {
        let first = 5 << 32 | 7;
        let last = 9 << 32 | 0xffff_ffff;
        let tail: Rc<[Step]> = [step(0, Then::Drop), step(7, Then::Allow)].into();
        assert_eq!(
            *steps(&[(first, last)], 64),
            [
                step(0, Then::Drop),
                step(5, Then::Next(tail)),
                step(6, Then::Allow),
                step(10, Then::Drop)
            ]
        );
    }

    #[test]
    fn the_ends_of_the_space_are_no_special_case() {
        assert_eq!(*steps(&[], 128), [step(0, Then::Drop)]);
        assert_eq!(*steps(&[(0, u128::MAX)], 128), [step(0, Then::Allow)]);
        let last = u128::from(u32::MAX);
        assert_eq!(*steps(&[(last, last)], 32), [step(0, Then::Drop), step(u32::MAX, Then::Allow)]);
    }

    #[test]
    fn words_that_ask_the_same_are_one_step() {
        let inner = |word: u128| (word << 32 | 3, word << 32 | 3);
        let steps = steps(&[inner(1), inner(2), inner(4)], 64);
        let from: Vec<u32> = steps.iter().map(|step| step.from).collect();
        assert_eq!(from, [0, 1, 3, 4, 5]);
    }
}
