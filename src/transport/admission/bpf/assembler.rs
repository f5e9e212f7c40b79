//! From steps to instructions, written from the end of the program to its beginning.
//!
//! Jumps go forward only and a conditional one reaches 255 instructions. Written backwards, every
//! target is there before the jump to it, so its distance is known, and one that is too far gets a
//! stepping stone beside the jump: a copy of the `ret` if that is what it leads to, which costs as
//! much as the `ja` that other targets need.

use super::steps::{Step, Then};
use super::{Answers, Instruction};
use std::collections::HashMap;
use std::rc::Rc;

/// Load a word or byte of the packet, `linux/filter.h`: `BPF_LD | BPF_W | BPF_ABS`, `BPF_B`.
pub(super) const LOAD_WORD: u16 = 0x20;
pub(super) const LOAD_BYTE: u16 = 0x30;
/// `BPF_ALU | BPF_RSH | BPF_K`.
pub(super) const SHIFT_RIGHT: u16 = 0x74;
/// `BPF_JMP` with `BPF_JA`, `BPF_JEQ | BPF_K`, `BPF_JGE | BPF_K`.
pub(super) const JUMP: u16 = 0x05;
pub(super) const JUMP_EQUAL: u16 = 0x15;
pub(super) const JUMP_GREATER_OR_EQUAL: u16 = 0x35;
/// `BPF_RET | BPF_K`.
pub(super) const RETURN: u16 = 0x06;
/// How far a conditional jump may lead, 255, less the stepping stone that its other target may need.
const REACH: usize = 254;

/// Most single values that are compared one after another. Of `n`, a chain takes `n` instructions
/// and executes up to `n`, while a tree over both of their ends takes `2n` and executes
/// `log2(2n + 1)`, rounded up: up to 3 values, the chain is half as long and never slower.
const CHAIN: usize = 3;

/// Where a jump leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum JumpTarget {
    Drop,
    Allow,
    /// Position in the reversed program.
    At(usize),
}

/// A program in the making.
pub(super) struct Assembler {
    answers: Answers,
    reversed: Vec<Instruction>,
    /// The last stepping stone to a target.
    stones: HashMap<JumpTarget, usize>,
    /// What is written already: offset in the packet and steps of the word there.
    blocks: HashMap<(u32, Rc<[Step]>), JumpTarget>,
}

impl Assembler {
    /// A program that returns these.
    pub(super) fn new(answers: Answers) -> Self {
        let (reversed, stones, blocks) = (Vec::new(), HashMap::new(), HashMap::new());
        Self { answers, reversed, stones, blocks }
    }

    /// Writes the decision over the word at an offset of the packet, and over those behind it. What
    /// several words lead to is written once.
    pub(super) fn decide(&mut self, offset: u32, steps: &Rc<[Step]>) -> JumpTarget {
        if let [only] = &**steps {
            return self.target(offset, &only.then);
        }
        let key = (offset, Rc::clone(steps));
        if let Some(&written) = self.blocks.get(&key) {
            return written;
        }
        let root = self.tree(offset, steps, None);
        let block = self.load(LOAD_WORD, offset, root);
        self.blocks.insert(key, block);
        block
    }

    /// A conditional jump on the accumulator.
    pub(super) fn branch(
        &mut self,
        code: u16,
        k: u32,
        yes: JumpTarget,
        no: JumpTarget,
    ) -> JumpTarget {
        if yes == no {
            return yes;
        }
        let (yes, no) = (self.near(yes), self.near(no));
        let (jt, jf) = (self.offset_to(yes), self.offset_to(no));
        let short = |offset: usize| u8::try_from(offset).expect("near by, stones included");
        self.push(Instruction { code, jt: short(jt), jf: short(jf), k })
    }

    /// An instruction that goes on to a target.
    pub(super) fn load(&mut self, code: u16, k: u32, then: JumpTarget) -> JumpTarget {
        if then != JumpTarget::At(self.reversed.len().wrapping_sub(1)) {
            self.jump(then);
        }
        self.push(Instruction { code, jt: 0, jf: 0, k })
    }

    /// The program that begins with what was written last, or is nothing but an answer.
    pub(super) fn finish(mut self, root: JumpTarget) -> Vec<Instruction> {
        if let JumpTarget::Drop | JumpTarget::Allow = root {
            self.jump(root);
        }
        self.reversed.reverse();
        self.reversed
    }

    fn target(&mut self, offset: u32, then: &Then) -> JumpTarget {
        match then {
            Then::Drop => JumpTarget::Drop,
            Then::Allow => JumpTarget::Allow,
            Then::Next(steps) => self.decide(offset + 4, steps),
        }
    }

    /// Balanced search among steps; `end` is the first value behind the last of them.
    fn tree(&mut self, offset: u32, steps: &[Step], end: Option<u32>) -> JumpTarget {
        if let [only] = steps {
            return self.target(offset, &only.then);
        }
        if let Some(others) = chain(steps, end) {
            let targets: Vec<_> =
                steps.iter().map(|step| (step.from, self.target(offset, &step.then))).collect();
            let others = targets[others].1;
            let singles = targets.into_iter().rev().filter(|&(_, target)| target != others);
            return singles.fold(others, |next, (value, target)| {
                self.branch(JUMP_EQUAL, value, target, next)
            });
        }
        let (below, above) = steps.split_at(steps.len() / 2);
        let at_least = above[0].from;
        let above = self.tree(offset, above, end);
        let below = self.tree(offset, below, Some(at_least));
        self.branch(JUMP_GREATER_OR_EQUAL, at_least, above, below)
    }

    /// The target itself, or a stepping stone to it that a conditional jump reaches.
    fn near(&mut self, target: JumpTarget) -> usize {
        let itself = if let JumpTarget::At(position) = target { Some(position) } else { None };
        let nearest = self.stones.get(&target).copied().or(itself);
        match nearest.filter(|&position| self.offset_to(position) <= REACH) {
            Some(position) => position,
            None => {
                let position = self.jump(target);
                self.stones.insert(target, position);
                position
            }
        }
    }

    fn jump(&mut self, target: JumpTarget) -> usize {
        let (code, k) = match target {
            JumpTarget::Drop => (RETURN, self.answers.others),
            JumpTarget::Allow => (RETURN, self.answers.allowed),
            JumpTarget::At(position) => {
                let offset = self.offset_to(position);
                (JUMP, u32::try_from(offset).expect("instructions are far fewer"))
            }
        };
        self.push(Instruction { code, jt: 0, jf: 0, k });
        self.reversed.len() - 1
    }

    /// Instructions that a jump written next has to skip.
    fn offset_to(&self, position: usize) -> usize {
        self.reversed.len() - 1 - position
    }

    fn push(&mut self, instruction: Instruction) -> JumpTarget {
        self.reversed.push(instruction);
        JumpTarget::At(self.reversed.len() - 1)
    }
}

/// The step that all others but a few single values lead to, if comparing those is best.
fn chain(steps: &[Step], end: Option<u32>) -> Option<usize> {
    if steps.len() > 2 * CHAIN + 1 {
        return None;
    }
    let is_single = |at: usize| {
        let next = steps.get(at + 1).map_or(end, |next| Some(next.from));
        steps[at].from.checked_add(1) == next
    };
    (0..steps.len()).find(|&others| {
        let mut apart = (0..steps.len()).filter(|&at| steps[at].then != steps[others].then);
        apart.clone().count() <= CHAIN && apart.all(is_single)
    })
}
